"""One send in full: what customer-svc says, the saga, the ledger, what people do, and time; its chunks in a few steps.

The ledger is asked with every account that another send could have left behind, so nothing that two sends do to one
wallet is missed here; wallet.py has the wallet itself.
"""

from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from muster.dispatch.domain import saga, slots
from muster.dispatch.domain.saga import Bulk, Control, Requested
from muster.dispatch.domain.slots import SLOT_OF_REASON, Reason, Slot
from muster.laws.across import by_send, same_money

from .bus import Bus, Facts
from .chunk import outcomes, recorded, unpaid_ended
from .dispatch import ABSENT, DONE, LEASED, QUEUED, Chunk, Sagas, accounted, shown
from .engine import State, Step
from .ledger import NO_RESERVATION, Ledger, Operation, figures_of_bulk

REQUESTED, GIVEN_UP = 64, 128
PAUSE, RESUME, STOP = 1, 2, 4
_ACTS = {PAUSE: "a pause", RESUME: "a resume", STOP: "a stop"}


class Local(NamedTuple):
    """Everything about one send, apart from what is under way."""

    said: int
    bulk: int
    chunks: tuple[Chunk, ...]
    reservation: int
    acts: int
    late: bool
    losses: int


class Move(NamedTuple):
    """What may happen to a send, whatever is under way: the number of what it comes to, and the facts that are said."""

    label: str
    after: int
    said: tuple[int, ...] = ()
    must: bool = True


class SendWorld:
    """One send of some chunks, every message for one credit.

    A state is (number of the `Local`, bus). The cores are pure, so what they make of a send and a fact is asked once,
    and looked up for every bus.
    """

    name = "send"
    stands_for = 0

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
        self.recipients = sum(sizes)
        self.bounds = {
            "sends": 1,
            "messages": self.recipients,
            "chunks": len(sizes),
            "deliveries of an event at most": 2 if copies else 1,
            "in flight at most": in_flight,
            "of them kept for a second delivery": copies,
            "unknown at a time in a chunk": unknown,
            "events lost": losses,
            "controls": ", ".join(name for bit, name in _ACTS.items() if acts & bit) or "none",
            "crashes of a sender": "at any lease" if crashes else "none",
            "credits offered": " or ".join(map(str, offers)),
        }
        self.withheld = 0
        self._sizes, self._acts, self._losses, self._crashes = sizes, acts, losses, crashes
        self.offers = offers
        self.locals: list[Local] = []
        self._numbers: dict[Local, int] = {}
        self._moves: list[tuple[Move, ...] | None] = []
        self._wrong: list[str] = []
        self._heard: dict[tuple[int, int], tuple[Move, ...]] = {}
        self._reserved: dict[tuple[int, int], int] = {}
        self._money: dict[Bus, tuple[int, ...]] = {}
        # For both.py: what the ledger may be asked at a reservation, and how many states of the send have it.
        self.heard: defaultdict[int, dict[Operation, None]] = defaultdict(dict)
        self.states_with: Counter[int] = Counter()
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
        return Local(0, self.sagas.number(Bulk()), chunks, self.ledger.number(NO_RESERVATION), 0, False, self._losses)

    def start(self) -> list[State]:
        return [(self.number(self.first()), ())]

    def number(self, here: Local) -> int:
        """The number of a send that is so."""
        found = self._numbers.get(here)
        if found is None:
            found = self._numbers[here] = len(self.locals)
            self.locals.append(here)
            self._moves.append(None)
            self._wrong.append(self.sagas.broken(here.bulk, here.chunks) or self.ledger.broken(here.reservation))
        return found

    def reservation(self, state: State) -> int:
        """The number of its reservation."""
        return self.locals[state[0]].reservation

    def steps(self, state: State) -> Iterator[Step]:
        reservation = self.reservation(state)
        self.states_with[reservation] += 1
        yield from self.own_steps(state)
        for label, base, operation in self.operations(state):
            self.heard[reservation][operation] = None
            for row, said in self.ledger.with_any_account(operation, reservation, self.offers):
                if (after := self.answered(base, row, said)) is not None:
                    yield Step(label, after)

    # -- steps that touch no account ----------------------------------------------------------------------------------

    def own_steps(self, state: State) -> Iterator[Step]:
        """What may happen to this send alone."""
        number, bus = state
        yield from self._steps(self._moves_of(number), bus)
        for one, rest in self.facts.deliveries(bus):
            yield from self._steps(self._heard_of(number, one), rest)
        yield from self._unsettled(number, bus)

    def _steps(self, moves: Iterable[Move], bus: Bus) -> Iterator[Step]:
        for label, after, said, must in moves:
            if not said:
                yield Step(label, (after, bus), must)
            elif (more := self.facts.say(bus, said)) is not None:
                yield Step(label, (after, more), must)
            else:
                self.withheld += 1

    def _moves_of(self, number: int) -> tuple[Move, ...]:
        found = self._moves[number]
        if found is None:
            here = self.locals[number]
            found = (*self._customer(here), *self._people(here), *self._chunks(here), *self._time(here))
            self._moves[number] = found
        return found

    def _heard_of(self, number: int, one: int) -> tuple[Move, ...]:
        found = self._heard.get((number, one))
        if found is None:
            kind, payload, again = self.facts.fact(one)
            to_ledger = kind in ("accounted", "request to credit-svc")
            found = () if to_ledger else tuple(self._hear(self.locals[number], kind, payload, again))
            self._heard[number, one] = found
        return found

    def _unsettled(self, number: int, bus: Bus) -> Iterator[Step]:
        """Totals and answers that are lost, and totals that are said again since nobody answered."""
        here = self.locals[number]
        money = self._money_on(bus)
        bulk = self.sagas.bulks[here.bulk]
        if not money and bulk.account_version > bulk.settled_version:
            again = self.facts.number("accounted", accounted(bulk, closed=bulk.ended))
            yield from self._steps([Move("totals that nobody answered are said again", number, (again,))], bus)
        for at in money if here.losses else ():
            if not bus[at] & 1:
                lost = self.number(here._replace(losses=here.losses - 1))
                yield Step(f"{self.facts.fact(bus[at])[0]} is lost", (lost, bus[:at] + bus[at + 1 :]), must=False)

    def _money_on(self, bus: Bus) -> tuple[int, ...]:
        """Where on the bus totals or answers to them are."""
        found = self._money.get(bus)
        if found is None:
            found = tuple(at for at, one in enumerate(bus) if self.facts.fact(one)[0] in ("accounted", "settled"))
            self._money[bus] = found
        return found

    def _move(self, after: Local, label: str, said: tuple[int, ...] = (), *, must: bool = True) -> Move:
        return Move(label, self.number(after), said, must)

    def _tell(self, here: Local, label: str, facts: tuple[saga.Fact, ...], *, must: bool = True) -> Move:
        bulk, words = self.sagas.told(here.bulk, facts, here.chunks)
        said = tuple(
            self.facts.number(kind, payload)
            for kind, payload in words
            if kind == "accounted" or (payload == "stop" and not here.said & REQUESTED)
        )
        return self._move(here._replace(bulk=bulk), label, said, must=must)

    def _customer(self, here: Local) -> Iterator[Move]:
        if here.said & GIVEN_UP:
            return
        for at, number in enumerate(self._attached):
            if not here.said & 1 << at:
                yield self._move(
                    here._replace(said=here.said | 1 << at), f"customer-svc says chunk {at + 1}", (number,)
                )
        if not here.said & REQUESTED:
            yield self._move(here._replace(said=here.said | REQUESTED), "customer-svc requests the send", self._asked)

    def _people(self, here: Local) -> Iterator[Move]:
        bulk = self.sagas.bulks[here.bulk]
        if bulk.ended or bulk.ending:
            return
        for bit, control in ((PAUSE, Control.PAUSE), (RESUME, Control.RESUME), (STOP, Control.STOP)):
            if self._acts & bit and not here.acts & bit and (bit != RESUME or bulk.paused):
                after = here._replace(acts=here.acts | bit)
                yield self._tell(after, f"somebody asks for: {control}", (saga.Controlled(control),), must=False)

    def _time(self, here: Local) -> Iterator[Move]:
        bulk = self.sagas.bulks[here.bulk]
        if not here.late:
            yield self._move(here._replace(late=True), "send_by passes")
        elif bulk.requested and not bulk.ended and not bulk.overdue:
            yield self._tell(here, "dispatch-svc sees that send_by has passed", (saga.SendByPassed(),))

    def _hear(self, here: Local, kind: str, payload: Any, again: str) -> Iterator[Move]:
        label = f"dispatch-svc hears {kind}{again}"
        if kind == "controlled":
            if here.said & (REQUESTED | GIVEN_UP):
                yield self._move(here, f"customer-svc hears of the stop{again}")
            else:
                gone = here._replace(said=here.said | GIVEN_UP)
                yield self._move(gone, "customer-svc hears of the stop and withdraws the send", (self._withdrawn,))
        elif kind.startswith("chunk"):
            yield from self._arrive(here, payload, label)
        else:
            yield self._tell(here, label, (self._fact(kind, payload),))

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

    def _arrive(self, here: Local, at: int, label: str) -> Iterator[Move]:
        """A chunk is stored once: its key is its own."""
        phase, octets = here.chunks[at]
        if phase != ABSENT:
            yield self._move(here, label)
            return
        after = here._replace(chunks=_put(here.chunks, at, (QUEUED, octets)))
        yield self._tell(after, label, (saga.Arrived(self.sagas.bulks[here.bulk].arrived + 1),))

    # -- chunks -------------------------------------------------------------------------------------------------------

    def _chunks(self, here: Local) -> Iterator[Move]:
        bulk = self.sagas.bulks[here.bulk]
        queued = [at for at, (phase, _) in enumerate(here.chunks) if phase == QUEUED]
        if bulk.sweep:
            to = SLOT_OF_REASON[bulk.ending or Reason.STOPPED]
            if queued:
                yield self._end(here, queued, to, "what is queued of the ended send is ended")
            else:
                yield self._tell(here, "nothing of the ended send is queued any more", (saga.Swept(),))
        if here.late and queued:
            yield self._end(here, queued, Slot.SEND_BY, "what is queued after send_by is ended")
        for at, (phase, octets) in enumerate(here.chunks):
            if phase == QUEUED and bulk.claimable and not here.late:
                paid = unpaid_ended(octets, sum(self._sizes[:at]), bulk.reserved or 0)
                leased = here._replace(chunks=_put(here.chunks, at, (LEASED, paid)))
                yield self._move(leased, f"a sender leases chunk {at + 1}")
            elif phase == LEASED:
                for known in recorded(octets, self._unknown):
                    after_it = here._replace(chunks=_put(here.chunks, at, (LEASED, known)))
                    yield self._move(after_it, f"chunk {at + 1}: its sender records {shown(known)}")
                for after, what in outcomes(octets, bulk.ending, self._unknown, crashes=self._crashes):
                    yield self._record(here, at, after, f"chunk {at + 1}: {what}")
            elif phase == DONE and Slot.UNKNOWN in octets:
                for charge in (True, False):
                    told = f"what is unknown of chunk {at + 1} is {'charged' if charge else 'released'} by rule"
                    yield self._record(here, at, slots.settle(octets, charge=charge), told)

    def _end(self, here: Local, at: Sequence[int], to: Slot, label: str) -> Move:
        chunks = here.chunks
        for one in at:
            chunks = _put(chunks, one, (DONE, slots.end_open(chunks[one][1], to)))
        facts = self.sagas.done_or_moved(here.bulk, len(at))
        return self._tell(here._replace(chunks=chunks), label, facts)

    def _record(self, here: Local, at: int, octets: bytes, label: str) -> Move:
        done = Slot.QUEUED not in octets
        ended = done and here.chunks[at][0] != DONE
        after = here._replace(chunks=_put(here.chunks, at, (DONE if done else QUEUED, octets)))
        return self._tell(after, f"{label} ({shown(octets)})", self.sagas.done_or_moved(here.bulk, int(ended)))

    # -- the ledger ---------------------------------------------------------------------------------------------------

    def operations(self, state: State) -> Iterator[tuple[str, State, Operation]]:
        """What the ledger may hear now: (label, the send without that event, what is asked)."""
        number, bus = state
        for one, rest in self.facts.deliveries(bus):
            kind, payload, again = self.facts.fact(one)
            if kind == "request to credit-svc":
                yield f"credit-svc hears the request{again}", (number, rest), ("request", self.recipients)
            elif kind == "accounted":
                label = f"credit-svc hears totals {payload[0]}{again}: used {payload[1]}, released {payload[2]}"
                yield label, (number, rest), ("totals", payload)

    def answered(self, base: State, reservation: int, said: tuple[str, Any]) -> State | None:
        """The send after the ledger's answer."""
        number, bus = base
        more = self.facts.say(bus, (self.facts.number(*said),))
        if more is None:
            self.withheld += 1
            return None
        after = self._reserved.get((number, reservation))
        if after is None:
            after = self._reserved[number, reservation] = self.number(
                self.locals[number]._replace(reservation=reservation)
            )
        return after, more

    # -- laws ---------------------------------------------------------------------------------------------------------

    def broken(self, state: State) -> str:
        found = self._wrong[state[0]]
        if not found and self.is_end(state):
            here = self.locals[state[0]]
            found = self.sagas.ended_wrong(here.bulk, here.chunks) or self._money_differs(here)
        return found

    def _money_differs(self, here: Local) -> str:
        """The ledger has applied what dispatch-svc said, once nothing is under way."""
        dispatch = figures_of_bulk(self.sagas.bulks[here.bulk])
        result = same_money(by_send([dispatch]), by_send([self.ledger.figures(here.reservation)]))
        return "".join(f"reserved: {one.detail}" for one in result.violations)

    def is_end(self, state: State) -> bool:
        number, bus = state
        if bus:
            return False
        here = self.locals[number]
        bulk = self.sagas.bulks[here.bulk]
        return (
            bulk.ended
            and not bulk.sweep
            and bulk.settled_version == bulk.account_version
            and all(phase in (ABSENT, DONE) and Slot.UNKNOWN not in octets for phase, octets in here.chunks)
            and not self.ledger.rows[here.reservation].held
        )

    def show(self, state: State) -> str:
        here = self.locals[state[0]]
        bulk, row = self.sagas.bulks[here.bulk], self.ledger.rows[here.reservation]
        names = ("absent", "queued", "leased", "done")
        chunks = ", ".join(f"{names[phase]} {shown(octets)}" for phase, octets in here.chunks)
        return (
            f"{bulk.state}{' ending ' + bulk.ending if bulk.ending else ''}{' late' if here.late else ''};"
            f" chunks {chunks};"
            f" credit-svc {row.answer or 'unasked'} {row.reserved}: used {row.used}, released {row.released};"
            f" under way: {self.facts.names(state[1])}"
        )


def _put(chunks: tuple[Chunk, ...], at: int, chunk: Chunk) -> tuple[Chunk, ...]:
    return (*chunks[:at], chunk, *chunks[at + 1 :])
