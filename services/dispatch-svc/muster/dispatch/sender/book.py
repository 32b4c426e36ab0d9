"""Which message a carrier's id belongs to: the ids of the last hour in memory, by age."""

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from muster.dispatch.events import ChunkKey
from muster.dispatch.store.chunks import Home
from muster.dispatch.store.receipts import WaitingReceipt
from muster.kit import clock
from muster.smpp import id_candidates, is_hexadecimal, normalise_id

# Generations: an id is found by looking into a handful of dictionaries, and forgotten with its generation.
_GENERATIONS = 6
_FINAL_MAX = 200_000
WAITING_MAX = 100_000
# One that gives the same id for ever gives none.
_REPEATED_MAX = 16
_LOOK_S_MIN = 0.5
_LOOK_S_MAX = 60.0


class ReceiptHome:
    """The receipts of one chunk. `receipts` has an octet for each slot; `said` is the version of the last word; `whole`
    are the positions of messages whose parts have one carrier id, hence one receipt."""

    __slots__ = (
        *(
            "control_version",
            "hashes",
            "key",
            "lane",
            "owners",
            "parts",
            "receipts",
            "said",
            "seq",
            "single",
            "starts",
            "traceparent",
            "used_at",
            "whole",
        ),
    )

    def __init__(self, home: Home) -> None:
        self.key: ChunkKey = home.key
        # Of the claim that was first written from; None where that was before this process began.
        self.control_version: int | None = None
        self.lane = home.about.lane
        self.traceparent = home.about.traceparent
        self.seq = home.recipients.seq
        self.hashes = home.recipients.hashes
        self.parts = home.recipients.parts
        count = sum(self.parts)
        self.used_at = clock.monotonic()
        self.receipts: bytes = home.receipts or bytes(count)
        self.said = home.receipts_said
        self.single = single = count == len(self.parts)
        self.owners: Sequence[int] = (
            range(count) if single else [at for at, parts in enumerate(self.parts) for _ in range(parts)]
        )
        self.starts: Sequence[int] = range(count) if single else [sum(self.parts[:at]) for at in range(len(self.parts))]
        self.whole: set[int] = set()
        if home.carrier_ids and not single:
            ids = home.carrier_ids.split("\n")
            self.whole.update(
                at for at, start in enumerate(self.starts) if _one_id(ids[start : start + self.parts[at]])
            )

    def message(self, slot: int, receipts: bytes | bytearray) -> tuple[int, bytes]:
        """(position, receipts of its parts) of the message that a slot belongs to."""
        at = self.owners[slot]
        start = self.starts[at]
        return at, bytes(receipts[start : start + self.parts[at]])

    def is_about(self, slot: int) -> Sequence[int]:
        """The slots that a receipt for this one is about."""
        at = self.owners[slot]
        return range(self.starts[at], self.starts[at] + self.parts[at]) if at in self.whole else (slot,)

    def has_one_id(self, one: int, other: int) -> bool:
        """Whether two slots that were given the same id are parts of a message that went out whole; noted if so."""
        at = self.owners[one]
        if one == other or at != self.owners[other]:
            return False
        self.whole.add(at)
        return True


def _one_id(ids: Sequence[str]) -> bool:
    return len(ids) > 1 and bool(ids[0]) and ids.count(ids[0]) == len(ids)


class _Look(NamedTuple):
    """When a receipt that waits is looked for again, how long after that, and when no more."""

    at: float
    delay_s: float
    until: float


class Place(NamedTuple):
    """A slot of a chunk."""

    home: ReceiptHome
    slot: int


class Candidate(NamedTuple):
    """Where a receipt may belong, and the id that is kept under; `sure`, or to be checked against the number."""

    plain: str
    place: Place
    sure: bool


class Book:
    """Carrier id -> place; and receipts whose id was not known when they came: `early` are those of them whose id has
    come since."""

    def __init__(self, kept_s: float, waiting_kept_s: float) -> None:
        self._turn_s = kept_s / _GENERATIONS
        self._waiting_kept_s = waiting_kept_s
        self._turned_at = clock.monotonic()
        self._ids: list[dict[str, tuple[ReceiptHome, int]]] = [{}]
        self._homes: dict[ChunkKey, ReceiptHome] = {}
        self._final: list[set[str]] = [set(), set()]
        self._waiting: OrderedDict[str, WaitingReceipt] = OrderedDict()
        # Which receipts wait for a message of this id, and when they are looked for again. Written in two bases, one id
        # may be what several wait for.
        self._expected: dict[str, set[str]] = {}
        self._look_at: dict[str, _Look] = {}
        self._early: list[str] = []
        # What an id belongs to beside its last message, where the carrier has given it twice.
        self._repeated: dict[str, list[Place]] = {}
        # Whether any id of this account was seen that is hexadecimal and not decimal.
        self._hexadecimal = False

    def home_of(self, home: Home) -> ReceiptHome:
        """The one record of a chunk's receipts in this process."""
        found = self._homes.get(home.key)
        if found is None:
            found = self._homes[home.key] = ReceiptHome(home)
        found.used_at = clock.monotonic()
        return found

    def add(self, carrier_id: str, home: ReceiptHome, slot: int) -> None:
        """The carrier has given this id to this part; nothing if it gave none."""
        plain = normalise_id(carrier_id)
        if not plain:
            return
        ids = self._ids[-1]
        if plain in ids and not self._is_another(plain, home, slot):
            return
        ids[plain] = (home, slot)
        self._hexadecimal = self._hexadecimal or (not plain.isdigit() and is_hexadecimal(plain))
        if self._expected and plain in self._expected:
            self._early += self._expected[plain]

    def _is_another(self, plain: str, home: ReceiptHome, slot: int) -> bool:
        """Whether an id that is known already is given to another message, and not to a part of one that went out
        whole. Then the number of a receipt decides which of them it is about."""
        known = self._ids[-1][plain]
        if known == (home, slot) or (known[0] is home and not home.single and home.has_one_id(known[1], slot)):
            return False
        places = self._repeated.setdefault(plain, [])
        places.append(Place(*known))
        del places[:-_REPEATED_MAX]
        return True

    def wait(self, receipt: WaitingReceipt) -> None:
        """Keep a receipt until its message turns up; the first word on an id stays. Beyond the bound the oldest is left
        to the database: most messages turn up within seconds, and those of others on the same account never do."""
        if receipt.carrier_id in self._waiting:
            return
        if len(self._waiting) >= WAITING_MAX:
            self.waits_no_more(next(iter(self._waiting)))
        self._waiting[receipt.carrier_id] = receipt
        now = clock.monotonic()
        self._look_at[receipt.carrier_id] = _Look(now, _LOOK_S_MIN, now + self._waiting_kept_s)
        for candidate in id_candidates(receipt.carrier_id):
            self._expected.setdefault(candidate, set()).add(receipt.carrier_id)
        if any(True for _ in self.find(receipt.carrier_id)):
            self._early.append(receipt.carrier_id)  # its id came while the receipt was being stored

    def take_early(self) -> list[WaitingReceipt]:
        """Receipts that waited, whose id has come since the last time."""
        early, self._early = self._early, []
        return [self._waiting[carrier_id] for carrier_id in dict.fromkeys(early) if carrier_id in self._waiting]

    def take_due(self) -> list[WaitingReceipt]:
        """Receipts that wait and should be looked for elsewhere now: soon at first, then ever more rarely, and at last
        no more."""
        now, due = clock.monotonic(), []
        for carrier_id, (at, delay_s, until) in list(self._look_at.items()):
            if until <= now:
                self.waits_no_more(carrier_id)
            elif at <= now:
                due.append(self._waiting[carrier_id])
                self._look_at[carrier_id] = _Look(now + delay_s, min(delay_s * 2, _LOOK_S_MAX), until)
        return due

    def waits_no_more(self, carrier_id: str) -> None:
        """Its message was found."""
        self._waiting.pop(carrier_id, None)
        self._look_at.pop(carrier_id, None)
        for candidate in id_candidates(carrier_id):
            expected = self._expected.get(candidate, set())
            expected.discard(carrier_id)
            if not expected:
                self._expected.pop(candidate, None)

    def _may_be_another(self, plain: str) -> bool:
        """Whether an id of digits alone may be the hexadecimal spelling of one message and the decimal one of another,
        since this carrier writes hexadecimal somewhere: then the number decides."""
        self._hexadecimal = self._hexadecimal or (not plain.isdigit() and is_hexadecimal(plain))
        return self._hexadecimal and plain.isdigit()

    def usual(self, receipt_id: str) -> tuple[str, tuple[ReceiptHome, int]] | None:
        """What `find` answers nearly always, in an eighth of the time: an id that is written as it was given, and can
        be no other's."""
        if (self._hexadecimal and receipt_id.isdigit()) or receipt_id in self._repeated:
            return None
        for ids in reversed(self._ids):
            found = ids.get(receipt_id)
            if found is not None:
                return receipt_id, found
        return None

    def find(self, receipt_id: str) -> Iterator[Candidate]:
        """Where a receipt may belong, likeliest first: who is content with the first does not wait for the others to
        be looked for."""
        plain = normalise_id(receipt_id)
        at = self._at(plain)
        if at is not None and not self._may_be_another(plain) and plain not in self._repeated:
            yield Candidate(plain, at, sure=True)
            return
        for place in self._all_at(plain):
            yield Candidate(plain, place, sure=False)
        for other in id_candidates(receipt_id)[1:]:
            for place in self._all_at(other):
                yield Candidate(other, place, sure=False)

    def _all_at(self, plain: str) -> list[Place]:
        at = self._at(plain)
        return ([at] if at is not None else []) + self._repeated.get(plain, [])

    def _at(self, plain: str) -> Place | None:
        for ids in reversed(self._ids):
            found = ids.get(plain)
            if found is not None:
                return Place(*found)
        return None

    def is_final(self, receipt_id: str) -> bool:
        """Whether this id has had its final receipt a short while ago."""
        plain = normalise_id(receipt_id)
        return any(plain in final for final in self._final)

    def done(self, carrier_id: str, receipt_id: str) -> None:
        """The final receipt of this id is stored; the carrier may repeat it, written as it was. One that several
        messages have is kept, for the others' receipts."""
        if carrier_id in self._repeated:
            return
        for ids in self._ids:
            ids.pop(carrier_id, None)
        if len(self._final[-1]) >= _FINAL_MAX:
            self._final = [self._final[-1], set()]
        # Kept under its own spelling it is normal already.
        self._final[-1].add(receipt_id if receipt_id == carrier_id else normalise_id(receipt_id))

    def forget_if_complete(self, home: ReceiptHome) -> None:
        """A chunk of which every part has its final receipt is not needed any more."""
        if 0 not in home.receipts:
            self._homes.pop(home.key, None)

    def load(self, home: Home) -> None:
        """The ids of a chunk of which some receipts are still to come."""
        if home.carrier_ids is None:
            return
        kept = self.home_of(home)
        for slot, carrier_id in enumerate(home.carrier_ids.split("\n")):
            if carrier_id and not kept.receipts[slot]:
                self.add(carrier_id, kept, slot)

    def turn(self) -> list[tuple[ChunkKey, int, str]]:
        """Start a new generation when it is time; the ids that leave memory with the oldest one, to be kept elsewhere:
        (chunk, slot, id)."""
        if clock.monotonic() - self._turned_at < self._turn_s:
            return []
        self._turned_at = clock.monotonic()
        self._ids.append({})
        leaving = self._ids.pop(0) if len(self._ids) > _GENERATIONS else {}
        self._repeated = {plain: places for plain, places in self._repeated.items() if self._at(plain) is not None}
        live = {home.key for ids in self._ids for home, _ in ids.values()}
        # One that was written to within the hour may have none of its ids left, and is still the record of its chunk.
        oldest = self._turned_at - self._turn_s * _GENERATIONS
        self._homes = {key: home for key, home in self._homes.items() if key in live or home.used_at > oldest}
        return [(home.key, slot, carrier_id) for carrier_id, (home, slot) in leaving.items()]
