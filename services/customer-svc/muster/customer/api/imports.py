"""/v1/customers/imports: files of customers, in the background; bad rows are left out, listed and given back."""

from typing import Annotated
from uuid import UUID

import orjson
from fastapi import APIRouter, Header, Query, Request, Response

from muster.customer.api.common import problem_of, tenant_of
from muster.customer.api.import_shapes import (
    ConsentDateText,
    ConsentText,
    DatesText,
    ImportOut,
    ListText,
    MappingText,
    MatchText,
    ModeText,
    PreviewOut,
    SourceText,
    StartIn,
    WordingText,
    changed,
    consented,
    import_out,
    options_from,
)
from muster.customer.api.import_taking import FILE_BODY, Taking, asynchronous, take_file
from muster.customer.domain.import_columns import read_header
from muster.customer.domain.import_options import ImportOptions
from muster.customer.domain.refusal import Refusal
from muster.customer.importer.blocks import options_of, packed_options
from muster.customer.importer.previewing import preview
from muster.customer.importer.reading import end, remember
from muster.customer.store import imports
from muster.kit import audit
from muster.kit.acts import Act
from muster.kit.auth import Begin, Caller, Permission, Tx, requires, tenant_tx, tx_of_tenant
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.pg import Record
from muster.kit.problems import Problem, conflict, not_found

router = APIRouter(prefix="/v1/customers/imports")


@router.post(
    "",
    status_code=202,
    response_model=ImportOut,
    responses={201: {"model": ImportOut, "description": "A small file, imported"}},
    openapi_extra={"requestBody": FILE_BODY},
)
async def import_customers(
    request: Request,
    caller: Annotated[Caller, requires(Permission.KEEP_CUSTOMERS)],
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
    mode: ModeText = "add_and_update",
    match: MatchText = "person",
    list: ListText = "",
    consent: ConsentText = "",
    consent_wording: WordingText = "",
    consent_source: SourceText = "",
    consent_date: ConsentDateText = "",
    dates: DatesText = "",
    mapping: MappingText = "",
    preview: Annotated[bool, Query(description="read it, and wait until somebody starts it")] = False,  # noqa: FBT002
    encoding: Annotated[str, Query(max_length=40, description="such as cp1252; found out by itself")] = "",
    separator: Annotated[str, Query(max_length=1, description="between cells; found out by itself")] = "",
    file_name: Annotated[str, Query(max_length=200, description="to know it again in the list of imports")] = "",
    prefer: Annotated[str, Header(max_length=200, description="respond-async: answer before it is imported")] = "",
) -> Response:
    """Import a CSV, TSV or XLSX file of at most 512 MiB, a million rows and 100 columns.

    The first line names the columns. The file is read as a whole before anybody is changed: one that cannot be read
    changes nothing. Then rows that cannot be read are left out and listed, and the same file twice changes nothing. The
    answer is 201 once it is imported; 202 if that takes longer than a minute, or with `Prefer: respond-async` (RFC
    7240) for all but small files of text: then ask how it stands.
    """
    stated = (consent, consent_wording, consent_source, consent_date)
    options = options_from(mode, match, list, stated, mapping, dates)
    if isinstance(options, Refusal):
        raise problem_of(options)
    stored = {**packed_options(options), "encoding": encoding, "separator": separator}
    file = Taking(file_name, Act.IMPORT_UPLOADED, preview=preview, at_once=asynchronous(prefer))
    taken, answer = await take_file(request, caller, begin, once, stored, file)
    return await _answer(begin, caller, taken, answer)


async def _answer(begin: Begin, caller: Caller, import_id: UUID, answer: Response) -> Response:
    """How it stands; what is wrong with it as a whole, if that is known already."""
    async with begin(caller.tenant_id) as tx:
        row = await _found(tx, caller, import_id)
    if row["state"] in (imports.REFUSED, imports.FAILED):
        problem = orjson.loads(row["problem"])
        raise problem_of(Refusal(problem["field"], problem["code"], problem["message"], {"import_id": str(import_id)}))
    status = 201 if row["state"] == imports.DONE else 202
    replayed = {name: value for name, value in answer.headers.items() if name.lower() == "idempotent-replayed"}
    headers = {"Location": f"/v1/customers/imports/{import_id}", **replayed}
    return Response(import_out(row).model_dump_json(), status, headers=headers, media_type="application/json")


@router.get("")
async def list_imports(
    caller: Annotated[Caller, requires(Permission.READ_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[ImportOut]:
    """Imports, the newest first."""
    before = decode_cursor(cursor, {"id": UUID})["id"] if cursor else None
    rows = await imports.page_of_imports(tx, caller.tenant_id, before, limit + 1)
    return page_of(rows, limit, import_out, lambda row: {"id": row["import_id"]})


@router.get("/{import_id}")
async def get_import(
    import_id: UUID, caller: Annotated[Caller, requires(Permission.READ_CUSTOMERS)], tx: Annotated[Tx, tenant_tx]
) -> ImportOut:
    """How far an import is, and its figures."""
    return import_out(await _found(tx, caller, import_id))


@router.get("/{import_id}/preview")
async def preview_import(
    import_id: UUID,
    request: Request,
    caller: Annotated[Caller, requires(Permission.READ_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    mapping: MappingText = "",
) -> PreviewOut:
    """What the file was found to be, its first rows, and what is wrong with them; with `mapping` as if that were
    said. While it is read, 409."""
    row = await _found(tx, caller, import_id)
    options = _options(row)
    if mapping:
        said = (options.mode, options.match, options.list, consented(options))
        tried = options_from(*said, mapping, options.dates)
        if isinstance(tried, Refusal):
            raise problem_of(tried)
        options = tried
    tenant = await tenant_of(request, tx, caller.tenant_id)
    shown = await preview(tx, caller.tenant_id, row, options, tenant.country)
    if shown is None:
        raise _not_there(row)
    return PreviewOut.model_validate(shown)


@router.post("/{import_id}/start", status_code=202)
async def start_import(
    import_id: UUID,
    body: StartIn,
    caller: Annotated[Caller, requires(Permission.KEEP_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
) -> ImportOut:
    """Import a file that was looked at. What its columns are said to hold is remembered for files with its header.

    One that is `failed` goes on where it was, in the way in which it was begun.
    """
    row = await _locked(tx, caller, import_id)
    if row["state"] == imports.FAILED:
        return await _go_on(tx, caller, import_id, body)
    if row["state"] != imports.PREVIEW:
        if row["state"] in (imports.APPLYING, imports.DONE):
            return import_out(row)
        raise _not_there(row)
    options = changed(_options(row), body)
    if isinstance(options, Refusal):
        raise problem_of(options)
    header = tuple(orjson.loads(row["file"])["header"])
    columns = read_header(header, options.mapping, options.key_field)
    if isinstance(columns, Refusal):
        raise problem_of(columns)
    if options.mapping:
        await remember(tx, caller.tenant_id, header, options.mapping)
    await imports.start(tx, caller.tenant_id, import_id, packed_options(options))
    await emit(tx, audit.record(caller, Act.IMPORT_STARTED, str(import_id)))
    return import_out(await _found(tx, caller, import_id))


async def _go_on(tx: Tx, caller: Caller, import_id: UUID, body: StartIn) -> ImportOut:
    if body != StartIn():
        raise conflict("import_begun", "This import was begun", "It can only go on as it was: say nothing more of it.")
    await imports.go_on(tx, caller.tenant_id, import_id)
    await emit(tx, audit.record(caller, Act.IMPORT_STARTED, str(import_id)))
    return import_out(await _found(tx, caller, import_id))


@router.post("/{import_id}/cancel")
async def cancel_import(
    import_id: UUID, caller: Annotated[Caller, requires(Permission.KEEP_CUSTOMERS)], tx: Annotated[Tx, tenant_tx]
) -> ImportOut:
    """End an import. Rows that have been taken in stay, and are counted; the rest is not."""
    row = await _locked(tx, caller, import_id)
    if row["state"] == imports.DONE:
        raise conflict("import_done", "This import is done", "There is nothing of it left to cancel.")
    if row["state"] not in imports.ENDED:
        await end(tx, caller.tenant_id, import_id, imports.CANCELLED)
        await emit(tx, audit.record(caller, Act.IMPORT_CANCELLED, str(import_id)))
    return import_out(await _found(tx, caller, import_id))


async def _found(tx: Tx, caller: Caller, import_id: UUID) -> Record:
    row = await imports.import_of(tx, caller.tenant_id, import_id)
    if row is None:
        raise not_found("import")
    return row


async def _locked(tx: Tx, caller: Caller, import_id: UUID) -> Record:
    row = await imports.lock_import(tx, caller.tenant_id, import_id)
    if row is None:
        raise not_found("import")
    return row


def _options(row: Record) -> ImportOptions:
    packed = orjson.loads(row["options"])
    if not packed:
        raise _not_there(row)
    return options_of(packed)


def _not_there(row: Record) -> Problem:
    detail = f"It is {row['state']}. Look at it after it was read and before it is started."
    return conflict("import_not_waiting", "This import does not wait to be looked at", detail, state=row["state"])
