"""PostgreSQL goes away while it commits: whether it did is not known, and both answers are survived."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import asyncpg
import dispatch_world as world
import pytest
from dispatch_world import Send

from muster.dispatch.events import ChunkKey
from muster.dispatch.handlers import outcomes
from muster.dispatch.sender import deliveries
from muster.events.v1 import common_pb2
from muster.kit.pg import Database, Tx
from muster.kit.testing import eventually
from muster.local.carrier.server import Carrier


class Flaky:
    """A database whose answers to commits are lost, each other time of those marked; `commits`: they were made."""

    def __init__(self, db: Database, *, commits: bool) -> None:
        self._db = db
        self._commits = commits
        self._saves = 0
        self._to_lose: set[int] = set()
        self.lost = 0

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[Tx]:
        async with self._db.worker() as tx:
            yield tx
            lost = id(tx) in self._to_lose
            self._to_lose.discard(id(tx))
            self.lost += lost
            if lost and not self._commits:
                raise asyncpg.ConnectionDoesNotExistError("before the commit")
        if lost:
            raise asyncpg.ConnectionDoesNotExistError("after the commit")

    def stores(self, tx: Tx) -> None:
        self._saves += 1
        if self._saves % 2:
            self._to_lose.add(id(tx))


@pytest.mark.parametrize("commits", [True, False], ids=["it committed", "it did not"])
async def test_receipts_whose_commit_was_not_answered_are_stored_once_and_nobody_gives_up(
    db: Database, carrier: Carrier, monkeypatch: pytest.MonkeyPatch, commits: bool
) -> None:
    send = Send(recipients=60, chunk_size=10)
    await world.queue(db, send)
    save = deliveries.store.save
    flaky = Flaky(db, commits=commits)

    async def saved(tx: Tx, receipts: Sequence[tuple[ChunkKey, bytes, int]]) -> set[ChunkKey]:
        flaky.stores(tx)
        return await save(tx, receipts)

    monkeypatch.setattr(deliveries.store, "save", saved)
    async with world.sending(db, world.settings(carrier_port=carrier.port)) as running:
        running.sender.shared.db = flaky  # type: ignore[assignment]
        await eventually(partial(world.closed, db, send))
        await eventually(partial(all_are_answered, carrier, send))
        assert not running.sender.deliveries.broken.done()

    assert flaky.lost > 0
    assert await world.receipts(db, send) == {common_pb2.RECEIPT_STATE_DELIVERED: 60}
    async with db.worker() as tx:
        rows: list[Any] = await tx.fetch("SELECT receipts_said FROM chunk")
    words = await world.said(db, "SmsStatusChanged")
    assert sum(row["receipts_said"] for row in rows) == len(words), "each word has a version of its own"
    await world.assert_laws(db)


@pytest.mark.parametrize("commits", [True, False], ids=["it committed", "it did not"])
async def test_what_is_said_after_an_unanswered_commit_has_a_higher_version(
    db: Database, carrier: Carrier, monkeypatch: pytest.MonkeyPatch, commits: bool
) -> None:
    send = Send(recipients=60, chunk_size=20)
    await world.queue(db, send)
    store = outcomes.store
    flaky = Flaky(db, commits=commits)

    async def stored(tx: Tx, changes: Sequence[outcomes.Change]) -> dict[ChunkKey, int]:
        flaky.stores(tx)
        return await store(tx, changes)

    monkeypatch.setattr(outcomes, "store", stored)
    carrier.use(replace(carrier.options, response_delay_ms=30))
    async with world.sending(db, world.settings(carrier_port=carrier.port, carrier_window=7)) as running:
        running.sender.shared.db = flaky  # type: ignore[assignment]
        await eventually(partial(world.closed, db, send))

    assert flaky.lost > 0
    assert await world.lefts(db, send) == {common_pb2.LEFT_ACCEPTED: 60}
    assert set(carrier.stats.by_destination.values()) == {1}
    words = await world.said(db, "SmsDispatched")
    said = Counter((seq, version) for word in words for seq, version in zip(word.seq, word.version, strict=True))
    assert set(said.values()) == {1}, "no two words on a message have one version"
    await world.assert_laws(db)


async def all_are_answered(carrier: Carrier, send: Send) -> bool:
    return carrier.stats.receipts_acked >= send.recipients
