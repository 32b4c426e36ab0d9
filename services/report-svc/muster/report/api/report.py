"""The SMS Detail Report: each message and its replies."""

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from fastapi.responses import StreamingResponse

from muster.kit.auth import Begin, Caller, Permission, Tx, requires, tenant_tx, tx_of_tenant
from muster.kit.http import Model
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, encode_cursor
from muster.kit.problems import not_found, unprocessable
from muster.report import domain
from muster.report.store import reading
from muster.report.store.reading import Filter
from muster.text import NumberRefused, read_asked_number
from muster.text.cells import csv_lines

router = APIRouter(prefix="/v1", tags=["report"])
_MESSAGE_ID: Final = re.compile(r"([0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12})-([1-9][0-9]{0,9})", re.IGNORECASE)
_SEQ_MAX: Final = (1 << 31) - 1
_LINES_AT_ONCE: Final = 500
Place = tuple[int, int] | None
_YEAR_MIN, _YEAR_MAX = 2000, 9998
Kind = Literal["bulk", "single", "reminder", "reply"]
Status = Literal[
    "queued", "submitting", "accepted", "unknown", "rejected", "stopped", "suppressed", "delivered", "undelivered",
    "expired",
]  # fmt: skip


class ReplyOut(Model):
    """What a customer wrote back; `text` is null where it is not heard of yet, or the person was erased."""

    at: datetime | None
    text: str | None
    verdict: str


class RowOut(Model):
    """One message. `number` and `text` are null where they are not heard of yet, or the person was erased: then
    `erased` is true, and all that counts stays."""

    id: str
    bulk_id: UUID
    seq: int
    kind: str
    message_class: str
    sent_at: datetime | None
    status_at: datetime | None
    number: str | None
    text: str | None
    customer_id: str | None
    erased: bool
    parts: int
    credits: int
    status: str
    carrier_status: str
    country: str
    sender: str
    replies: list[ReplyOut]


_COLUMNS: Final = tuple(RowOut.model_fields)  # the last is `replies`


@router.get("/reports/sms", response_model=Page[RowOut], responses={200: {"content": {"text/csv": {}}}})
async def read_report(
    request: Request,
    caller: Annotated[Caller, requires(Permission.READ_SENDS)],
    begin: Annotated[Begin, tx_of_tenant],
    kind: Kind | None = None,
    since: Annotated[datetime | None, Query(alias="from")] = None,
    until: Annotated[datetime | None, Query(alias="to")] = None,
    status: Status | None = None,
    number: Annotated[
        str | None, Query(max_length=64, description="E.164, or as people of the business write it")
    ] = None,
    text: Annotated[str | None, Query(max_length=200)] = None,
    bulk_id: UUID | None = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[RowOut] | Response:
    """Messages, newest first, with their replies: pages of JSON, or from the cursor on all of them as CSV with
    `Accept: text/csv`, whose last column has the replies with ` | ` between them.

    A message appears when the carrier has answered or it has ended; until then `status=queued` lists it, without a
    time, a price or a place in any other list.
    """
    since, until = _zoned("from", since), _zoned("to", until)
    if since and until and since >= until:
        raise unprocessable("to", "not_after_from", "is not after `from`")
    wanted = Filter(
        kind=domain.KINDS[kind] if kind else None,
        since=since,
        until=until,
        ended=domain.ENDS[status] if status else None,
        number=_digits(number, caller.country) if number else None,
        text=_text(text),
        bulk_id=bulk_id,
    )
    place = decode_cursor(cursor, {"bulk": _place(63), "seq": _place(31)}) if cursor else None
    after = (place["bulk"], place["seq"]) if place else None
    look = reading.waiting_rows if status == "queued" else reading.rows

    async def page(after: Place, limit: int) -> tuple[list[RowOut], Place]:
        async with begin(caller.tenant_id) as tx:
            found = await look(tx, caller.tenant_id, wanted, after, limit + 1)
            last = (found[limit - 1]["bulk_no"], found[limit - 1]["seq"]) if len(found) > limit else None
            return await _with_people(tx, caller.tenant_id, found[:limit]), last

    if "text/csv" in request.headers.get("accept", ""):
        headers = {"Content-Disposition": 'attachment; filename="messages.csv"'}
        return StreamingResponse(_lines(page, after), media_type="text/csv; charset=utf-8", headers=headers)
    items, last = await page(after, limit)
    return Page(items=items, next_cursor=encode_cursor({"bulk": last[0], "seq": last[1]}) if last else None)


async def _lines(
    page: Callable[[Place, int], Awaitable[tuple[list[RowOut], Place]]], after: Place
) -> AsyncIterator[str]:
    """A page is read in a transaction of its own and let go before the next: a million take no more than a page."""
    yield csv_lines([_COLUMNS])
    while True:
        items, after = await page(after, _LINES_AT_ONCE)
        yield csv_lines(_cells(one) for one in items)
        if after is None:
            return


def _cells(row: RowOut) -> list[object]:
    said = row.model_dump(exclude={"replies"})
    return [*(said[name] for name in _COLUMNS[:-1]), " | ".join(reply.text or "" for reply in row.replies)]


@router.get("/messages/{message_id}")
async def read_message(
    message_id: str, caller: Annotated[Caller, requires(Permission.READ_SENDS)], tx: Annotated[Tx, tenant_tx]
) -> RowOut:
    """One message; its id is that of its send, a dash, and its place in it. `parts` is 0 while it is queued."""
    named = _MESSAGE_ID.fullmatch(message_id)
    bulk_id, seq = (UUID(named[1]), int(named[2])) if named else (UUID(int=0), 0)
    if not 0 < seq <= _SEQ_MAX:
        raise not_found("message")
    found = await reading.rows(tx, caller.tenant_id, Filter(bulk_id=bulk_id, seq=seq), None, 1)
    found = found or await reading.queued(tx, caller.tenant_id, bulk_id, seq)
    if not found:
        raise not_found("message")
    return (await _with_people(tx, caller.tenant_id, found))[0]


async def _with_people(tx: Tx, tenant_id: UUID, found: Sequence[Any]) -> list[RowOut]:
    people = await reading.people(tx, tenant_id, [(row["bulk_no"], row["chunk"], row["seq"]) for row in found])
    replies: dict[tuple[UUID, int], list[ReplyOut]] = {}
    for row in await reading.replies(tx, tenant_id, [(row["bulk_id"], row["seq"]) for row in found]):
        verdict = domain.name_of(domain.VERDICTS, row["verdict"])
        reply = ReplyOut(at=row["received_at"], text=row["text"], verdict=verdict)
        replies.setdefault((row["bulk_id"], row["seq"]), []).append(reply)
    return [
        _row(row, people.get((row["bulk_no"], row["seq"])), replies.get((row["bulk_id"], row["seq"]), []))
        for row in found
    ]


def _row(row: Any, person: tuple[int, str, int] | None, replies: list[ReplyOut]) -> RowOut:
    number, text, customer = person or (0, None, 0)
    erased = person is not None and not number
    return RowOut(
        id=f"{row['bulk_id']}-{row['seq']}",
        bulk_id=row["bulk_id"],
        seq=row["seq"],
        kind=domain.name_of(domain.KINDS, row["kind"]),
        message_class=domain.name_of(domain.CLASSES, row["message_class"]),
        sent_at=row["sent_at"],
        # Carriers date receipts by their own clock and often to the minute: no status is older than its message.
        status_at=max((at for at in (row["sent_at"], row["receipt_at"]) if at), default=None),
        number=f"+{number}" if number else None,
        text=None if erased else text,
        customer_id=str(customer) if customer else None,
        erased=erased,
        parts=row["parts"],
        credits=row["credits"],
        status=domain.name_of(domain.ENDS, row["ended"]),
        carrier_status=row["receipt_error"] or (f"0x{row['error'] & 0xFFFFFFFF:08x}" if row["error"] else ""),
        country=row["country"],
        sender=row["sender"],
        replies=replies,
    )


def _place(bits: int) -> Callable[[Any], int]:
    """A reader of a cursor's number that fits its column."""

    def read(value: Any) -> int:
        if type(value) is not int or not 0 <= value < 1 << bits:
            raise ValueError("not a place")
        return value

    return read


def _digits(number: str, country: str) -> int:
    read = read_asked_number(number, country)
    if isinstance(read, NumberRefused):
        raise unprocessable("number", read.code, read.message)
    return int(read)


def _text(text: str | None) -> str | None:
    if text and "\0" in text:
        raise unprocessable("text", "not_valid", "holds a character that no message has")
    return text or None


def _zoned(field: str, time: datetime | None) -> datetime | None:
    if time is not None and time.tzinfo is None:
        raise unprocessable(field, "no_time_zone", "a time in RFC 3339, with its offset")
    if time is not None and not _YEAR_MIN <= time.year <= _YEAR_MAX:
        raise unprocessable(field, "out_of_range", f"a time from {_YEAR_MIN} to {_YEAR_MAX}")
    return time
