"""Real PostgreSQL under simulated processes: one statement runs at a time, on a private loop, while time stands still.

The seams are the pool and the connection: `muster.kit.pg.Database` itself runs as it is. Before and after each
statement the seed may let its process wait, freeze or crash; at COMMIT the answer may be lost.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import asyncpg

from muster.kit.pg import Database
from simulation.backend import Backend

if TYPE_CHECKING:
    from simulation.world import World

_STALE_US = 10_000
_ENDS: Final = ("COMMIT", "ROLLBACK")


class Crashed(BaseException):
    """This simulated process is dead: nothing of it goes on."""


class _Begun(NamedTuple):
    """A BEGIN that the server has not heard yet, and when it was said."""

    query: str
    at_us: int


class Connection:
    """What production code takes for an asyncpg connection.

    The server hears of a transaction with the first statement whose answer is not known: a poll that finds nothing new
    costs nothing. A real connection is held for as long as something is open.
    """

    def __init__(self, world: "World", service: str, role: str) -> None:
        self._world = world
        self._service = service
        self._role = role
        self._node = world.here()
        self._backend: Backend | None = None
        self._closed = False
        self._written: set[str] = set()
        self._looked_only = True
        self._begun: _Begun | None = None
        self._scope = ""  # what the transaction began with: for whom it reads
        self._node.ends.append(self.lose)
        world.connections[self] = None

    @property
    def node(self) -> Any:
        """Whose it is."""
        return self._node

    def is_closed(self) -> bool:
        """As asyncpg's."""
        return self._closed

    def is_in_transaction(self) -> bool:
        """As asyncpg's."""
        return self._begun is not None or (self._backend is not None and self._backend.is_open)

    def terminate(self) -> None:
        """As asyncpg's."""
        self.lose()

    def lose(self) -> None:
        """The server ends it: what was open is undone, its locks are free."""
        self._closed, self._begun = True, None
        self._world.connections.pop(self, None)
        self._give_back()

    def _give_back(self) -> None:
        backend, self._backend = self._backend, None
        if backend is not None:
            self._world.cluster.give_back(self._service, self._role, backend)

    async def close(self, *, timeout: float | None = None) -> None:
        """As asyncpg's."""
        self.lose()

    async def fetch(self, query: str, *args: Any, timeout: float | None = None) -> Any:
        """As asyncpg's."""
        return await self._do("fetch", query, args)

    async def fetchrow(self, query: str, *args: Any, timeout: float | None = None) -> Any:
        """As asyncpg's."""
        return await self._do("fetchrow", query, args)

    async def fetchval(self, query: str, *args: Any, timeout: float | None = None) -> Any:
        """As asyncpg's."""
        return await self._do("fetchval", query, args)

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> Any:
        """As asyncpg's."""
        return await self._do("execute", query, args)

    async def executemany(self, query: str, args: Any, *, timeout: float | None = None) -> Any:
        """As asyncpg's."""
        return await self._do("executemany", query, (list(args),))

    async def copy_records_to_table(
        self, table: str, *, records: Any, columns: Sequence[str] | None = None, timeout: float | None = None
    ) -> Any:
        """As asyncpg's."""
        return await self._copy(table, lambda: list(records), columns)

    async def copy_to_table(
        self, table: str, *, source: Any, columns: Sequence[str] | None = None, timeout: float | None = None
    ) -> Any:
        """As asyncpg's."""
        named = list(columns or ())
        content = b"".join([piece async for piece in source])
        rows = [line.split("\t") for line in content.decode().splitlines()]
        return await self._copy(table, lambda: [tuple(map(_copied, named, row)) for row in rows], named)

    async def _copy(self, table: str, records: Callable[[], list[Any]], columns: Sequence[str] | None) -> Any:
        tag = f"COPY {table}"
        await self._before(tag)
        answer = self._call("copy_records_to_table", tag, (table,), records=records(), columns=columns)
        await self._after(tag, answer)
        return answer

    # -- one statement ------------------------------------------------------------------------------------------------

    async def _do(self, method: str, query: str, args: tuple[Any, ...]) -> Any:
        if query.startswith("BEGIN") or (query in _ENDS and self._looked_only):
            # Nothing has happened before the first statement, and nothing is left of having looked: whatever goes wrong
            # here goes wrong there.
            self._check()
            return self._ask(method, query, args)
        tag = _tag(query)
        await self._before(tag)
        if query == "COMMIT" and (loss := self._world.faults.commit(self._node)) is not None:
            self._lose_commit(committed=loss)
        try:
            answer = self._ask(method, query, args)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            await self._after(tag, type(error).__name__)
            raise
        await self._after(tag, len(answer) if isinstance(answer, list) else answer if method == "execute" else "")
        return answer

    async def _before(self, tag: str) -> None:
        if self._node.dead:
            raise Crashed
        await self._world.faults.before(self._node, tag)
        self._check()

    def _check(self) -> None:
        if self._node.dead:
            raise Crashed
        if self._closed:
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")

    async def _after(self, tag: str, outcome: object) -> None:
        self._world.trace.add(self._node.name, tag, outcome)
        await self._world.faults.after(self._node, tag)
        if self._node.dead:
            raise Crashed

    def _ask(self, method: str, query: str, args: tuple[Any, ...]) -> Any:
        """At most one round trip. What was asked before, of tables to which nobody has written since, is answered as
        before."""
        self._world.statements += 1
        if query.startswith("BEGIN"):
            self._begun, self._scope, self._looked_only = _Begun(query, self._world.now_us()), query, True
            return "SET" if ";" in query else "BEGIN"
        if query in _ENDS:
            return self._end(query)
        reading, memory = self._world.cluster.reading[self._service], self._world.memory
        # A transaction sees what it has written itself, and nobody else does.
        key = (self._role, self._scope, method, query, repr(args))
        reads = None if self._written else reading.reads(query)
        if reads is not None and (known := memory.find(self._service, reads, key)) is not None:
            return known[1]
        answer = self._call(method, query, (query, *args))
        if reads is not None:
            memory.keep(self._service, key, answer)
        return answer

    def _call(self, method: str, query: str, args: tuple[Any, ...], **options: Any) -> Any:
        """Ask the server, on a connection that is this one's until nothing of it is open any more."""
        reading = self._world.cluster.reading[self._service]
        if self._backend is None:
            self._backend = self._world.cluster.take(self._service, self._role)
        backend = self._backend
        self._tell_first(backend, query)
        looked_only, self._looked_only = self._looked_only and reading.only_looks(query), False
        try:
            answer = backend.call(method, *args, **options)
            backend.locks = backend.locks or ("advisory_lock" in query and answer is not False)
            self._written |= reading.writes(query, answer)
            if not backend.is_open or "COMMIT" in query:
                self._wrote()
            self._looked_only = looked_only
        finally:
            if not backend.is_open and not backend.locks:
                self._give_back()
        return answer

    def _tell_first(self, backend: Backend, query: str) -> None:
        """The transaction that was begun, the time, and what chance will be."""
        world, begun = self._world, self._begun
        self._begun = None
        if begun is not None:
            backend.set_us = begun.at_us
        stale = world.now_us() - backend.set_us > _STALE_US
        if (begun or stale) and not query.startswith("ROLLBACK"):
            backend.set_us = world.now_us() if stale else backend.set_us
            backend.first(f"SET sim.now = '{world.text_of(backend.set_us)}'; ")
        if begun is not None:
            backend.first(f"{begun.query}; ")
        if "random" in query:
            share = int.from_bytes(sha256(f"{world.seed}/{world.statements}".encode()).digest()[:4]) / 2**32
            backend.first(f"SELECT setseed({share * 2 - 1}); ")

    def _end(self, query: str) -> Any:
        """COMMIT or ROLLBACK."""
        begun, self._begun, self._scope = self._begun, None, ""
        backend = self._backend
        if begun is not None or backend is None:
            return query
        if self._looked_only:
            backend.end_later()
            answer = query
        else:
            answer = backend.call("execute", query)
        if query == "COMMIT":
            self._wrote()
        self._written.clear()
        if not backend.locks:
            self._give_back()
        return answer

    def _wrote(self) -> None:
        if self._written:
            self._world.memory.wrote(self._service, self._written)
            self._written.clear()

    def _lose_commit(self, *, committed: bool) -> None:
        """Nobody hears whether it was committed."""
        if committed:
            self._ask("execute", "COMMIT", ())
        self._world.trace.add(self._node.name, "COMMIT", "lost, done" if committed else "lost, undone")
        self.lose()
        raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")


class Pool:
    """What `Database` takes for an asyncpg pool."""

    def __init__(self, world: "World", service: str, role: str, size_max: int) -> None:
        self._world = world
        self._service = service
        self._role = role
        self._free = asyncio.Semaphore(size_max)
        self._idle: list[Connection] = []

    async def acquire(self, *, timeout: float) -> Connection:
        """An idle connection or a new one."""
        node = self._world.here()
        if node.dead:
            raise Crashed
        async with asyncio.timeout(timeout):
            await self._free.acquire()
        if self._world.faults.refuses_connection(node):
            self._free.release()
            raise OSError("connection refused")
        while self._idle:
            connection = self._idle.pop()
            if not connection.is_closed():
                return connection
        return Connection(self._world, self._service, self._role)

    async def release(self, connection: Connection) -> None:
        """Keep it, if it is still there."""
        if not connection.is_closed():
            self._idle.append(connection)
        self._free.release()

    async def close(self) -> None:
        """Close what is idle."""
        self.terminate()

    def terminate(self) -> None:
        """Close what is idle."""
        for connection in self._idle:
            connection.lose()
        self._idle.clear()


class SimDatabase(Database):
    """The real transactions over simulated connections."""

    world: "World"
    service: str

    @classmethod
    def of(cls, world: "World", service: str) -> "SimDatabase":
        """The database of a service."""
        app, worker = (Pool(world, service, role, 4) for role in ("app", "worker"))
        found = cls(app, worker, "simulated", {}, 5.0)  # type: ignore[arg-type]
        found.world, found.service = world, service
        return found

    async def _open(self) -> Any:
        if self.world.here().dead:
            raise Crashed
        if self.world.faults.refuses_connection(self.world.here()):
            raise OSError("connection refused")
        return Connection(self.world, self.service, "worker")


@cache
def _tag(query: str) -> str:
    """What the trace calls a statement."""
    return " ".join(query[:80].split())[:48]


_WHOLE: Final = frozenset({"n", "position", "number"})
_FLAGS: Final = frozenset({"allow", "consent_given"})


def _copied(column: str, written: str) -> Any:
    """What the text of a COPY (customer-svc's store/import_rows.py) says; the real one needs a loop of its own."""
    if written == "\\N":
        return None
    if column in _WHOLE:
        return int(written)
    if column in _FLAGS:
        return written == "t"
    return bytes.fromhex(written[3:]) if written.startswith("\\\\x") else written.replace("\\\\", "\\")
