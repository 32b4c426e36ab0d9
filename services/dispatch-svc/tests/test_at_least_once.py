"""At least once, where a tenant asks for it and the message is no marketing: what is unknown is sent again, and charged
once."""

from collections import Counter
from datetime import timedelta
from uuid import uuid4

import dispatch_world as world
import pytest
from clocked_world import Clocked, SenderAt
from dispatch_world import Send

from muster.dispatch.domain.saga import Control, Controlled
from muster.dispatch.domain.slots import Slot
from muster.dispatch.events import ChunkKey
from muster.dispatch.handlers import sweeps
from muster.dispatch.handlers.sagas import apply_facts
from muster.dispatch.sender.fitting import fits, only_message
from muster.dispatch.store import receipts, suppressions
from muster.dispatch.store.receipts import WaitingReceipt
from muster.dispatch.store.sagas import SagaKey
from muster.events.v1 import common_pb2
from muster.kit import clock
from muster.smpp import Accepted, NotSent, Outcome, Rejected, Unknown
from muster.smpp.outcomes import NotSentReason, UnknownReason

FACTUAL, EXEMPT = common_pb2.MESSAGE_CLASS_FACTUAL, common_pb2.MESSAGE_CLASS_EXEMPT
ACCEPTED, UNKNOWN, STOPPED = common_pb2.LEFT_ACCEPTED, common_pb2.LEFT_UNKNOWN, common_pb2.LEFT_STOPPED
LOST: Outcome = Unknown(UnknownReason.TIMEOUT)
WAIT_S = world.settings().dispatch_resend_after_s
FIRST = 61_411_000_000


async def put(clocked: Clocked, send: Send, *, at_least_once: bool = True) -> SenderAt:
    await world.hear(clocked.db, world.tenant(send, at_least_once=at_least_once))
    await clocked.put(send)
    await clocked.at(0)
    return SenderAt(clocked.db, "smpp")


async def unknown_rows(clocked: Clocked) -> list[bool]:
    """Whether each part that is or was unknown is settled."""
    async with clocked.db.worker() as tx:
        rows = await tx.fetch("SELECT settled_at IS NOT NULL AS settled FROM unknown_part ORDER BY tenant_id, slot")
    return [row["settled"] for row in rows]


@pytest.mark.parametrize("message_class", [FACTUAL, EXEMPT])
async def test_what_is_unknown_is_sent_again_after_a_while_and_charged_once(
    clocked: Clocked, message_class: int
) -> None:
    send = Send(10, message_class=message_class)
    sender = await put(clocked, send)
    sender.link.fates = {FIRST + 3: [LOST], FIRST + 4: [LOST, LOST]}

    assert await sender.turn() == 10
    assert (await world.lefts(clocked.db, send))[UNKNOWN] == 2
    await clocked.at(WAIT_S - 1)
    assert await sender.turn() == 0, "a receipt may still say what became of it"
    await clocked.at(WAIT_S)
    assert await sender.turn() == 2
    assert (await world.saga(clocked.db, send))["state"] == "sending"
    await clocked.at(2 * WAIT_S)
    assert await sender.turn() == 1

    assert Counter(sender.link.numbers.values()) == {1: 8, 2: 1, 3: 1}
    assert await world.lefts(clocked.db, send) == {ACCEPTED: 10}
    assert await world.money(clocked.db, send) == (10, 10, 0, 0)
    assert (await world.saga(clocked.db, send))["state"] == "closed"
    assert await unknown_rows(clocked) == [True, True], "a receipt of the first time resolves no other message"
    await world.assert_laws(clocked.db)


@pytest.mark.parametrize(
    ("message_class", "at_least_once"), [(common_pb2.MESSAGE_CLASS_MARKETING, True), (0, True), (FACTUAL, False)]
)
async def test_marketing_and_what_nobody_asked_for_is_never_sent_again(
    clocked: Clocked, message_class: int, at_least_once: bool
) -> None:
    send = Send(3, message_class=message_class)
    sender = await put(clocked, send, at_least_once=at_least_once)
    sender.link.fates = {FIRST: [LOST]}
    await sender.turn()
    await clocked.at(10 * WAIT_S)

    assert await sender.turn() == 0
    assert await world.money(clocked.db, send) == (3, 2, 0, 1)
    async with clocked.db.worker() as tx:
        assert await tx.fetchval("SELECT count(*) FROM attempt WHERE tenant_id = $1", send.tenant_id) == 1


async def test_what_stays_unknown_is_sent_three_times_at_most_and_then_held_for_the_rule(clocked: Clocked) -> None:
    send = Send(1, message_class=FACTUAL)
    sender = await put(clocked, send)
    sender.link.fates = {FIRST: [LOST] * 9}
    for times in range(9):
        await clocked.at(times * WAIT_S)
        await sender.turn()

    assert sender.link.numbers == {FIRST: 3}
    assert await world.money(clocked.db, send) == (1, 0, 0, 1)
    async with clocked.db.worker() as tx:
        assert await tx.fetchval("SELECT personal FROM chunk_body WHERE tenant_id = $1", send.tenant_id) is None
    await world.assert_laws(clocked.db)
    await clocked.at(72 * 3600 + 9 * WAIT_S)
    await sweeps.settle_unknowns(clocked.db, 72 * 3600)
    assert await world.money(clocked.db, send) == (1, 0, 1, 0)
    assert (await world.saga(clocked.db, send))["state"] == "closed"


@pytest.mark.parametrize("again", [Rejected(11), NotSent(NotSentReason.THROTTLED, 0x58), LOST])
async def test_what_is_not_taken_the_second_time_may_have_been_the_first_and_stays_unknown(
    clocked: Clocked, again: Outcome
) -> None:
    send = Send(1, message_class=FACTUAL)
    sender = await put(clocked, send)
    sender.link.fates = {FIRST: [LOST, again]}
    await sender.turn()
    await clocked.at(WAIT_S)
    await sender.turn()

    assert await world.lefts(clocked.db, send) == {UNKNOWN: 1}
    await clocked.at(2 * WAIT_S)
    await SenderAt(clocked.db, "smpp").turn()  # this one goes slower for a while after a refusal, by the host's clock
    assert await world.lefts(clocked.db, send) == {ACCEPTED: 1}
    await world.assert_laws(clocked.db)


async def test_what_has_become_known_while_it_waited_is_not_sent_again(clocked: Clocked) -> None:
    send = Send(2, message_class=FACTUAL)
    sender = await put(clocked, send)
    sender.link.fates = {FIRST: [LOST], FIRST + 1: [LOST]}
    await sender.turn()
    for slot, (state, carrier_id) in enumerate([(Slot.ACCEPTED, "a1"), (Slot.REJECTED, "")]):
        sender.resolver.add(ChunkKey(send.tenant_id, send.bulk_id, 1), slot, state, carrier_id)
    await sender.resolver.flush()

    await clocked.at(WAIT_S)
    assert await sender.turn() == 0
    assert set(sender.link.numbers.values()) == {1}
    assert await world.money(clocked.db, send) == (2, 1, 1, 0)
    assert (await world.saga(clocked.db, send))["state"] == "closed"
    await world.assert_laws(clocked.db)


@pytest.mark.parametrize("live", [True, False])
async def test_a_late_word_that_it_was_not_taken_the_first_time_says_nothing_of_the_second(
    clocked: Clocked, live: bool
) -> None:
    """While it is being sent again, or after that."""
    send = Send(2, message_class=FACTUAL)
    sender = await put(clocked, send)
    sender.link.fates = {FIRST: [LOST, LOST], FIRST + 1: [LOST, LOST]}
    await sender.turn()
    await clocked.at(WAIT_S)
    assert await sender.feeder._step()
    if not live:
        await sender.recorder.record_due()
    for slot, state in enumerate((Slot.REJECTED, Slot.ACCEPTED)):
        sender.resolver.add(ChunkKey(send.tenant_id, send.bulk_id, 1), slot, state, "")
    await sender.resolver.flush()
    await sender.recorder.record_due()

    assert await world.left_by_seq(clocked.db, send) == {1: UNKNOWN, 2: ACCEPTED}
    await world.assert_laws(clocked.db)


async def test_who_has_opted_out_meanwhile_is_not_texted_again_and_it_stays_unknown_what_became_of_it(
    clocked: Clocked,
) -> None:
    send = Send(2, message_class=FACTUAL)
    sender = await put(clocked, send)
    sender.link.fates = {FIRST: [LOST], FIRST + 1: [LOST]}
    await sender.turn()
    async with clocked.db.worker() as tx:
        change = suppressions.Change(send.tenant_id, world.hash_of(send.tenant_id, FIRST), 1, True, 2, None)
        await suppressions.lock_tenants(tx, {send.tenant_id})
        await suppressions.apply(tx, [change])
        await suppressions.raise_counters(tx, {send.tenant_id})

    for times in range(1, 5):
        await clocked.at(times * WAIT_S)
        await sender.turn()
    assert sender.link.numbers == {FIRST: 1, FIRST + 1: 2}
    assert await world.left_by_seq(clocked.db, send) == {1: UNKNOWN, 2: ACCEPTED}
    assert await world.money(clocked.db, send) == (2, 1, 0, 1)
    await world.assert_laws(clocked.db)


async def test_a_stop_or_send_by_ends_it_and_what_is_unknown_is_held_as_ever(clocked: Clocked) -> None:
    stopped, late = Send(2, message_class=FACTUAL), Send(2, message_class=FACTUAL, send_by_ms=60_000)
    await put(clocked, late)
    sender = await put(clocked, stopped)
    sender.link.fates = {FIRST: [LOST, LOST]}
    await sender.turn()

    async with clocked.db.worker() as tx:
        await apply_facts(tx, {SagaKey(stopped.tenant_id, stopped.bulk_id): [Controlled(Control.STOP)]})
    await clocked.at(61)
    await world.sweep(clocked.db)
    await clocked.at(3 * WAIT_S)
    assert await sender.turn() == 0

    for send in (stopped, late):
        assert await world.lefts(clocked.db, send) == {ACCEPTED: 1, UNKNOWN: 1}
        assert await world.money(clocked.db, send) == (2, 1, 0, 1)
    await world.assert_laws(clocked.db)


async def test_a_pause_lets_it_wait_and_a_resume_sends_it(clocked: Clocked) -> None:
    send = Send(1, message_class=FACTUAL)
    sender = await put(clocked, send)
    sender.link.fates = {FIRST: [LOST]}
    await sender.turn()
    key = SagaKey(send.tenant_id, send.bulk_id)
    async with clocked.db.worker() as tx:
        await apply_facts(tx, {key: [Controlled(Control.PAUSE)]})
    await clocked.at(WAIT_S)
    assert await sender.turn() == 0
    async with clocked.db.worker() as tx:
        await apply_facts(tx, {key: [Controlled(Control.RESUME)]})
    assert await sender.turn() == 1
    assert (await world.saga(clocked.db, send))["state"] == "closed"


@pytest.mark.parametrize("resent", [False, True])
async def test_a_sender_that_dies_leaves_what_it_may_have_written_to_be_sent_again(
    clocked: Clocked, resent: bool
) -> None:
    """The first time, or when it was being sent again."""
    send = Send(2, message_class=FACTUAL)
    sender = await put(clocked, send)
    if resent:
        sender.link.fates = {FIRST: [LOST], FIRST + 1: [LOST]}
        await sender.turn()
        await clocked.at(WAIT_S)
    assert await sender.feeder._step()  # written, and nothing of it is recorded
    assert await sweeps.recover_account(clocked.db, "smpp", every=True) is False
    assert await world.lefts(clocked.db, send) == {UNKNOWN: 2}

    heir = SenderAt(clocked.other, "smpp")
    assert await heir.turn() == 0
    await clocked.at(2 * WAIT_S)
    assert await heir.turn() == 2
    assert await world.lefts(clocked.db, send) == {ACCEPTED: 2}
    assert await world.money(clocked.db, send) == (2, 2, 0, 0)
    await world.assert_laws(clocked.db)


async def test_of_a_long_message_the_part_that_is_unknown_is_sent_again_alone(clocked: Clocked) -> None:
    send = Send(1, text="long " * 50, message_class=FACTUAL)
    sender = await put(clocked, send)
    assert send.parts == 2
    sender.link.part_fates = [LOST, Accepted(uuid4().hex)]
    assert await sender.turn() == 2
    await clocked.at(WAIT_S)

    assert await sender.turn() == 1
    assert await world.lefts(clocked.db, send) == {ACCEPTED: 1}


async def test_a_receipt_of_the_first_time_that_comes_late_is_of_no_other_message_to_that_number(
    clocked: Clocked,
) -> None:
    one = Send(1, message_class=FACTUAL)
    other = Send(1, message_class=FACTUAL, tenant_id=one.tenant_id)
    sender = await put(clocked, one)
    await clocked.put(other)
    sender.link.fates = {FIRST: [LOST, LOST]}
    await sender.turn()
    sender.link.fates = {FIRST: [Accepted("second"), LOST]}
    await clocked.at(WAIT_S)
    await sender.turn()
    at = clock.now()
    late = WaitingReceipt("first", 1, "000", at, None, str(FIRST), one.sender.lstrip("+"))

    async with clocked.db.worker() as tx:
        parts = await receipts.unknown_parts(tx, "smpp", [world.hash_of(one.tenant_id, FIRST)])
    assert [part.settled for part in sorted(parts, key=lambda part: not part.settled)] == [True, False]
    assert all(fits(late, part) for part in parts), "two candidates"
    assert only_message(parts) == []
    assert max(part.submitted_at for part in parts) - min(part.submitted_at for part in parts) < timedelta(seconds=1)
