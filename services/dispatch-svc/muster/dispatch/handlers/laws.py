"""How far the laws hold here: rows into the records of muster.laws, which judges them."""

import json
from collections.abc import Sequence
from typing import Final

from muster.dispatch.events import CLASS_MARKETING, MARKETING, read_recipients
from muster.dispatch.store import laws
from muster.dispatch.store.chunks import key_of
from muster.kit.pg import Record, Tx
from muster.laws import ledger, sending, system
from muster.laws.result import LawResult, together
from muster.laws.sending import WRITTEN, Chunk, Writing, by_number

_CHUNKS_CHECKED_MAX: Final = 5_000


async def check_laws(tx: Tx) -> list[LawResult]:
    """Laws 2, 3, 4, 5, 7 and 8 over what this database has; 3 and 4 chunk by chunk over the newest ones."""
    newest = await laws.newest_chunks(tx, _CHUNKS_CHECKED_MAX)
    ended = await laws.ended(tx)
    accounted, unlike = await laws.sends_unlike(tx)
    chunks, crossing = await laws.crossing(tx)
    sends, unbounded = await laws.unbounded(tx)
    return [
        ledger.reserved(unlike, accounted),
        together("used", (sending.used(map(_chunk, newest)), sending.used_by_sends(ended))),
        await _submit(tx, newest),
        sending.once(ended),
        system.tenant(crossing, chunks),
        system.bounded(unbounded, sends),
    ]


def _chunk(row: Record) -> Chunk:
    return Chunk(
        tenant_id=row["tenant_id"],
        bulk_id=row["bulk_id"],
        chunk=row["chunk"],
        parts=row["parts"],
        prices=read_recipients(row["plain"]).prices,
        states=row["slots"],
        used=row["used"],
        accepted=row["accepted"],
        unknown=row["unknown"],
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
                if states[slot] in WRITTEN:
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
