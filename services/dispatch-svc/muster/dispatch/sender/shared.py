"""What the parts of a sender process share."""

import asyncio
from dataclasses import dataclass, field
from uuid import UUID

from muster.dispatch.domain.carriers import Account
from muster.dispatch.domain.failover import is_carriers_fault
from muster.dispatch.domain.health import Limits
from muster.dispatch.domain.meter import Meter
from muster.dispatch.events import ChunkKey
from muster.dispatch.failpoint import Failpoint
from muster.dispatch.sender.job import Job
from muster.dispatch.sender.judge import Judge
from muster.dispatch.sender.rate import Rate
from muster.dispatch.settings import DispatchSettings
from muster.kit.ids import uuid7
from muster.kit.pg import Database
from muster.smpp import Outcome, Rejected, Unknown


def is_failure(outcome: Outcome, *, is_smpp: bool) -> bool:
    """Whether this says something bad of the carrier. One that speaks HTTP rejects by a code about the message."""
    if isinstance(outcome, Rejected):
        return is_smpp and is_carriers_fault(outcome.status)
    return isinstance(outcome, Unknown)


@dataclass(slots=True)
class Tally:
    """What became of parts since it was last said: answered or lost, failed by the carrier's fault, not taken by it."""

    answered: int = 0
    failed: int = 0
    not_taken: int = 0

    def take(self) -> "Tally":
        """All of it; it begins anew."""
        taken = Tally(self.answered, self.failed, self.not_taken)
        self.answered = self.failed = self.not_taken = 0
        return taken


@dataclass(slots=True)
class Shared:
    """One sender process. `exclusive` is held by whoever stores outcomes from memory, or claims: a chunk's outcomes
    live in memory while it is leased, and nowhere else may they be changed then."""

    db: Database
    settings: DispatchSettings
    account: Account
    rate: Rate
    failpoint: Failpoint
    owner: UUID = field(default_factory=uuid7)
    jobs: dict[ChunkKey, Job] = field(default_factory=dict)
    exclusive: asyncio.Lock = field(default_factory=asyncio.Lock)
    feed: asyncio.Event = field(default_factory=asyncio.Event)
    record: asyncio.Event = field(default_factory=asyncio.Event)
    meter: Meter = field(default_factory=Meter)
    judge: Judge = field(init=False)
    tally: Tally = field(default_factory=Tally)
    closing: bool = False
    # Monotonic s before which nothing is claimed: what waits is led elsewhere meanwhile.
    aside_until: float = 0.0
    # Whether anything that is led to this account could go by another.
    has_others: bool = False
    # Ids of messages that belong to no send.
    trial_ids: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        settings = self.settings
        self.judge = Judge(Limits(settings.dispatch_refused_percent_max, settings.dispatch_judged_parts_min))

    def leave(self, job: Job, why: str) -> None:
        """Write nothing more of it; its lease ends when all that is on the wire has an answer."""
        job.leaving = job.leaving or why
        if job.finished:
            self.record.set()

    @property
    def fails(self) -> bool:
        """Whether too much of what it was given lately has failed by its carrier's fault, and others could take it."""
        settings, tally = self.settings, self.tally
        failed = tally.failed >= settings.dispatch_failing_parts_min
        return (
            failed and self.has_others and tally.failed * 100 > settings.dispatch_failing_percent_max * tally.answered
        )

    def step_aside(self, until: float) -> None:
        """Give back what is unwritten, and claim nothing for a while."""
        self.aside_until = until
        for job in list(self.jobs.values()):
            self.leave(job, "failing")


async def wait(event: asyncio.Event, timeout_s: float) -> None:
    """Until the event is set (it is cleared), or the time is over."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        pass
    event.clear()
