"""Record: outcomes go from memory to the chunk's row, at least each 100 ms, and leases end."""

import asyncio
import contextlib
import random
from collections.abc import Collection, Sequence

from muster.dispatch.domain import slots
from muster.dispatch.domain.failover import is_carriers_fault
from muster.dispatch.domain.slots import SLOT_OF_REASON, Reason, Slot
from muster.dispatch.events import ChunkKey
from muster.dispatch.handlers import outcomes
from muster.dispatch.handlers.outcomes import Change
from muster.dispatch.sender.feeder import why_leave
from muster.dispatch.sender.job import ERROR_LENGTH, Job
from muster.dispatch.sender.resolver import Resolver
from muster.dispatch.sender.shared import Shared, wait
from muster.dispatch.store import queue, resends
from muster.dispatch.store.queue import Release, Retry
from muster.kit import clock, metrics, observe, trace
from muster.kit.pg import RETRIABLE, Tx

log = observe.logger(__name__)

_ENDINGS = frozenset(reason.value for reason in SLOT_OF_REASON)
# What an answer makes of a part that is unknown by now: one that was certainly not taken is not sent again on its own.
_KNOWN = {Slot.ACCEPTED: Slot.ACCEPTED, Slot.REJECTED: Slot.REJECTED, Slot.RETRY: Slot.REJECTED}


class Recorder:
    """Stores what became of the jobs."""

    def __init__(self, shared: Shared, resolver: Resolver) -> None:
        self._shared = shared
        self._settings = shared.settings
        self._resolver = resolver

    async def run(self) -> None:
        """Record until cancelled; what a database that is away did not take is tried again."""
        while True:
            await wait(self._shared.record, self._settings.dispatch_record_s / 2)
            try:
                await self.record_due()
            except RETRIABLE as error:
                log.warning("sender.database_away", why=type(error).__name__)

    async def record_due(self) -> None:
        """What is finished and what has waited long enough. While more is under way, what is finished waits for it as
        long as outcomes may: a transaction costs as much for one chunk as for several."""
        now, jobs = clock.monotonic(), list(self._shared.jobs.values())
        gathers = not self._shared.closing and any(not job.finished for job in jobs)
        due = [job for job in jobs if self._is_late(job, now) or (job.finished and not (gathers and job.waits))]
        if due:
            self._shared.failpoint.hit("before_record")
            await self._record(due)
            self._shared.feed.set()

    def _is_late(self, job: Job, now: float) -> bool:
        return job.dirty_at is not None and now - job.dirty_at >= self._settings.dispatch_record_s

    async def _record(self, jobs: Sequence[Job]) -> None:
        shared = self._shared
        async with shared.exclusive:
            jobs = [job for job in jobs if shared.jobs.get(job.claimed.key.chunk) is job]
            try:
                async with shared.db.worker() as tx:
                    mine = await queue.lock_leases(tx, [job.claimed.key for job in jobs], shared.owner)
                    kept = [job for job in jobs if job.claimed.key.chunk in mine]
                    ended = [job for job in kept if job.finished]
                    again = await self._again(tx, ended)
                    changes = [(job, self._change(job, again)) for job in kept]
                    versions = await outcomes.store(tx, [change for _, change in changes])
                    await self._end(tx, [(job, change) for job, change in changes if job in ended])
            except RETRIABLE:
                for job in jobs:
                    job.unanswered()
                raise
            for job, change in changes:
                before, after = self._judged(job, job.stored), self._judged(job, change.after)
                shared.judge.answered(job.claimed.key.chunk, job.claimed.control_version, before, after)
                job.recorded(change, versions[change.home.key])
                job.dirty_at = clock.monotonic() if job.changed else None
            for job in ended:
                del shared.jobs[job.claimed.key.chunk]
                job.span.end()
            for job in jobs:
                if job not in kept:
                    self._lost(job)

    def _judged(self, job: Job, states: bytes) -> bytes:
        """What a send is judged by. That a carrier fails says nothing of the send where another account takes the rest:
        then it is the account that is passed over."""
        if not (job.errors and self._shared.has_others and self._shared.account.kind == "smpp"):
            return states
        return bytes(
            Slot.QUEUED
            if state == Slot.REJECTED and is_carriers_fault(job.errors.get(job.owners[slot], ERROR_LENGTH))
            else state
            for slot, state in enumerate(states)
        )

    async def _again(self, tx: Tx, ended: Sequence[Job]) -> set[ChunkKey]:
        """Chunks of these jobs of which something is unknown and to be sent once more: where that is allowed, or what
        was to be has not been written yet."""
        unsure = [job for job in ended if job.leaving not in _ENDINGS and Slot.UNKNOWN in job.slots]
        keys = [job.claimed.key.chunk for job in unsure if Slot.RETRY not in job.slots]
        more = {job.claimed.key.chunk for job in unsure if job.cursor < len(job.order) and job.claimed.why == "again"}
        return more | await resends.allowed(tx, keys)

    def _change(self, job: Job, again: Collection[ChunkKey]) -> Change:
        """What is stored of a job; one whose send has ended ends what it did not write."""
        if job.finished and job.leaving in _ENDINGS:
            job.slots[:] = slots.end_open(bytes(job.slots), SLOT_OF_REASON[Reason(job.leaving)])
        return job.change(leased=not job.finished, again=job.claimed.key.chunk in again)

    async def _end(self, tx: Tx, ended: Sequence[tuple[Job, Change]]) -> None:
        if not ended:
            return
        releases, retries = [], []
        for job, change in ended:
            back = job.cursor < len(job.order) and not change.done
            releases.append(Release(job.claimed.key, queued=back, intent_upto=job.written_upto))
            if not back and not change.done:
                retries.append(self._retry(job))
        await queue.release(tx, releases)
        await queue.add_retries(tx, retries)
        with trace.follow({str(job.claimed.key.chunk.bulk_id): job.span.traceparent for job, _ in ended}):
            await outcomes.tell_sagas(tx, [change for _, change in ended])

    def _retry(self, job: Job) -> Retry:
        """What was certainly not sent is an attempt of its own, later: sooner for a busy carrier than for a hold. So is
        what is unknown and may be sent again, when all that a receipt could say of it should have come."""
        settings, key = self._settings, job.claimed.key
        if not (order := job.retries()):
            order = job.unknowns()
            metrics.resends.inc(len(order))
            return Retry(key.chunk, key.attempt + 1, "again", order, settings.dispatch_resend_after_s)
        delay_s = settings.dispatch_held_s
        if job.throttled or not job.held:
            doubled = settings.dispatch_retry_s_min * 2 ** min(key.attempt, 10)
            delay_s = min(doubled, settings.dispatch_retry_s_max) * random.uniform(0.5, 1.0)
        why = "held" if job.held and not job.throttled else "throttled"
        return Retry(key.chunk, key.attempt + 1, why, order, delay_s)

    def _lost(self, job: Job) -> None:
        """Somebody else took the lease: what covered our writes is unknown there, but we know better, at the latest
        when all that is on the wire has its answer."""
        if job.in_flight:
            job.dirty_at = None
            self._shared.leave(job, "lost")
            return
        del self._shared.jobs[job.claimed.key.chunk]
        job.span.end("lease lost")
        for slot, (old, new) in enumerate(zip(job.stored, job.slots, strict=True)):
            if old != new and new in _KNOWN:
                self._resolver.add(job.claimed.key.chunk, slot, _KNOWN[Slot(new)], job.carrier_ids[slot])

    async def watch(self) -> None:
        """Hear of stops and pauses while waiting for answers, and keep the leases."""
        shared, settings = self._shared, self._settings
        renewed_at = clock.monotonic()
        while True:
            await asyncio.sleep(settings.dispatch_watch_s)
            if clock.monotonic() - renewed_at > settings.dispatch_lease_s / 3:
                renewed_at = clock.monotonic()
                await self._renew()
            if not shared.jobs:
                continue
            if shared.fails:
                log.warning("sender.stepped_aside", account=shared.account.name)
                shared.step_aside(clock.monotonic() + settings.dispatch_aside_s)
            with contextlib.suppress(*RETRIABLE):
                await self.look()

    async def look(self) -> None:
        """How the jobs stand in the database: those that may not go on are left, and who has a rate now is known."""
        shared, jobs = self._shared, dict(self._shared.jobs)
        async with shared.db.worker() as tx:
            found = await queue.standings(tx, list(jobs), shared.owner)
        for key, job in jobs.items():
            standing = found.get(key)
            job.limited = standing is not None and standing.limited
            if shared.jobs.get(key) is job and (why := why_leave(job, standing)):
                shared.leave(job, why)

    async def _renew(self) -> None:
        shared, settings = self._shared, self._settings
        try:
            async with shared.exclusive, shared.db.worker() as tx:
                await queue.release_orphans(tx, shared.account.name, shared.owner, list(shared.jobs))
                await queue.renew(tx, shared.account.name, shared.owner, settings.dispatch_lease_s)
        except RETRIABLE as error:
            log.warning("sender.database_away", why=type(error).__name__)

    async def close(self, timeout_s: float) -> None:
        """Write nothing more, wait for answers, record, and give the rest back, also to a database that comes back."""
        shared = self._shared
        shared.closing = True
        deadline = clock.monotonic() + timeout_s
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s), shared.exclusive:
                pass  # a claim that was under way is among the jobs now, and none follows
        for job in list(shared.jobs.values()):
            shared.leave(job, "closing")
        while shared.jobs and clock.monotonic() < deadline:
            try:
                await self.record_due()
            except RETRIABLE as error:  # what it does not take in time is found by the next sender, as after a crash
                log.warning("sender.database_away", why=type(error).__name__)
            await asyncio.sleep(0.02)
