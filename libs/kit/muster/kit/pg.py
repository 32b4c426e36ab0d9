"""Transactions. `Database.request` and `Database.worker` give one each, committed at their end and nowhere else;
nothing but these and `dedicated` (for advisory locks) gives a connection.
"""

import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import asynccontextmanager, suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final, NamedTuple, cast
from uuid import UUID

import asyncpg

from muster.kit import clock
from muster.kit.metrics import tx_seconds
from muster.kit.pg_connect import connect
from muster.kit.pg_tls import Tls

if TYPE_CHECKING:
    from asyncpg.pool import PoolConnectionProxy

Record = asyncpg.Record
UniqueViolation = asyncpg.UniqueViolationError


def array(values: Iterable[object]) -> str:
    """Numbers, booleans, dates, UUIDs or words as the text of an array, for `$1::text::bigint[]`; "NULL" is one.

    asyncpg looks at each element of a list for longer than the server reads it from a text. Nothing is quoted here:
    what may hold anything is for `texts`.
    """
    return f"{{{','.join(map(str, values))}}}"


def texts(values: Sequence[str]) -> str:
    """Texts, whatever they hold, as the text of an array, for `$1::text::text[]`."""
    joined = '","'.join(values)
    if "\\" in joined or joined.count('"') != 2 * (len(values) - 1):
        joined = '","'.join([one.replace("\\", "\\\\").replace('"', '\\"') for one in values])
    return f'{{"{joined}"}}' if values else "{}"


class Overloaded(Exception):
    """No connection could be had in time: the pool is exhausted or the database does not answer. Try again later."""


# Transient by nature: the same transaction may succeed when it is tried again.
RETRIABLE: tuple[type[Exception], ...] = (
    Overloaded,
    OSError,
    TimeoutError,
    asyncpg.InterfaceError,
    # What asyncpg says of a connection whose end it has heard of and not yet understood.
    asyncpg.InternalClientError,
    asyncpg.PostgresConnectionError,
    asyncpg.TransactionRollbackError,
    asyncpg.InsufficientResourcesError,
    asyncpg.OperatorInterventionError,
    asyncpg.LockNotAvailableError,
    asyncpg.IdleInTransactionSessionTimeoutError,
    asyncpg.ReadOnlySQLTransactionError,
)


class Misused(Exception):
    """The database's library was called in a way that can never work: a bug, and not for trying again."""


class Undone(Exception):
    """COMMIT was answered by ROLLBACK: a statement failed and its error was swallowed within the transaction."""


_COPIED_AT_ONCE_BYTES: Final = 128 << 10
# Types with lower numbers are PostgreSQL's own, the same on each server.
_FIRST_TYPE_OF_USERS: Final = 16_384
_types: dict[int, list[Any]] = {}


# How much longer than the server may take an answer is waited for, so that it is the server who ends a statement.
_ANSWER_S: Final = 5.0


class _Looked(NamedTuple):
    """The statement that asked for types: by its name the driver knows whether it took an anonymous one's place."""

    name: str


class _Connection(asyncpg.Connection):
    """Asks for each array of PostgreSQL's own types once in a process, and not once for each connection: the question
    takes the server longer than a hundred statements."""

    async def _introspect_types(self, typeoids: Collection[int], timeout: float | None) -> tuple[list[Any], Any]:
        found: list[Any] = []
        looked: Any = _Looked("known")
        for oid in typeoids:
            if oid not in _types:
                types, looked = await super()._introspect_types((oid,), timeout)  # type: ignore[misc]
                if oid >= _FIRST_TYPE_OF_USERS:
                    found += types
                    continue
                _types[oid] = list(types)
            found += _types[oid]
        return found, looked


class _Pieces:
    """Bytes for a COPY, a piece at a time. From a file the driver reads through a class that it makes for each COPY: a
    cycle, which keeps the whole file until garbage is looked for."""

    __slots__ = ("_left",)

    def __init__(self, content: bytes) -> None:
        self._left = memoryview(content)

    def __aiter__(self) -> "_Pieces":
        return self

    async def __anext__(self) -> bytes:
        if not self._left:
            raise StopAsyncIteration
        piece, self._left = self._left[:_COPIED_AT_ONCE_BYTES], self._left[_COPIED_AT_ONCE_BYTES:]
        return bytes(piece)


class Tx:
    """A transaction that is open. It cannot be committed or rolled back from here: that is done at its edge."""

    __slots__ = ("_connection", "_savepoints", "_timeout_s")

    def __init__(self, connection: "asyncpg.Connection[Record]") -> None:
        self._connection = connection
        self._savepoints = itertools.count(1)
        self._timeout_s: float | None = None

    async def allow_statements(self, timeout_ms: int) -> None:
        """Let each further statement of this transaction take so long, and wait for its answer, instead of the time
        that the pool gives."""
        await self._connection.execute(f"SET LOCAL statement_timeout = {int(timeout_ms)}")
        self._timeout_s = timeout_ms / 1000 + _ANSWER_S

    async def fetch(self, query: str, *args: object) -> list[Record]:
        """All rows."""
        return await self._connection.fetch(query, *args, timeout=self._timeout_s)

    async def fetchrow(self, query: str, *args: object) -> Record | None:
        """The first row, or None."""
        return await self._connection.fetchrow(query, *args, timeout=self._timeout_s)

    async def fetchval(self, query: str, *args: object) -> Any:
        """The first column of the first row, or None."""
        return await self._connection.fetchval(query, *args, timeout=self._timeout_s)

    async def execute(self, query: str, *args: object) -> str:
        """Run a statement; the command tag, such as `UPDATE 3`."""
        return await self._connection.execute(query, *args, timeout=self._timeout_s)

    async def executemany(self, query: str, args: Iterable[Sequence[object]]) -> None:
        """Run a statement once for each row of arguments."""
        timeout_s = self._timeout_s
        await self._connection.executemany(query, args, timeout=timeout_s)  # allow ordered-locks: the caller sorts

    async def copy_records_to_table(
        self, table: str, *, records: Iterable[Sequence[object]], columns: Sequence[str] | None = None
    ) -> str:
        """COPY rows into a table. PostgreSQL refuses this on tables with row-level security: there, COPY into a
        temporary table and INSERT ... SELECT, or INSERT ... SELECT unnest.
        """
        timeout_s = self._timeout_s
        return await self._connection.copy_records_to_table(table, records=records, columns=columns, timeout=timeout_s)

    async def copy_text_to_table(self, table: str, rows: bytes, *, columns: Sequence[str]) -> str:
        """COPY rows that are in its text format already; see `copy_records_to_table`."""
        source, timeout_s = _Pieces(rows), self._timeout_s
        return await self._connection.copy_to_table(table, source=source, columns=columns, timeout=timeout_s)

    @asynccontextmanager
    async def savepoint(self) -> AsyncIterator[None]:
        """What fails within is undone while the transaction goes on: for an error that is expected, and looked for."""
        name = f"kit_{next(self._savepoints)}"
        await self._connection.execute(f"SAVEPOINT {name}")
        try:
            yield
        except BaseException:
            await self._connection.execute(f"ROLLBACK TO SAVEPOINT {name}; RELEASE SAVEPOINT {name}")
            raise
        await self._connection.execute(f"RELEASE SAVEPOINT {name}")


class Database:
    """A service's database through its two roles: `app` for requests of one tenant, `worker` for batches of many."""

    def __init__(
        self,
        app: "asyncpg.Pool[Record] | None",
        worker: "asyncpg.Pool[Record] | None",
        worker_dsn: str | None,
        settings: dict[str, str],
        pool_wait_s: float,
        tls: Tls = None,
    ) -> None:
        self._app = app
        self._worker = worker
        self._tls = tls
        self._worker_dsn = worker_dsn
        self._settings = settings
        self._pool_wait_s = pool_wait_s

    @classmethod
    async def connect(
        cls,
        app_dsn: str | None,
        worker_dsn: str | None,
        *,
        app_pool_max: int = 8,
        worker_pool_max: int = 8,
        statement_timeout_ms: int = 15_000,
        lock_timeout_ms: int = 3_000,
        idle_in_transaction_timeout_ms: int = 20_000,
        pool_wait_ms: int = 5_000,
        generic_plans: bool = False,
        tls: Tls = None,
    ) -> "Database":
        """Pools that open connections when they are needed and let idle ones go; the server need not be up yet.

        `generic_plans`: each statement of the worker role is planned once for each connection, whatever its arguments.
        """
        settings = {
            "statement_timeout": str(statement_timeout_ms),
            "lock_timeout": str(lock_timeout_ms),
            "idle_in_transaction_session_timeout": str(idle_in_transaction_timeout_ms),
            "timezone": "UTC",
            # A peer that vanished without a word gives its locks back within half a minute.
            "tcp_keepalives_idle": "10",
            "tcp_keepalives_interval": "5",
            "tcp_keepalives_count": "3",
        }

        async def pool(
            dsn: str | None,
            size_max: int,
            settings: dict[str, str],
            reset: "Callable[[Any], Awaitable[None]] | None" = None,
        ) -> "asyncpg.Pool[Record] | None":
            if dsn is None:
                return None
            return await asyncpg.create_pool(
                dsn,
                connect=partial(connect, tls=tls),
                min_size=0,
                max_size=size_max,
                max_inactive_connection_lifetime=60,
                command_timeout=statement_timeout_ms / 1000 + _ANSWER_S,
                timeout=5,
                server_settings=settings,
                connection_class=_Connection,
                reset=reset,
            )

        # The app role's connections are reset on release: that undoes a plain SET of app.tenant.
        app = await pool(app_dsn, app_pool_max, settings)
        planned = {"plan_cache_mode": "force_generic_plan"} if generic_plans else {}
        worker = await pool(worker_dsn, worker_pool_max, settings | planned, _stays_as_it_is)
        return cls(app, worker, worker_dsn, settings, pool_wait_ms / 1000, tls)

    async def close(self) -> None:
        """Close all connections; those that do not give up their transaction within 5 s are cut."""
        for pool in (self._app, self._worker):
            if pool is not None:
                try:
                    await asyncio.wait_for(pool.close(), 5)
                except TimeoutError:
                    pool.terminate()

    @asynccontextmanager
    async def request(self, tenant_id: UUID) -> AsyncIterator[Tx]:
        """A transaction of the app role that sees this tenant's rows alone; Overloaded if there is no connection.

        It is committed when the block ends well and rolled back when it raises. A caller who is cancelled during the
        commit cannot know its outcome: every effect needs a natural key.
        """
        # UUID() again: what is put into SQL here is nothing but hexadecimal digits.
        tenant = UUID(bytes=tenant_id.bytes)
        async with self._transaction(self._app, "app", f"BEGIN; SET LOCAL app.tenant = '{tenant}'") as tx:
            yield tx

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[Tx]:
        """A transaction of the worker role, which sees all tenants where a table lets it; else as `request`."""
        async with self._transaction(self._worker, "worker", "BEGIN") as tx:
            yield tx

    @asynccontextmanager
    async def dedicated(self) -> AsyncIterator["asyncpg.Connection[Record]"]:
        """A connection of the worker role outside of the pool: for advisory locks that outlive a transaction."""
        if self._worker_dsn is None:
            raise RuntimeError("this process has no worker role")
        connection = await self._open()
        try:
            yield connection
        finally:
            with suppress(OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError):
                await connection.close(timeout=2)

    async def _open(self) -> "asyncpg.Connection[Record]":
        assert self._worker_dsn is not None
        options = {"timeout": 5, "command_timeout": 20, "server_settings": self._settings}
        return await connect(self._worker_dsn, tls=self._tls, **options)

    @asynccontextmanager
    async def _transaction(self, pool: "asyncpg.Pool[Record] | None", role: str, begin: str) -> AsyncIterator[Tx]:
        if pool is None:
            raise RuntimeError(f"this process has no {role} role")
        connection = await _acquire(pool, self._pool_wait_s)
        started = clock.monotonic()
        try:
            try:
                await connection.execute(begin)
                yield Tx(connection)
                status = await connection.execute("COMMIT")
            except BaseException as error:
                misused = _is_misuse(connection, error)
                await _roll_back(connection)
                if misused:
                    raise Misused(str(error)) from error
                raise
            if status != "COMMIT":
                raise Undone("a statement failed and its error was swallowed within the transaction")
        finally:
            await pool.release(cast("PoolConnectionProxy[Record]", connection))
            tx_seconds.labels(role=role).observe(clock.monotonic() - started)


async def unprotected_tables(tx: "Tx | asyncpg.Connection[Record]") -> dict[str, str]:
    """Tables that hold tenant data without the protection that each must have, with what is missing."""
    return {row["name"]: row["reason"] for row in await tx.fetch("SELECT name, reason FROM kit_unprotected_tables()")}


async def _stays_as_it_is(_: Any) -> None:
    """Between transactions of the worker role nothing is reset, which would be four statements for each: nothing that
    outlives a transaction is written (the linter's rule no-session-state)."""


async def _acquire(pool: "asyncpg.Pool[Record]", wait_s: float) -> "asyncpg.Connection[Record]":
    try:
        return cast("asyncpg.Connection[Record]", await pool.acquire(timeout=wait_s))
    except TimeoutError as error:
        raise Overloaded(f"no database connection within {wait_s:g} s") from error
    except (OSError, asyncpg.CannotConnectNowError, asyncpg.TooManyConnectionsError) as error:
        raise Overloaded(f"the database does not take connections: {error}") from error


def _is_misuse(connection: "asyncpg.Connection[Record]", error: BaseException) -> bool:
    """asyncpg raises InterfaceError for three things: a connection that is gone, an argument that does not fit its
    type (its own DataError, a ValueError too), and a call that is wrong in itself, such as one argument too few.
    """
    if not isinstance(error, asyncpg.InterfaceError) or isinstance(error, ValueError):
        return False
    try:
        return not connection.is_closed()
    except asyncpg.InterfaceError:  # the pool has taken it back, since it was lost
        return False


async def _roll_back(connection: "asyncpg.Connection[Record]") -> None:
    """Cancelling a statement is not rolling back; a connection that cannot be rolled back is cut."""
    try:
        if connection.is_in_transaction():
            await connection.execute("ROLLBACK", timeout=5)
    except (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError):
        # The pool has taken one that was lost back already, and then nobody may touch it.
        with suppress(asyncpg.InterfaceError):
            connection.terminate()
