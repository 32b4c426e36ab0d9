"""Records as they come from Kafka: what cannot be applied is parked with its offset, the rest is applied."""

import asyncio
import hashlib
from random import Random
from typing import Any
from uuid import UUID, uuid4

import pytest
from report_world import (
    ACCEPTED,
    DELIVERED,
    EXPIRED,
    REJECTED,
    SUBMITTING,
    SUPPRESSED,
    TIME_MS,
    UNDELIVERED,
    UNKNOWN,
    Send,
    headers_of,
    recount,
    rows_of,
)

from muster.kit.pg import Database
from muster.report.stream.applier import Record, apply, record_of


def record(offset: int, message: Any, **replace: Any) -> Record:
    # Of no topic of the registry: events of all of them come in one row here.
    value = Record("all", 0, offset, b"k", message.SerializeToString(), headers_of(message))
    return value._replace(**replace)


async def covered(db: Database) -> list[tuple[int, int]]:
    return [(row["first_offset"], row["last_offset"]) for row in await rows_of(db, "applied_range")]


async def parked(db: Database) -> list[Any]:
    async with db.worker() as tx:
        return await tx.fetch("SELECT topic, value, headers FROM outbox ORDER BY id")


def bad_records() -> dict[str, Record]:
    send = Send()
    good = send.dispatched([ACCEPTED])
    twice = send.dispatched([ACCEPTED, ACCEPTED], seq=[1, 1])
    no_id = Send().dispatched([ACCEPTED])
    no_id.bulk_id = "nobody"
    nul = send.recipients([61491570156], ["a\0b"])
    short = send.recipients([61491570156, 61491570157])
    del short.customer_id[0]
    no_text = send.recipients([61491570156])
    no_text.text_index[0] = 7
    return {
        "no headers": record(1, good, headers=[]),
        "no type": record(1, good, headers=headers_of(good)[:1]),
        "not protobuf": record(1, good, value=b"\xff\xff"),
        "no key": record(1, good, key=b""),
        "another tenant": record(1, good, headers=headers_of(Send().dispatched([]))),
        "no bulk id": record(1, no_id),
        "a message twice": record(1, twice),
        "a column short": record(1, send.dispatched([ACCEPTED, ACCEPTED], credits=[1])),
        "an end of no name": record(1, send.dispatched([14])),
        "NUL in a text": record(1, nul),
        "customers short": record(1, short),
        "index of no text": record(1, no_text),
        "a rate without end": record(1, send.paced(1, parts_per_second=float("inf"))),
        "NUL in a header": record(1, good, headers=[*headers_of(good)[:3], ("tenant", b"\0")]),
        "header not UTF-8": record(1, good, headers=[("ce_type", b"\xff")]),
    }


@pytest.mark.parametrize("kind", list(bad_records()))
async def test_poison_is_parked_with_its_offset_covered_and_the_rest_is_applied(db: Database, kind: str) -> None:
    bad = bad_records()[kind]
    before, after = Send(), Send()

    await apply(db, [record(0, before.dispatched([ACCEPTED])), bad, record(2, after.dispatched([ACCEPTED], first=7))])

    assert sorted(row["seq"] for row in await rows_of(db, "message")) == [1, 7]
    assert await covered(db) == [(0, 2)]
    [letter] = await parked(db)
    assert (letter["topic"], bytes(letter["value"])) == ("report-dlq", bad.value)
    assert '"dlq_offset": "1"' in letter["headers"]
    await recount(db)


async def test_records_applied_again_give_the_same_rows_and_ranges(db: Database) -> None:
    send = Send()
    batch = [record(5, send.dispatched([ACCEPTED])), record(6, send.receipts([1])), record(9, send.requested(1))]
    await apply(db, batch)
    before = await rows_of(db, "message"), await rows_of(db, "bulk")

    await apply(db, batch[::-1])
    await apply(db, batch[1:])

    assert (await rows_of(db, "message"), await rows_of(db, "bulk")) == before
    assert await covered(db) == [(5, 6), (9, 9)]


def told(send: Send, inbound: UUID) -> list[Any]:
    """All that the other services say about a send of 40 in two chunks and the STOP that answers it."""
    lefts = [ACCEPTED, UNKNOWN, REJECTED, SUPPRESSED] * 5
    return [
        send.requested(40),
        send.recipients([61491570000 + seq for seq in range(20)], ["Hello Ann", "Hello Bob"]),
        *(send.dispatched([SUBMITTING] * 20, 1, first=first, chunk=chunk) for chunk, first in ((1, 1), (2, 21))),
        *(send.dispatched(lefts, 2, first=first, chunk=first // 20 + 1, at_ms=TIME_MS + first) for first in (1, 21)),
        send.dispatched([ACCEPTED], 3, first=2, at_ms=TIME_MS + 900),
        send.receipts([UNDELIVERED] * 4, 1),
        send.receipts([DELIVERED] * 4, 2),
        send.receipts([EXPIRED], 1, first=13),
        *send.answers(inbound),
        *(send.accounted(version, closed=version == 3) for version in (1, 2, 3)),
    ]


async def test_however_events_are_shuffled_repeated_and_batched_the_tables_have_the_same_hash(db: Database) -> None:
    hashes, random = set(), Random(7)
    for _ in range(12):
        sends = [(Send(), uuid4()) for _ in range(2)]
        events = [event for send, inbound in sends for event in told(send, inbound)] * 2
        random.shuffle(events)
        while events:
            batch = [events.pop() for _ in range(min(len(events), random.randint(1, 12)))]
            await apply(db, [record(at, event) for at, event in enumerate(batch)])
        for send, inbound in sends:
            hashes.add(await table_hash(db, send, inbound))

    assert len(hashes) == 1
    await recount(db)


async def table_hash(db: Database, send: Send, inbound: UUID) -> str:
    """Of all columns of all tables of a send, without its ids and when it was heard of, which are its own."""
    asked = "SELECT t.* FROM {} t JOIN bulk b USING (tenant_id, {}) WHERE b.tenant_id = $1 ORDER BY 3, 4"
    async with db.worker() as tx:
        rows = [
            *await tx.fetch("SELECT * FROM bulk WHERE tenant_id = $1", send.tenant),
            *await tx.fetch(asked.format("message", "bulk_no"), send.tenant),
            *await tx.fetch(asked.format("recipients", "bulk_no"), send.tenant),
            *await tx.fetch("SELECT * FROM reply WHERE tenant_id = $1 AND inbound_id = $2", send.tenant, inbound),
        ]
    own = {"tenant_id", "bulk_id", "bulk_no", "inbound_id", "heard_at"}
    kept = [[(name, value) for name, value in row.items() if name not in own] for row in rows]
    assert len(kept) == 1 + 40 + 1 + 1
    return hashlib.sha256(repr(kept).encode()).hexdigest()


async def test_types_that_nobody_here_hears_are_covered_and_skipped(db: Database) -> None:
    await apply(db, [record(3, Send().requested(1), headers=[("ce_type", b"ActRecorded")])])

    assert await covered(db) == [(3, 3)]
    assert await parked(db) == []


async def test_two_who_apply_the_same_first_record_at_once_park_nothing(db: Database) -> None:
    sends = [Send() for _ in range(8)]
    batches = [[record(0, sends[0].requested(1))] for _ in range(4)]
    batches += [[record(at, send.requested(1))] for at, send in enumerate(sends)]

    await asyncio.gather(*(apply(db, batch) for batch in batches))

    assert await parked(db) == []
    assert {offset for first, last in await covered(db) for offset in range(first, last + 1)} == set(range(8))


def test_a_message_without_key_or_value_is_a_record_and_its_headers_stay_as_they_are() -> None:
    class Message:
        topic, partition, offset, key, value = "sms", 0, 1, None, None
        headers = (("a", None), ("b", b"1"))

    assert record_of(Message()) == Record("sms", 0, 1, b"", b"", [("a", None), ("b", b"1")])
