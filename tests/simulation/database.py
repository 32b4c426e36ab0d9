"""Real PostgreSQL under simulated processes: one statement runs at a time, on a private loop, while time stands still.

The seams are the pool and the connection: `muster.kit.pg.Database` itself runs as it is. Before and after each
statement the seed may let its process wait, freeze or crash; at COMMIT the answer may be lost.
"""

import asyncio
import re
from asyncio import events
from collections import defaultdict
from collections.abc import Coroutine, Sequence
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import asyncpg

from muster.kit.pg import Database
from muster.kit.testing import role_dsn

if TYPE_CHECKING:
    from simulation.world import World

SERVICES = ("tenant", "customer", "credit", "dispatch", "reply", "report")
_SERVER = {
    # The holder of a lock cannot go on while another one waits: a wait is refused at once, in every run.
    "lock_timeout": "1ms",
    "statement_timeout": "0",
    "timezone": "UTC",
    # What a plan is must not depend on how often this connection ran it in other seeds.
    "plan_cache_mode": "force_generic_plan",
    "max_parallel_workers_per_gather": "0",
    "synchronous_commit": "off",
}
_STALE_US = 10_000
_OCTETS = 1 << 18
_WRITING = re.compile("INSERT|UPDATE|DELETE|CALL")
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


class Backend:
    """A real connection. It outlives simulated connections, and is as new for each."""

    def __init__(self, loop: asyncio.AbstractEventLoop, dsn: str, number: int) -> None:
        self.number = number
        self._loop = loop
        # A statement that leaves the cache would be prepared anew, at a moment that the seed does not know.
        options: dict[str, Any] = {"statement_cache_size": 1000, "max_cached_statement_lifetime": 0}
        self.real: asyncpg.Connection[Any] = self.run(
            asyncpg.connect(dsn, loop=loop, server_settings=_SERVER, **options)
        )
        self._protocol: Any = self.real._protocol  # type: ignore[attr-defined]
        self._socket: Any = self.real._transport.get_extra_info("socket")._sock  # type: ignore[attr-defined]
        self._socket.settimeout(None)
        self.set_us = 0
        self.locks = False

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Run this to its end while everything else stands still."""
        running = events._get_running_loop()
        events._set_running_loop(None)
        try:
            return self._loop.run_until_complete(work)
        finally:
            events._set_running_loop(running)

    def call(self, method: str, *args: Any, **options: Any) -> Any:
        """A method of the connection, driven by hand: a task and its turns would cost as much as the statement. So
        would the loop's selector: what the server says is waited for on its socket."""
        running, loop = events._get_running_loop(), self._loop
        work = getattr(self.real, method)(*args, **options)
        events._set_running_loop(loop)
        try:
            while True:
                waited = work.send(None)
                waited._asyncio_future_blocking = False
                while not waited.done():
                    if loop._ready:  # type: ignore[attr-defined]
                        loop._run_once()  # type: ignore[attr-defined]
                    elif octets := self._socket.recv(_OCTETS):
                        self._protocol.data_received(octets)
                    else:
                        raise ConnectionResetError("the server has ended a real connection")
        except StopIteration as done:
            return done.value
        finally:
            events._set_running_loop(running)

    def renew(self, seed: str) -> None:
        """As a connection that was just made."""
        share = int.from_bytes(sha256(f"{seed}/{self.number}".encode()).digest()[:4]) / 2**32
        self.call("execute", f"DISCARD PLANS; SELECT setseed({share * 2 - 1})")
        self.set_us = 0

    def forget(self) -> None:
        """Undo what its simulated connection left open."""
        if self.real.is_in_transaction():
            self.call("execute", "ROLLBACK")
        if self.locks:
            self.call("execute", "SELECT pg_advisory_unlock_all()")
        self.set_us, self.locks = 0, False


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
        self.writes: dict[str, int] = defaultdict(int)
        for service, admin in self._admins.items():
            # Entries of the ledger refuse to be emptied, but for whom triggers are off.
            admin.call("execute", f"{_KIT_NOW}; SET session_replication_role = replica")
            self._brought[service] = self._keep(admin)

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


class Connection:
    """What production code takes for an asyncpg connection."""

    def __init__(self, world: "World", service: str, role: str) -> None:
        self._world = world
        self._service = service
        self._role = role
        self._node = world.here()
        self._backend: Backend | None = world.cluster.take(service, role)
        self._writes = False
        self._memory: dict[tuple[Any, ...], tuple[int, Any]] = {}
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
        return self._backend is not None and self._backend.real.is_in_transaction()

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

    async def fetch(self, query: str, *args: Any) -> Any:
        """As asyncpg's."""
        return await self._do("fetch", query, args)

    async def fetchrow(self, query: str, *args: Any) -> Any:
        """As asyncpg's."""
        return await self._do("fetchrow", query, args)

    async def fetchval(self, query: str, *args: Any) -> Any:
        """As asyncpg's."""
        return await self._do("fetchval", query, args)

    async def execute(self, query: str, *args: Any, timeout: float | None = None) -> Any:
        """As asyncpg's."""
        return await self._do("execute", query, args)

    async def executemany(self, query: str, args: Any) -> Any:
        """As asyncpg's."""
        return await self._do("executemany", query, (list(args),))

    async def copy_records_to_table(self, table: str, *, records: Any, columns: Sequence[str] | None = None) -> Any:
        """As asyncpg's."""
        backend = await self._before(f"COPY {table}")
        self._writes = True
        answer = backend.call("copy_records_to_table", table, records=list(records), columns=columns)
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
        """One round trip: two where the time that SQL sees is too old. What was asked before, of a database to which
        nobody has written since, is answered as before: half of all statements are polls."""
        self._world.statements += 1
        backend.locks = backend.locks or "advisory_lock" in query
        service, writes = self._service, self._world.cluster.writes
        if backend.real.is_in_transaction() or query.startswith("BEGIN"):
            if query.startswith("BEGIN"):
                return backend.call(method, self._time(backend) + query)
            self._writes = self._writes or bool(_WRITING.search(query))
            if query.startswith("COMMIT"):
                writes[service] += self._writes
                self._writes = False
            elif self._world.now_us() - backend.set_us > _STALE_US and not query.startswith("ROLLBACK"):
                backend.call("execute", self._time(backend))
            return backend.call(method, query, *args)
        repeated = query.lstrip().startswith("SELECT") and "advisory" not in query and "kit_now" not in query
        key = (method, query, repr(args))
        if repeated and (known := self._memory.get(key)) is not None and known[0] == writes[service]:
            return known[1]
        answer = backend.call(method, query, *args)
        if repeated:
            self._memory[key] = writes[service], answer
        elif "advisory" not in query:
            writes[service] += 1
        return answer

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
