"""/v1/customers/imports: a CSV of customers, taken as a whole; bad rows are left out and listed."""

import csv
import hashlib
import io
import tempfile
from collections.abc import AsyncIterator
from datetime import datetime
from typing import IO, Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse
from starlette.datastructures import UploadFile

from muster.customer.api.common import problem_of, reader_of, settings_of, tenant_of
from muster.customer.api.csv_file import records_of
from muster.customer.domain.customers import NumberReader
from muster.customer.domain.importing import Columns, ImportRow, RowError, read_header, read_row, repeated
from muster.customer.domain.refusal import Refusal
from muster.customer.store import customers, fields, imports
from muster.kit import audit
from muster.kit.auth import ANY_TENANT_ROLE, Begin, Caller, Tx, requires, tenant_tx, tx_of_tenant
from muster.kit.http import Model, allow
from muster.kit.idempotency import Once, idempotent
from muster.kit.ids import uuid7
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.pg import Record
from muster.kit.problems import Problem, conflict, not_found, unprocessable

router = APIRouter(prefix="/v1/customers/imports")

_IN_MEMORY_BYTES_MAX = 4 << 20
_READ_CHARACTERS = 1 << 16
_ERRORS_AT_ONCE = 1_000
_CSV_ERRORS = "row,field,column,code,message\r\n"


class ImportOut(Model):
    """The figures of an import: rows = imported + rejected, imported = created + updated + unchanged."""

    id: UUID
    state: str
    rows: int
    imported: int
    created: int
    updated: int
    unchanged: int
    rejected: int
    errors_url: str
    created_at: datetime


class ErrorOut(Model):
    """What was wrong in a row (from 1, the first after the header). column: the header as the file writes it."""

    row: int
    field: str
    column: str
    code: str
    message: str


@router.post(
    "",
    status_code=201,
    response_model=ImportOut,
    dependencies=[allow(body_bytes_max=50 << 20, timeout_s=600)],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "text/csv": {"schema": {"type": "string"}},
                "multipart/form-data": {
                    "schema": {
                        "type": "object",
                        "required": ["file"],
                        "properties": {"file": {"type": "string", "format": "binary"}},
                    }
                },
            },
        }
    },
)
async def import_customers(
    request: Request,
    caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)],
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
) -> Response:
    """Import a CSV of at most 50 MB, a million rows and 100 columns, all of it or nothing.

    The first line names the columns. Rows that cannot be read are left out and listed. A person who is known by names
    and numbers is updated, so that the same file twice changes nothing.
    """
    with tempfile.SpooledTemporaryFile(_IN_MEMORY_BYTES_MAX) as file:
        digest = await _receive(request, file)
        async with begin(caller.tenant_id) as tx:

            async def make() -> tuple[int, Model]:
                return 201, await _import(request, tx, caller, file)

            return await once.answer(tx, caller, digest, make)


@router.get("")
async def list_imports(
    caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[ImportOut]:
    """Imports, the newest first."""
    before = decode_cursor(cursor, {"id": UUID})["id"] if cursor else None
    rows = await imports.page_of_imports(tx, caller.tenant_id, before, limit + 1)
    return page_of(rows, limit, _out, lambda row: {"id": row["import_id"]})


@router.get("/{import_id}")
async def get_import(
    import_id: UUID, caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)], tx: Annotated[Tx, tenant_tx]
) -> ImportOut:
    """The figures of an import."""
    return await _shown(tx, caller, import_id)


@router.get("/{import_id}/errors", response_model=Page[ErrorOut])
async def import_errors(
    import_id: UUID,
    request: Request,
    caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)],
    begin: Annotated[Begin, tx_of_tenant],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """What was wrong, in the order of the file: JSON pages, or all of it as CSV with `Accept: text/csv`."""
    async with begin(caller.tenant_id) as tx:
        await _shown(tx, caller, import_id)
        if "text/csv" in request.headers.get("accept", ""):
            headers = {"Content-Disposition": f'attachment; filename="import-{import_id}-errors.csv"'}
            lines = _error_lines(begin, caller, import_id)
            return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)
        after = decode_cursor(cursor, {"ordinal": int})["ordinal"] if cursor else 0
        rows = await imports.page_of_errors(tx, caller.tenant_id, import_id, after, limit + 1)
    page = page_of(rows, limit, _error, lambda row: {"ordinal": row["ordinal"]})
    return Response(page.model_dump_json(), media_type="application/json")


async def _error_lines(begin: Begin, caller: Caller, import_id: UUID) -> AsyncIterator[str]:
    yield _CSV_ERRORS
    after = 0
    while True:
        async with begin(caller.tenant_id) as tx:
            rows = await imports.page_of_errors(tx, caller.tenant_id, import_id, after, _ERRORS_AT_ONCE)
        if not rows:
            return
        after = rows[-1]["ordinal"]
        text = io.StringIO(newline="")
        csv.writer(text).writerows(
            (row["row"], row["field"], _safe(row["column"]), row["code"], row["message"]) for row in rows
        )
        yield text.getvalue()


def _safe(cell: str) -> str:
    """A header comes from the file of whoever sent it: a spreadsheet must not read it as a formula."""
    return f"'{cell}" if cell[:1] in "=+-@\t\r" and cell else cell


async def _receive(request: Request, file: IO[bytes]) -> bytes:
    """Copy the body, or the one file of a form, into `file`; the SHA-256 of it."""
    digest = hashlib.sha256()
    async for chunk in _chunks(request):
        digest.update(chunk)
        file.write(chunk)
    return digest.digest()


async def _chunks(request: Request) -> AsyncIterator[bytes]:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        async with request.form(max_files=1, max_fields=10) as form:
            upload = form.get("file")
            if not isinstance(upload, UploadFile):
                raise unprocessable("file", "missing", "the form needs a file of this name")
            while chunk := await upload.read(_READ_CHARACTERS):
                yield chunk
        return
    if media_type not in ("text/csv", "text/plain", "application/csv", "application/vnd.ms-excel"):
        title = "The body is not of a type that is read here"
        raise Problem(415, "unsupported_media_type", title, "Send text/csv.", field="Content-Type")
    async for chunk in request.stream():
        yield chunk


async def _import(request: Request, tx: Tx, caller: Caller, file: IO[bytes]) -> ImportOut:
    settings = settings_of(request)
    reader = reader_of(request, await tenant_of(request, tx, caller.tenant_id))
    if not await imports.take_turn(tx, caller.tenant_id):
        raise conflict("import_running", "Another import is running", "Customers are imported one file at a time.")
    records = records_of(file)
    if isinstance(records, Refusal):
        raise problem_of(records)
    columns = read_header(next(records, []))
    if isinstance(columns, Refusal):
        raise problem_of(columns)
    load = _Load(tx, caller, columns, reader, settings.customer_import_batch_rows)
    for number, cells in enumerate(records, 1):
        if load.rows >= settings.customer_import_rows_max:
            raise unprocessable("file", "too_many_rows", f"at most {settings.customer_import_rows_max} rows are read")
        await load.take(number, cells)
    await load.finish()
    await fields.keep_fields(tx, caller.tenant_id, dict(columns.own), caller.user_id)
    await emit(tx, audit.record(caller, "customers-imported", "import", str(load.import_id)))
    return await _shown(tx, caller, load.import_id)


class _Load:
    """Rows on their way into the database, in batches of one statement."""

    def __init__(self, tx: Tx, caller: Caller, columns: Columns, reader: NumberReader, batch_rows: int) -> None:
        self.import_id = uuid7()
        self.rows = 0
        self._tx = tx
        self._caller = caller
        self._columns = columns
        self._reader = reader
        self._batch_rows = batch_rows
        self._good: list[ImportRow] = []
        self._errors: list[RowError] = []
        self._errors_saved = 0
        self._created = self._updated = self._unchanged = self._rejected = 0
        self._seen: set[bytes] = set()

    async def take(self, number: int, cells: list[str] | csv.Error) -> None:
        """Read one record; an empty one is no row."""
        if not isinstance(cells, csv.Error) and not "".join(cells).strip():
            return
        self.rows += 1
        row = read_row(self._columns, self._reader, number, cells)
        if isinstance(row, ImportRow) and row.match_key in self._seen:
            row = [repeated(number)]
        if isinstance(row, ImportRow):
            self._seen.add(row.match_key)
            self._good.append(row)
        else:
            self._rejected += 1
            self._errors.extend(row)
        if len(self._good) + len(self._errors) >= self._batch_rows:
            await self._flush()

    async def _flush(self) -> None:
        tenant_id, by = self._caller.tenant_id, self._caller.user_id
        created, updated = await customers.import_customers(self._tx, tenant_id, self._good, self.import_id, by)
        self._created += created
        self._updated += updated
        self._unchanged += len(self._good) - created - updated
        await imports.save_errors(self._tx, tenant_id, self.import_id, self._errors_saved, self._errors)
        self._errors_saved += len(self._errors)
        self._good, self._errors = [], []

    async def finish(self) -> None:
        """Store the rest and the figures."""
        await self._flush()
        await imports.save_import(
            self._tx,
            self._caller.tenant_id,
            self.import_id,
            rows=self.rows,
            created=self._created,
            updated=self._updated,
            unchanged=self._unchanged,
            rejected=self._rejected,
            by=self._caller.user_id,
        )


async def _shown(tx: Tx, caller: Caller, import_id: UUID) -> ImportOut:
    row = await imports.import_of(tx, caller.tenant_id, import_id)
    if row is None:
        raise not_found("import")
    return _out(row)


def _out(row: Record) -> ImportOut:
    return ImportOut(
        id=row["import_id"],
        state="done",
        rows=row["rows"],
        imported=row["created"] + row["updated"] + row["unchanged"],
        created=row["created"],
        updated=row["updated"],
        unchanged=row["unchanged"],
        rejected=row["rejected"],
        errors_url=f"/v1/customers/imports/{row['import_id']}/errors",
        created_at=row["created_at"],
    )


def _error(row: Record) -> ErrorOut:
    return ErrorOut(**{name: row[name] for name in ("row", "field", "column", "code", "message")})
