"""POST /v1/suppressions/uploads: a list of numbers that want nothing, taken but for the rows that are none."""

import csv
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Query, Request, Response
from pydantic import Field, TypeAdapter, ValidationError

from muster.customer.api.common import problem_of, reader_of, tenant_of
from muster.customer.api.suppressions import ScopeWord
from muster.customer.domain.files.refused import FileRefused
from muster.customer.domain.opt_out_files import numbers_in
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.suppression import Scope, Wish
from muster.customer.handlers import consents as handlers
from muster.kit import audit
from muster.kit.acts import Act
from muster.kit.auth import Begin, Caller, Permission, requires, tx_of_tenant
from muster.kit.http import Model, allow
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit
from muster.kit.problems import Problem
from muster.text import NumberRefused
from muster.text.merge import clean_value

router = APIRouter(prefix="/v1/suppressions/uploads")

ROWS_MAX = 10_000
_BYTES_MAX = 2 << 20
_ERRORS_SHOWN = 1_000
_NUMBERS: TypeAdapter[list[str]] = TypeAdapter(Annotated[list[Annotated[str, Field(max_length=64)]], Field()])
_HEADERS = frozenset(("number", "numbers", "mobile", "mobiles", "phone", "phone number", "mobile number", "msisdn"))


class RowError(Model):
    """Why a row was left out. row: from 1, of the file or the array."""

    row: int
    code: str
    message: str


class UploadOut(Model):
    """rows = suppressed + already + repeated + rejected. errors: the first thousand of the rejected."""

    rows: int
    suppressed: int
    already: int
    repeated: int
    rejected: int
    errors: list[RowError]


@router.post(
    "",
    response_model=UploadOut,
    dependencies=[allow(body_bytes_max=_BYTES_MAX, timeout_s=60)],
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "text/csv": {"schema": {"type": "string"}},
                "application/json": {"schema": {"type": "array", "items": {"type": "string"}, "maxItems": ROWS_MAX}},
            },
        }
    },
)
async def upload_suppressions(
    request: Request,
    caller: Annotated[Caller, requires(Permission.SET_OPT_OUTS)],
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
    scope: Annotated[ScopeWord, Query()] = "all",
    reason: Annotated[str, Query(max_length=500)] = "",
) -> Response:
    """Text none of these numbers any more: a CSV or a JSON array, at most 10,000. Of a CSV the column counts that its
    first line calls Mobile, Phone or the like, else the first; encoding and separator are found out. Rows that are no
    number are named and left out; a number that is stopped already stays as it is."""
    body = await request.body()
    written = _rows(request.headers.get("content-type", ""), body)
    async with begin(caller.tenant_id) as tx:

        async def make() -> tuple[int, Model]:
            reader = reader_of(request, await tenant_of(request, tx, caller.tenant_id))
            broken = [(row, why) for row, why in written if isinstance(why, csv.Error)]
            errors = [RowError(row=row, code="not_csv", message=f"This is no CSV: {why}.") for row, why in broken]
            numbers = [(row, number) for row, number in written if isinstance(number, str)]
            hashes, repeated = set(), 0
            mobiles = reader.read_column([number for _, number in numbers])
            for (row, _), mobile in zip(numbers, mobiles, strict=True):
                if isinstance(mobile, NumberRefused):
                    errors.append(RowError(row=row, code=mobile.code, message=mobile.message))
                elif mobile.number_hash in hashes:
                    repeated += 1
                else:
                    hashes.add(mobile.number_hash)
            wish = Wish(
                suppressed=True,
                scope=Scope[scope.upper()],
                source="upload",
                reason=clean_value(reason),
                by=caller.user_id,
            )
            changed = await handlers.fulfil_all(tx, caller.tenant_id, sorted(hashes), wish)
            if changed:
                await emit(tx, audit.record(caller, Act.SUPPRESSIONS_UPLOADED, "upload", str(len(changed))))
            return 200, UploadOut(
                rows=len(written),
                suppressed=len(changed),
                already=len(hashes) - len(changed),
                repeated=repeated,
                rejected=len(errors),
                errors=sorted(errors, key=lambda error: error.row)[:_ERRORS_SHOWN],
            )

        return await once.answer(tx, caller, body, make)


def _rows(content_type: str, body: bytes) -> list[tuple[int, str | csv.Error]]:
    """What stands in each row, by its number from 1; Problem where the file cannot be read at all."""
    media_type = content_type.partition(";")[0].strip().lower()
    rows: list[tuple[int, str | csv.Error]]
    if media_type == "application/json":
        try:
            rows = list(enumerate(_NUMBERS.validate_json(body), 1))
        except ValidationError as error:
            raise problem_of(Refusal("body", "not_numbers", "Send a JSON array of texts, each a number.")) from error
    elif media_type in ("text/csv", "text/plain"):
        try:
            rows = list(numbers_in(body))
        except FileRefused as error:
            raise problem_of(replace(error.refusal, field="body")) from error
    else:
        title = "The body is not of a type that is read here"
        raise Problem(415, "unsupported_media_type", title, "Send text/csv or JSON.", field="Content-Type")
    rows = [(row, number) for row, number in rows if isinstance(number, csv.Error) or number.strip()]
    rows = rows[1:] if rows and str(rows[0][1]).strip().lower() in _HEADERS else rows
    if not rows:
        raise problem_of(Refusal("body", "empty", "There is no number."))
    if len(rows) > ROWS_MAX:
        raise problem_of(Refusal("body", "too_many_rows", f"At most {ROWS_MAX} numbers are read at once."))
    return rows
