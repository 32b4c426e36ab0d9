"""What is said of messages, in any order and twice, and the report's rows: law 6 once nothing is under way."""

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from muster.dispatch.domain import receipts, slots
from muster.dispatch.domain.receipts import Receipt
from muster.dispatch.domain.slots import Slot, Word
from muster.laws.report import Message, Rows, columns, report
from muster.report import domain

from .bus import Bus, Facts
from .dispatch import shown
from .engine import State, Step

PARTS, PRICE = bytes((1, 1, 2)), 2
PRICES = (PRICE,) * 3
_LEFT = {
    Slot.ACCEPTED: 2,
    Slot.UNKNOWN: 3,
    Slot.REJECTED: 4,
    Slot.STOPPED: 5,
    Slot.SEND_BY: 5,
    Slot.CREDITS: 5,
    Slot.SUPPRESSED: 6,
}
_STARTS = slots.offsets(PARTS)


class Row(NamedTuple):
    """A row of the report: each event type owns its columns and a version."""

    dispatched: int = 0
    left: int = 0
    accepted: int = 0
    credits: int = 0
    status: int = 0
    receipt: int = 0

    @property
    def end(self) -> int:
        """How the message ended: the generated column."""
        return 10 + self.receipt if self.receipt else self.left


class Here(NamedTuple):
    """A chunk with its receipts, what is under way, and the rows with the live counts."""

    octets: bytes
    said: int
    receipts: bytes
    status_said: int
    bus: Bus
    rows: tuple[Row | None, ...]
    counts: tuple[int, ...]
    wrong: str


class ReportWorld:
    """A chunk of three messages, the third of two parts; receipts for the first and the third."""

    name = "report"
    stands_for = 0

    def __init__(self, in_flight: int = 3, copies: int = 3) -> None:
        self.bounds = {
            "messages": 3,
            "parts": sum(PARTS),
            "deliveries of an event at most": 2,
            "in flight at most": in_flight,
            "of them kept for a second delivery": copies,
            "receipts": "two for each part of messages 1 and 3, delivered or failed, also before the outcome",
        }
        self.withheld = 0
        self._facts = Facts(in_flight, copies)

    def start(self) -> Iterable[State]:
        return [Here(slots.fresh(PARTS), 0, bytes(4), 0, (), (None,) * 3, (0,) * domain.CODES, "")]

    def steps(self, state: State) -> Iterator[Step]:
        here = Here(*state)
        for octets, label in self._outcomes(here.octets):
            yield from self._dispatched(here, octets, label)
        for slot in (0, 2, 3):
            if here.octets[slot] in (Slot.QUEUED, Slot.ACCEPTED, Slot.UNKNOWN, Slot.CHARGED):
                for said in (Receipt.DELIVERED, Receipt.UNDELIVERED):
                    yield from self._received(here, slot, said)
        for one, rest in self._facts.deliveries(here.bus):
            kind, version_and_words, again = self._facts.fact(one)
            after = self._projected(here._replace(bus=rest), kind, version_and_words)
            yield Step(f"report-svc hears {kind} {version_and_words[0]}{again}", after)

    def _outcomes(self, octets: bytes) -> Iterator[tuple[bytes, str]]:
        """What may become of the chunk next."""
        for at, start in enumerate(_STARTS):
            mine = octets[start : start + PARTS[at]]
            if Slot.QUEUED in mine:
                outcomes = [bytes((outcome,)) * PARTS[at] for outcome in (Slot.ACCEPTED, Slot.UNKNOWN)]
                if PARTS[at] > 1:
                    outcomes[1] = bytes((Slot.ACCEPTED, Slot.UNKNOWN))
                for after in outcomes if at != 1 else outcomes[:1]:
                    yield octets[:start] + after + octets[start + PARTS[at] :], f"message {at + 1} is {shown(after)}"
                break  # in the order of the chunk
        if Slot.QUEUED in octets:
            yield slots.end_open(octets, Slot.STOPPED), "a stop ends what is unsent"
        elif Slot.UNKNOWN in octets:
            yield slots.settle(octets, charge=True), "what is unknown is charged by rule"
            at = octets.index(Slot.UNKNOWN)
            yield octets[:at] + bytes((Slot.ACCEPTED,)) + octets[at + 1 :], "a late answer: it was accepted"

    def _dispatched(self, here: Here, octets: bytes, label: str) -> Iterator[Step]:
        words = slots.words(PARTS, here.octets, octets)
        version = here.said + bool(words)
        said = (self._facts.number("SmsDispatched", (version, tuple(words))),) if words else ()
        yield from self._say(here._replace(octets=octets, said=version), label, said)

    def _received(self, here: Here, slot: int, said: Receipt) -> Iterator[Step]:
        """A receipt, as sender/deliveries.py brings it: merged over the parts, said where the message has a new end."""
        octets = bytearray(here.receipts)
        receipts.apply(octets, [(slot, said)])
        at = 2 if slot >= 2 else slot
        before, after = (
            receipts.merged(bytes(each[_STARTS[at] : _STARTS[at] + PARTS[at]])) for each in (here.receipts, octets)
        )
        wrong = "once: a final receipt was overwritten" if here.receipts[slot] not in (0, octets[slot]) else ""
        if octets == here.receipts:
            return
        facts: tuple[int, ...] = ()
        version = here.status_said + 1
        if after is not before:
            facts = (self._facts.number("SmsStatusChanged", (version, ((at, after),))),)
        changed = here._replace(receipts=bytes(octets), status_said=version if facts else here.status_said, wrong=wrong)
        yield from self._say(changed, f"a receipt says part {slot + 1} is {said.name.lower()}", facts, must=False)

    def _say(self, after: Here, label: str, said: tuple[int, ...], *, must: bool = True) -> Iterator[Step]:
        bus = self._facts.say(after.bus, said)
        if bus is None:
            self.withheld += 1
        else:
            yield Step(label, after._replace(bus=bus), must)

    def _projected(self, here: Here, kind: str, payload: Any) -> Here:
        version, words = payload
        rows, changes = list(here.rows), []
        for word in words:
            at = word[0]
            before = rows[at]
            row = before or Row()
            if kind == "SmsDispatched":
                if not domain.takes(row.dispatched, version):
                    continue
                row = row._replace(dispatched=version, **_columns(word))
            else:
                if not domain.takes(row.status, version):
                    continue
                row = row._replace(status=version, receipt=int(word[1]))
            rows[at] = row
            changes.append((1, None if before is None else before.end, row.end, 1))
        counts = list(here.counts)
        for delta in domain.deltas(changes).values():
            counts = [count + more for count, more in zip(counts, delta, strict=True)]
        return here._replace(rows=tuple(rows), counts=tuple(counts))

    def broken(self, state: State) -> str:
        here = Here(*state)
        if here.wrong:
            return here.wrong
        if not self.is_end(state):
            return ""
        own = slots.words(PARTS, slots.fresh(PARTS), here.octets)
        pairs = [(_message(word, here.receipts), _row(at, here.rows[at])) for at, word in enumerate(own)]
        there = [row for row in here.rows if row is not None]
        delivered = domain.ENDS["delivered"]
        rows = Rows(
            *("t", "b", True, 3, len(there)),
            queued=sum(row.left == 0 for row in there),
            delivered=sum(row.end == delivered for row in there),
            live=sum(here.counts),
            live_delivered=here.counts[delivered],
        )
        found = columns(pairs).violations + report([rows]).violations
        return f"report: {found[0].detail}" if found else ""

    def is_end(self, state: State) -> bool:
        here = Here(*state)
        return not here.bus and Slot.QUEUED not in here.octets and Slot.UNKNOWN not in here.octets

    def show(self, state: State) -> str:
        here = Here(*state)
        got = "-".join(Receipt(one).name.lower() for one in here.receipts)
        rows = ", ".join("none" if row is None else f"{row.left}/{row.receipt}" for row in here.rows)
        return f"{shown(here.octets)}; receipts {got}; rows {rows}; under way: {self._facts.names(here.bus)}"


def _columns(word: Word) -> dict[str, int]:
    credits = slots.credits_of(PRICE, PARTS[word.position], word.charged_parts)
    return {"left": _LEFT[word.left], "accepted": int(word.any_accepted), "credits": credits}


def _message(word: Word, octets: bytes) -> Message:
    at = word.position
    merged = receipts.merged(octets[_STARTS[at] : _STARTS[at] + PARTS[at]])
    return Message("t", "b", at, **_columns(word), receipt=int(merged))


def _row(at: int, row: Row | None) -> Message | None:
    return None if row is None else Message("t", "b", at, row.left, row.accepted, row.credits, row.receipt)
