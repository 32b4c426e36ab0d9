"""GET /v1/customers/{id}/export: all that is held here on one person, as a file to hand over."""

from collections.abc import Mapping
from typing import Annotated, Any, Final
from uuid import UUID

import orjson
from fastapi import APIRouter, Path, Request, Response

from muster.customer.api.common import e164
from muster.customer.api.customer_shapes import shown
from muster.customer.api.evidence import Chain, Evidence
from muster.customer.api.gathered import ROWS_MAX, evidence_of
from muster.customer.domain.audience import Reason
from muster.customer.domain.merge_text import SEPARATOR
from muster.customer.events import MessageKind
from muster.customer.store import customers, lists, persons
from muster.kit import audit
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.outbox import emit
from muster.kit.pg import Record
from muster.text.cells import csv_lines

router = APIRouter(prefix="/v1/customers/{customer_id}/export")

CustomerId = Annotated[int, Path(ge=1, le=2**63 - 1)]
_ELSEWHERE: Final = (
    "What became of each message is in the report (GET /v1/reports/sms by the number), and what the person wrote, with"
    " the e-mails about it, in the inbox (GET /v1/replies by the number). `muster customers export` makes one file of"
    " all."
)


@router.get("", responses={200: {"content": {"application/json": {}, "text/csv": {}}}})
async def export_person(
    customer_id: CustomerId,
    request: Request,
    caller: Annotated[Caller, requires(Permission.ERASE_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
) -> Response:
    """All that is held here on one person: as JSON, or with `Accept: text/csv` as rows of section, entry, field and
    value. It holds the customer, their lists, who changed what, every word on consent, what stopped the numbers, and
    the sends that they were asked for, with the reason why they are in or out; also what is of those who were merged
    into them. At most 10,000 entries of each kind."""
    row, evidence = await evidence_of(request, tx, caller, customer_id)
    document = await _document(tx, row, evidence)
    await emit(tx, audit.record(caller, Act.CUSTOMER_EXPORTED, str(customer_id)))
    return _file(document, customer_id, as_csv="text/csv" in request.headers.get("accept", ""))


async def _document(tx: Tx, row: Record | None, evidence: Evidence) -> dict[str, Any]:
    whose = evidence.tenant_id, evidence.chain.customer_id
    ids = [whose[1], *(one.customer_id for one in evidence.merged)]
    return {
        "business": evidence.business,
        "customer_id": evidence.chain.customer_id,
        "made_at": evidence.made_at,
        "made_by": evidence.made_by,
        "elsewhere": _ELSEWHERE,
        "customer": None if row is None else shown(row).model_dump(),
        "lists": _dicts(await lists.lists_of_customer(tx, *whose, ROWS_MAX)),
        "changes": _dicts(await customers.changes_since(tx, *whose, 0, ROWS_MAX)),
        "consents": evidence.chain.words,
        "consents_whole": all(one.first_broken is None for one in (evidence.chain, *evidence.merged)),
        "merged": [await _merged(tx, whose[0], one) for one in evidence.merged],
        "suppressions": evidence.stops,
        "undeliverable": _dicts(await persons.failures_of(tx, whose[0], ids)),
        "withdrawal_requests": _dicts(await persons.requests_of(tx, whose[0], ids, ROWS_MAX)),
        "sends": [_send(one) for one in await persons.sends_of(tx, whose[0], ids, ROWS_MAX)],
    }


async def _merged(tx: Tx, tenant_id: UUID, chain: Chain) -> dict[str, Any]:
    """What is still held under the id of somebody who was merged into the person: their lists and numbers moved."""
    row = await customers.customer_of(tx, tenant_id, chain.customer_id)
    return {
        "customer_id": chain.customer_id,
        "customer": None if row is None else shown(row).model_dump(),
        "changes": _dicts(await customers.changes_since(tx, tenant_id, chain.customer_id, 0, ROWS_MAX)),
        "consents": chain.words,
    }


def _dicts(rows: list[Record]) -> list[dict[str, Any]]:
    return [dict(row) for row in rows]


def _send(row: Record) -> dict[str, Any]:
    """text: in the language in which it was sent. values: those of its merge fields, in their order. outcome: texted,
    or why not."""
    reason = Reason(row["reason"])
    texts = [row["text"], *(orjson.loads(row["others"]).values() if row["text"] else ())]
    values = row["joined"].split(SEPARATOR) if row["joined"] else []
    variant = int(values.pop(0)) if len(texts) > 1 and values else 0
    return {
        "bulk_id": row["bulk_id"],
        "at": row["created_at"],
        "by": row["created_by"],
        "kind": MessageKind(row["kind"]).name.lower(),
        "text": texts[variant],
        "values": values,
        "number": None if row["number"] is None else e164(row["number"]),
        "outcome": reason.word if reason else "texted",
    }


def _file(document: Mapping[str, Any], customer_id: int, *, as_csv: bool) -> Response:
    suffix, media_type = ("csv", "text/csv; charset=utf-8") if as_csv else ("json", "application/json")
    headers = {"Content-Disposition": f'attachment; filename="customer-{customer_id}.{suffix}"'}
    if not as_csv:
        options = orjson.OPT_INDENT_2 | orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE
        return Response(orjson.dumps(document, default=str, option=options), media_type=media_type, headers=headers)
    rows: list[tuple[object, ...]] = [("section", "entry", "field", "value")]
    for section, value in document.items():
        entries = value if isinstance(value, list) else [value]
        for entry, one in enumerate(entries, 1):
            rows += [(section, entry, name, cell) for name, cell in _cells("", one)]
    return Response(csv_lines(rows), media_type=media_type, headers=headers)


def _cells(name: str, value: object) -> list[tuple[str, object]]:
    """The single values in something, each by its path: `own_fields.pet`, `numbers.1.typed`."""
    if isinstance(value, Mapping):
        inside: list[tuple[str, object]] = [(str(key), one) for key, one in value.items()]
    elif isinstance(value, list | tuple):
        inside = [(str(place), one) for place, one in enumerate(value, 1)]
    else:
        return [(name, value)]
    return [cell for key, one in inside for cell in _cells(f"{name}.{key}" if name else key, one)]
