"""The first half of an import: the whole file is read into blocks, and nothing of it is used.

A lease says who reads. Who dies while reading leaves a lease that ends; the next one begins at the start of the file.
"""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import asdict, replace
from hashlib import sha256
from typing import IO, Any, Final
from uuid import UUID

import orjson

from muster.customer.domain.files.reading import Opened, Options
from muster.customer.domain.files.refused import FileRefused
from muster.customer.domain.import_columns import read_header
from muster.customer.domain.import_options import ImportOptions
from muster.customer.domain.refusal import Refusal
from muster.customer.importer.blocks import options_of, packed_options
from muster.customer.importer.engine import Engine, Piece
from muster.customer.store import import_files as files
from muster.customer.store import import_rows, imports
from muster.kit import metrics
from muster.kit.pg import Database, Tx

_TAKEOVERS_MAX: Final = 5
_PARTS_AT_ONCE: Final = 16

Of = tuple[UUID, UUID]
"""A tenant and an import of theirs."""


class LeaseLost(Exception):
    """Somebody else reads the file, or the import has ended: what is in hand is dropped."""


class Reading:
    """Reads one import that it has taken."""

    def __init__(self, db: Database, engine: Engine, of: Of, epoch: int, lease_s: float) -> None:
        self._db = db
        self._engine = engine
        self._of = of
        self._epoch = epoch
        self._lease_s = lease_s
        self._bytes_read = 0

    async def run(self, options: ImportOptions, how: Options) -> None:
        """Read all of it; it is refused as a whole, or waits to be looked at, or is applied."""
        try:
            with tempfile.NamedTemporaryFile() as file:
                await self._spool(file)
                opened, rows = await self._blocks(file.name, how)
            await self._finish(opened, rows, options)
        except FileRefused as refused:
            await self.refuse(refused.refusal)

    async def refuse(self, refusal: Refusal) -> None:
        """The file is none of customers: nothing of it is kept."""
        async with self._db.request(self._of[0]) as tx:
            if await imports.hold_reading(tx, *self._of, self._epoch, self._lease_s, self._bytes_read):
                await end(tx, *self._of, imports.REFUSED, problem_of(refusal))

    async def _spool(self, file: IO[bytes]) -> None:
        part = 0
        while True:
            async with self._db.request(self._of[0]) as tx:
                pieces = await files.parts_of(tx, *self._of, part, _PARTS_AT_ONCE)
            if not pieces:
                break
            part += len(pieces)
            file.writelines(pieces)
        file.flush()

    async def _blocks(self, path: str, how: Options) -> tuple[Opened, int]:
        opened: Opened | None = None
        rows = block = 0
        async with aclosing(self._engine.read(path, how)) as pieces:
            while (piece := await self._following(pieces)) is not None:
                if isinstance(piece, Opened):
                    opened = piece
                    continue
                block += 1
                rows += piece.block.rows
                await self._keep(block, piece)
        assert opened is not None, "a file that is read is opened"
        return opened, rows

    async def _keep(self, block: int, piece: Piece) -> None:
        self._bytes_read = piece.bytes_read
        found = piece.block
        async with self._db.request(self._of[0]) as tx:
            await self._hold(tx)
            await files.add_block(tx, *self._of, block, first_row=found.first_row, rows=found.rows, content=found.text)

    async def _following(self, pieces: AsyncIterator[Opened | Piece]) -> Opened | Piece | None:
        """The next piece, None at the end; the lease is kept while it takes its time."""
        following = asyncio.ensure_future(anext(pieces, None))
        try:
            while not (await asyncio.wait({following}, timeout=self._lease_s / 3))[0]:
                async with self._db.request(self._of[0]) as tx:
                    await self._hold(tx)
            return following.result()
        finally:
            if not following.done():
                following.cancel()
                await asyncio.wait({following})

    async def _hold(self, tx: Tx) -> None:
        if not await imports.hold_reading(tx, *self._of, self._epoch, self._lease_s, self._bytes_read):
            raise LeaseLost

    async def _finish(self, opened: Opened, rows: int, options: ImportOptions) -> None:
        async with self._db.request(self._of[0]) as tx:
            options = await _mapped(tx, self._of[0], opened.header, options)
            standing = await imports.import_of(tx, *self._of)
            columns = read_header(opened.header, options.mapping, options.key_field)
            if isinstance(columns, Refusal) and standing is not None and not standing["preview"]:
                raise FileRefused(columns)
            if not rows:
                raise FileRefused.of("no_rows", "The file has a header and no rows.")
            told = asdict(opened)
            if not await imports.have_read(tx, *self._of, self._epoch, told, packed_options(options), rows):
                raise LeaseLost
            await files.forget_parts(tx, *self._of)


async def take(db: Database, engine: Engine, of: Of, how: Options, lease_s: float) -> bool:
    """Read an import, if nobody else does."""
    async with db.request(of[0]) as tx:
        epoch = await imports.take_reading(tx, *of, lease_s)
        job = await imports.import_of(tx, *of)
        if epoch is None or job is None:
            return False
        await files.forget_blocks(tx, *of)
    reading = Reading(db, engine, of, epoch, lease_s)
    if epoch > _TAKEOVERS_MAX:
        await reading.refuse(Refusal("file", "not_readable", "Whoever read the file did not come to its end."))
        return True
    options = orjson.loads(job["options"])
    try:
        await reading.run(options_of(options), replace(how, **{k: options[k] for k in ("encoding", "separator")}))
    except LeaseLost:
        return False
    return True


def header_hash(header: tuple[str, ...]) -> bytes:
    """Equal for files whose first line says the same."""
    return sha256("\x1f".join(header).encode("utf-8", "replace")).digest()[:16]


async def _mapped(tx: Tx, tenant_id: UUID, header: tuple[str, ...], options: ImportOptions) -> ImportOptions:
    """With what the columns of this header were said to be, now or the last time that a file with it was started."""
    if options.mapping:
        await remember(tx, tenant_id, header, options.mapping)
        return options
    found = await import_rows.remembered_mapping(tx, tenant_id, header_hash(header))
    return replace(options, mapping=orjson.loads(found["mapping"])) if found else options


async def remember(tx: Tx, tenant_id: UUID, header: tuple[str, ...], mapping: Mapping[str, str]) -> None:
    """Keep what the columns are said to be, for the next file with this header."""
    await import_rows.remember_mapping(tx, tenant_id, header_hash(header), orjson.dumps(mapping).decode())


async def end(tx: Tx, tenant_id: UUID, import_id: UUID, state: str, problem: dict[str, Any] | None = None) -> None:
    """Nothing more is done for an import; what only a running one needs goes."""
    await imports.end(tx, tenant_id, import_id, state, problem)
    await files.forget_parts(tx, tenant_id, import_id)
    await files.forget_blocks(tx, tenant_id, import_id)
    await import_rows.forget_lookups(tx, tenant_id, import_id)
    metrics.imports.labels(state).inc()


def problem_of(refusal: Refusal) -> dict[str, Any]:
    """As it is stored and shown."""
    return {"field": refusal.field, "code": refusal.code, "message": refusal.message}
