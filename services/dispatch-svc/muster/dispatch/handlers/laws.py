"""How far the laws hold here: rows into the records of muster.laws, which judges them."""

import json
from collections.abc import Iterator, Sequence
from typing import Final
from uuid import UUID

from muster.dispatch.domain import slots
from muster.dispatch.domain.receipts import merged
from muster.dispatch.events import CLASS_MARKETING, LEFT, MARKETING, accepted_of, read_recipients
from muster.dispatch.store import laws
from muster.dispatch.store.chunks import key_of
from muster.kit.pg import Record, Tx
from muster.laws import ledger, sending, system
from muster.laws.report import Message
from muster.laws.result import LawResult, together
from muster.laws.sending import WRITTEN, Chunk, Writing, by_number

_CHUNKS_CHECKED_MAX: Final = 5_000


async def check_laws(tx: Tx) -> list[LawResult]:
    """Laws 2, 3, 4, 5, 7 and 8 over what this database has; 3 and 4 chunk by chunk over the newest ones."""
    newest = await laws.newest_chunks(tx, _CHUNKS_CHECKED_MAX)
    chunks = list(map(_chunk, newest))
    ended = await laws.ended(tx)
    accounted, unlike = await laws.sends_unlike(tx)
    count, crossing = await laws.crossing(tx)
    sends, unbounded = await laws.unbounded(tx)
    return [
        ledger.reserved(unlike, accounted),
        together("used", (sending.used(chunks), sending.used_by_sends(ended))),
        await _submit(tx, newest),
        together("once", (sending.once(ended), sending.left_open(chunks))),
        system.tenant(crossing, count),
        system.bounded(unbounded, sends),
    ]


async def messages(tx: Tx, tenant_id: UUID, bulk_id: UUID, after: int) -> tuple[list[Message], int | None]:
    """What became of the messages of a send, chunk by chunk after chunk `after`; and the chunk to go on after."""
    row, more = await laws.next_chunk(tx, tenant_id, bulk_id, after)
    return ([], None) if row is None else (list(_messages(row)), row["chunk"] if more else None)


def _messages(row: Record) -> Iterator[Message]:
    recipients, parts, octets = read_recipients(row["plain"]), row["parts"], row["slots"]
    receipts, starts = row["receipts"] or bytes(len(octets)), slots.offsets(parts)
    for word in slots.words(parts, slots.fresh(parts), octets):
        at = word.position
        yield Message(
            *(row["tenant_id"], row["bulk_id"], recipients.seq[at], LEFT[word.left], accepted_of(word)),
            credits=slots.credits_of(recipients.prices[at], parts[at], word.charged_parts),
            receipt=int(merged(receipts[starts[at] : starts[at] + parts[at]])),
        )


def _chunk(row: Record) -> Chunk:
    recipients = read_recipients(row["plain"])
    return Chunk(
        tenant_id=row["tenant_id"],
        bulk_id=row["bulk_id"],
        chunk=row["chunk"],
        parts=row["parts"],
        prices=recipients.prices,
        states=row["slots"],
        used=row["used"],
        accepted=row["accepted"],
        unknown=row["unknown"],
        seqs=recipients.seq,
        ended=row["ended"],
    )


async def _submit(tx: Tx, newest: Sequence[Record]) -> LawResult:
    attempts = await laws.intents(tx, [key_of(row) for row in newest])
    bars = by_number(await laws.bars(tx))
    writings = (_writing(row, found) for row in newest if (found := attempts.get(key_of(row))))
    return sending.submit(writings, bars, checked=sum(map(len, attempts.values())))


def _writing(row: Record, attempts: Sequence[Record]) -> Writing:
    recipients = read_recipients(row["plain"])
    return Writing(
        tenant_id=row["tenant_id"],
        bulk_id=row["bulk_id"],
        reserved=row["reserved"],
        send_by=row["send_by"].timestamp(),
        scope=MARKETING if row["message_class"] == CLASS_MARKETING else MARKETING + 1,
        times=_by_message(_intended(attempts, row["slots"]), row["parts"]),
        hours=list(zip(attempts[0]["opens"], attempts[0]["closes"], strict=True)),
        seqs=recipients.seq,
        numbers=recipients.hashes,
    )


def _intended(attempts: Sequence[Record], states: bytes) -> dict[int, float]:
    """When each slot that may have been written was intended for the last time, as a unix time."""
    times: dict[int, float] = {}
    for attempt in attempts:
        order = range(len(states)) if attempt["slot_order"] is None else attempt["slot_order"]
        begin = 0
        for upto, at in json.loads(attempt["intents"]):
            for slot in order[begin:upto]:
                if states[slot] in WRITTEN and slot not in attempt["left_out"]:
                    times[slot] = float(at)
            begin = upto
    return times


def _by_message(times: dict[int, float], parts: bytes) -> dict[int, float]:
    """The latest time of any part, by the position of the message."""
    latest: dict[int, float] = {}
    slot = 0
    for position, count in enumerate(parts):
        mine = [times[at] for at in range(slot, slot + count) if at in times]
        slot += count
        if mine:
            latest[position] = max(mine)
    return latest
