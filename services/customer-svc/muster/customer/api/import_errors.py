"""What was wrong in the rows of an import: as JSON, as CSV, and as the rows themselves, to be corrected."""

from collections.abc import AsyncIterator, Sequence
from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from muster.customer.api.import_shapes import ErrorOut, error_out
from muster.customer.domain.import_columns import COLUMN_HEADER, REASON_HEADER, ROW_HEADER
from muster.customer.store import imports
from muster.kit.auth import Begin, Caller, Permission, requires, tx_of_tenant
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.problems import not_found
from muster.text.cells import cell, csv_lines

router = APIRouter(prefix="/v1/customers/imports")

_AT_ONCE = 1_000


@router.get("/{import_id}/errors", response_model=Page[ErrorOut])
async def import_errors(
    import_id: UUID,
    request: Request,
    caller: Annotated[Caller, requires(Permission.READ_CUSTOMERS)],
    begin: Annotated[Begin, tx_of_tenant],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Response:
    """What was wrong, in the order of the file: JSON pages, or all of it as CSV with `Accept: text/csv`."""
    async with begin(caller.tenant_id) as tx:
        if await imports.import_of(tx, caller.tenant_id, import_id) is None:
            raise not_found("import")
        if "text/csv" not in request.headers.get("accept", ""):
            after = decode_cursor(cursor, {"ordinal": int})["ordinal"] if cursor else 0
            rows = await imports.page_of_errors(tx, caller.tenant_id, import_id, after, limit + 1)
            page = page_of(rows, limit, error_out, lambda row: {"ordinal": row["ordinal"]})
            return Response(page.model_dump_json(), media_type="application/json")
    return _download(_error_lines(begin, caller.tenant_id, import_id), f"import-{import_id}-errors.csv")


@router.get("/{import_id}/rejected")
async def rejected_rows(
    import_id: UUID,
    caller: Annotated[Caller, requires(Permission.READ_CUSTOMERS)],
    begin: Annotated[Begin, tx_of_tenant],
) -> Response:
    """The rows that were left out, as the file has them, as CSV with three more columns: the row, the column and the
    reason. Correct it and import it again as it is."""
    async with begin(caller.tenant_id) as tx:
        found = await imports.import_of(tx, caller.tenant_id, import_id)
        if found is None:
            raise not_found("import")
        header = orjson.loads(found["file"])["header"] if found["file"] else []
    return _download(_rejected_lines(begin, caller.tenant_id, import_id, header), f"import-{import_id}-rejected.csv")


def _download(lines: AsyncIterator[str], name: str) -> Response:
    headers = {"Content-Disposition": f'attachment; filename="{name}"'}
    return StreamingResponse(lines, media_type="text/csv; charset=utf-8", headers=headers)


async def _error_lines(begin: Begin, tenant_id: UUID, import_id: UUID) -> AsyncIterator[str]:
    yield csv_lines([("row", "field", "column", "code", "message")])
    after = 0
    while True:
        async with begin(tenant_id) as tx:
            rows = await imports.page_of_errors(tx, tenant_id, import_id, after, _AT_ONCE)
        if not rows:
            return
        after = rows[-1]["ordinal"]
        yield csv_lines((row["row"], row["field"], row["column"], row["code"], row["message"]) for row in rows)


async def _rejected_lines(begin: Begin, tenant_id: UUID, import_id: UUID, header: Sequence[str]) -> AsyncIterator[str]:
    width = len(header)
    # The mark by which spreadsheets know UTF-8.
    yield "\ufeff" + csv_lines([[*header, ROW_HEADER, COLUMN_HEADER, REASON_HEADER]])
    after = 0
    while True:
        async with begin(tenant_id) as tx:
            rows = await imports.page_of_rejected(tx, tenant_id, import_id, after, _AT_ONCE)
        if not rows:
            return
        after = rows[-1]["row"]
        yield csv_lines(
            [
                *map(_as_text, [*row["cells"], *[""] * (width - len(row["cells"]))][: width or None]),
                *(row["row"], "; ".join(filter(None, row["columns"] or ())), " ".join(row["reasons"] or ())),
            ]
            for row in rows
        )


def _as_text(given: str) -> object:
    """A cell comes from the file of whoever sent it: a spreadsheet must neither read it as a formula nor shorten a
    number. Imported again, the sign before it is taken off (domain.import_repairs)."""
    return cell(given, number_as_text=True)
