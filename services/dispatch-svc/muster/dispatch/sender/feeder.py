"""Claim, intend, write: what keeps the carrier's window full.

Each write is preceded by a committed intent, of at most the window's free slots and half a second of the carrier's
rate. No transaction is open while anything is written.
"""

from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Final
from uuid import UUID

from muster.dispatch.domain.fairness import NO_TURNS, Turns, Waiting, gives_way, in_turns_of
from muster.dispatch.handlers import outcomes
from muster.dispatch.handlers.outcomes import Change
from muster.dispatch.sender.book import Book
from muster.dispatch.sender.job import Job, Window
from muster.dispatch.sender.link import Link, Sink
from muster.dispatch.sender.shared import Shared, is_failure, wait
from muster.dispatch.store import claims, queue, rates, resends, suppressions
from muster.dispatch.store.claims import Claimed
from muster.dispatch.store.queue import Intent, Standing
from muster.events.personal import born_at
from muster.kit import clock, metrics, observe
from muster.kit.pg import RETRIABLE, Tx
from muster.kit.spans import Of
from muster.smpp import Accepted, NotSent, Outcome

log = observe.logger(__name__)

Writes = list[tuple[Job, Window]]

# So many turns after the last one that ended by time a carrier is not slow any more.
_SLOW_TURNS: Final = 10


class Feeder:
    """Looks for work whenever the window has room."""

    def __init__(self, shared: Shared, link: Link, book: Book) -> None:
        self._shared = shared
        self._settings = shared.settings
        self._link = link
        self._book = book
        self._turns = NO_TURNS
        # Whose turn it is, and since when; when last a turn ended by time, and it was looked who waits. Monotonic s.
        self._turn_of: UUID | None = None
        self._turn_began = 0.0
        self._slow_at = self._looked_at = float("-inf")
        self._poll_s = shared.settings.dispatch_poll_s_min

    async def run(self) -> None:
        """Feed until cancelled. A database that is away is waited for: nothing is written without it."""
        while True:
            try:
                fed = await self._step()
            except RETRIABLE as error:
                log.warning("sender.database_away", why=type(error).__name__)
                fed, self._poll_s = False, self._settings.dispatch_poll_s_max
            if not fed:
                await wait(self._shared.feed, self._poll_s)

    async def _step(self) -> bool:
        """One transaction of claims or intents and its writes; False if there is no room or nothing to do."""
        shared = self._shared
        free = self._link.free_slots
        room = min(free, shared.rate.allowance(clock.monotonic()))
        if shared.closing or room < 1:
            return False
        waiting = [job for job in shared.jobs.values() if job.more]
        if room < self._worthwhile(sum(job.left for job in waiting) or room):
            return False
        if not waiting:
            return clock.monotonic() >= shared.aside_until and await self._claim(room)
        if free < min(waiting[0].first_parts(), self._link.window):
            return False
        if await self._give_way(waiting):
            return True
        await self._continue(waiting, room)
        return True

    def _worthwhile(self, left: int) -> int:
        """Below this the window is left to drain: an intent for a few parts costs as much as one for hundreds."""
        return max(1, min(left, self._link.window // 2, self._shared.rate.at_once))

    async def _give_way(self, jobs: Sequence[Job]) -> bool:
        """Give back chunks that have had their turn where somebody else waits; whether any did."""
        shared, now, turn_s = self._shared, clock.monotonic(), self._settings.dispatch_turn_s
        had_turn = [job for job in jobs if now - job.since >= turn_s]
        if not had_turn or now - self._looked_at < turn_s:
            return False
        self._looked_at = self._slow_at = now
        async with shared.db.worker() as tx:
            others = await claims.waiting(tx, shared.account.name, self._settings.dispatch_sends_max, 1)
        give_way = [job for job in had_turn if gives_way(job.claimed.key.chunk.tenant_id, job.urgency, others)]
        for job in give_way:
            shared.leave(job, "turn")
        return bool(give_way)

    def _choose(self, waiting: Sequence[Waiting], room: int) -> tuple[Turns, list[Waiting]]:
        """Whose turn it is. A turn is worth so many parts, but at a slow carrier it ends by time."""
        now, turn_s, quantum = clock.monotonic(), self._settings.dispatch_turn_s, self._settings.dispatch_quantum_parts
        turns = self._turns
        if now - self._turn_began >= turn_s and next(iter(turns.deficits), None) == self._turn_of:
            turns, self._slow_at = turns.passed_on(), now
        is_slow = now - self._slow_at <= _SLOW_TURNS * turn_s
        turns, chosen = turns.choose(in_turns_of(quantum, waiting) if is_slow else waiting, room, quantum)
        if chosen and chosen[-1].tenant_id != self._turn_of:
            self._turn_of, self._turn_began = chosen[-1].tenant_id, now
        return turns, chosen

    # -- claims -------------------------------------------------------------------------------------------------------

    async def _claim(self, room: int) -> bool:
        shared, settings = self._shared, self._settings
        began = clock.monotonic()
        async with shared.exclusive:
            if shared.closing:
                return False
            async with shared.db.worker() as tx:
                found = await claims.waiting(tx, shared.account.name, settings.dispatch_sends_max, 1 + room // 250)
                waiting = [one for one in found if claims.chunk_of(one) not in shared.jobs]
                turns, chosen = self._choose(waiting, room)
                if not chosen:
                    shared.meter.hungry = True
                    self._poll_s = min(self._poll_s * 1.5, settings.dispatch_poll_s_max)
                    return False
                await queue.share_tenants(tx, {one.tenant_id for one in chosen})
                saved = await rates.lock(tx, {one.tenant_id for one in chosen if one.saved is not None})
                claimed = await claims.claim(tx, chosen, shared.owner, settings.dispatch_lease_s)
                jobs = [Job(one) for one in in_turn(claimed, chosen)]
                for job in jobs:
                    job.limited = job.claimed.key.chunk.tenant_id in saved
                    if job.claimed.counter != job.counter:
                        await self._join(tx, job, job.claimed.counter)
                stored = await self._store(tx, jobs)
                writes = await self._intend(tx, jobs, room, saved)
            self._stored(stored)
            shared.jobs.update({job.claimed.key.chunk: job for job in jobs})
        self._turns, self._poll_s = turns, settings.dispatch_poll_s_min
        await self._write(writes, began)
        self._rest(jobs, saved)
        return bool(jobs)

    async def _join(self, tx: Tx, job: Job, counter: int) -> None:
        """Leave out who may not be texted by now."""
        key = job.claimed.key.chunk
        barred = await suppressions.barred(tx, key.tenant_id, job.hashes_left(), job.scope, born_at(key.bulk_id))
        job.bar(barred, counter)

    async def _store(self, tx: Tx, jobs: Sequence[Job]) -> list[tuple[Job, Change, int]]:
        """Store what is not to be written with the intent that passes over it: after a crash it is not taken for
        unknown."""
        for job in jobs:
            if job.left_out:
                await resends.leave_out(tx, job.claimed.key, job.left_out)
        changes = [(job, job.change(leased=True)) for job in jobs if job.marked]
        if not changes:
            return []
        versions = await outcomes.store(tx, [change for _, change in changes])
        return [(job, change, versions[change.home.key]) for job, change in changes]

    def _stored(self, stored: Sequence[tuple[Job, Change, int]]) -> None:
        for job, change, version in stored:
            job.recorded(change, version)

    # -- intents ------------------------------------------------------------------------------------------------------

    async def _continue(self, jobs: Sequence[Job], room: int) -> None:
        """The next windows of chunks that are leased already."""
        shared = self._shared
        began = clock.monotonic()
        async with shared.exclusive:
            jobs = [job for job in jobs if job.more and shared.jobs.get(job.claimed.key.chunk) is job]
            try:
                async with shared.db.worker() as tx:
                    await queue.share_tenants(tx, {job.claimed.key.chunk.tenant_id for job in jobs})
                    saved = await rates.lock(tx, {job.claimed.key.chunk.tenant_id for job in jobs if job.limited})
                    writes = await self._intend(tx, jobs, room, saved)
                    stored = await self._store(tx, jobs)
            except RETRIABLE:
                for job in jobs:
                    job.unanswered()
                raise
            self._stored(stored)
        await self._write(writes, began)
        self._rest(jobs, saved)

    async def _intend(self, tx: Tx, jobs: Sequence[Job], room: int, saved: dict[UUID, int]) -> Writes:
        """Store how far each may be written; those that may. A message goes into one window if any window holds it.
        `saved`: what tenants that have a rate may write, which is taken from here."""
        wanted: Writes = []
        free, messages = self._link.free_slots, self._link.messages
        for job in jobs:
            tenant_id = job.claimed.key.chunk.tenant_id
            most = min(room, saved.get(tenant_id, room))
            if room >= 1 > most:
                continue
            window = job.window(most, self._link.window, messages)
            if room < 1 or messages < 1 or len(window.slots) > free:
                break
            wanted.append((job, window))
            if tenant_id in saved:
                saved[tenant_id] -= len(window.slots)
            room -= len(window.slots)
            free -= len(window.slots)
            messages -= job.messages_in(window)
        if not wanted:
            return []
        self._shared.failpoint.hit("before_intent")
        intents = [Intent(job.claimed.key, window.upto, job.counter) for job, window in wanted]
        granted = await queue.intend(tx, intents, self._shared.owner, self._settings.dispatch_lease_s)
        refused = [job for job, _ in wanted if job.claimed.key.chunk not in granted]
        if refused:
            await self._look(tx, refused)
        writes = [(job, window) for job, window in wanted if job.claimed.key.chunk in granted]
        await rates.spend(tx, self._shared.account.name, _parts_by_tenant(writes, saved))
        return writes

    def _rest(self, jobs: Sequence[Job], saved: Mapping[UUID, int]) -> None:
        """Give back what its tenant's rate does not let go on now: nobody waits behind it, and what of the tenant is
        more urgent goes first next time."""
        for job in jobs:
            if job.more and saved.get(job.claimed.key.chunk.tenant_id, 1) < 1:
                self._shared.leave(job, "rate")

    async def _look(self, tx: Tx, refused: Sequence[Job]) -> None:
        """Why an intent was refused: leave, or join again and come back."""
        keys = [job.claimed.key.chunk for job in refused]
        found = await queue.standings(tx, keys, self._shared.owner)
        for job in refused:
            standing = found.get(job.claimed.key.chunk)
            why = why_leave(job, standing)
            if why:
                self._shared.leave(job, why)
            elif standing is not None and standing.counter != job.counter:
                await self._join(tx, job, standing.counter)

    # -- writes -------------------------------------------------------------------------------------------------------

    async def _write(self, writes: Writes, began: float) -> None:
        """Write windows whose intents are committed, each only if its intent is young enough at that very moment."""
        shared = self._shared
        if writes:
            shared.failpoint.hit("after_intent")

        def fresh() -> bool:
            return clock.monotonic() - began < self._settings.dispatch_guard_s

        for job, window in writes:
            if not await self._link.writable():
                return
            # Nothing may come between these checks and the write.
            if job.leaving or shared.jobs.get(job.claimed.key.chunk) is not job:
                continue
            self._write_one(job, window, fresh)
        if writes:
            shared.failpoint.hit("after_write")

    def _write_one(self, job: Job, window: Window, fresh: Callable[[], bool]) -> None:
        written = self._link.start(job, window, lambda slots: self._sink(job, slots), fresh)
        if written is None:
            return  # certainly not written: the next step intends it again
        job.cursor = job.written_upto = window.upto
        job.in_flight += written
        job.submitted = job.submitted or bool(written)
        metrics.submits.inc(written)
        job.span.happened("submit", {Of.PARTS: written})
        self._shared.rate.spend(written, clock.monotonic())
        if job.changed and job.dirty_at is None:
            job.dirty_at = clock.monotonic()
        if job.finished:
            self._shared.record.set()

    def _sink(self, job: Job, slots: Sequence[int]) -> Sink:
        """What takes the answers of one write: the road that every message goes."""
        shared, book = self._shared, self._book
        home = book.home_of(job.home)
        if home.control_version is None:
            home.control_version = job.claimed.control_version
        states, ids, register, meter = job.slots, job.carrier_ids, book.add, shared.meter
        written_at = clock.monotonic()
        tally, is_smpp = shared.tally, shared.account.kind == "smpp"

        def sink(indexed: list[tuple[int, Outcome]]) -> None:
            refused = 0
            for index, outcome in indexed:
                slot = slots[index]
                if type(outcome) is Accepted:
                    states[slot] = 1
                    ids[slot] = carrier_id = outcome.carrier_id
                    register(carrier_id, home, slot)
                else:
                    job.take(slot, outcome)
                    refused += isinstance(outcome, NotSent)
                    tally.failed += is_failure(outcome, is_smpp=is_smpp)
            shared.rate.answered(len(indexed), refused, written_at)
            meter.refused += refused
            meter.parts += len(indexed) - refused
            tally.answered += len(indexed)
            tally.not_taken += refused
            job.in_flight -= len(indexed)
            if job.dirty_at is None:
                job.dirty_at = clock.monotonic()
            shared.failpoint.hit("after_response")
            if job.finished:
                shared.record.set()
            shared.feed.set()

        return sink


def in_turn(claimed: Sequence[Claimed], chosen: Sequence[Waiting]) -> list[Claimed]:
    """What was claimed, in the order in which it was chosen: what comes first has the window, and its tenant's rate."""
    turns = {claims.chunk_of(one): at for at, one in enumerate(chosen)}
    return sorted(claimed, key=lambda one: turns[one.key.chunk])


def _parts_by_tenant(writes: Writes, saved: Collection[UUID]) -> dict[UUID, int]:
    """What is going to be written for tenants that have a rate."""
    parts: dict[UUID, int] = {}
    for job, window in writes if saved else ():
        tenant_id = job.claimed.key.chunk.tenant_id
        if tenant_id in saved:
            parts[tenant_id] = parts.get(tenant_id, 0) + len(window.slots)
    return parts


def why_leave(job: Job, standing: Standing | None) -> str:
    """Why a job must end: "lost", "send_by", "paused", "quiet" or the reason that its send ended for; "" if it may go
    on."""
    if standing is None or not standing.leased or standing.epoch != job.claimed.key.epoch:
        return "lost"
    if standing.ending:
        return standing.ending
    if not standing.going:
        return "paused"
    if standing.over:
        return "send_by"
    return "quiet" if standing.quiet else ""
