"""Real PostgreSQL under simulated processes: one statement runs at a time, on a private loop, while time stands still.

The seams are the pool and the connection: `muster.kit.pg.Database` itself runs as it is. Before and after each
statement the seed may let its process wait, freeze or crash; at COMMIT the answer may be lost.
"""

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import asyncpg

from muster.kit.pg import Database
from muster.kit.testing import role_dsn
from simulation.backend import Backend
from simulation.memory import OWN_NAMES, TABLES, Reading

if TYPE_CHECKING:
    from simulation.world import World

SERVICES = ("tenant", "customer", "credit", "dispatch", "reply", "report")
_STALE_US = 10_000
_KIT_NOW = """
CREATE OR REPLACE FUNCTION kit_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT current_setting('sim.now')::timestamptz $$
"""
_KEPT = ["kit_migration"]
_FILLED = """
SELECT c.relname, c.oid FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND n.nspname = 'public' AND c.relname <> ALL($1::text[]) AND pg_relation_size(c.oid) > 0
"""


class Crashed(BaseException):
    """This simulated process is dead: nothing of it goes on."""


class Cluster:
    """The databases of one worker of the simulation, emptied for each seed."""

    def __init__(self, admin_dsn: str, suffix: str) -> None:
        self._loop = asyncio.SelectorEventLoop()
        self._dsns = {service: f"{admin_dsn.rsplit('/', 1)[0]}/{service}_{suffix}" for service in SERVICES}
        self._admins = {service: Backend(self._loop, dsn, -1) for service, dsn in self._dsns.items()}
        self._brought: dict[str, list[str]] = {}
        self._free: dict[tuple[str, str], list[Backend]] = defaultdict(list)
        self._made: dict[tuple[str, str], int] = defaultdict(int)
        self._seed = ""
        self.reading: dict[str, Reading] = {}
        for service, admin in self._admins.items():
            # Entries of the ledger refuse to be emptied, but for whom triggers are off.
            admin.call("execute", f"{_KIT_NOW}; SET session_replication_role = replica")
            self._brought[service] = self._keep(admin)
            own = [(row["name"], row["writes"]) for row in admin.call("fetch", OWN_NAMES)]
            self.reading[service] = Reading(own, {row["name"]: row["others"] for row in admin.call("fetch", TABLES)})

    @staticmethod
    def _keep(admin: Backend) -> list[str]:
        """Copy what migrations brought, once: it is brought again for each seed. The names of these tables."""
        if not admin.call("fetchval", "SELECT to_regnamespace('brought')"):
            admin.call("execute", "CREATE SCHEMA brought")
            for row in admin.call("fetch", _FILLED, _KEPT):
                admin.call("execute", f"CREATE TABLE brought.{row['relname']} AS TABLE public.{row['relname']}")
        rows = admin.call("fetch", "SELECT relname FROM pg_class WHERE relnamespace = 'brought'::regnamespace")
        return sorted(row["relname"] for row in rows)

    def empty(self, seed: str) -> None:
        """As migrated, for the next seed."""
        self._seed = seed
        for service, admin in self._admins.items():
            names = [row["relname"] for row in admin.call("fetch", _FILLED, _KEPT)]
            if names:
                admin.call("execute", f"TRUNCATE {', '.join(sorted(names))} RESTART IDENTITY CASCADE")
            for name in self._brought[service]:
                admin.call("execute", f"INSERT INTO public.{name} OVERRIDING SYSTEM VALUE TABLE brought.{name}")
        for backends in self._free.values():
            backends.sort(key=lambda one: -one.number)
            for backend in backends:
                backend.renew(seed)

    def take(self, service: str, role: str) -> Backend:
        """A connection of this role."""
        free = self._free[service, role]
        if free:
            return free.pop()
        number = self._made[service, role]
        self._made[service, role] += 1
        backend = Backend(self._loop, role_dsn(self._dsns[service], f"{service}_{role}"), number)
        backend.renew(self._seed)
        return backend

    def give_back(self, service: str, role: str, backend: Backend) -> None:
        """It is free for others, with nothing open."""
        backend.forget()
        self._free[service, role].append(backend)

    def look(self, service: str, query: str, *args: Any) -> list[Any]:
        """Read behind the roles."""
        found: list[Any] = self._admins[service].call("fetch", query, *args)
        return found

    def close(self) -> None:
        """Close all connections."""
        for backend in [*self._admins.values(), *(one for free in self._free.values() for one in free)]:
            with suppress(OSError, asyncpg.PostgresError, asyncpg.InterfaceError):
                backend.run(backend.real.close(timeout=2))
        self._loop.close()


class _Begun(NamedTuple):
    """A BEGIN that the server has not heard yet, and when it was said."""

    query: str
    at_us: int
    at_text: str


class Connection:
    """What production code takes for an asyncpg connection.

    The server hears of a transaction with the first statement whose answer is not known: a poll that finds nothing new
    costs nothing.
    """

    def __init__(self, world: "World", service: str, role: str) -> None:
        self._world = world
        self._service = service
        self._role = role
        self._node = world.here()
        self._backend: Backend | None = world.cluster.take(service, role)
        self._written: set[str] = set()
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
        return self._backend is None

    def is_in_transaction(self) -> bool:
        """As asyncpg's."""
        return self._backend is not None and (self._begun is not None or self._backend.real.is_in_transaction())

    def terminate(self) -> None:
        """As asyncpg's."""
        self.lose()

    def lose(self) -> None:
        """The server ends it: what was open is undone, its locks are free."""
        backend, self._backend = self._backend, None
        self._world.connections.pop(self, None)
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
        backend = await self._before(f"COPY {table}")
        self._begin(backend)
        self._written |= self._world.cluster.reading[self._service].writes(f"COPY {table}")
        answer = backend.call("copy_records_to_table", table, records=list(records), columns=columns)
        await self._after(f"COPY {table}", answer)
        return answer

    async def copy_to_table(
        self, table: str, *, source: Any, columns: Sequence[str] | None = None, timeout: float | None = None
    ) -> Any:
        """As asyncpg's."""
        backend = await self._before(f"COPY {table}")
        self._begin(backend)
        named = list(columns or ())
        content = b"".join([piece async for piece in source])
        rows = [line.split("\t") for line in content.decode().splitlines()]
        records = [tuple(map(_copied, named, row)) for row in rows]
        answer = backend.call("copy_records_to_table", table, records=records, columns=named)
        await self._after(f"COPY {table}", answer)
        return answer

    # -- one statement ------------------------------------------------------------------------------------------------

    async def _do(self, method: str, query: str, args: tuple[Any, ...]) -> Any:
        tag = " ".join(query[:80].split())[:48]
        backend = await self._before(tag)
        if query == "COMMIT" and (loss := self._world.faults.commit(self._node)) is not None:
            self._lose_commit(backend, committed=loss)
        try:
            answer = self._ask(backend, method, query, args)
        except (asyncpg.PostgresError, asyncpg.InterfaceError) as error:
            await self._after(tag, type(error).__name__)
            raise
        await self._after(tag, len(answer) if isinstance(answer, list) else answer if method == "execute" else "")
        return answer

    async def _before(self, tag: str) -> Backend:
        if self._node.dead:
            raise Crashed
        await self._world.faults.before(self._node, tag)
        if self._node.dead:
            raise Crashed
        if self._backend is None:
            raise asyncpg.ConnectionDoesNotExistError("connection was closed in the middle of operation")
        return self._backend

    async def _after(self, tag: str, outcome: object) -> None:
        self._world.trace.add(self._node.name, tag, outcome)
        await self._world.faults.after(self._node, tag)
        if self._node.dead:
            raise Crashed

    def _ask(self, backend: Backend, method: str, query: str, args: tuple[Any, ...]) -> Any:
        """At most one round trip, or two where the time that SQL sees is too old. What was asked before, of tables to
        which nobody has written since, is answered as before."""
        self._world.statements += 1
        if query.startswith("BEGIN"):
            self._begun, self._scope = _Begun(query, self._world.now_us(), self._world.now_text()), query
            return "SET" if ";" in query else "BEGIN"
        if query in ("COMMIT", "ROLLBACK"):
            return self._end(backend, query)
        reading, memory = self._world.cluster.reading[self._service], self._world.memory
        # A transaction sees what it has written itself, and nobody else does.
        key = (self._role, self._scope, method, query, repr(args))
        reads = None if self._written else reading.reads(query)
        if reads is not None and (known := memory.find(self._service, reads, key)) is not None:
            return known[1]
        self._begin(backend)
        stale = self._world.now_us() - backend.set_us > _STALE_US
        if stale and backend.real.is_in_transaction() and not query.startswith("ROLLBACK"):
            backend.call("execute", self._time(backend))
        backend.locks = backend.locks or "advisory_lock" in query
        answer = backend.call(method, query, *args)
        if reads is not None:
            memory.keep(self._service, key, answer)
        self._written |= reading.writes(query, answer)
        if not backend.real.is_in_transaction() or "COMMIT" in query:
            self._wrote()
        return answer

    def _begin(self, backend: Backend) -> None:
        """Let the server hear of the transaction, with the time at which it was begun."""
        begun, self._begun = self._begun, None
        if begun is not None:
            backend.set_us = begun.at_us
            backend.call("execute", f"SET sim.now = '{begun.at_text}'; {begun.query}")

    def _end(self, backend: Backend, query: str) -> Any:
        """COMMIT or ROLLBACK."""
        begun, self._begun, self._scope = self._begun, None, ""
        if begun is not None:
            return query
        answer = backend.call("execute", query)
        if query == "COMMIT":
            self._wrote()
        self._written.clear()
        return answer

    def _wrote(self) -> None:
        if self._written:
            self._world.memory.wrote(self._service, self._written)
            self._written.clear()

    def _time(self, backend: Backend) -> str:
        backend.set_us = self._world.now_us()
        return f"SET sim.now = '{self._world.now_text()}'; "

    def _lose_commit(self, backend: Backend, *, committed: bool) -> None:
        """Nobody hears whether it was committed."""
        if committed:
            self._ask(backend, "execute", "COMMIT", ())
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
