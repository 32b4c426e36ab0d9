"""The statement: every entry of an account with the balance after it, as pages or as a file."""

import json
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from muster.credit.domain.account import Kind
from muster.credit.store import statement
from muster.credit.store.statement import Wanted
from muster.kit.auth import Begin, Caller, Permission, requires, tx_of_tenant
from muster.kit.http import Model, Moment
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.problems import unprocessable
from muster.text.cells import csv_lines

router = APIRouter(prefix="/v1/credits", tags=["credits"])

# A page is read in a transaction of its own and let go before the next one: memory and locks do not grow with a file.
_LINES_AT_ONCE = 1_000

Row = Mapping[str, Any]


class EntryOut(Model):
    """A line of the statement: `credits` is how many the entry moved, what is left is in the fields after."""

    id: str
    at: datetime
    kind: Kind
    bulk_id: UUID | None
    credits: int
    available_after: int
    reserved_after: int
    consumed_after: int
    owed_after: int
    account_version: int
    reason: str
    reference: str


_COLUMNS = tuple(name for name in EntryOut.model_fields if name != "id")
_FILES: dict[str, str] = {"text/csv": "csv", "application/x-ndjson": "jsonl"}
_AS_FILES: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "A page; with `Accept: text/csv` or `application/x-ndjson` all entries as a file, oldest first, "
        "and their number in the header X-Total-Count.",
        "content": {media_type: {"schema": {"type": "string"}} for media_type in _FILES},
    }
}


@router.get("/statement", response_model=Page[EntryOut], responses=_AS_FILES)
async def read_statement(
    request: Request,
    caller: Annotated[Caller, requires(Permission.READ_CREDITS)],
    begin: Annotated[Begin, tx_of_tenant],
    kind: Annotated[list[Kind] | None, Query(max_length=20, description="of these kinds alone")] = None,
    bulk_id: UUID | None = None,
    since: Annotated[Moment | None, Query(alias="from", description="no earlier than this")] = None,
    until: Annotated[Moment | None, Query(alias="to", description="earlier than this")] = None,
    reference: Annotated[str | None, Query(max_length=200, description="whose reference is exactly this")] = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Any:
    """Every entry of the account with the balance after it, newest first."""
    if since and until and since >= until:
        raise unprocessable("to", "not_after_from", "is not after `from`")
    wanted = Wanted(tuple(kind) if kind else None, bulk_id, since, until, reference)
    for media_type, ending in _FILES.items():
        if media_type in request.headers.get("accept", ""):
            return await _file(begin, caller.tenant_id, wanted, media_type, ending)
    before = decode_cursor(cursor, {"before": int})["before"] if cursor else None
    async with begin(caller.tenant_id) as tx:
        rows = await statement.page(tx, caller.tenant_id, wanted, before, limit + 1)
    return page_of(rows, limit, _entry, lambda row: {"before": row["account_version"]})


def _entry(row: Row) -> EntryOut:
    return EntryOut(id=str(row["account_version"]), **row)


async def _file(begin: Begin, tenant_id: UUID, wanted: Wanted, media_type: str, ending: str) -> Response:
    """What there is now: an entry that is made while the file is read is not in it."""
    async with begin(tenant_id) as tx:
        entries, upto = await statement.extent(tx, tenant_id, wanted)
    written = {"csv": _csv, "jsonl": _jsonl}[ending]
    headers = {
        "Content-Disposition": f'attachment; filename="statement.{ending}"',
        "X-Total-Count": str(entries),
    }
    lines = _lines(begin, tenant_id, wanted, upto, written)
    return StreamingResponse(lines, media_type=f"{media_type}; charset=utf-8", headers=headers)


async def _lines(
    begin: Begin, tenant_id: UUID, wanted: Wanted, upto: int, written: Callable[[Sequence[Row]], str]
) -> AsyncIterator[str]:
    if written is _csv:
        yield ",".join(_COLUMNS) + "\r\n"
    at = 0
    while True:
        async with begin(tenant_id) as tx:
            rows = await statement.after(tx, tenant_id, wanted, at, upto, _LINES_AT_ONCE)
        if not rows:
            return
        at = rows[-1]["account_version"]
        yield written(rows)


def _csv(rows: Sequence[Row]) -> str:
    return csv_lines([row[name] for name in _COLUMNS] for row in rows)


def _jsonl(rows: Sequence[Row]) -> str:
    return "".join(json.dumps({name: _plain(row[name]) for name in _COLUMNS}) + "\n" for row in rows)


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return str(value) if isinstance(value, UUID) else value
