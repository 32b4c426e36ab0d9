"""Who waits for whom at a slow carrier: by a clock that the test moves, for the database and for the sender."""

from uuid import UUID

import dispatch_world as world
import pytest
from clocked_world import Clocked, SenderAt
from dispatch_world import Send

from muster.dispatch.domain.fairness import Waiting, gives_way, in_turns_of, urgency
from muster.dispatch.domain.saga import Control, Controlled
from muster.dispatch.handlers.sagas import apply_facts
from muster.dispatch.sender.rate import Rate
from muster.dispatch.store.sagas import SagaKey
from muster.events.v1 import common_pb2
from muster.kit import clock

STEP_S = 0.25
REMINDER = common_pb2.MESSAGE_KIND_REMINDER


class Slow:
    """A sender of so many parts a second, whose seconds are the test's."""

    def __init__(self, clocked: Clocked, monkeypatch: pytest.MonkeyPatch, rate: int, window: int = 10_000) -> None:
        self.now = 0.0
        monkeypatch.setattr(clock, "monotonic", lambda: 1_000.0 + self.now)
        self.clocked, self.window = clocked, window
        self.sender = SenderAt(clocked.db, "smpp")
        self.sender.link.window = window
        self.sender.shared.rate = Rate(rate, clock.monotonic())

    async def run(self, until_s: float) -> dict[UUID, list[float]]:
        """Go on until then; when each send's parts left, in seconds."""
        left: dict[UUID, list[float]] = {}
        while self.now < until_s:
            await self.clocked.at(self.now)
            before = len(self.sender.link.written)
            self.sender.link.room = self.window
            await self.sender.turn()
            for bulk_id, parts in self.sender.link.written[before:]:
                left.setdefault(bulk_id, []).extend([self.now] * parts)
            self.now += STEP_S
        return left


async def put(clocked: Clocked, *sends: Send) -> None:
    for send in sends:
        await clocked.put(send, rate=0)


async def test_a_small_send_does_not_wait_for_a_whole_chunk_of_another_tenant_at_a_slow_carrier(
    clocked: Clocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    giant, small = Send(1_000), Send(10)
    slow = Slow(clocked, monkeypatch, rate=20)
    await put(clocked, giant)
    await slow.run(3.0)  # its first chunk has been begun, and would take 25 s
    await put(clocked, small)

    left = await slow.run(7.0)

    assert len(left[small.bulk_id]) == 10
    assert max(left[small.bulk_id]) <= 3.0 + 1.0 + 1.0, "at most the turn that is begun, and its own"
    assert len(left[giant.bulk_id]) >= 4.0 * 20 - 10 - 10, "and the carrier is never left idle for it"
    await world.assert_laws(clocked.db)


async def test_a_single_message_goes_before_the_rest_of_a_chunk_of_the_same_tenant(
    clocked: Clocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    bulk = Send(500)
    slow = Slow(clocked, monkeypatch, rate=10)
    await put(clocked, bulk)
    await slow.run(2.0)
    single = Send(1, kind=REMINDER, tenant_id=bulk.tenant_id, first_number=61_433_000_000)
    await put(clocked, single)

    left = await slow.run(4.0)

    assert left[single.bulk_id][0] <= 3.25


@pytest.mark.parametrize("window", [10_000, 4])
async def test_tenants_share_a_slow_carrier_by_parts_whether_their_sends_are_large_or_many(
    clocked: Clocked, monkeypatch: pytest.MonkeyPatch, window: int
) -> None:
    giant, many = Send(1_000), [Send(10, first_number=61_420_000_000 + 10 * at) for at in range(40)]
    for one in many:
        one.tenant_id = many[0].tenant_id
    # A window of four, answered each quarter of a second, is as slow as a rate of 16.
    slow = Slow(clocked, monkeypatch, rate=20 if window > 100 else 0, window=window)
    await put(clocked, giant, *many)

    left = await slow.run(20.0)

    of_giant = len(left[giant.bulk_id])
    of_many = sum(len(left.get(one.bulk_id, [])) for one in many)
    assert of_giant + of_many >= 19 * (20 if window > 100 else 16)
    assert min(of_giant, of_many) >= 0.3 * (of_giant + of_many), "as near as claims of ten in turns of twenty can be"
    assert set(slow.sender.link.numbers.values()) == {1}
    await world.assert_laws(clocked.db)


async def test_nobody_gives_way_where_nobody_waits_and_a_stop_is_exact_in_the_middle_of_turns(
    clocked: Clocked, monkeypatch: pytest.MonkeyPatch
) -> None:
    alone, other = Send(500), Send(500)
    slow = Slow(clocked, monkeypatch, rate=20)
    await put(clocked, alone)
    await slow.run(5.0)
    [job] = slow.sender.shared.jobs.values()
    assert job.claimed.key.epoch == 1, "one lease all the time"

    await put(clocked, other)
    left = await slow.run(12.0)
    assert min(len(left[one.bulk_id]) for one in (alone, other)) >= 40
    async with clocked.db.worker() as tx:
        facts = {SagaKey(one.tenant_id, one.bulk_id): [Controlled(Control.STOP)] for one in (alone, other)}
        await apply_facts(tx, facts)
    await slow.sender.recorder.look()
    await slow.run(13.0)
    await world.sweep(clocked.db)

    written = slow.sender.link.written
    sent = {one.bulk_id: sum(n for bulk, n in written if bulk == one.bulk_id) for one in (alone, other)}
    for one in (alone, other):
        assert await world.money(clocked.db, one) == (500, sent[one.bulk_id], 500 - sent[one.bulk_id], 0)
        assert (await world.saga(clocked.db, one))["state"] == "closed"
    await world.assert_laws(clocked.db)


def _waiting(tenant: int, parts: int, lane: int = 2, kind: int = 1) -> Waiting:
    return Waiting(UUID(int=tenant), UUID(int=tenant), 1, 0, parts, lane, kind)


def test_what_had_its_turn_gives_way_to_another_tenant_and_to_what_is_more_urgent_of_its_own() -> None:
    mine, large = UUID(int=1), urgency(1, 2)

    assert gives_way(mine, large, [_waiting(2, 500)])
    assert gives_way(mine, large, [_waiting(1, 500), _waiting(1, 10, lane=1)])
    assert gives_way(mine, large, [_waiting(1, 1, kind=REMINDER)])
    assert not gives_way(mine, large, [_waiting(1, 500)])
    assert not gives_way(mine, large, [])


def test_a_chunk_costs_no_more_than_is_written_of_it_in_a_turn() -> None:
    assert [one.parts for one in in_turns_of(20, [_waiting(1, 500), _waiting(2, 10)])] == [20, 10]
