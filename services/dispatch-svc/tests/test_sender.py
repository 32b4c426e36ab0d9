"""The sender against a real SMPP server, on real PostgreSQL: what is sent, to whom, and what it costs."""

from collections import Counter
from dataclasses import replace
from functools import partial

import dispatch_world as world
import pytest
from dispatch_world import Send

from muster.dispatch.handlers import sweeps
from muster.events.v1 import common_pb2
from muster.events.v1.credits_pb2 import CreditsRefused
from muster.events.v1.suppressions_pb2 import SuppressionChanged
from muster.kit.pg import Database
from muster.kit.testing import eventually
from muster.local.carrier.server import Carrier

DELIVERED, EXPIRED = common_pb2.RECEIPT_STATE_DELIVERED, common_pb2.RECEIPT_STATE_EXPIRED
UNDELIVERED = common_pb2.RECEIPT_STATE_UNDELIVERED
ACCEPTED, UNKNOWN, REJECTED = common_pb2.LEFT_ACCEPTED, common_pb2.LEFT_UNKNOWN, common_pb2.LEFT_REJECTED
STOPPED, SUPPRESSED = common_pb2.LEFT_STOPPED, common_pb2.LEFT_SUPPRESSED
TWO_PARTS = "Our salon moves to the other side of the road. " * 5


async def test_a_send_of_2000_reaches_everyone_once_with_receipts_and_closes(db: Database, carrier: Carrier) -> None:
    send = Send(recipients=2_000)
    await world.queue(db, send)

    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(partial(world.closed, db, send))
        await eventually(lambda: all_have_receipts(db, send))

    assert await world.lefts(db, send) == {ACCEPTED: 2_000}
    assert Counter(carrier.stats.by_destination.values()) == {1: 2_000}
    assert await world.money(db, send) == (2_000, 2_000, 0, 0)
    assert await world.receipts(db, send) == {DELIVERED: 2_000}
    await world.assert_laws(db)


async def all_have_receipts(db: Database, send: Send) -> bool:
    return (await world.receipts(db, send)).total() == send.recipients


async def test_parts_carry_one_reference_for_each_recipient_and_are_charged_by_part(
    db: Database, carrier: Carrier
) -> None:
    send = Send(recipients=20, text=TWO_PARTS)
    await world.queue(db, send)

    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(partial(world.closed, db, send))
        await eventually(lambda: all_have_receipts(db, send))

    assert await world.money(db, send) == (40, 40, 0, 0)
    headers = {(submit.destination, submit.payload[:6]) for _, _, submit in carrier.stats.messages}
    # reference_base 250 and seq 20 are past 256: references begin again at 0.
    first, last = str(send.numbers[0]), str(send.numbers[-1])
    assert {head for number, head in headers if number == first} == {b"\5\0\3\xfb\2\1", b"\5\0\3\xfb\2\2"}
    assert {head for number, head in headers if number == last} == {b"\5\0\3\x0e\2\1", b"\5\0\3\x0e\2\2"}
    assert await world.receipts(db, send) == {DELIVERED: 20}
    await world.assert_laws(db)


async def test_a_throttling_carrier_gets_everything_in_the_end_and_no_credit_leaks(
    db: Database, carrier: Carrier
) -> None:
    # As few as that show it: a carrier that refuses at whatever rate is written to at the slowest one there is.
    send = Send(recipients=210, text=TWO_PARTS, chunk_size=70)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, throttle_ratio=0.3))

    conf = world.settings(carrier_port=carrier.port, dispatch_retry_s_min=0.02, dispatch_retry_s_max=0.1)
    async with world.sending(db, conf):
        await eventually(partial(world.closed, db, send))

    assert carrier.stats.throttled > 100
    heads: dict[str, list[bytes]] = {}
    for _, _, submit in carrier.stats.messages:
        heads.setdefault(submit.destination, []).append(submit.payload[:6])
    assert len(heads) == 210
    for parts in heads.values():
        assert sorted(head[4:] for head in parts) == [b"\2\1", b"\2\2"], "each part once"
        assert len({head[:4] for head in parts}) == 1, "under one reference, however often it was tried"
    assert await world.money(db, send) == (420, 420, 0, 0)
    assert await world.lefts(db, send) == {ACCEPTED: 210}
    await world.assert_laws(db)


async def test_what_the_carrier_refuses_is_released_and_what_it_takes_is_used(db: Database, carrier: Carrier) -> None:
    send = Send(recipients=400, price=3)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, reject_ratio=0.2))

    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(partial(world.closed, db, send))

    left = await world.lefts(db, send)
    assert left[REJECTED] == carrier.stats.rejected > 20
    assert await world.money(db, send) == (1_200, left[ACCEPTED] * 3, left[REJECTED] * 3, 0)
    facts = await world.said(db, "SmsDispatched")
    errors = {error for fact in facts for error, how in zip(fact.error, fact.left, strict=True) if how == REJECTED}
    assert errors == {0x0B}
    await world.assert_laws(db)


async def test_with_too_few_credits_the_first_ones_are_sent_and_the_rest_stopped(
    db: Database, carrier: Carrier
) -> None:
    send = Send(recipients=700)
    await world.queue(db, send, credits=450)

    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(partial(world.closed, db, send))

    left = await world.left_by_seq(db, send)
    assert {seq for seq, how in left.items() if how == ACCEPTED} == set(range(1, 451))
    assert Counter(left.values()) == {ACCEPTED: 450, STOPPED: 250}
    reasons = {fact.reason for fact in await world.said(db, "SmsDispatched") if STOPPED in fact.left}
    assert reasons == {"credits"}
    assert await world.money(db, send) == (450, 450, 0, 0)
    await world.assert_laws(db)


async def test_a_refused_send_ends_with_everyone_stopped_for_credits(db: Database) -> None:
    send = Send(recipients=600)
    await world.hear(db, send.requested(), send.chunk(1))

    await world.hear(db, CreditsRefused(tenant_id=str(send.tenant_id), bulk_id=str(send.bulk_id)))
    await world.hear(db, send.chunk(2))
    await world.sweep(db)

    assert await world.lefts(db, send) == {STOPPED: 600}
    assert {fact.reason for fact in await world.said(db, "SmsDispatched")} == {"credits"}
    saga = await world.saga(db, send)
    assert (saga["state"], saga["stopped"], saga["sweep"]) == ("refused", 600, False)
    assert await world.said(db, "BulkSmsAccounted") == []


async def test_receipts_early_twice_late_and_in_another_base_end_right(db: Database, carrier: Carrier) -> None:
    send = Send(recipients=500, chunk_size=100)
    await world.queue(db, send)
    carrier.use(
        replace(
            carrier.options,
            response_delay_ms=150,
            receipt_delay_ms=1,
            receipt_duplicate=0.3,
            receipt_reorder=0.3,
            undelivered_ratio=0.1,
            expired_ratio=0.1,
            id_format="hex",
            receipt_id_format="dec",
        )
    )

    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(partial(world.closed, db, send))
        await eventually(lambda: all_have_receipts(db, send))

    ends = await world.receipts(db, send)
    assert ends[UNDELIVERED] > 20
    assert ends[EXPIRED] > 20
    assert ends.total() == 500
    assert carrier.stats.receipts_repeated > 50
    await world.assert_laws(db)


async def test_of_a_lost_window_receipts_resolve_what_arrived_and_the_rule_settles_the_rest(
    db: Database, carrier: Carrier
) -> None:
    send = Send(recipients=300, chunk_size=100)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, disconnect_every=150, receipt_delay_ms=1_000, response_delay_ms=20))

    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(lambda: someone_is_unknown(db, send))
        carrier.use(replace(carrier.options, disconnect_every=0))
        await eventually(lambda: arrived_are_accepted(db, send, carrier))

    arrived = len(carrier.stats.by_destination)
    assert set(carrier.stats.by_destination.values()) == {1}, "nobody gets it twice"
    assert await world.lefts(db, send) == {ACCEPTED: arrived, UNKNOWN: 300 - arrived}
    assert await world.money(db, send) == (300, arrived, 0, 300 - arrived)
    assert not await sweeps.settle_unknowns(db, 0.0)
    assert await world.closed(db, send)
    assert await world.money(db, send) == (300, arrived, 300 - arrived, 0)
    await world.assert_laws(db)


async def arrived_are_accepted(db: Database, send: Send, carrier: Carrier) -> bool:
    accepted = (await world.lefts(db, send))[ACCEPTED]
    return accepted >= 150 and accepted == len(carrier.stats.by_destination)


async def someone_is_unknown(db: Database, send: Send) -> bool:
    return (await world.lefts(db, send))[UNKNOWN] > 0


async def test_a_late_answer_resolves_what_had_timed_out(db: Database, carrier: Carrier) -> None:
    send = Send(recipients=50)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, response_delay_ms=700, receipt_loss=1.0))

    async with world.sending(db, world.settings(carrier_port=carrier.port, carrier_response_timeout_s=0.3)):
        await eventually(lambda: someone_is_unknown(db, send))
        await eventually(partial(world.closed, db, send))

    assert await world.lefts(db, send) == {ACCEPTED: 50}
    assert await world.money(db, send) == (50, 50, 0, 0)


async def test_a_suppressed_number_gets_nothing_and_its_credits_come_back(db: Database, carrier: Carrier) -> None:
    send = Send(recipients=100)
    await world.queue(db, send)
    await world.hear(db, suppression(send, send.numbers[6]))

    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(partial(world.closed, db, send))

    assert str(send.numbers[6]) not in carrier.stats.by_destination
    assert (await world.left_by_seq(db, send))[7] == SUPPRESSED
    assert await world.money(db, send) == (100, 99, 1, 0)
    await world.assert_laws(db)


def suppression(send: Send, number: int, version: int = 1, *, suppressed: bool = True) -> SuppressionChanged:
    return SuppressionChanged(
        tenant_id=str(send.tenant_id),
        number_hash=world.hash_of(send.tenant_id, number),
        version=version,
        suppressed=suppressed,
        scope=common_pb2.SUPPRESSION_SCOPE_MARKETING,
    )


async def test_a_suppression_in_the_middle_of_a_chunk_beats_what_is_not_yet_written(
    db: Database, carrier: Carrier
) -> None:
    send = Send(recipients=300)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, response_delay_ms=100))

    async with world.sending(db, world.settings(carrier_port=carrier.port, carrier_window=20)):
        await eventually(lambda: submitted(carrier, 20))
        await world.hear(db, *(suppression(send, number) for number in send.numbers[200:]))
        await eventually(partial(world.closed, db, send))

    assert not {str(number) for number in send.numbers[200:]} & set(carrier.stats.by_destination)
    assert await world.lefts(db, send) == {ACCEPTED: 200, SUPPRESSED: 100}
    await world.assert_laws(db)


async def submitted(carrier: Carrier, count: int) -> bool:
    return carrier.stats.submits >= count


async def test_a_factual_message_passes_a_marketing_suppression(db: Database, carrier: Carrier) -> None:
    send = Send(recipients=3, message_class=common_pb2.MESSAGE_CLASS_FACTUAL)
    await world.queue(db, send)
    await world.hear(db, suppression(send, send.numbers[1]))

    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(partial(world.closed, db, send))

    assert await world.lefts(db, send) == {ACCEPTED: 3}


async def test_what_is_left_when_the_time_is_over_is_stopped_by_the_databases_clock(
    db: Database, carrier: Carrier
) -> None:
    send = Send(recipients=200, send_by_ms=1_200)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, response_delay_ms=300))

    async with world.sending(db, world.settings(carrier_port=carrier.port, carrier_window=10)):
        await eventually(lambda: swept_and_closed(db, send))

    left = await world.lefts(db, send)
    assert left[ACCEPTED] + left[STOPPED] == 200
    assert left[ACCEPTED] == len(carrier.stats.by_destination)
    assert left[STOPPED] > 0
    assert {fact.reason for fact in await world.said(db, "SmsDispatched") if STOPPED in fact.left} == {"send_by"}
    await world.assert_laws(db)


async def swept_and_closed(db: Database, send: Send) -> bool:
    await world.sweep(db)
    return await world.closed(db, send)


@pytest.mark.parametrize("rate", [150])
async def test_the_rate_of_a_carrier_is_kept(db: Database, carrier: Carrier, rate: int) -> None:
    send = Send(recipients=300)
    await world.queue(db, send)

    async with world.sending(db, world.settings(carrier_port=carrier.port, carrier_parts_per_second=rate)):
        await eventually(partial(world.closed, db, send))

    times = [at for _, at, _ in carrier.stats.messages]
    most = max(sum(1 for other in times if at <= other < at + 0.4) for at in times)
    assert most <= rate, "half a second's worth at once, and what has come in meanwhile"
