"""Senders of which each turn is the test's, over a database whose clock it moves, and a carrier that does as told."""

from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import dispatch_world as world
from dispatch_world import Send

from muster.dispatch.domain.carriers import Account, Sandbox
from muster.dispatch.failpoint import Failpoint
from muster.dispatch.sender.book import Book
from muster.dispatch.sender.feeder import Feeder
from muster.dispatch.sender.job import Job, Window
from muster.dispatch.sender.link import Guard, SinkOf
from muster.dispatch.sender.rate import Rate
from muster.dispatch.sender.recorder import Recorder
from muster.dispatch.sender.resolver import Resolver
from muster.dispatch.sender.shared import Shared
from muster.kit import clock
from muster.kit.pg import Database
from muster.smpp import Accepted, Outcome

_CLOCK = """
CREATE TABLE test_clock AS SELECT statement_timestamp() AS start, 0::float8 AS s;
GRANT SELECT ON test_clock TO PUBLIC;
CREATE OR REPLACE FUNCTION kit_now() RETURNS timestamptz LANGUAGE sql STABLE PARALLEL SAFE
AS $$ SELECT start + make_interval(secs => s) FROM test_clock $$
"""


@dataclass
class Carrier:
    """A link that takes at once what it is given, up to `room` parts until the test looks again."""

    room: int = 10_000
    window: int = 1_000
    written: list[tuple[UUID, int]] = field(default_factory=list)
    numbers: Counter[int] = field(default_factory=Counter)
    # What becomes of the parts of a number, the first time and later ones; else they are accepted.
    fates: dict[int, list[Outcome]] = field(default_factory=dict)
    # What becomes of the next parts, before any other.
    part_fates: list[Outcome] = field(default_factory=list)

    @property
    def free_slots(self) -> int:
        return self.room

    @property
    def messages(self) -> int:
        return self.room

    async def writable(self) -> bool:
        return True

    def start(self, job: Job, window: Window, sink_of: SinkOf, guard: Guard) -> int | None:
        assert guard()
        if window.slots:
            self.room -= len(window.slots)
            self.written.append((job.claimed.key.chunk.bulk_id, len(window.slots)))
            outcomes: list[Outcome] = []
            for message in job.outgoing(window):
                self.numbers[message.number] += 1
                fates = self.fates.get(message.number)
                outcomes += [fates.pop(0) if fates else Accepted(uuid4().hex)] * len(message.slots)
            outcomes = self.part_fates[: len(outcomes)] + outcomes[len(self.part_fates) :]
            del self.part_fates[: len(outcomes)]
            sink_of(window.slots)(list(enumerate(outcomes)))
        return len(window.slots)


class SenderAt:
    """A sender process of one account, of which each turn is the test's."""

    def __init__(self, db: Database, account: str) -> None:
        self.link = Carrier()
        terms = Account(account, "sandbox", Sandbox(), window=1_000, parts_per_second=0)
        conf = world.settings()
        self.shared = Shared(db, conf, terms, Rate(0, clock.monotonic()), Failpoint(""))
        self.feeder = Feeder(self.shared, self.link, Book(60.0, 60.0))  # type: ignore[arg-type]
        self.resolver = Resolver(self.shared)
        self.recorder = Recorder(self.shared, self.resolver)

    async def turn(self) -> int:
        """All that can be written now, recorded; how much it was."""
        before = len(self.link.written)
        while await self.feeder._step():
            await self.recorder.record_due()
        await self.recorder.record_due()
        return sum(parts for _, parts in self.link.written[before:])


@dataclass
class Clocked:
    """A database by whose clock it is `at`; two processes of it, each with connections of its own."""

    db: Database
    other: Database
    connection: "asyncpg.Connection[Any]"

    async def at(self, seconds: float) -> None:
        await self.connection.execute("UPDATE test_clock SET s = $1", seconds)

    async def put(self, send: Send, *, rate: int | None = None, account: str = "smpp") -> None:
        """Make a send claimable by an account, of a tenant of such a rate (None: as it is)."""
        if rate is not None:
            await world.hear(self.db, world.tenant(send, parts_per_second=rate))
        await world.hear(self.db, send.requested(), *(send.chunk(at + 1) for at in range(send.chunks)))
        await world.hear(self.db, send.reserved())
        await self.connection.execute("UPDATE attempt SET account = $2 WHERE bulk_id = $1", send.bulk_id, account)
        await self.connection.execute("UPDATE attempt SET due_at = kit_now() WHERE bulk_id = $1", send.bulk_id)
        for table in ("attempt", "chunk", "saga"):  # the events have the host's clock, which goes on by itself
            by = f"UPDATE {table} SET send_by = kit_now() + make_interval(secs => $2) WHERE bulk_id = $1"
            await self.connection.execute(by, send.bulk_id, send.send_by_ms / 1000)


@asynccontextmanager
async def clocked_database(service_database: Any) -> AsyncIterator[Clocked]:
    """A database by whose clock it is the time that the test says."""
    db = await service_database("dispatch")
    await world.platform(db)
    async with _another(service_database, db) as other:
        connection = await asyncpg.connect(service_database.admin_dsn(db))
        try:
            await connection.execute(_CLOCK)
            yield Clocked(db, other, connection)
        finally:
            await connection.close()


@asynccontextmanager
async def _another(service_database: Any, db: Database) -> AsyncIterator[Database]:
    other = await Database.connect(*service_database.dsns(db, "dispatch"))
    try:
        yield other
    finally:
        await other.close()


async def turns(clocked: Clocked, senders: Sequence[SenderAt], until_s: float, step_s: float = 0.1) -> list[int]:
    """How much all of them write at each step of the clock, beginning with now."""
    found = []
    for step in range(round(until_s / step_s)):
        await clocked.at(step * step_s)
        found.append(sum([await one.turn() for one in senders]))
    return found
