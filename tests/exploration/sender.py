"""One chunk at a sender: claim, intent, write, answer, record, with crashes between any two, a sleeper whose lease is
ended by another, stop, pause and resume, `send_by`, and what becomes of the unknown.

The carrier is known here: how often it has taken each part. That is what laws 3 and 5 are held against.
"""

from collections.abc import Iterable, Iterator
from itertools import product
from typing import NamedTuple

from muster.dispatch.domain import leases, saga, slots
from muster.dispatch.domain.bulk import Bulk
from muster.dispatch.domain.saga import Control, Requested, Reserved
from muster.dispatch.domain.slots import SLOT_OF_REASON, Reason, Slot
from muster.laws.sending import Taken, taken_once

from .dispatch import DONE, LEASED, QUEUED, Sagas, shown
from .engine import State, Step
from .send import PAUSE, RESUME, STOP

TAKEN, TAKEN_SILENT, THROTTLED, REJECTED, NEVER = range(5)
_OUTCOME = (Slot.ACCEPTED, Slot.UNKNOWN, Slot.RETRY, Slot.REJECTED, Slot.UNKNOWN)
_FATES = ("taken", "taken, its answer lost", "throttled", "rejected", "never arrived, no answer")
# What a late answer makes of a part that is unknown by now (sender/recorder.py): one not taken is not sent again.
_LATE = {Slot.ACCEPTED: Slot.ACCEPTED, Slot.REJECTED: Slot.REJECTED, Slot.RETRY: Slot.REJECTED}


class Job(NamedTuple):
    """A leased attempt in a sender's memory: `intended` is committed and not yet written, -1 if nothing is. `mine`
    stands for the epoch of the lease: whether it is still that of the row."""

    mine: bool
    cursor: int
    octets: bytes
    intended: int = -1
    wire: tuple[tuple[int, int], ...] = ()


class Here(NamedTuple):
    """The rows, what the sender remembers, what the carrier has taken, and what may still go wrong."""

    bulk: int
    phase: int
    order: tuple[int, ...]
    upto: int
    octets: bytes
    job: Job | None
    taken: tuple[int, ...]
    late: bool
    acts: int
    crashes: int
    wrong: str


class SenderWorld:
    """A send of `messages` in one chunk, written in windows of `window`."""

    name = "sender"
    stands_for = 0

    def __init__(
        self, messages: int = 3, window: int = 2, crashes: int = 2, fates: Iterable[int] = range(5),
        acts: int = PAUSE | RESUME | STOP,
    ) -> None:  # fmt: skip
        self.bounds = {
            "messages": messages,
            "window": window,
            "crashes and takeovers at most": crashes,
            "answers": "; ".join(_FATES[fate] for fate in fates),
            "controls": "each once",
        }
        self.withheld = 0
        self._window, self._crashes, self._fates, self._acts = window, crashes, tuple(fates), acts
        self._messages = messages
        self.sagas = Sagas([b"\1" * messages], [(1,) * messages])

    def start(self) -> Iterable[State]:
        count = self._messages
        fresh = slots.fresh(b"\1" * count)
        bulk = Bulk()
        for fact in (Requested(count, 1, count, 1), saga.Arrived(1), Reserved(count)):
            bulk, _ = saga.advance(bulk, fact)
        order = tuple(range(count))
        return [Here(self.sagas.number(bulk), QUEUED, order, 0, fresh, None, (0,) * count, False, 0, self._crashes, "")]

    def steps(self, state: State) -> Iterator[Step]:
        here = Here(*state)
        bulk = self.sagas.bulks[here.bulk]
        yield from self._people_and_time(here, bulk)
        yield from self._queue(here, bulk)
        if here.job is not None:
            yield from self._sender(here, here.job, bulk)

    def _tell(self, here: Here, label: str, facts: tuple[saga.Fact, ...], *, must: bool = True) -> Step:
        bulk, _ = self.sagas.told(here.bulk, facts, ((here.phase, here.octets),))
        return Step(label, here._replace(bulk=bulk), must)

    def _moved(self, here: Here, label: str, *, must: bool = True) -> Step:
        ended = here.phase == DONE and not self.sagas.bulks[here.bulk].done
        return self._tell(here, label, self.sagas.done_or_moved(here.bulk, int(ended)), must=must)

    def _people_and_time(self, here: Here, bulk: Bulk) -> Iterator[Step]:
        if not (bulk.ended or bulk.ending):
            for bit, control in ((PAUSE, Control.PAUSE), (RESUME, Control.RESUME), (STOP, Control.STOP)):
                if self._acts & bit and not here.acts & bit and (bit != RESUME or bulk.paused):
                    asked = here._replace(acts=here.acts | bit)
                    yield self._tell(asked, f"somebody asks for: {control}", (saga.Controlled(control),), must=False)
        if not here.late:
            yield Step("send_by passes", here._replace(late=True))
        elif not bulk.overdue and not bulk.ended:
            yield self._tell(here, "dispatch-svc sees that send_by has passed", (saga.SendByPassed(),))

    def _queue(self, here: Here, bulk: Bulk) -> Iterator[Step]:
        """What happens to the rows without a living sender."""
        if here.phase == QUEUED:
            due = here.job is None  # the same process does not claim what it has
            if due and leases.may_claim(bulk, queued=True, due=True, over=here.late):
                yield self._claimed(here)
            if here.late or bulk.sweep:
                to = SLOT_OF_REASON[bulk.ending or Reason.STOPPED] if bulk.sweep else Slot.SEND_BY
                ended = here._replace(phase=DONE, octets=slots.end_open(here.octets, to))
                yield self._moved(ended, "what is queued is ended")
        elif bulk.sweep:
            yield self._tell(here, "nothing is queued any more", (saga.Swept(),))
        if here.phase == LEASED and (here.job is None or not here.job.mine):
            yield self._recovered(here, "the lease of a dead sender ends")
        elif here.phase == LEASED and here.crashes and here.job is not None:
            # It slept past its lease, so its intent is older than the two seconds after which it writes nothing.
            asleep = here._replace(crashes=here.crashes - 1, job=here.job._replace(intended=-1, mine=False))
            yield self._recovered(asleep, "the sender sleeps, its lease is ended by another", must=False)
        if here.phase == DONE and Slot.UNKNOWN in here.octets and here.job is None:
            for charge in (True, False):
                octets = slots.settle(here.octets, charge=charge)
                yield self._moved(
                    here._replace(octets=octets), f"the unknown is {'charged' if charge else 'released'} by rule"
                )
            for at, octet in enumerate(here.octets):
                if octet == Slot.UNKNOWN and here.taken[at]:
                    yield self._moved(
                        here._replace(octets=_put(here.octets, at, Slot.ACCEPTED)),
                        f"a receipt: message {at + 1} was taken",
                    )

    def _claimed(self, here: Here) -> Step:
        # Slots of a retry are stored as queued again, with the claim.
        octets = here.octets
        for slot in here.order[here.upto :]:
            if octets[slot] == Slot.RETRY:
                octets = _put(octets, slot, Slot.QUEUED)
        leased = here._replace(phase=LEASED, octets=octets, job=Job(True, here.upto, octets))
        return Step("a sender leases the chunk", leased)

    def _recovered(self, here: Here, label: str, *, must: bool = True) -> Step:
        octets = slots.recover(here.octets, here.order, here.upto)
        done = Slot.QUEUED not in octets and Slot.RETRY not in octets
        after = here._replace(octets=octets, phase=DONE if done else QUEUED)
        return self._moved(after, f"{label} ({shown(octets)})", must=must)

    # -- the sender ---------------------------------------------------------------------------------------------------

    def _sender(self, here: Here, job: Job, bulk: Bulk) -> Iterator[Step]:
        if here.crashes:
            yield Step("the sender crashes", here._replace(job=None, crashes=here.crashes - 1), must=False)
        more = job.cursor < len(here.order)
        if job.intended >= 0:
            yield from self._write(here, job)
        elif more and leases.may_intend(
            bulk, leased=here.phase == LEASED, same_epoch=job.mine, over=here.late, same_counter=True
        ):
            yield self._intend(here, job, bulk)
        for at, (slot, fate) in enumerate(job.wire):
            wire = (*job.wire[:at], *job.wire[at + 1 :])
            octets = _put(job.octets, slot, _OUTCOME[fate])
            told = job._replace(wire=wire, octets=octets)
            yield Step(f"message {slot + 1}: {_FATES[fate]}", here._replace(job=told))
        mine = here.phase == LEASED and job.mine
        if mine and job.octets != here.octets and job.intended < 0:
            yield Step("what is known is recorded", here._replace(octets=job.octets))
        if not job.wire and job.intended < 0:
            leaving = bool(bulk.ending) or not bulk.claimable or here.late
            if mine and (leaving or not more):
                yield self._finished(here, job, bulk)
            elif not mine:
                yield self._lost(here, job)

    def _intend(self, here: Here, job: Job, bulk: Bulk) -> Step:
        upto = min(job.cursor + self._window, len(here.order))
        wrong = "submit: intended without a reservation" if bulk.reserved is None else ""
        wrong = wrong or ("submit: intended after send_by" if here.late else "")
        wrong = wrong or ("submit: intended after a stop" if bulk.ending else "")
        after = here._replace(upto=upto, job=job._replace(intended=upto), wrong=wrong)
        return Step(f"an intent up to message {here.order[upto - 1] + 1} is committed", after)

    def _write(self, here: Here, job: Job) -> Iterator[Step]:
        written = [slot for slot in here.order[job.cursor : job.intended] if job.octets[slot] == Slot.QUEUED]
        for fates in product(self._fates, repeat=len(written)):
            taken = list(here.taken)
            for slot, fate in zip(written, fates, strict=True):
                taken[slot] += fate in (TAKEN, TAKEN_SILENT)
            wire = tuple(sorted((*job.wire, *zip(written, fates, strict=True))))
            after = job._replace(cursor=job.intended, intended=-1, wire=wire)
            yield Step("the window is written", here._replace(job=after, taken=tuple(taken)))

    def _finished(self, here: Here, job: Job, bulk: Bulk) -> Step:
        """The end of a lease by its sender, as sender/recorder.py has it."""
        octets = job.octets
        reason = bulk.ending or (Reason.SEND_BY if here.late else Reason.NONE)
        if reason:
            octets = slots.end_open(octets, SLOT_OF_REASON[reason])
        done = Slot.QUEUED not in octets and Slot.RETRY not in octets
        ended = here._replace(job=None, octets=octets, phase=DONE, upto=job.cursor)
        if not done and job.cursor < len(here.order):
            ended = ended._replace(phase=QUEUED)
        elif not done:
            again = tuple(slot for slot, octet in enumerate(octets) if octet == Slot.RETRY)
            ended = ended._replace(phase=QUEUED, order=again, upto=0)
        return self._moved(ended, f"the sender records and ends its lease ({shown(octets)})")

    def _lost(self, here: Here, job: Job) -> Step:
        """Somebody else ended the lease: what the sender knows resolves what is unknown there, and nothing else."""
        octets = bytearray(here.octets)
        for slot, octet in enumerate(job.octets):
            if octets[slot] == Slot.UNKNOWN and octet in _LATE:
                octets[slot] = _LATE[Slot(octet)]
        after = here._replace(job=None, octets=bytes(octets))
        return self._moved(after, "answers that came after the lease resolve what is unknown")

    # -- laws ---------------------------------------------------------------------------------------------------------

    def broken(self, state: State) -> str:
        here = Here(*state)
        found = here.wrong or self.sagas.broken(here.bulk, ((here.phase, here.octets),))
        if found:
            return found
        twice = taken_once(Taken("t", "b", at + 1, 0, count) for at, count in enumerate(here.taken))
        if twice.violations:
            return f"once: message {twice.violations[0].message}, {twice.violations[0].detail}"
        if not self.is_end(state):
            return ""
        return self._untrue(here) or self.sagas.ended_wrong(here.bulk, ((here.phase, here.octets),))

    def _untrue(self, here: Here) -> str:
        """What is stored of a message is what the carrier has done with it, or unknown."""
        for at, (octet, count) in enumerate(zip(here.octets, here.taken, strict=True)):
            if (octet == Slot.ACCEPTED and not count) or (
                octet in (Slot.REJECTED, Slot.STOPPED, Slot.SEND_BY) and count
            ):
                return f"used: message {at + 1} is {Slot(octet).name.lower()}, the carrier took it {count} times"
        return ""

    def is_end(self, state: State) -> bool:
        here = Here(*state)
        bulk = self.sagas.bulks[here.bulk]
        return (
            bulk.ended
            and not bulk.sweep
            and here.phase == DONE
            and here.job is None
            and Slot.UNKNOWN not in here.octets
        )

    def show(self, state: State) -> str:
        here = Here(*state)
        bulk, job = self.sagas.bulks[here.bulk], here.job
        memory = "no sender" if job is None else f"sender {shown(job.octets)}, {len(job.wire)} unanswered"
        phase = ("absent", "queued", "leased", "done")[here.phase]
        ending = f" ending {bulk.ending}" if bulk.ending else ""
        row = f"chunk {phase} {shown(here.octets)}, intent {here.upto}"
        return f"{bulk.state}{ending}; {row}; {memory}; taken {here.taken}"


def _put(octets: bytes, at: int, slot: Slot) -> bytes:
    return octets[:at] + bytes((slot,)) + octets[at + 1 :]
