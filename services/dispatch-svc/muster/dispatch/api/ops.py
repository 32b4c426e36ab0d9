"""For the operator: carriers, senders, the sums of each send, and how far the laws hold here."""

import json
from collections.abc import Sequence
from typing import Annotated, Final
from uuid import UUID

from fastapi import APIRouter

from muster.dispatch.domain import slots
from muster.dispatch.domain.slots import Slot
from muster.dispatch.events import CLASS_MARKETING, MARKETING, Sender, read_recipients
from muster.dispatch.store import laws, platform
from muster.dispatch.store.chunks import key_of
from muster.kit.auth import Caller, Role, Tx, requires, tenant_tx
from muster.kit.http import Model
from muster.kit.laws import LawResult, Violation, laws_router, sums_router
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.pg import Record

router = APIRouter(prefix="/v1", tags=["ops"])

_CHUNKS_CHECKED_MAX: Final = 5_000


class CarrierOut(Model):
    """A carrier account and what it takes."""

    account: str
    route: str
    countries: list[str]
    reference_bits: int
    parts_per_second: int
    open: bool


class SenderOut(Model):
    """A number or name that may stand as sender."""

    sender: str
    owner_tenant_id: UUID
    receives_replies: bool
    active: bool


class BulkSums(Model):
    """What a send came to: reserved = used + released + held, recipients = the sum of the counts once it is closed."""

    tenant_id: UUID
    bulk_id: UUID
    state: str
    reserved: int
    used: int
    released: int
    held: int
    refunded: int
    closed: bool
    recipients: int
    accepted: int
    unknown: int
    rejected: int
    stopped: int
    suppressed: int
    queued: int
    submitting: int
    version: int
    settled_version: int
    parked: str


@router.get("/carriers")
async def read_carriers(
    _: Annotated[Caller, requires(Role.OPERATOR)], tx: Annotated[Tx, tenant_tx]
) -> Page[CarrierOut]:
    """Carrier accounts by route."""
    return Page(
        items=[
            CarrierOut(
                account=route.account,
                route=route.route,
                countries=route.countries,
                reference_bits=route.reference_bits,
                parts_per_second=route.parts_per_second,
                open=route.open,
            )
            for route in await platform.routes(tx)
        ]
    )


@router.get("/senders")
async def read_senders(
    _: Annotated[Caller, requires(Role.OPERATOR)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[SenderOut]:
    """Senders and whose they are."""
    after = decode_cursor(cursor, {"sender": str})["sender"] if cursor else ""
    found = await platform.senders(tx, after, limit + 1)
    return page_of(found, limit, _sender, lambda one: {"sender": one.sender})


def _sender(one: Sender) -> SenderOut:
    return SenderOut(
        sender=one.sender,
        owner_tenant_id=one.owner_tenant_id,
        receives_replies=one.receives_replies,
        active=one.active,
    )


# -- laws -------------------------------------------------------------------------------------------------------------


async def check_laws(tx: Tx) -> list[LawResult]:
    """Laws 2, 3, 4, 5, 7 and 8 over what this database has; 3 and 4 chunk by chunk over the newest ones."""
    newest = await laws.newest_chunks(tx, _CHUNKS_CHECKED_MAX)
    ended = await laws.ended(tx)
    return [
        await _reserved(tx),
        _used(newest, ended),
        await _submit(tx, newest),
        _once(ended),
        await _tenant(tx),
        await _bounded(tx),
    ]


async def _reserved(tx: Tx) -> LawResult:
    count, broken = await laws.unbalanced(tx)
    return LawResult("reserved", count, [_violation(row, "reserved is not used + released + held") for row in broken])


def _used(newest: Sequence[Record], ended: Sequence[Record]) -> LawResult:
    wrong = [_violation(row, "used is not the sum of its chunks") for row in ended if row["used"] != row["chunk_used"]]
    wrong += [
        _violation(row, "refunded is not the sum of its chunks")
        for row in ended
        if row["refunded"] != row["chunk_refunded"]
    ]
    for row in newest:
        sums = slots.sums(row["parts"], read_recipients(row["plain"]).prices, row["slots"])
        if sums.used != row["used"] or sums.accepted != row["accepted"] or sums.unknown != row["unknown"]:
            wrong.append(_violation(row, f"chunk {row['chunk']} is not the price of its accepted parts"))
    return LawResult("used", len(newest) + len(ended), wrong)


async def _submit(tx: Tx, newest: Sequence[Record]) -> LawResult:
    """No intent before a reservation or after `send_by`; none that covers a number that was barred by then."""
    bars: dict[tuple[UUID, bytes], list[Record]] = {}
    for bar in await laws.bars(tx):
        bars.setdefault((bar["tenant_id"], bar["number_hash"]), []).append(bar)
    attempts = await laws.intents(tx, [key_of(row) for row in newest])
    wrong: list[Violation] = []
    for row in newest:
        found = _intended(attempts.get(key_of(row), ()), row["slots"])
        if found and row["reserved"] is None:
            wrong.append(_violation(row, "intended without a reservation"))
        if any(at > row["send_by"].timestamp() for at in found.values()):
            wrong.append(_violation(row, "intended after send_by"))
        if found and bars:
            wrong += _barred(row, found, bars)
    return LawResult("submit", sum(len(rows) for rows in attempts.values()), wrong)


def _intended(attempts: Sequence[Record], states: bytes) -> dict[int, float]:
    """When each slot that may have been written was intended for the last time, as a unix time."""
    times: dict[int, float] = {}
    for attempt in attempts:
        order = range(len(states)) if attempt["slot_order"] is None else attempt["slot_order"]
        begin = 0
        for upto, at in json.loads(attempt["intents"]):
            for slot in order[begin:upto]:
                if states[slot] in (Slot.ACCEPTED, Slot.UNKNOWN, Slot.REJECTED, Slot.CHARGED, Slot.RELEASED):
                    times[slot] = float(at)
            begin = upto
    return times


def _barred(row: Record, intended: dict[int, float], bars: dict[tuple[UUID, bytes], list[Record]]) -> list[Violation]:
    recipients = read_recipients(row["plain"])
    scope = MARKETING if row["message_class"] == CLASS_MARKETING else MARKETING + 1
    wrong, slot = [], 0
    for position, parts in enumerate(recipients.parts):
        at = intended.get(slot)
        slot += parts
        for bar in bars.get((row["tenant_id"], recipients.hashes[position]), ()) if at is not None else ():
            until = bar["until"].timestamp() if bar["until"] else float("inf")
            if bar["scope"] >= scope and at is not None and bar["since"].timestamp() < at < until:
                wrong.append(_violation(row, f"message {recipients.seq[position]} was intended against a bar"))
    return wrong


def _once(ended: Sequence[Record]) -> LawResult:
    wrong = []
    for row in ended:
        states = sum(row[name] for name in ("accepted", "unknown", "rejected", "stopped", "suppressed"))
        if row["chunk_open"] or states != row["chunk_recipients"] or row["accepted"] != row["chunk_accepted"]:
            wrong.append(_violation(row, f"{states} states for {row['chunk_recipients']} recipients"))
    return LawResult("once", len(ended), wrong)


async def _tenant(tx: Tx) -> LawResult:
    count, wrong = await laws.crossing(tx)
    return LawResult("tenant", count, [_violation(row, "a chunk of another tenant's send") for row in wrong])


async def _bounded(tx: Tx) -> LawResult:
    count, wrong = await laws.unbounded(tx)
    return LawResult("bounded", count, [_violation(row, row["why"]) for row in wrong])


def _violation(row: Record, detail: str) -> Violation:
    return Violation(str(row["tenant_id"]), detail, bulk_id=str(row["bulk_id"]))


ROUTERS = (router, sums_router("dispatch", BulkSums, laws.bulks), laws_router("dispatch", check_laws))
