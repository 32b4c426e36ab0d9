"""A send of which too many messages are refused or fail pauses itself, once, and goes on when it is told to."""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import dispatch_world as world
import pytest
from dispatch_world import Send
from hypothesis import given
from hypothesis import strategies as st

from muster.dispatch.domain.health import Health, Limits, after, ails
from muster.dispatch.domain.receipts import Receipt
from muster.dispatch.domain.saga import Control, Controlled
from muster.dispatch.domain.slots import Slot
from muster.dispatch.events import ChunkKey
from muster.dispatch.handlers import ailing
from muster.dispatch.handlers.sagas import apply_facts
from muster.dispatch.sender.judge import Judge
from muster.dispatch.store.sagas import SagaKey
from muster.events.v1 import bulk_pb2
from muster.kit.ids import uuid7
from muster.kit.pg import Database
from muster.kit.testing import eventually
from muster.local.carrier.server import Carrier

LIMITS = Limits(percent_max=50, judged_min=100)
counts = st.integers(0, 2_000)


@pytest.mark.parametrize(
    ("good", "bad", "ailing"),
    [(0, 99, False), (0, 100, True), (50, 50, False), (49, 51, True), (100, 100, False), (10_000, 0, False)],
)
def test_it_ails_above_the_limit_and_never_on_fewer_outcomes_than_can_be_judged(
    good: int, bad: int, ailing: bool
) -> None:
    assert ails(Health(good, bad), LIMITS) is ailing


def test_a_limit_of_a_hundred_is_never_exceeded() -> None:
    assert not ails(Health(0, 500), Limits(100, 100))


def test_a_long_good_past_does_not_hide_that_all_fail_now() -> None:
    health = after(Health(), 1_000_000, 0, LIMITS)

    failed = 0
    while not ails(health, LIMITS):
        failed += 50
        health = after(health, 0, 50, LIMITS)

    assert failed <= 5 * LIMITS.judged_min


@given(st.lists(st.tuples(counts, counts), max_size=50))
def test_what_is_remembered_is_bounded_and_only_bad_outcomes_make_a_send_ail(outcomes: list[tuple[int, int]]) -> None:
    health, clean = Health(), Health()
    for good, bad in outcomes:
        health, clean = after(health, good, bad, LIMITS), after(clean, good, 0, LIMITS)
        assert health.good + health.bad <= 5 * LIMITS.judged_min
    assert not ails(clean, LIMITS)


def test_outcomes_of_before_the_last_control_count_for_nothing() -> None:
    judge, key = Judge(LIMITS), ChunkKey(uuid7(), uuid7(), 1)
    queued, accepted, rejected = bytes(200), bytes([Slot.ACCEPTED] * 10 + [0] * 190), bytes([Slot.REJECTED] * 200)
    judge.answered(key, 2, queued, accepted)

    judge.answered(key, 1, queued, rejected)
    judge.received(key, 1, queued, bytes([Receipt.UNDELIVERED] * 200))
    assert not judge.ailing

    judge.answered(key, 2, queued, rejected)
    assert judge.ailing == {SagaKey(key.tenant_id, key.bulk_id): 2}


async def control(db: Database, send: Send, act: Control) -> None:
    async with db.worker() as tx:
        await apply_facts(tx, {SagaKey(send.tenant_id, send.bulk_id): [Controlled(act)]})


async def paused(db: Database, send: Send) -> bool:
    return bool((await world.saga(db, send))["paused"])


def refusing(carrier: Carrier) -> None:
    carrier.use(replace(carrier.options, reject_ratio=1.0))


def failing(carrier: Carrier) -> None:
    carrier.use(replace(carrier.options, undelivered_ratio=1.0))


@pytest.mark.parametrize("ill", [refusing, failing])
async def test_a_send_that_fails_is_paused_once_with_a_reason_and_goes_on_when_it_is_resumed(
    db: Database, carrier: Carrier, ill: Callable[[Carrier], None]
) -> None:
    send = Send(recipients=600, chunk_size=100)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, response_delay_ms=50))
    healthy = carrier.options
    ill(carrier)
    conf = world.settings(carrier_port=carrier.port, carrier_window=20, dispatch_judged_parts_min=50)

    async with world.sending(db, conf):
        await eventually(partial(paused, db, send))
        [said] = await world.said(db, "BulkSmsControlled")
        await eventually(lambda: nothing_leased(db, send))
        carrier.use(healthy)
        await control(db, send, Control.RESUME)
        await eventually(partial(world.closed, db, send))

    assert (said.control, said.reason, said.user_id) == (bulk_pb2.CONTROL_PAUSE, "error_rate", "")
    controls = [one.control for one in await world.said(db, "BulkSmsControlled")]
    assert controls == [bulk_pb2.CONTROL_PAUSE, bulk_pb2.CONTROL_RESUME], "old outcomes did not pause it again"
    assert set(carrier.stats.by_destination.values()) <= {1}
    await world.assert_laws(db)


async def nothing_leased(db: Database, send: Send) -> bool:
    async with db.worker() as tx:
        return not await tx.fetchval("SELECT count(*) FROM attempt WHERE state = 1")


async def test_a_send_that_mostly_arrives_is_left_alone(db: Database, carrier: Carrier) -> None:
    send = Send(recipients=300, chunk_size=100)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, reject_ratio=0.2))

    async with world.sending(db, world.settings(carrier_port=carrier.port, dispatch_judged_parts_min=50)):
        await eventually(partial(world.closed, db, send))

    assert await world.said(db, "BulkSmsControlled") == []


async def test_a_send_that_a_person_has_controlled_meanwhile_is_not_paused_for_what_was_before(db: Database) -> None:
    send = Send(recipients=10)
    await world.queue(db, send)
    key = SagaKey(send.tenant_id, send.bulk_id)
    await control(db, send, Control.PAUSE)
    await control(db, send, Control.RESUME)

    async with db.worker() as tx:
        assert not await ailing.pause(tx, key, 0)
        assert await ailing.pause(tx, key, 2)
        assert not await ailing.pause(tx, key, 2), "once"
    await control(db, send, Control.STOP)
    async with db.worker() as tx:
        assert not await ailing.pause(tx, key, 4)
