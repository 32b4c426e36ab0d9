"""What the report decides: codes and names of ends, live counts, and which offsets are covered."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

KINDS: Final[Mapping[str, int]] = {"bulk": 1, "single": 2, "reminder": 3, "reply": 4}
CLASSES: Final[Mapping[str, int]] = {"marketing": 1, "factual": 2, "exempt": 3}
VERDICTS: Final[Mapping[str, int]] = {"ordinary": 1, "opt_out": 2, "opt_in": 3, "help": 4, "unclear": 5}
RECEIPTS: Final[Mapping[str, int]] = {"delivered": 1, "undelivered": 2, "expired": 3, "rejected": 4}
ENDS: Final[Mapping[str, int]] = {
    "queued": 0,
    "submitting": 1,
    "accepted": 2,
    "unknown": 3,
    "rejected": 4,
    "stopped": 5,
    "suppressed": 6,
    "delivered": 11,
    "undelivered": 12,
    "expired": 13,
}
"""The code of a message's end: how it was left, or 10 more than its receipt."""
CODES: Final = 16

Range = tuple[int, int]
Delta = dict[int, int]


def name_of(names: Mapping[str, int], code: int) -> str:
    """The name of a code; an empty string for 0 or a code of a later schema."""
    return next((name for name, known in names.items() if known == code), "")


def deltas(changes: Iterable[tuple[int, int | None, int, int]]) -> dict[int, list[int]]:
    """Live counts to add for each send, from (send, end before or None, end after, messages).

    ValueError for an end that has no name: it would be counted nowhere.
    """
    known = set(ENDS.values())
    found: dict[int, list[int]] = {}
    for bulk_no, before, after, count in changes:
        if after not in known:
            raise ValueError(f"no end has the code {after}")
        delta = found.setdefault(bulk_no, [0] * CODES)
        delta[after] += count
        if before is not None:
            delta[before] -= count
    return {bulk_no: delta for bulk_no, delta in found.items() if any(delta)}


@dataclass(frozen=True, slots=True)
class Change:
    """What to add to the live numbers of a send: messages by the code of their end, parts that a carrier took, and
    credits."""

    counts: Sequence[int]
    parts: int
    credits: int


def changes(rows: Iterable[tuple[int, int | None, int, int, int, int]]) -> dict[int, Change]:
    """The same with parts and credits, from (send, end before or None, end after, messages, parts, credits)."""
    told = list(rows)
    counts = deltas(row[:4] for row in told)
    sums: dict[int, tuple[int, int]] = {}
    for bulk_no, _, _, _, parts, credits in told:
        before = sums.get(bulk_no, (0, 0))
        sums[bulk_no] = before[0] + parts, before[1] + credits
    found = {bulk_no: Change(counts.get(bulk_no, [0] * CODES), *both) for bulk_no, both in sums.items()}
    return {bulk_no: one for bulk_no, one in found.items() if bulk_no in counts or one.parts or one.credits}


def progress(recipients: int, counts: Sequence[int]) -> dict[str, int]:
    """Messages by end; each is counted once, and what has no row yet is queued. Sums to `recipients`."""
    named = {name: counts[code] for name, code in ENDS.items()}
    return named | {"queued": max(0, recipients - sum(counts)) + counts[0]}


def over(requested: int, counts: Sequence[int], *, closed: bool) -> bool:
    """Whether a send has ended: it says so, or (it never says so when it was refused) each recipient has an end."""
    open_ends = sum(counts[ENDS[name]] for name in ("queued", "submitting", "unknown"))
    return closed or (0 < requested <= sum(counts) and not open_ends)


# Of a send that has ended all messages are heard of within moments; a million that were stopped take half a minute.
SILENT_S: Final = 60.0
CONTROLS: Final[Mapping[int, str]] = {1: "stop", 2: "pause", 3: "resume"}
PARKED: Final = "parked"


@dataclass(frozen=True, slots=True)
class Known:
    """What the report has heard of a send. `requested`: its recipients, 0 while nobody said so; `closed`: its totals
    are the last; `control` as numbered by the events, `reason` why; `silent_s`: since its numbers changed, in s."""

    requested: int = 0
    counts: Sequence[int] = (0,) * CODES
    closed: bool = False
    control: int = 0
    reason: str = ""
    silent_s: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether its numbers are the last too: the totals of a send may be heard of before its last messages."""
        return self.closed and (sum(self.counts) >= self.requested or self.silent_s > SILENT_S)


def state_of(known: Known) -> str:
    """The state of a send in the words of the API. Total: facts may come in any order."""
    control, heard = CONTROLS.get(known.control, ""), sum(known.counts)
    if known.complete:
        return "closed"
    if not known.requested and not heard:
        return "planning"
    if control == "stop":
        return "stopping"
    stopped = known.counts[ENDS["stopped"]]
    if stopped and stopped == heard == known.requested:
        return "refused"
    if control == "pause" or known.reason == PARKED:
        return "paused"
    return "sending" if heard else "waiting"


def promise_stands(state: str, *, same_control: bool, age_s: float, fresh_s: float) -> bool:
    """Whether what was said of a send's pace holds now: it is being sent, under the control that it was said under, and
    whoever says so was heard of lately."""
    return state in ("waiting", "sending") and same_control and age_s <= fresh_s


def gathered(counts: Sequence[int], recipients: int) -> dict[str, int]:
    """What people ask for: messages that a carrier took (`sent`), that did not arrive (`failed`), that nobody knows of
    (`held`: their credits are), and that are still to leave (`left`)."""
    by = progress(recipients, counts)
    return {
        "sent": by["accepted"] + by["delivered"] + by["undelivered"] + by["expired"],
        "failed": by["rejected"] + by["undelivered"] + by["expired"],
        "held": by["unknown"],
        "left": by["queued"] + by["submitting"],
    }


def runs(offsets: Iterable[int]) -> list[Range]:
    """Offsets as ranges, both ends included."""
    found: list[Range] = []
    for offset in sorted(set(offsets)):
        if found and offset == found[-1][1] + 1:
            found[-1] = (found[-1][0], offset)
        else:
            found.append((offset, offset))
    return found


def union(ranges: Iterable[Range]) -> list[Range]:
    """Ranges that cover the same offsets, none of which touch."""
    found: list[Range] = []
    for first, last in sorted(ranges):
        if found and first <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(found[-1][1], last))
        else:
            found.append((first, last))
    return found


def gaps(covered: Iterable[Range], start: int, end: int) -> list[Range]:
    """What from `start` up to, not including, `end` no range covers."""
    found: list[Range] = []
    at = start
    for first, last in union(covered):
        if first > at and at < end:
            found.append((at, min(first, end) - 1))
        at = max(at, last + 1)
    if at < end:
        found.append((at, end - 1))
    return found


def takes(stored: int, said: int) -> bool:
    """Whether a row of the report takes what is said under a version: what it has is older. The upserts of
    store/projection.py decide so where the rows are; a test holds them together."""
    return said > stored


@dataclass(frozen=True, slots=True)
class Held:
    """Who got what in a chunk: digits of numbers, ids of customers (or none at all), the distinct texts, and which of
    them each got (empty: text 0). A number of 0: the person was erased."""

    numbers: Sequence[int]
    customers: Sequence[int]
    texts: Sequence[str]
    text_index: Sequence[int]


def without(held: Held, places: Collection[int]) -> Held:
    """The same without those at these places, and without texts that nobody else got."""
    index = list(held.text_index) or [0] * len(held.numbers)
    for place in places:
        index[place] = len(held.texts)
    used = set(index)
    return Held(
        numbers=[0 if at in places else number for at, number in enumerate(held.numbers)],
        customers=[0 if at in places else customer for at, customer in enumerate(held.customers)],
        texts=[*(text if at in used else "" for at, text in enumerate(held.texts)), ""],
        text_index=index,
    )
