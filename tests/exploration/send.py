"""One send in full: what customer-svc says, the saga, the ledger, what people do, and time; its chunks in a few steps.

The ledger is asked with every account that another send could have left behind, so nothing that two sends do to one
wallet is missed here; wallet.py has the wallet itself.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

from muster.dispatch.domain import saga, slots
from muster.dispatch.domain.saga import Bulk, Control, Requested
from muster.dispatch.domain.slots import SLOT_OF_REASON, Reason, Slot
from muster.laws.across import by_send, same_money

from .bus import Bus, Facts
from .dispatch import ABSENT, DONE, LEASED, QUEUED, Chunk, Sagas, accounted, shown
from .engine import State, Step
from .ledger import NO_RESERVATION, Ledger, Operation, figures_of_bulk

REQUESTED, GIVEN_UP = 64, 128
PAUSE, RESUME, STOP = 1, 2, 4
_ACTS = {PAUSE: "a pause", RESUME: "a resume", STOP: "a stop"}


class Local(NamedTuple):
    """Everything about one send."""

    said: int
    bulk: int
    chunks: tuple[Chunk, ...]
    reservation: int
    bus: Bus
    acts: int
    late: bool
    losses: int


class SendWorld:
    """One send of some chunks, every message for one credit."""

    def __init__(
        self,
        sizes: Sequence[int],
        *,
        acts: int = PAUSE | RESUME | STOP,
        losses: int = 1,
        in_flight: int = 3,
        copies: int = 1,
        unknown: int = 1,
        offers: Sequence[int] = (0, 1, 3),
        crashes: bool = True,
    ) -> None:
        self.name = "send"
        self.recipients = sum(sizes)
        self.bounds = {
            "sends": 1,
            "messages": self.recipients,
            "chunks": len(sizes),
            "deliveries of an event at most": 2,
            "in flight at most": in_flight,
            "of them kept for a second delivery": copies,
            "unknown at a time in a chunk": unknown,
            "events lost": losses,
            "controls": ", ".join(name for bit, name in _ACTS.items() if acts & bit) or "none",
            "crashes of a sender": "at any lease" if crashes else "none",
            "credits offered": " or ".join(map(str, offers)),
        }
        self.withheld = 0
        self._sizes, self._acts, self._losses, self._offers, self._crashes = sizes, acts, losses, offers, crashes
        self._unknown = unknown
        self.facts = Facts(in_flight, copies)
        self.sagas = Sagas([b"\1" * size for size in sizes], [(1,) * size for size in sizes])
        self.ledger = Ledger()
        self._request = Requested(self.recipients, len(sizes), self.recipients, 1)
        self._attached = [self.facts.number(f"chunk {at + 1}", at) for at in range(len(sizes))]
        self._asked = self.facts.number("request to credit-svc"), self.facts.number("request to dispatch-svc")
        self._withdrawn = self.facts.number("withdrawal")

    def first(self) -> Local:
        """Nothing has happened yet."""
        chunks = tuple((ABSENT, slots.fresh(b"\1" * size)) for size in self._sizes)
        return Local(
            0, self.sagas.number(Bulk()), chunks, self.ledger.number(NO_RESERVATION), (), 0, False, self._losses
        )

    def start(self) -> list[State]:
        return [self.first()]

    def steps(self, state: State) -> Iterator[Step]:
        here = Local(*state)
        yield from self.own_steps(here)
        for label, base, operation in self.operations(here):
            for reservation, said in self.ledger.with_any_account(operation, here.reservation, self._offers):
                if (after := self.answered(base, reservation, said)) is not None:
                    yield Step(label, after)

    # -- steps that touch no account ----------------------------------------------------------------------------------

    def own_steps(self, here: Local) -> Iterator[Step]:
        """What may happen to this send alone."""
        yield from self._customer(here)
        yield from self._people(here)
        yield from self._chunks(here)
        yield from self._time(here)
        for kind, payload, rest, again in self.facts.deliveries(here.bus):
            if kind not in ("accounted", "request to credit-svc"):
                yield from self._hear(here._replace(bus=rest), kind, payload, again)
        if here.losses:
            for at, one in enumerate(here.bus):
                kind = self.facts.known[one >> 1][0]
                if not one & 1 and kind in ("accounted", "settled"):
                    bus = here.bus[:at] + here.bus[at + 1 :]
                    yield Step(f"{kind} is lost", here._replace(bus=bus, losses=here.losses - 1), must=False)

    def _say(self, after: Local, label: str, said: tuple[int, ...] = (), *, must: bool = True) -> Iterator[Step]:
        bus = self.facts.say(after.bus, said)
        if bus is None:
            self.withheld += 1
        else:
            yield Step(label, after._replace(bus=bus), must)

    def _tell(self, here: Local, label: str, facts: tuple[saga.Fact, ...], *, must: bool = True) -> Iterator[Step]:
        bulk, words = self.sagas.told(here.bulk, facts, here.chunks)
        said = tuple(
            self.facts.number(kind, payload)
            for kind, payload in words
            if kind == "accounted" or (payload == "stop" and not here.said & REQUESTED)
        )
        yield from self._say(here._replace(bulk=bulk), label, said, must=must)

    def _customer(self, here: Local) -> Iterator[Step]:
        if here.said & GIVEN_UP:
            return
        for at, number in enumerate(self._attached):
            if not here.said & 1 << at:
                yield from self._say(
                    here._replace(said=here.said | 1 << at), f"customer-svc says chunk {at + 1}", (number,)
                )
        if not here.said & REQUESTED:
            yield from self._say(
                here._replace(said=here.said | REQUESTED), "customer-svc requests the send", self._asked
            )

    def _people(self, here: Local) -> Iterator[Step]:
        bulk = self.sagas.bulks[here.bulk]
        if bulk.ended or bulk.ending:
            return
        for bit, control in ((PAUSE, Control.PAUSE), (RESUME, Control.RESUME), (STOP, Control.STOP)):
            if self._acts & bit and not here.acts & bit and (bit != RESUME or bulk.paused):
                after = here._replace(acts=here.acts | bit)
                yield from self._tell(after, f"somebody asks for: {control}", (saga.Controlled(control),), must=False)

    def _time(self, here: Local) -> Iterator[Step]:
        bulk = self.sagas.bulks[here.bulk]
        if not here.late:
            yield Step("send_by passes", here._replace(late=True))
        elif bulk.requested and not bulk.ended and not bulk.overdue:
            yield from self._tell(here, "dispatch-svc sees that send_by has passed", (saga.SendByPassed(),))
        if bulk.account_version > bulk.settled_version and not any(
            self.facts.known[one >> 1][0] in ("accounted", "settled") for one in here.bus
        ):
            again = self.facts.number("accounted", accounted(bulk, closed=bulk.ended))
            yield from self._say(here, "totals that nobody answered are said again", (again,))

    def _hear(self, here: Local, kind: str, payload: Any, again: str) -> Iterator[Step]:
        label = f"dispatch-svc hears {kind}{again}"
        if kind == "controlled":
            if here.said & (REQUESTED | GIVEN_UP):
                yield from self._say(here, f"customer-svc hears of the stop{again}")
            else:
                gone = here._replace(said=here.said | GIVEN_UP)
                yield from self._say(gone, "customer-svc hears of the stop and withdraws the send", (self._withdrawn,))
        elif kind.startswith("chunk"):
            yield from self._arrive(here, payload, label)
        else:
            yield from self._tell(here, label, (self._fact(kind, payload),))

    def _fact(self, kind: str, payload: Any) -> saga.Fact:
        match kind:
            case "request to dispatch-svc":
                return self._request
            case "withdrawal":
                return saga.Withdrawn()
            case "settled":
                return saga.Settled(payload)
            case "reserved":
                return saga.Reserved(payload)
        return saga.Refused()

    def _arrive(self, here: Local, at: int, label: str) -> Iterator[Step]:
        """A chunk is stored once: its key is its own."""
        phase, octets = here.chunks[at]
        if phase != ABSENT:
            yield Step(label, here)
            return
        after = here._replace(chunks=_put(here.chunks, at, (QUEUED, octets)))
        yield from self._tell(after, label, (saga.Arrived(self.sagas.bulks[here.bulk].arrived + 1),))

    # -- chunks -------------------------------------------------------------------------------------------------------

    def _chunks(self, here: Local) -> Iterator[Step]:
        bulk = self.sagas.bulks[here.bulk]
        queued = [at for at, (phase, _) in enumerate(here.chunks) if phase == QUEUED]
        if bulk.sweep:
            to = SLOT_OF_REASON[bulk.ending or Reason.STOPPED]
            if queued:
                yield from self._end(here, queued, to, "what is queued of the ended send is ended")
            else:
                yield from self._tell(here, "nothing of the ended send is queued any more", (saga.Swept(),))
        if here.late and queued:
            yield from self._end(here, queued, Slot.SEND_BY, "what is queued after send_by is ended")
        for at, (phase, octets) in enumerate(here.chunks):
            if phase == QUEUED and bulk.claimable and not here.late:
                paid = self._unpaid_ended(at, octets, bulk.reserved or 0)
                yield Step(
                    f"a sender leases chunk {at + 1}", here._replace(chunks=_put(here.chunks, at, (LEASED, paid)))
                )
            elif phase == LEASED:
                for after, what in self._outcomes(octets, bulk.ending):
                    yield from self._record(here, at, after, f"chunk {at + 1}: {what}")
            elif phase == DONE and Slot.UNKNOWN in octets:
                for charge in (True, False):
                    told = f"what is unknown of chunk {at + 1} is {'charged' if charge else 'released'} by rule"
                    yield from self._record(here, at, slots.settle(octets, charge=charge), told)

    def _unpaid_ended(self, at: int, octets: bytes, reserved: int) -> bytes:
        before = sum(self._sizes[:at])
        return bytes(
            Slot.CREDITS if octet == Slot.QUEUED and before + position + 1 > reserved else octet
            for position, octet in enumerate(octets)
        )

    def _outcomes(self, octets: bytes, ending: Reason) -> Iterable[tuple[bytes, str]]:
        """What a lease may come to: all or some written, the rest given back or ended, or a crash in the middle."""
        waiting = [at for at, octet in enumerate(octets) if octet == Slot.QUEUED]
        found: dict[bytes, str] = {}
        for count in range(len(waiting) + 1):
            for each in product((Slot.ACCEPTED, Slot.UNKNOWN), repeat=count):
                if list(each) != sorted(each) or each.count(Slot.UNKNOWN) > self._unknown:
                    continue  # which of several like messages it was makes no difference to money
                after = bytearray(octets)
                for at, outcome in zip(waiting, each, strict=False):
                    after[at] = outcome
                left = slots.end_open(bytes(after), SLOT_OF_REASON[ending]) if ending else bytes(after)
                found.setdefault(left, "its sender records and ends its lease")
                if self._crashes:
                    upto = waiting[count] + 1 if count < len(waiting) else len(octets)
                    recovered = slots.recover(bytes(after), None, upto)
                    if recovered.count(Slot.UNKNOWN) <= self._unknown:
                        found.setdefault(recovered, "its sender crashes, the lease is recovered")
        return found.items()

    def _end(self, here: Local, at: Sequence[int], to: Slot, label: str) -> Iterator[Step]:
        chunks = here.chunks
        for one in at:
            chunks = _put(chunks, one, (DONE, slots.end_open(chunks[one][1], to)))
        facts = self.sagas.done_or_moved(here.bulk, len(at))
        yield from self._tell(here._replace(chunks=chunks), label, facts)

    def _record(self, here: Local, at: int, octets: bytes, label: str) -> Iterator[Step]:
        done = Slot.QUEUED not in octets
        ended = done and here.chunks[at][0] != DONE
        after = here._replace(chunks=_put(here.chunks, at, (DONE if done else QUEUED, octets)))
        yield from self._tell(after, f"{label} ({shown(octets)})", self.sagas.done_or_moved(here.bulk, int(ended)))

    # -- the ledger ---------------------------------------------------------------------------------------------------

    def operations(self, here: Local) -> Iterator[tuple[str, Local, Operation]]:
        """What the ledger may hear now: (label, the send without that event, what is asked)."""
        for kind, payload, rest, again in self.facts.deliveries(here.bus):
            if kind == "request to credit-svc":
                yield f"credit-svc hears the request{again}", here._replace(bus=rest), ("request", self.recipients)
            elif kind == "accounted":
                label = f"credit-svc hears totals {payload[0]}{again}: used {payload[1]}, released {payload[2]}"
                yield label, here._replace(bus=rest), ("totals", payload)

    def answered(self, base: Local, reservation: int, said: tuple[str, Any]) -> Local | None:
        """The send after the ledger's answer."""
        bus = self.facts.say(base.bus, (self.facts.number(*said),))
        if bus is None:
            self.withheld += 1
            return None
        return base._replace(reservation=reservation, bus=bus)

    # -- laws ---------------------------------------------------------------------------------------------------------

    def broken(self, state: State) -> str:
        here = Local(*state)
        found = self.sagas.broken(here.bulk, here.chunks) or self.ledger.broken(here.reservation)
        if not found and self.is_end(state):
            found = self.sagas.ended_wrong(here.bulk, here.chunks) or self._money_differs(here)
        return found

    def _money_differs(self, here: Local) -> str:
        """The ledger has applied what dispatch-svc said, once nothing is under way."""
        dispatch = figures_of_bulk(self.sagas.bulks[here.bulk])
        result = same_money(by_send([dispatch]), by_send([self.ledger.figures(here.reservation)]))
        return "".join(f"reserved: {one.detail}" for one in result.violations)

    def is_end(self, state: State) -> bool:
        here = Local(*state)
        bulk = self.sagas.bulks[here.bulk]
        return (
            bulk.ended
            and not here.bus
            and not bulk.sweep
            and bulk.settled_version == bulk.account_version
            and all(phase in (ABSENT, DONE) and Slot.UNKNOWN not in octets for phase, octets in here.chunks)
            and not self.ledger.rows[here.reservation].held
        )

    def show(self, state: State) -> str:
        here = Local(*state)
        bulk, row = self.sagas.bulks[here.bulk], self.ledger.rows[here.reservation]
        names = ("absent", "queued", "leased", "done")
        chunks = ", ".join(f"{names[phase]} {shown(octets)}" for phase, octets in here.chunks)
        return (
            f"{bulk.state}{' ending ' + bulk.ending if bulk.ending else ''}{' late' if here.late else ''};"
            f" chunks {chunks};"
            f" credit-svc {row.answer or 'unasked'} {row.reserved}: used {row.used}, released {row.released};"
            f" under way: {self.facts.names(here.bus)}"
        )


def _put(chunks: tuple[Chunk, ...], at: int, chunk: Chunk) -> tuple[Chunk, ...]:
    return (*chunks[:at], chunk, *chunks[at + 1 :])
