"""Planners beside each other: what a giant takes of a process, and how small sends share it."""

import asyncio
from itertools import pairwise
from typing import Any

import pytest
from gathering import LINKS
from test_sends import TEXT, people

from muster.customer import planner
from muster.customer.planner import Planner
from muster.kit.closing import cancelled
from muster.kit.outbox import Lane
from muster.kit.testing import eventually


class Beside:
    """Something else that has little to do, and wants to do it often."""

    def __init__(self) -> None:
        self.turns = 0

    async def run(self) -> None:
        while True:
            self.turns += 1
            await asyncio.sleep(0)


@pytest.mark.parametrize("step", ["add_up", "make_chunk"])
async def test_who_plans_a_giant_lets_others_go_on_after_each_chunk(
    salon: Any, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    await salon.load(people(1_600))
    await salon.send((await salon.quote(TEXT))["id"])
    beside, seen = Beside(), list[int]()
    done = getattr(planner, step)

    def watched(*given: Any) -> Any:
        seen.append(beside.turns)
        return done(*given)

    monkeypatch.setattr(planner, step, watched)
    other = asyncio.create_task(beside.run())
    await salon.plan()
    await cancelled((other,))

    assert len(seen) == 4
    assert all(before < after for before, after in pairwise(seen))


async def test_several_small_sends_are_planned_at_once_and_each_once(
    salon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await salon.load(people(3))
    ids = {await salon.send((await salon.quote(TEXT))["id"]) for _ in range(7)}
    begun, together, freeze = list[str](), asyncio.Barrier(3), planner.audience.freeze_audience

    async def watched(tx: Any, tenant_id: Any, bulk_id: Any, *given: Any, **named: Any) -> Any:
        begun.append(str(bulk_id))
        if len(begun) > 1:  # the first is found by who looks alone
            await together.wait()
        return await freeze(tx, tenant_id, bulk_id, *given, **named)

    monkeypatch.setattr(planner.audience, "freeze_audience", watched)
    running = asyncio.create_task(
        Planner(salon.db, Lane.SMALL, salon.limits, lambda: None, at_once=3, links=LINKS).run()
    )

    async def planned() -> bool:
        return len(await salon.said("BulkSmsRequested")) == 7

    await eventually(planned)
    await cancelled((running,))

    assert sorted(begun) == sorted(ids), "by threes, and each once"
    assert {fact.message.bulk_id for fact in await salon.said("BulkSmsRequested")} == ids
    assert len(await salon.said("BulkRecipientsAttached")) == 7
