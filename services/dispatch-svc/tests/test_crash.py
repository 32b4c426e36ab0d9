"""A sender that dies, sleeps or loses its lease: nobody gets it twice, and nothing is lost."""

import asyncio
import sys
from collections import Counter
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import AsyncMock

import dispatch_world as world
import pytest
from dispatch_world import Send

from muster.dispatch.failpoint import POINTS, Failpoint
from muster.dispatch.handlers import sweeps
from muster.dispatch.sender.recorder import Recorder
from muster.dispatch.store import claims, queue, receipts, suppressions
from muster.events.v1 import common_pb2
from muster.kit.ids import uuid7
from muster.kit.pg import Database
from muster.kit.testing import eventually
from muster.local.carrier.server import Carrier

ACCEPTED, UNKNOWN, REJECTED = common_pb2.LEFT_ACCEPTED, common_pb2.LEFT_UNKNOWN, common_pb2.LEFT_REJECTED
SCRIPT = Path(__file__).parent / "failing_sender.py"


async def die_at(point: str, db: Database, databases: Any, carrier: Carrier) -> None:
    app, worker = databases.dsns(db, "dispatch")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, str(SCRIPT), app, worker, str(carrier.port), f"dispatch.{point}:exit"),
        stdout=asyncio.subprocess.DEVNULL,
    )
    assert await process.wait() == 86, "the failpoint fired"


@pytest.mark.parametrize("point", POINTS)
async def test_a_sender_killed_at_any_point_of_a_window_sends_nobody_twice_and_loses_nobody(
    point: str, db: Database, service_database: Any, carrier: Carrier
) -> None:
    send = Send(recipients=1_500)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, response_delay_ms=100, receipt_delay_ms=3_000))

    await die_at(point, db, service_database, carrier)

    written = len(carrier.stats.by_destination)
    assert (written > 0) == (point not in ("before_intent", "after_intent"))
    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(lambda: all_said(db, send))
        await eventually(lambda: arrived_are_accepted(db, send, carrier))
    left = await world.lefts(db, send)
    assert set(carrier.stats.by_destination.values()) == {1}, "nobody gets it twice"
    assert left[ACCEPTED] + left[UNKNOWN] == 1_500
    reserved, used, released, held = await world.money(db, send)
    assert (reserved, used, released, held) == (1_500, left[ACCEPTED], 0, left[UNKNOWN])
    assert left[ACCEPTED] == len(carrier.stats.by_destination), "receipts resolve all that was written"
    if point == "after_intent":
        assert left[UNKNOWN] == 1_000, "the window that was intended and never written is not sent again"
    elif point == "before_intent":
        assert left[UNKNOWN] == 0, "what was not intended is sent"
    else:
        # While what was written is answered or recorded, the next chunk's intent may just be committed.
        assert left[UNKNOWN] in (0, 500), "what was intended and never written is not sent again, all else is sent"
    await world.assert_laws(db)


async def all_said(db: Database, send: Send) -> bool:
    return (await world.lefts(db, send)).total() == send.recipients


async def arrived_are_accepted(db: Database, send: Send, carrier: Carrier) -> bool:
    return (await world.lefts(db, send))[ACCEPTED] == len(carrier.stats.by_destination)


async def test_a_chunk_that_a_suppression_emptied_counts_as_done_though_its_sender_died_before_it_said_so(
    db: Database, carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    send = Send(recipients=1)
    await world.queue(db, send)
    number_hash = world.hash_of(send.tenant_id, send.numbers[0])
    async with db.worker() as tx:
        await suppressions.lock_tenants(tx, {send.tenant_id})
        await suppressions.apply(tx, [suppressions.Change(send.tenant_id, number_hash, 1, True, 1, None)])
        await suppressions.raise_counters(tx, {send.tenant_id})
    conf = world.settings(carrier_port=carrier.port)

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "record_due", AsyncMock())
        async with world.sending(db, conf) as running:
            await eventually(lambda: all_said(db, send))
            await running.kill()
    async with world.sending(db, conf):
        await eventually(partial(world.closed, db, send))

    assert carrier.stats.by_destination == {}
    assert await world.money(db, send) == (1, 0, 1, 0)


async def test_a_sender_that_slept_between_intent_and_write_writes_nothing(db: Database, carrier: Carrier) -> None:
    send = Send(recipients=10)
    await world.queue(db, send)

    conf = world.settings(carrier_port=carrier.port, dispatch_guard_s=0.2, failpoint="dispatch.after_intent:sleep=0.4")
    async with world.sending(db, conf):
        await eventually(partial(world.closed, db, send))

    assert Counter(carrier.stats.by_destination.values()) == {1: 10}, "the stale window was intended again"
    async with db.worker() as tx:
        assert await tx.fetchval("SELECT jsonb_array_length(intents) FROM attempt") == 2


async def test_a_sender_whose_lease_ran_out_while_it_slept_is_fenced_and_its_answers_still_count(
    db: Database, carrier: Carrier
) -> None:
    send = Send(recipients=10)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, response_delay_ms=600, receipt_loss=1.0))

    conf = world.settings(carrier_port=carrier.port, dispatch_watch_s=5)
    async with world.sending(db, conf):
        await eventually(lambda: submitted(carrier, 10))
        assert not await sweeps.recover_account(db, "smpp", every=True)
        assert await world.lefts(db, send) == {UNKNOWN: 10}
        assert await world.money(db, send) == (10, 0, 0, 10)
        await eventually(partial(world.closed, db, send))

    assert await world.lefts(db, send) == {ACCEPTED: 10}
    assert Counter(carrier.stats.by_destination.values()) == {1: 10}
    await world.assert_laws(db)


@pytest.mark.parametrize("throttled", [0.0, 0.5])
async def test_answers_that_come_after_a_lost_lease_was_noticed_still_count(
    throttled: float, db: Database, carrier: Carrier
) -> None:
    send = Send(recipients=40)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, response_delay_ms=1_000, throttle_ratio=throttled, receipt_loss=1.0))

    # Two windows: the answers of the first are recorded, and the loss is noticed, while the second is on the wire.
    conf = world.settings(carrier_port=carrier.port, carrier_window=20, dispatch_record_s=0.5)
    async with world.sending(db, conf):
        await eventually(lambda: submitted(carrier, 40))
        assert not await sweeps.recover_account(db, "smpp", every=True)
        await eventually(partial(world.closed, db, send))

    left, taken = await world.lefts(db, send), len(carrier.stats.by_destination)
    assert left == Counter({ACCEPTED: taken, REJECTED: 40 - taken}), "of each it is known whether it was taken"
    assert set(carrier.stats.by_destination.values()) == {1}
    await world.assert_laws(db)


async def submitted(carrier: Carrier, count: int) -> bool:
    return carrier.stats.submits >= count


async def test_recovery_returns_what_is_above_the_intent_and_leaves_unknown_what_is_below(db: Database) -> None:
    send = Send(recipients=100)
    await world.queue(db, send)
    owner = uuid7()
    async with db.worker() as tx:
        await queue.share_tenants(tx, {send.tenant_id})
        [claimed] = await claims.claim(tx, await claims.waiting(tx, "smpp", 10, 10), owner, 10.0)
        assert await queue.intend(tx, [queue.Intent(claimed.key, 40, 0)], owner, 10.0)
        # Receipts that came so soon that they were stored before the outcomes were.
        await receipts.save(tx, [(claimed.key.chunk, bytes([1] * 3 + [2] + [0] * 96), 1)])

    await sweeps.recover_account(db, "smpp", every=True)

    assert await world.lefts(db, send) == {UNKNOWN: 36, ACCEPTED: 4}
    async with db.worker() as tx:
        [waiting] = await claims.waiting(tx, "smpp", 10, 10)
        [again] = await claims.claim(tx, [waiting], uuid7(), 10.0)
        assert (again.intent_upto, again.key.epoch) == (40, claimed.key.epoch + 2)
        assert await queue.intend(tx, [queue.Intent(claimed.key, 80, 0)], owner, 10.0) == set(), "fenced"


async def test_a_live_lease_is_left_alone_and_an_expired_one_is_recovered(db: Database) -> None:
    send = Send(recipients=10)
    await world.queue(db, send)
    async with db.worker() as tx:
        [claimed] = await claims.claim(tx, await claims.waiting(tx, "smpp", 10, 10), uuid7(), 10.0)

    await sweeps.recover_expired(db)
    async with db.worker() as tx:
        assert await claims.waiting(tx, "smpp", 10, 10) == []
        await tx.execute("UPDATE attempt SET lease_until = kit_now() - interval '1 second'")
    await sweeps.recover_expired(db)

    async with db.worker() as tx:
        [waiting] = await claims.waiting(tx, "smpp", 10, 10)
        assert waiting.chunk == claimed.key.chunk.chunk


@pytest.mark.parametrize("armed", ["dispatch.nowhere:exit", "dispatch.after_intent:explode", "dispatch.after_intent"])
def test_a_failpoint_that_does_not_exist_is_refused(armed: str) -> None:
    with pytest.raises(ValueError, match="no such failpoint"):
        Failpoint(armed)


def test_a_failpoint_is_refused_in_production() -> None:
    with pytest.raises(ValueError, match="armed in production"):
        world.settings(failpoint="dispatch.after_intent:exit", environment="production")


async def test_a_lease_whose_claim_was_never_answered_is_given_back_by_its_owner(db: Database) -> None:
    send = Send(recipients=10)
    await world.queue(db, send)
    owner = uuid7()
    async with db.worker() as tx:
        [claimed] = await claims.claim(tx, await claims.waiting(tx, "smpp", 10, 10), owner, 10.0)
        await queue.intend(tx, [queue.Intent(claimed.key, 10, 0)], owner, 10.0)

    async with db.worker() as tx:
        await queue.release_orphans(tx, "smpp", owner, [claimed.key.chunk])
        assert await claims.waiting(tx, "smpp", 10, 10) == [], "one that it knows is its own"
        await queue.release_orphans(tx, "smpp", owner, [])
        [waiting] = await claims.waiting(tx, "smpp", 10, 10)
        [again] = await claims.claim(tx, [waiting], owner, 10.0)

    assert again.intent_upto == 0
    assert await world.lefts(db, send) == {}, "nothing of it is unknown"


async def test_a_chunk_that_is_retried_after_its_receipts_goes_on_from_their_version(
    db: Database, carrier: Carrier
) -> None:
    send = Send(recipients=40)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, throttle_ratio=0.5))

    async with world.sending(db, world.settings(carrier_port=carrier.port, dispatch_retry_s_min=1.5)):
        await eventually(lambda: some_receipts(db, send))
    carrier.use(replace(carrier.options, throttle_ratio=0.0))
    # A new process, and so long after that no chunk is recent any more.
    async with db.worker() as tx:
        await tx.execute("UPDATE chunk SET submitted_at = submitted_at - interval '2 hours'")
    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(partial(world.closed, db, send))
        await eventually(lambda: all_receipts(db, send))

    assert set(carrier.stats.by_destination.values()) == {1}
    await world.assert_laws(db)


async def some_receipts(db: Database, send: Send) -> bool:
    return (await world.receipts(db, send)).total() > 0


async def all_receipts(db: Database, send: Send) -> bool:
    return (await world.receipts(db, send)).total() == send.recipients
