"""What waits goes by another account while one is down, fails or drains, and back again, and nobody is texted twice:
here by HTTP while SMPP cannot."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import carriers_world
import dispatch_world as world
import http_world
import pytest
from carriers_world import Operator, operator, route_to, senders, settings
from dispatch_world import Send

from muster.dispatch.events import ChunkKey
from muster.dispatch.handlers.failover import Failover
from muster.dispatch.store import claims, moving, queue
from muster.events import NIL_TENANT
from muster.events.v1 import common_pb2
from muster.kit.ids import uuid7
from muster.kit.pg import Database
from muster.kit.testing import eventually
from muster.local.carrier.options import CarrierOptions
from muster.local.carrier.server import Carrier

ACCEPTED, UNKNOWN, REJECTED = common_pb2.LEFT_ACCEPTED, common_pb2.LEFT_UNKNOWN, common_pb2.LEFT_REJECTED


@pytest.fixture(autouse=True)
def no_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    carriers_world.without_kafka(monkeypatch)


def conf(carrier: Carrier, **members: Any) -> Any:
    """Everything within fractions of a second; `smpp` is at this carrier."""
    given = {
        "dispatch_down_s": 60.0, "dispatch_failing_parts_min": 10, "dispatch_rest_s_min": 0.3,
        "dispatch_mend_step_s": 0.2, "dispatch_aside_s": 0.5, "carrier_rebind_s_max": 0.3, "carrier_window": 20,
        **members,
    }  # fmt: skip
    return settings(carrier_port=carrier.port, **given)


@pytest.fixture
async def other() -> AsyncIterator[Carrier]:
    """A second carrier, which speaks HTTP."""
    async with Carrier(CarrierOptions(password="muster", http_port=0)) as found:
        yield found


@asynccontextmanager
async def running(db: Database, carrier: Carrier, other: Carrier, **members: Any) -> AsyncIterator[Operator]:
    """Two senders and a worker that judges; `smpp` at one carrier and `web` at the other."""
    used = conf(carrier, **members)
    judging = asyncio.create_task(_judge(Failover(db, used)))
    async with operator(db, used) as op, senders(db, 2, used):
        await eventually(partial(has, op, "smpp", connections=1))
        http = {"profile": http_world.profile(other.http_port), "secrets": {"auth": "muster"}}
        made = await op("POST", "", {"account": "web", "http": http, "parts_window": 20})
        assert made.status_code == 201, made.text
        await route_to(db, "smpp")
        await eventually(partial(has, op, "web", applied=True))
        try:
            yield op
        finally:
            judging.cancel()
            await asyncio.gather(judging, return_exceptions=True)
    assert judging.cancelled()


async def _judge(failover: Failover) -> None:
    while True:
        await failover.look()
        await asyncio.sleep(0.05)


async def has(op: Operator, account: str, **standing: Any) -> bool:
    answer = await op("GET", f"/{account}")
    return answer.status_code == 200 and standing.items() <= answer.json()["standing"].items()


async def gets(op: Operator, account: str, share: int, why: str = "") -> bool:
    health = (await op("GET", f"/{account}")).json()["health"]
    return (health["share"], health["why"]) == (share, why)


async def sent(carrier: Carrier, count: int) -> bool:
    return carrier.stats.submits >= count


async def lead(op: Operator, *accounts: tuple[str, int]) -> None:
    body = {"accounts": [{"account": name, "weight": weight} for name, weight in accounts]}
    answer = await op.at("/v1/routes")("PATCH", "/default", body)
    assert answer.status_code == 200, answer.text


def twice(*carriers: Carrier) -> list[str]:
    """Numbers that both carriers took something for, and whatever one took twice."""
    taken = [set(one.report(destinations=True)["accepted_by_destination"]) for one in carriers]
    return sorted(set.intersection(*taken)) + [
        f"{one.stats.duplicates} again" for one in carriers if one.stats.duplicates
    ]


async def carried_by(db: Database, send: Send) -> Counter[str]:
    """Messages that were accepted, by the account that said so."""
    found: Counter[str] = Counter()
    for fact in await world.said(db, "SmsDispatched"):
        if fact.bulk_id == str(send.bulk_id):
            found[fact.carrier] += sum(left == ACCEPTED for left in fact.left)
    return found


async def test_a_send_goes_by_two_carriers_by_weight_and_each_gets_its_own(
    db: Database, carrier: Carrier, other: Carrier
) -> None:
    # Chunks are led by chance: of a hundred each carrier gets more than twenty, but for one run in 10^9.
    send = Send(recipients=200, chunk_size=2)
    async with running(db, carrier, other) as op:
        await lead(op, ("smpp", 1), ("web", 1))
        await world.queue(db, send)
        await eventually(partial(world.closed, db, send))

    assert await world.lefts(db, send) == {ACCEPTED: 200}
    assert carrier.stats.accepted + other.stats.accepted == 200
    assert min(carrier.stats.accepted, other.stats.accepted) > 40
    assert await carried_by(db, send) == {"smpp": carrier.stats.accepted, "web": other.stats.accepted}
    assert twice(carrier, other) == []
    await world.assert_laws(db)


async def test_a_carrier_that_goes_away_in_the_middle_is_passed_over_and_gets_its_own_again_when_it_is_back(
    db: Database, carrier: Carrier, other: Carrier
) -> None:
    for one in (carrier, other):
        one.use(replace(one.options, response_delay_ms=40))
    send = Send(recipients=1_200, chunk_size=10)
    async with running(db, carrier, other, dispatch_down_s=0.3) as op:
        await lead(op, ("smpp", 1), ("web", 0))
        await world.queue(db, send)
        await eventually(partial(sent, carrier, 100))
        carrier.options = replace(carrier.options, system_id="nobody")
        carrier.disconnect()
        await eventually(partial(gets, op, "smpp", 0, "down"))
        await eventually(partial(sent, other, 200))
        before = carrier.stats.submits
        carrier.options = replace(carrier.options, system_id="muster")
        await eventually(partial(gets, op, "smpp", 100))
        await eventually(partial(world.closed, db, send))

    found = await world.lefts(db, send)
    assert found[ACCEPTED] + found[UNKNOWN] == 1_200
    assert found[UNKNOWN] <= 20, "what was on the wire, and no more"
    assert carrier.stats.submits > before, "it has drifted back"
    assert twice(carrier, other) == []
    reserved, used, released, held = await world.money(db, send)
    assert reserved == used + released + held
    await world.assert_laws(db)


async def test_a_carrier_that_refuses_most_of_what_it_gets_loses_the_rest_to_the_other(
    db: Database, carrier: Carrier, other: Carrier
) -> None:
    carrier.use(replace(carrier.options, reject_ratio=1.0, reject_status="system", response_delay_ms=20))
    send = Send(recipients=600, chunk_size=10)
    async with running(db, carrier, other, dispatch_judged_parts_min=20, dispatch_rest_s_min=60.0) as op:
        await lead(op, ("smpp", 1), ("web", 0))
        await world.queue(db, send)
        await eventually(partial(world.closed, db, send))
        assert await gets(op, "smpp", 0, "errors")

    found = await world.lefts(db, send)
    assert found[REJECTED] == carrier.stats.rejected < 300
    assert found[ACCEPTED] == other.stats.accepted == 600 - found[REJECTED]
    assert twice(carrier, other) == []


async def test_numbers_that_are_no_numbers_are_no_fault_of_their_carrier(
    db: Database, carrier: Carrier, other: Carrier
) -> None:
    carrier.use(replace(carrier.options, reject_ratio=1.0))
    send = Send(recipients=200, chunk_size=10)
    async with running(db, carrier, other, dispatch_refused_percent_max=100) as op:
        await lead(op, ("smpp", 1), ("web", 0))
        await world.queue(db, send)
        await eventually(partial(world.closed, db, send))
        assert await gets(op, "smpp", 100)

    assert (carrier.stats.rejected, other.stats.submits) == (200, 0)


async def test_the_account_of_the_default_route_is_drained_without_loss_and_what_needs_it_waits(
    db: Database, carrier: Carrier, other: Carrier
) -> None:
    carrier.use(replace(carrier.options, response_delay_ms=30))
    short = Send(recipients=400, chunk_size=10)
    long = Send(recipients=30, chunk_size=10, text="x" * 200, first_number=61_412_000_000)
    async with running(db, carrier, other) as op:
        await op.change("web", reference_bits=16)
        await eventually(partial(has, op, "web", applied=True))
        await lead(op, ("smpp", 1), ("web", 0))
        await world.queue(db, short)
        await eventually(partial(sent, carrier, 30))
        assert (await op("POST", "/smpp/drain")).status_code == 200
        await world.queue(db, long)
        await eventually(partial(world.closed, db, short))
        assert (await op.standing("smpp"))["in_flight"] == 0
        assert (await world.saga(db, long))["accepted"] == 0, "a long one could need a part more elsewhere"
        assert (await op("POST", "/smpp/open")).status_code == 200
        await eventually(partial(world.closed, db, long))

    assert await world.lefts(db, short) == {ACCEPTED: 400}
    assert await world.lefts(db, long) == {ACCEPTED: 30}
    assert (await carried_by(db, long)).keys() == {"smpp"}
    assert twice(carrier, other) == []
    await world.assert_laws(db)


async def test_what_waits_follows_a_route_that_leads_to_another_account_and_to_that_alone(db: Database) -> None:
    send = Send(recipients=10)
    async with operator(db, settings()) as op:
        await op.create("smpp", 2775)
        await op.create("east", 2776)
        await route_to(db, "smpp")
        await world.queue(db, send)
        failover = Failover(db, settings())
        await failover.look()
        async with db.worker() as tx:
            assert len(await claims.waiting(tx, "smpp", 10, 10)) == 1

        await lead(op, ("east", 1))
        await failover.look()

    async with db.worker() as tx:
        assert await claims.waiting(tx, "smpp", 10, 10) == [], "nobody sends by it any more: it would wait for ever"
        assert len(await claims.waiting(tx, "east", 10, 10)) == 1


async def test_a_chunk_that_is_led_elsewhere_between_a_look_and_its_claim_is_not_claimed(db: Database) -> None:
    send = Send(recipients=10)
    await world.queue(db, send)
    key = ChunkKey(send.tenant_id, send.bulk_id, 1)
    async with db.worker() as tx:
        chosen = await claims.waiting(tx, "smpp", 10, 10)
        async with db.worker() as other:
            assert await moving.move(other, [moving.Move(key, "smpp", "web", "default")]) == 1
            assert await moving.move(other, [moving.Move(key, "smpp", "west", "default")]) == 0
        assert await claims.claim(tx, chosen, uuid7(), 10.0) == []
        assert [one.account for one in await claims.waiting(tx, "web", 10, 10)] == ["web"]


async def test_a_chunk_that_was_claimed_or_begun_is_led_nowhere(db: Database) -> None:
    send, owner = Send(recipients=10), uuid7()
    await world.queue(db, send)
    move = moving.Move(ChunkKey(send.tenant_id, send.bulk_id, 1), "smpp", "web", "default")
    async with db.worker() as tx:
        [claimed] = await claims.claim(tx, await claims.waiting(tx, "smpp", 10, 10), owner, 10.0)
        async with db.worker() as other:
            assert await moving.move(other, [move]) == 0
        assert await queue.intend(tx, [queue.Intent(claimed.key, 4, 0)], owner, 10.0)
    async with db.worker() as tx:
        assert await moving.move(tx, [move]) == 0
        await queue.lock_leases(tx, [claimed.key], owner)
        await queue.release(tx, [queue.Release(claimed.key, queued=True, intent_upto=4)])
        assert await moving.page(tx, ChunkKey(NIL_TENANT, NIL_TENANT, 0), 10) == []
        assert await moving.move(tx, [move]) == 0
