"""The importer: reads files of customers that were uploaded, then applies them block by block, tenants by turns.

Any process may go on with what another has begun: a file is in the database until it has been read, its blocks until
they have been applied, and how far it is stands in the import's row, which changes with each block.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Final, NoReturn
from uuid import UUID

import asyncpg

from muster.customer.domain.files.reading import Options
from muster.customer.domain.refusal import Refusal
from muster.customer.importer import reading
from muster.customer.importer.applying import Applying, Secrets
from muster.customer.importer.engine import ChildDied, Engine
from muster.customer.importer.listing import ListLimits
from muster.customer.store import import_files as files
from muster.customer.store import imports
from muster.kit import clock, metrics, observe
from muster.kit.pg import RETRIABLE, Database

log = observe.logger(__name__)

_NOBODY: Final = UUID(int=0)
_TENANTS_AT_ONCE: Final = 1
_LOOK_AGAIN_S: Final = 0.05
_LOOK_AGAIN_S_MAX: Final = 1.0
# Of an import that nobody goes on with by himself.
_NOTHING_TO_DO: Final = (*imports.ENDED, imports.PREVIEW, imports.FAILED)
_STAYS: Final = "What was taken in before stays, and is counted; started again, it goes on from there."
_DEFECT: Final = Refusal("file", "failed", f"A defect of ours stood against it. {_STAYS}")
_REASONS: Final[tuple[tuple[type[Exception], str], ...]] = (
    (ChildDied, "the process that reads them ended each time"),
    (asyncpg.QueryCanceledError, "they took the database longer than a block may"),
    (asyncpg.LockNotAvailableError, "somebody else held their customers for too long"),
    (asyncpg.DeadlockDetectedError, "somebody else changed their customers each time"),
)


@dataclass(frozen=True, slots=True)
class Limits:
    """Rows of a file and of a block, time between turns that found nothing, the time that one block may take, of the
    lists that files fill, how long a file is left to who reads it and says nothing, and how often a block is tried."""

    rows_max: int
    block_rows: int
    idle_ms: int
    timeout_ms: int
    lists: ListLimits
    lease_s: float = 30.0
    tries_max: int = 20


class Importer:
    """Imports of all tenants. reads and parses: engines, which may be one."""

    def __init__(self, db: Database, reads: Engine, parses: Engine, secrets: Secrets, limits: Limits) -> None:
        self._db = db
        self._reads = reads
        self._limits = limits
        self._applying = Applying(db, parses, secrets, limits.lists, limits.timeout_ms)
        self._served = {"read": _NOBODY, "apply": _NOBODY}
        for state in (*imports.ENDED, imports.FAILED):
            metrics.imports.labels(state)  # from 0 on, so that an alert sees the first

    async def run_reader(self) -> NoReturn:
        """Read what was uploaded, for ever; ends by cancellation only."""
        await self._for_ever("read", self.read_turn)

    async def run_applier(self) -> NoReturn:
        """Apply what was read, for ever; ends by cancellation only."""
        try:
            await self._for_ever("apply", self.apply_turn)
        finally:
            await self._applying.stop()

    async def _for_ever(self, what: str, turn: Callable[[], Awaitable[bool]]) -> NoReturn:
        while True:
            try:
                worked = await turn()
            except RETRIABLE as error:
                log.warning("importer.retry", what=what, exc_info=error)
                worked = False
            if not worked:
                await asyncio.sleep(self._limits.idle_ms / 1000)

    async def read_turn(self) -> bool:
        """One file; False where there is none to read."""
        async with self._db.worker() as tx:
            found = await imports.next_to_read(tx, self._served["read"], _TENANTS_AT_ONCE)
        for tenant_id, import_id in found:
            self._served["read"] = tenant_id
            if await self._read(tenant_id, import_id):
                return True
        return False

    async def apply_turn(self) -> bool:
        """One block; False where there is none to apply."""
        async with self._db.worker() as tx:
            found = await imports.next_to_apply(tx, self._served["apply"], _TENANTS_AT_ONCE)
        for tenant_id, import_id in found:
            self._served["apply"] = tenant_id
            if await self._apply(tenant_id, import_id):
                return True
        return False

    async def drive(self, tenant_id: UUID, import_id: UUID, within_s: float) -> None:
        """Do all of one import now, or what can be done of it in the time: for a small file, while its sender waits."""
        until = clock.monotonic() + within_s
        while clock.monotonic() < until:
            async with self._db.request(tenant_id) as tx:
                job = await imports.import_of(tx, tenant_id, import_id)
                first = await imports.first_to_apply(tx, tenant_id)
            if job is None or job["state"] in _NOTHING_TO_DO:
                return
            if job["state"] == imports.WAITING:
                worked = await self._read(tenant_id, import_id)
            else:
                worked = first == import_id and await self._apply(tenant_id, import_id)
            if not worked:
                await asyncio.sleep(_LOOK_AGAIN_S)

    async def ended(self, tenant_id: UUID, import_id: UUID, within_s: float) -> None:
        """Wait until others have brought an import to its end, or the time is over."""
        until, pause_s = clock.monotonic() + within_s, _LOOK_AGAIN_S
        while clock.monotonic() < until:
            async with self._db.request(tenant_id) as tx:
                job = await imports.import_of(tx, tenant_id, import_id)
            if job is None or job["state"] in _NOTHING_TO_DO:
                return
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, _LOOK_AGAIN_S_MAX)

    async def _read(self, tenant_id: UUID, import_id: UUID) -> bool:
        how = Options(rows_max=self._limits.rows_max, block_rows=self._limits.block_rows)
        try:
            return await reading.take(self._db, self._reads, (tenant_id, import_id), how, self._limits.lease_s)
        except RETRIABLE:
            raise
        except Exception:
            log.exception("import.failed", import_id=str(import_id), step="read")
        await self._park(tenant_id, import_id, _DEFECT)
        return True

    async def _apply(self, tenant_id: UUID, import_id: UUID) -> bool:
        try:
            return await self._applying.step(tenant_id, import_id)
        except RETRIABLE as error:
            if not await self._was_last_try(tenant_id, import_id):
                raise
            log.exception("import.failed", import_id=str(import_id), step="apply")
            await self._park(tenant_id, import_id, await self._why(tenant_id, import_id, error))
        except Exception:
            log.exception("import.failed", import_id=str(import_id), step="apply")
            await self._park(tenant_id, import_id, _DEFECT)
        return True

    async def _was_last_try(self, tenant_id: UUID, import_id: UUID) -> bool:
        async with self._db.request(tenant_id) as tx:
            return await imports.count_failure(tx, tenant_id, import_id) >= self._limits.tries_max

    async def _why(self, tenant_id: UUID, import_id: UUID, error: Exception) -> Refusal:
        reason = next((words for kind, words in _REASONS if isinstance(error, kind)), "the database did not take them")
        async with self._db.request(tenant_id) as tx:
            job = await imports.import_of(tx, tenant_id, import_id)
            row = await files.first_row_of(tx, tenant_id, import_id, job["next_block"]) if job is not None else None
        what = f"The rows from {row:,} on" if row is not None else "The list of its customers"
        tries = self._limits.tries_max
        return Refusal("file", "gave_up", f"{what} could not be taken in, {tries} times in a row: {reason}. {_STAYS}")

    async def _park(self, tenant_id: UUID, import_id: UUID, why: Refusal) -> None:
        """One that cannot go on stops, so that it stops nobody else's; whoever starts it again lets it go on."""
        async with self._db.request(tenant_id) as tx:
            failed = await imports.fail(tx, tenant_id, import_id, reading.problem_of(why))
        if failed:
            metrics.imports.labels(imports.FAILED).inc()
            metrics.imports_failed.inc()
