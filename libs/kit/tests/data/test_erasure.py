"""People who were erased are taken out of what waits to be published, and of what waits for an operator."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from muster.events.personal import PERSONAL_TYPES, blank_recipients, born_unix_ms
from muster.events.v1.recipients_pb2 import AnswerRequested, BulkRecipientsAttached, SmsReceived
from muster.events.v1.suppressions_pb2 import PersonErased
from muster.kit import clock, erasure
from muster.kit.consumer.letters import park
from muster.kit.ids import uuid7
from muster.kit.outbox import Fact, emit
from muster.kit.pg import Database
from muster.kit.testing import eventually, facts, forget_all, run_twice

from .log import TENANT

HASHES = [bytes([1]) + bytes([at]) * 16 for at in range(3)]
ANA = HASHES[0]
NUMBERS = [61_491_570_156 + at for at in range(3)]


def chunk(bulk: UUID | None = None, **members: Any) -> BulkRecipientsAttached:
    """Three people, of whom Ana is the first; she and the second get the same text."""
    given: dict[str, Any] = {"text": ["Hi", "Hi Cy"], "encoding": [1, 1], "text_index": [0, 0, 1], "seq": [1, 2, 3]}
    given |= {"number": NUMBERS, "number_hash": HASHES, "customer_id": [7, 8, 9], "chunk": 1, "lane": 1, **members}
    return BulkRecipientsAttached(tenant_id=str(TENANT), bulk_id=str(bulk or uuid7()), **given)


def erased(number_hash: bytes = ANA, version: int = 1) -> PersonErased:
    at = clock.unix_ms() + 1_000
    return PersonErased(tenant_id=str(TENANT), number_hashes=[number_hash], version=version, at_unix_ms=at)


class Letter:
    """A record that could not be applied."""

    def __init__(self, message: Any, value: bytes | None = None, tenant: UUID | None = TENANT) -> None:
        self.topic, self.partition, self.offset, self.key = "inbound", 0, 1, uuid4().bytes
        self.value = message.SerializeToString() if value is None else value
        headers = {"ce_type": message.DESCRIPTOR.name, **({"tenant": str(tenant)} if tenant else {})}
        self.headers = [(name, text.encode()) for name, text in headers.items()]


async def nothing(_tx: Any, _tenant: UUID, _gone: erasure.Gone) -> None:
    return


async def test_what_waits_to_be_published_loses_the_person_and_keeps_the_others(db: Database) -> None:
    received = SmsReceived(tenant_id=str(TENANT), number="+6149", number_hash=ANA, text="Ana", received_at_unix_ms=5)
    other = SmsReceived(tenant_id=str(TENANT), number="+6150", number_hash=HASHES[1], text="Bo", received_at_unix_ms=5)
    asked = AnswerRequested(tenant_id=str(TENANT), number="+6149", number_hash=ANA, text="Hi Ana", at_unix_ms=5)
    async with db.worker() as tx:
        await emit(tx, *(Fact(one, key=b"k") for one in (received, other, asked)), Fact(chunk(), key=b"k", lane=1))

    await run_twice(db, erasure.on_person_erased, erased())
    await forget_all(db, nothing)

    async with db.worker() as tx:
        said = {one.message.DESCRIPTOR.name: one.message for one in await facts(tx)}
        wrote = [(one.message.number, one.message.text) for one in await facts(tx, "SmsReceived")] or None
    left = said["BulkRecipientsAttached"]
    assert (list(left.number), list(left.customer_id)) == ([0, *NUMBERS[1:]], [0, 8, 9])
    assert [left.text[at] for at in left.text_index] == ["", "Hi", "Hi Cy"]
    assert len(left.encoding) == len(left.text)
    assert (said["AnswerRequested"].number, said["AnswerRequested"].text) == ("", "")
    assert wrote == [("", ""), ("+6150", "Bo")]
    assert said["PersonForgotten"].number_hash == ANA


async def test_dead_letters_lose_the_person_and_those_of_which_nobody_can_tell_are_emptied(db: Database) -> None:
    message = SmsReceived(tenant_id=str(TENANT), number="+6149", number_hash=ANA, text="Ana", received_at_unix_ms=5)
    crooked = chunk(number=NUMBERS[:1])
    stranger = chunk(number_hash=[HASHES[1]] * 3)
    letters = [
        Letter(message),
        Letter(crooked),
        Letter(message, b"\xff not an event of Ana"),
        Letter(message, b"\xff nor this", tenant=None),
        Letter(stranger),
    ]
    await run_twice(db, erasure.on_person_erased, erased())
    await forget_all(db, nothing)
    async with db.worker() as tx:
        for one in letters:  # they come late
            await park(tx, "notes", one, "Poison: a test")

    await erasure.forget_late(db)

    async with db.worker() as tx:
        rows = await tx.fetch("SELECT key, value, value_bytes, reason FROM dead_letter")
        values = {row["key"]: row for row in rows}
        waiting = [row["value"] for row in await tx.fetch("SELECT value FROM outbox WHERE topic = 'notes-dlq'")]
    first = SmsReceived.FromString(values[letters[0].key]["value"])
    assert (first.number, first.text, first.number_hash) == ("", "", ANA)
    assert values[letters[0].key]["value_bytes"] == len(values[letters[0].key]["value"])
    for emptied in letters[1:4]:
        assert values[emptied.key]["value"] == b""
        assert "emptied" in values[emptied.key]["reason"]
    assert values[letters[4].key]["value"] == letters[4].value
    assert not any(b"Ana" in value for value in waiting)


async def test_an_older_erasure_changes_nothing_and_a_newer_one_is_gone_over_again(db: Database) -> None:
    await run_twice(db, erasure.on_person_erased, erased(version=2))
    await forget_all(db, nothing)
    await run_twice(db, erasure.on_person_erased, erased(version=1))
    async with db.worker() as tx:
        assert await tx.fetchval("SELECT forgotten_at IS NOT NULL AND version = 2 FROM erased_number")

    await run_twice(db, erasure.on_person_erased, erased(version=3))
    await forget_all(db, nothing)

    async with db.worker() as tx:
        assert [one.message.version for one in await facts(tx, "PersonForgotten")] == [2, 3]


async def test_who_stores_something_while_an_erasure_is_committed_is_waited_for(db: Database) -> None:
    async with db.worker() as storing:
        assert await erasure.erased_since(storing, [TENANT], datetime(2000, 1, 1, tzinfo=UTC)) == {}
        await run_twice(db, erasure.on_person_erased, erased())
        for _ in range(3):
            await erasure.forget(db, nothing)
        async with db.worker() as tx:
            assert await facts(tx, "PersonForgotten") == []

    await forget_all(db, nothing)

    async with db.worker() as tx:
        assert len(await facts(tx, "PersonForgotten")) == 1


async def test_a_business_with_whose_people_it_fails_keeps_nobody_else_waiting(db: Database) -> None:
    theirs = erased()
    theirs.tenant_id = str(uuid4())
    for one in (erased(), erased(HASHES[1]), theirs):
        await run_twice(db, erasure.on_person_erased, one)
    tried: list[tuple[str, int]] = []

    async def fails_with_ana(_tx: Any, tenant_id: UUID, gone: erasure.Gone) -> None:
        tried.append((str(tenant_id), len(gone)))
        if tenant_id == TENANT and ANA in gone:
            raise RuntimeError("a bug of ours")

    async def look(forgotten: int) -> bool:
        await erasure.forget(db, fails_with_ana)
        async with db.worker() as tx:
            return len(await facts(tx, "PersonForgotten")) == forgotten

    await eventually(lambda: look(1))
    assert tried[:2] == [(str(TENANT), 2), (theirs.tenant_id, 1)]
    async with db.worker() as tx:
        await tx.execute("UPDATE erased_number SET retry_at = kit_now() WHERE tenant_id = $1", TENANT)
    tried.clear()
    await eventually(lambda: look(2))
    assert {count for _, count in tried} == {1}, "who failed together are tried one by one"
    async with db.worker() as tx:
        left = "SELECT number_hash, failures, retry_at > kit_now() FROM erased_number WHERE forgotten_at IS NULL"
        assert [tuple(row) for row in await tx.fetch(left)] == [(ANA, 2, True)]


def test_a_send_is_as_old_as_its_id_and_one_that_does_not_say_is_of_before() -> None:
    at = clock.unix_ms()
    later, unknown = uuid7(), uuid4()
    blank = PERSONAL_TYPES["BulkRecipientsAttached"]

    assert (at <= born_unix_ms(later) <= at + 1_000, born_unix_ms(unknown)) == (True, 0)
    assert not blank(chunk(later), {ANA: at - 1})
    assert blank(chunk(later), {ANA: born_unix_ms(later)})
    assert blank(chunk(unknown), {ANA: 0})


@pytest.mark.parametrize("members", [{"number": NUMBERS[:1]}, {"text_index": [0, 0, 2]}, {"number_hash": HASHES[:1]}])
def test_nobody_is_taken_out_of_a_chunk_that_does_not_fit_together(members: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"columns|index"):
        PERSONAL_TYPES["BulkRecipientsAttached"](chunk(**members), {ANA: clock.unix_ms() + 9})


def test_a_text_that_is_nobody_s_any_more_goes_with_the_last_who_got_it() -> None:
    message = chunk()

    blank_recipients(message, [0, 1])

    assert list(message.text) == ["", "Hi Cy", ""]
