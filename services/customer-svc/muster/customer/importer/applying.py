"""The second half of an import: its blocks become customers, in order, each in one transaction with how far it is.

Whoever dies leaves a block undone as a whole, and the next one does it. While the database applies one block the next
is read.
"""

import asyncio
from dataclasses import dataclass, replace
from typing import Any, Final
from uuid import UUID

import asyncpg
import orjson

from muster.customer.domain.customers import NumberReader
from muster.customer.domain.import_columns import Columns, read_header
from muster.customer.domain.import_options import ImportOptions, Mode
from muster.customer.domain.importing import Repair, RowError, repeated, unknown
from muster.customer.domain.list_rows import Unlisted, unlisted
from muster.customer.domain.suppression import Scope, Wish
from muster.customer.handlers import consents
from muster.customer.importer.blocks import Parsed, Plan, cells_of, options_of, today_at_most
from muster.customer.importer.engine import Engine
from muster.customer.importer.listing import ListLimits, fill
from muster.customer.importer.reading import Of, end, problem_of
from muster.customer.store import fields, import_members, import_rows, imports, reference, suppressions
from muster.customer.store import import_files as files
from muster.customer.store.imports import Counts
from muster.events import is_sandbox
from muster.kit import metrics, observe
from muster.kit.pg import RETRIABLE, Database, Record, Tx

_REPAIRS_MAX: Final = 200
# Fewer change no plan that matters: autovacuum comes by soon enough.
_ROWS_TO_TELL: Final = 20_000
_NOT_NOW: Final[tuple[type[Exception], ...]] = (*RETRIABLE, asyncpg.LockNotAvailableError, asyncpg.QueryCanceledError)

log = observe.logger(__name__)


@dataclass(frozen=True, slots=True)
class Secrets:
    """By what numbers are hashed."""

    hash_key: bytes
    hash_generation: int


@dataclass(frozen=True, slots=True)
class Read:
    """A block that has been read; None in place of what it holds: there is none of this number."""

    block: int
    plan: Plan
    first_row: int
    text: bytes
    parsed: Parsed | None


class Applying:
    """Applies the blocks of imports."""

    def __init__(self, db: Database, engine: Engine, secrets: Secrets, lists: ListLimits, timeout_ms: int) -> None:
        self._db = db
        self._engine = engine
        self._secrets = secrets
        self._lists = lists
        self._timeout_ms = timeout_ms
        self._ahead: tuple[Of, int, asyncio.Task[Read]] | None = None

    async def step(self, tenant_id: UUID, import_id: UUID) -> bool:
        """The next block of an import, or its end; False where there is nothing to do, or somebody else does it."""
        of = tenant_id, import_id
        async with self._db.request(tenant_id) as tx:
            job = await imports.import_of(tx, *of)
        if job is None or job["state"] != imports.APPLYING:
            return False
        read = await self._take(of, max(1, job["next_block"])) if job["next_block"] else None
        if read is not None and read.parsed is not None:
            self._look_ahead(of, read)
        if read is not None and read.parsed is None and job["rows"] >= _ROWS_TO_TELL:
            await self._tell_planner()
        async with self._db.request(tenant_id) as tx:
            await tx.allow_statements(self._timeout_ms)
            locked = await imports.take_applying(tx, *of)
            if locked is None or locked["next_block"] != job["next_block"]:
                return False
            if read is None:
                await self._prepare(tx, of, locked)
            elif read.parsed is None:
                await self._finish(tx, of, locked)
            else:
                await _apply(tx, of, locked, read, read.parsed)
        return True

    async def _tell_planner(self) -> None:
        """Before a large import has ended: the first count after it is planned for what is there. No import fails for
        want of it: autovacuum comes by later."""
        try:
            async with self._db.worker() as tx:
                await imports.refresh_statistics(tx)
        except _NOT_NOW as error:
            log.warning("import.statistics_stay_old", exc_info=error)

    async def stop(self) -> None:
        """Drop what was read ahead."""
        if self._ahead is not None:
            self._ahead[2].cancel()
            await asyncio.gather(self._ahead[2], return_exceptions=True)
            self._ahead = None

    async def _take(self, of: Of, block: int) -> Read:
        if self._ahead is not None:
            whose, number, task = self._ahead
            if (whose, number) == (of, block):
                self._ahead = None
                return await task
            await self.stop()
        return await self._read(of, block)

    def _look_ahead(self, of: Of, read: Read) -> None:
        task = asyncio.create_task(self._read(of, read.block + 1))
        # Where nobody asks for it any more its failure is nobody's either.
        task.add_done_callback(lambda done: done.cancelled() or done.exception())
        self._ahead = of, read.block + 1, task

    async def _read(self, of: Of, block: int) -> Read:
        async with self._db.request(of[0]) as tx:
            found = await files.block_of(tx, *of, block)
            job = await imports.import_of(tx, *of)
            tenant = await reference.tenant_of(tx, of[0])
            kinds = await fields.kinds_of_fields(tx, of[0])
        assert job is not None, "one that is applied is there"
        assert tenant is not None, "an import needs a tenant"
        file = orjson.loads(job["file"])
        keyed = (self._secrets.hash_key, self._secrets.hash_generation)
        numbers = NumberReader(of[0], tenant.country, *keyed, is_sandbox(of[0]))
        options = options_of(orjson.loads(job["options"]))
        plan = Plan(file["separator"], tuple(file["header"]), options, numbers, kinds, today_at_most())
        if found is None:
            return Read(block, plan, 0, b"", None)
        parsed = await self._engine.parse(plan, found["first_row"], found["content"])
        return Read(block, plan, found["first_row"], found["content"], parsed)

    async def _prepare(self, tx: Tx, of: Of, job: Record) -> None:
        """What the blocks are looked up in."""
        file, options = orjson.loads(job["file"]), options_of(orjson.loads(job["options"]))
        columns = read_header(file["header"], options.mapping, options.key_field)
        assert isinstance(columns, Columns), "a header that is refused is not applied"
        if options.mode is not Mode.UPLOAD:
            names = {key: columns.header[index] for key, index in columns.own}
            await fields.keep_fields(tx, of[0], names, job["created_by"])
        if options.key_field:
            await import_rows.make_keys(tx, *of, options.key_field)
        await imports.progress(tx, *of, 1, Counts(), [])

    async def _finish(self, tx: Tx, of: Of, job: Record) -> None:
        options = options_of(orjson.loads(job["options"]))
        refusal = await fill(tx, *of, job["created_by"], options, self._lists) if options.list else None
        await end(tx, *of, imports.DONE, None if refusal is None else problem_of(refusal))


async def _apply(tx: Tx, of: Of, job: Record, read: Read, parsed: Parsed) -> None:
    change = _meet if read.plan.options.mode is Mode.UPLOAD else _change
    done, late = await change(tx, of, job, read, parsed)
    wrong = sorted([*parsed.wrong, *late], key=_row)
    refused = parsed.refused + cells_of(read.plan, read.first_row, read.text, {one.row for one in late})
    await imports.save_errors(tx, *of, job["errors"], wrong)
    await imports.save_rejected(tx, *of, refused)
    repairs = _together(orjson.loads(job["repairs"]), parsed.repairs)
    counts = replace(done, rejected=len(refused), errors=len(wrong))
    await imports.progress(tx, *of, read.block + 1, counts, repairs)
    for outcome in ("created", "updated", "unchanged", "rejected"):
        metrics.import_rows.labels(outcome).inc(getattr(counts, outcome))


async def _change(tx: Tx, of: Of, job: Record, read: Read, parsed: Parsed) -> tuple[Counts, list[RowError]]:
    """Make customers of the rows; what became of them, and the rows that are left out now that they are looked up."""
    options = read.plan.options
    await import_rows.load(tx, parsed.rows, parsed.numbers)
    withdraws = await import_rows.some_withdrew(tx)
    if withdraws:
        await suppressions.lock_all(tx, of[0])
    done = await import_rows.apply(tx, *of, job["created_by"], options)
    if withdraws:
        await _stop(tx, of[0], job["created_by"], options)
    return Counts(done.created, done.updated, done.unchanged), [
        *map(repeated, done.repeated),
        *map(unknown, done.unknown),
    ]


async def _meet(tx: Tx, of: Of, _job: Record, read: Read, parsed: Parsed) -> tuple[Counts, list[RowError]]:
    """Find the customers whom the rows mean, and change none of them."""
    header = read.plan.columns().header
    left_out = await import_members.meet(tx, *of, parsed.rows)
    late = [unlisted(one.row, Unlisted(one.why), header[one.column]) for one in left_out]
    return Counts(unchanged=parsed.good - len(late)), late


async def _stop(tx: Tx, tenant_id: UUID, by: str, options: ImportOptions) -> None:
    """Who withdrew consent is texted no more, and nor is anybody else who has their numbers."""
    hashes = await import_rows.numbers_of_withdrawn(tx, tenant_id, options)
    wish = Wish(suppressed=True, scope=Scope.MARKETING, source="upload", reason="import", by=by)
    await consents.fulfil_all(tx, tenant_id, hashes, wish)


def _row(error: RowError) -> int:
    return error.row


def _together(before: list[dict[str, Any]], more: list[Repair]) -> list[Repair]:
    """Repairs by column and what was undone; the first row stays the first."""
    found = {(one["column"], one["code"]): Repair(**one) for one in before}
    for one in more:
        known = found.get((one.column, one.code))
        if known is not None:
            known.count += one.count
        elif len(found) < _REPAIRS_MAX:
            found[one.column, one.code] = one
    return list(found.values())
