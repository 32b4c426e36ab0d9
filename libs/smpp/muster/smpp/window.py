"""Which submits are on the wire: sequence numbers, slots, and whose answer is whose. No I/O."""

from collections import OrderedDict
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, TypeAlias

from muster.smpp.outcomes import Outcome, Unknown, UnknownReason
from muster.smpp.pdu import SEQUENCE_MAX

Indexed: TypeAlias = tuple[int, Outcome]
OutcomeSink: TypeAlias = Callable[[list[Indexed]], None]

# Answers later than their timeout are rare and worth a match for minutes, not for ever.
LATE_MAX: Final = 20_000


@dataclass(frozen=True, slots=True)
class LateResponse:
    """An answer to a submit that was already given up as unknown: `tag` is the batch's, `index` the message's place
    in it."""

    tag: Hashable
    index: int
    outcome: Outcome


def _forgotten(_: list[Indexed]) -> None:
    """All of a batch was handed over already."""


class Batch:
    """Messages written together; their sequences are `base`, `base` + 1 ..."""

    __slots__ = ("base", "collected", "count", "left", "sink", "tag")

    def __init__(self, base: int, count: int, sink: OutcomeSink, tag: Hashable) -> None:
        self.base = base
        self.count = count
        self.left = count
        self.sink = sink
        self.tag = tag
        self.collected: list[Indexed] = []


class Window:
    """At most `size` unanswered submits. Outcomes are collected and handed over once per `flush`, batch by batch."""

    def __init__(self, size: int, first_sequence: int = 1) -> None:
        if size < 1:
            raise ValueError("a window holds at least one")
        self.size = size
        self._next = first_sequence
        self._pending: dict[int, Batch] = {}
        self._late: OrderedDict[int, tuple[Hashable, int]] = OrderedDict()
        self._touched: list[Batch] = []

    @property
    def free_slots(self) -> int:
        """How many more may be written now."""
        return self.size - len(self._pending)

    @property
    def in_flight(self) -> int:
        """Written and unanswered."""
        return len(self._pending)

    def take_sequences(self, count: int) -> int:
        """The first of `count` sequence numbers in a row; 1 follows the last, and a row is never cut by the end of
        the range."""
        base = self._next if self._next + count - 1 <= SEQUENCE_MAX else 1
        self._next = base + count
        return base

    def open(self, base: int, count: int, sink: OutcomeSink, tag: Hashable = None) -> Batch:
        """Give the sequences from `base` on their slots; before anything is written, so that no answer finds them
        missing."""
        if not 0 < count <= self.free_slots:
            raise ValueError(f"{count} messages for {self.free_slots} slots")
        batch = Batch(base, count, sink, tag)
        self._pending.update(dict.fromkeys(range(base, base + count), batch))
        return batch

    def answer(self, sequence: int, outcome: Outcome) -> bool:
        """Whether `sequence` was waiting; its slot is free from now, its outcome handed over by `flush`."""
        batch = self._pending.pop(sequence, None)
        if batch is None:
            return False
        if not batch.collected:
            self._touched.append(batch)
        batch.collected.append((sequence - batch.base, outcome))
        return True

    def late(self, sequence: int, outcome: Outcome) -> LateResponse | None:
        """The given-up submit that this answers, once; None if there is none (any more)."""
        found = self._late.pop(sequence, None)
        return None if found is None else LateResponse(*found, outcome)

    def flush(self) -> None:
        """Hand over what was collected since the last flush, one call for each batch."""
        touched, self._touched = self._touched, []
        for batch in touched:
            collected, batch.collected = batch.collected, []
            batch.left -= len(collected)
            batch.sink(collected)
            if not batch.left:
                # Somebody may remember it until its deadline; whatever it was about is not kept for that.
                batch.sink, batch.tag = _forgotten, None

    def expire(self, batch: Batch, reason: UnknownReason) -> int:
        """Give up what is unanswered of one batch; how many. Their slots are free; an answer may still come, as
        late."""
        unknown = Unknown(reason)
        given_up = [sequence for sequence in range(batch.base, batch.base + batch.count) if sequence in self._pending]
        for sequence in given_up:
            self.answer(sequence, unknown)
            self._late[sequence] = (batch.tag, sequence - batch.base)
        while len(self._late) > LATE_MAX:
            self._late.popitem(last=False)
        self.flush()
        return len(given_up)

    def fail_all(self, reason: UnknownReason) -> int:
        """The connection is gone: everything unanswered is unknown; how many."""
        unknown = Unknown(reason)
        given_up = list(self._pending)
        for sequence in given_up:
            self.answer(sequence, unknown)
        self.flush()
        return len(given_up)
