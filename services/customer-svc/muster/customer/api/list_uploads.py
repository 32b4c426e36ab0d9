"""/v1/lists/uploads: a file of numbers or keys makes a list of the customers whom it means, in the background."""

from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Final
from uuid import UUID

import orjson
from fastapi import APIRouter, Header, Query, Request, Response

from muster.customer.api.common import problem_of, settings_of
from muster.customer.api.import_shapes import MappingText, ProblemOut, RepairOut, StateWord, options_from, repairs_out
from muster.customer.api.import_taking import FILE_BODY, Taking, asynchronous, take_file
from muster.customer.api.list_shapes import list_exists, too_many_lists
from muster.customer.domain.import_options import BY_NUMBER, BY_PERSON, Mode
from muster.customer.domain.lists import NAME_CHARACTERS_MAX, read_name
from muster.customer.domain.refusal import Refusal
from muster.customer.importer.blocks import packed_options
from muster.customer.store import imports, lists
from muster.kit.acts import Act
from muster.kit.auth import Begin, Caller, Permission, Tx, requires, tenant_tx, tx_of_tenant
from muster.kit.http import Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.pg import Record
from muster.kit.problems import not_found, unprocessable

router = APIRouter(prefix="/v1/lists/uploads")

_NOBODY_CONSENTS: Final = ("", "", "", "")
_MATCH: Final = "by what a row is a customer: number (the first of the row), or field:NAME (an own field)"


class UploadOut(Model):
    """How an upload stands: rows = matched + rejected of rows_total (null until the whole file has been read).

    list_id and name: the list that it has made, once it is done; customers: how many came onto it, which are more than
    matched rows where several have one number. A `problem` of an upload that is done says why there is no list.
    """

    id: UUID
    state: StateWord
    name: str
    list_id: UUID | None
    file_name: str
    match: str
    rows: int
    rows_total: int | None
    matched: int
    rejected: int
    customers: int
    bytes: int
    bytes_read: int
    repairs: Sequence[RepairOut]
    problem: ProblemOut | None
    errors_url: str
    rejected_url: str
    created_at: datetime
    finished_at: datetime | None


@router.post(
    "",
    status_code=202,
    response_model=UploadOut,
    responses={201: {"model": UploadOut, "description": "A small file, and its list"}},
    openapi_extra={"requestBody": FILE_BODY},
)
async def upload_list(
    request: Request,
    caller: Annotated[Caller, requires(Permission.KEEP_CUSTOMERS)],
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
    name: Annotated[str, Query(min_length=1, max_length=2 * NAME_CHARACTERS_MAX, description="of the list")],
    match: Annotated[str, Query(max_length=80, description=_MATCH)] = BY_NUMBER,
    mapping: MappingText = "",
    encoding: Annotated[str, Query(max_length=40, description="such as cp1252; found out by itself")] = "",
    separator: Annotated[str, Query(max_length=1, description="between cells; found out by itself")] = "",
    file_name: Annotated[str, Query(max_length=200, description="to know it again in the list of uploads")] = "",
    prefer: Annotated[str, Header(max_length=200, description="respond-async: answer before it is read")] = "",
) -> Response:
    """Make a list of the customers whom a CSV, TSV or XLSX file means, by their numbers or by a key of the business.

    It adds and changes nobody: a number of nobody's customer is a row that is left out, and so is one that is wrong or
    may mean several. Such rows are listed with their column and reason, and can be downloaded. The list is there once
    the whole file has been read. Limits and answers are those of an import (`POST /v1/customers/imports`); an upload
    is cancelled as one.
    """
    list_name = read_name(name)
    if isinstance(list_name, Refusal):
        raise problem_of(list_name)
    if match == BY_PERSON:
        raise unprocessable("match", "not_valid", "write number, or field: and the name of an own field")
    options = options_from(Mode.UPLOAD, match, list_name, _NOBODY_CONSENTS, mapping)
    if isinstance(options, Refusal):
        raise problem_of(options)
    most = settings_of(request).customer_lists_max

    async def check(tx: Tx) -> None:
        await _refuse_taken(tx, caller, list_name, most)

    stored = {**packed_options(options), "encoding": encoding, "separator": separator}
    file = Taking(file_name, Act.LIST_UPLOADED, preview=False, at_once=asynchronous(prefer), check=check)
    taken, answer = await take_file(request, caller, begin, once, stored, file)
    async with begin(caller.tenant_id) as tx:
        row = await _found(tx, caller, taken)
    if row["state"] in (imports.REFUSED, imports.FAILED):
        problem = orjson.loads(row["problem"])
        raise problem_of(Refusal(problem["field"], problem["code"], problem["message"], {"upload_id": str(taken)}))
    replayed = {header: value for header, value in answer.headers.items() if header.lower() == "idempotent-replayed"}
    headers = {"Location": f"/v1/lists/uploads/{taken}", **replayed}
    status = 201 if row["state"] == imports.DONE else 202
    return Response(_out(row).model_dump_json(), status, headers=headers, media_type="application/json")


@router.get("")
async def list_uploads(
    caller: Annotated[Caller, requires(Permission.READ_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[UploadOut]:
    """Uploads, the newest first."""
    before = decode_cursor(cursor, {"id": UUID})["id"] if cursor else None
    rows = await imports.page_of_imports(tx, caller.tenant_id, before, limit + 1, uploads=True)
    return page_of(rows, limit, _out, lambda row: {"id": row["import_id"]})


@router.get("/{upload_id}")
async def get_upload(
    upload_id: UUID, caller: Annotated[Caller, requires(Permission.READ_CUSTOMERS)], tx: Annotated[Tx, tenant_tx]
) -> UploadOut:
    """How far an upload is, and its figures."""
    return _out(await _found(tx, caller, upload_id))


async def _refuse_taken(tx: Tx, caller: Caller, name: str, most: int) -> None:
    """Say at once what would be in the way at the end."""
    found = await lists.list_named(tx, caller.tenant_id, name)
    if found is not None:
        raise list_exists(found)
    if await lists.count_lists(tx, caller.tenant_id) >= most:
        raise too_many_lists(most)


async def _found(tx: Tx, caller: Caller, upload_id: UUID) -> Record:
    row = await imports.import_of(tx, caller.tenant_id, upload_id)
    if row is None or _mode(row) != Mode.UPLOAD:
        raise not_found("upload")
    return row


def _mode(row: Record) -> str | None:
    mode: str | None = orjson.loads(row["options"]).get("mode")
    return mode


def _out(row: Record) -> UploadOut:
    options, problem = orjson.loads(row["options"]), row["problem"]
    base = f"/v1/customers/imports/{row['import_id']}"
    return UploadOut(
        id=row["import_id"],
        state=row["state"],
        name=options["list"],
        match=options["match"],
        matched=row["unchanged"],
        customers=row["listed"],
        repairs=repairs_out(orjson.loads(row["repairs"])),
        problem=ProblemOut(**orjson.loads(problem)) if problem else None,
        errors_url=f"{base}/errors",
        rejected_url=f"{base}/rejected",
        **{name: row[name] for name in ("list_id", "file_name", "rows", "rows_total", "rejected", "bytes")},
        **{name: row[name] for name in ("bytes_read", "created_at", "finished_at")},
    )
