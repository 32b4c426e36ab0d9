"""Records as they come from Kafka: what cannot be applied is parked with its offset, the rest is applied."""

import asyncio
from typing import Any

import pytest
from report_world import ACCEPTED, Send, headers_of, recount, rows_of

from muster.kit.pg import Database
from muster.report.stream.applier import Record, apply, record_of


def record(offset: int, message: Any, **replace: Any) -> Record:
    value = Record("sms", 0, offset, b"k", message.SerializeToString(), headers_of(message))
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


async def test_types_that_nobody_here_hears_are_covered_and_skipped(db: Database) -> None:
    await apply(db, [record(3, Send().requested(1), headers=[("ce_type", b"BulkSmsWithdrawn")])])

    assert await covered(db) == [(3, 3)]
    assert await parked(db) == []


async def test_two_who_apply_the_same_first_record_at_once_park_nothing(db: Database) -> None:
    sends = [Send() for _ in range(8)]
    batches = [[record(0, sends[0].requested(1))] for _ in range(4)]
    batches += [[record(at, send.requested(1))] for at, send in enumerate(sends)]

    await asyncio.gather(*(apply(db, batch) for batch in batches))

    assert await parked(db) == []
    assert {offset for first, last in await covered(db) for offset in range(first, last + 1)} == set(range(8))


def test_a_header_without_a_value_is_an_empty_one() -> None:
    class Message:
        topic, partition, offset, key, value = "sms", 0, 1, None, None
        headers = (("a", None), ("b", b"1"))

    assert record_of(Message()) == Record("sms", 0, 1, b"", b"", [("a", b""), ("b", b"1")])
