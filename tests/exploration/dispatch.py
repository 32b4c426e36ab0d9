"""dispatch-svc's part of a world: facts reach the saga as handlers/sagas.py brings them, chunks add up as in SQL."""

from collections.abc import Sequence
from dataclasses import astuple
from typing import Any

from muster.dispatch.domain import saga, slots
from muster.dispatch.domain.accounting import Tally
from muster.dispatch.domain.saga import Bulk, Fact, SayAccounted, SayControlled, Summed, SumUp
from muster.dispatch.domain.slots import Slot
from muster.laws import ledger, sending
from muster.laws.ledger import Send
from muster.laws.sending import Ended

ABSENT, QUEUED, LEASED, DONE = range(4)
Chunk = tuple[int, bytes]
"""(where it is, its slots)."""

_SUMMED = ("accepted", "unknown", "rejected", "stopped", "suppressed", "short", "open", "used", "unknown_credits")


class Sagas:
    """Sagas by number, with what facts make of them; the cores are pure, so each answer is kept."""

    def __init__(self, parts: Sequence[bytes], prices: Sequence[Sequence[int]]) -> None:
        self.parts = parts
        self.prices = prices
        self._numbers: dict[Bulk, int] = {}
        self.bulks: list[Bulk] = []
        self._told: dict[Any, tuple[int, tuple[tuple[str, Any], ...]]] = {}
        self._sums: dict[Any, slots.ChunkSums] = {}
        self._wrong: dict[Any, str] = {}

    def number(self, bulk: Bulk) -> int:
        """The number of a saga in this state."""
        found = self._numbers.get(bulk)
        if found is None:
            found = self._numbers[bulk] = len(self.bulks)
            self.bulks.append(bulk)
        return found

    def sums(self, chunk: int, octets: bytes) -> slots.ChunkSums:
        """A chunk in figures."""
        found = self._sums.get((chunk, octets))
        if found is None:
            found = slots.sums(self.parts[chunk], self.prices[chunk], octets)
            self._sums[chunk, octets] = found
        return found

    def tally(self, chunks: Sequence[Chunk]) -> Tally:
        """The chunks that are here, added up."""
        here = [(self.sums(at, octets), phase) for at, (phase, octets) in enumerate(chunks) if phase]
        on_wire = sum(one.open_credits for one, phase in here if phase == LEASED)
        return Tally(**{name: sum(getattr(one, name) for one, _ in here) for name in _SUMMED}, on_wire_credits=on_wire)

    def told(
        self, number: int, facts: tuple[Fact, ...], chunks: Sequence[Chunk]
    ) -> tuple[int, tuple[tuple[str, Any], ...]]:
        """The saga after these facts, and what is said: ("accounted", …) or ("controlled", …)."""
        key = (number, facts, chunks)
        found = self._told.get(key)
        if found is None:
            found = self._told[key] = self._advance(self.bulks[number], facts, chunks)
        return found

    def _advance(
        self, bulk: Bulk, facts: tuple[Fact, ...], chunks: Sequence[Chunk]
    ) -> tuple[int, tuple[tuple[str, Any], ...]]:
        said: list[tuple[str, Any]] = []
        to_sum = False
        for fact in facts:
            bulk, to_sum = self._one(bulk, fact, said, to_sum)
        if to_sum:
            bulk, _ = self._one(bulk, Summed(self.tally(chunks)), said, to_sum)
        return self.number(bulk), tuple(said)

    @staticmethod
    def _one(bulk: Bulk, fact: Fact, said: list[tuple[str, Any]], to_sum: bool) -> tuple[Bulk, bool]:
        bulk, effects = saga.advance(bulk, fact)
        for effect in effects:
            if isinstance(effect, SayAccounted):
                said.append(("accounted", accounted(bulk, closed=effect.closed)))
            elif isinstance(effect, SayControlled):
                said.append(("controlled", effect.control.value))
        return bulk, to_sum or SumUp() in effects

    def done_or_moved(self, number: int, ended: int) -> tuple[Fact, ...]:
        """What is told of chunks that have moved, so many of which have ended."""
        if not ended:
            return (saga.Moved(),)
        return saga.Done(self.bulks[number].done + ended), saga.Moved()

    # -- laws ---------------------------------------------------------------------------------------------------------

    def broken(self, number: int, chunks: tuple[Chunk, ...]) -> str:
        """What is wrong with a saga and its chunks in any state."""
        key = (number, chunks)
        found = self._wrong.get(key)
        if found is None:
            found = self._wrong[key] = self._why_broken(self.bulks[number], chunks)
        return found

    def _why_broken(self, bulk: Bulk, chunks: tuple[Chunk, ...]) -> str:
        if bulk.parked:
            return f"bounded: parked: {bulk.parked}"
        written = any(sending.WRITTEN.intersection(octets) for _, octets in chunks)
        if bulk.reserved is None and (written or any(phase == LEASED for phase, _ in chunks)):
            return "submit: intended without a reservation"
        money = ledger.reserved([send_of(bulk)] if bulk.account_version else [])
        counted = sending.used(self._law_chunk(at, octets) for at, (phase, octets) in enumerate(chunks) if phase)
        return "; ".join(f"{one.law}: {one.violations[0].detail}" for one in (money, counted) if one.violations)

    def _law_chunk(self, at: int, octets: bytes) -> sending.Chunk:
        sums = self.sums(at, octets)
        return sending.Chunk(
            *("t", "b", at, self.parts[at], self.prices[at], octets),
            used=sums.used,
            accepted=sums.accepted,
            unknown=sums.unknown,
        )

    def ended_wrong(self, number: int, chunks: tuple[Chunk, ...]) -> str:
        """What is wrong with a send that has ended and of which nothing moves any more."""
        bulk, tally = self.bulks[number], self.tally(chunks)
        absent = max(0, bulk.recipients - sum(len(self.parts[at]) for at, (phase, _) in enumerate(chunks) if phase))
        own = {
            name: getattr(bulk.totals, name) for name in ("accepted", "unknown", "rejected", "stopped", "suppressed")
        }
        every = sum(len(self.parts[at]) for at, (phase, _) in enumerate(chunks) if phase)
        ended = Ended("t", "b", used=bulk.totals.used, **own)
        summed = Ended(
            *astuple(ended)[:8],
            chunks_used=tally.used,
            chunks_accepted=tally.accepted,
            chunks_recipients=every + absent,
            chunks_open=tally.open,
        )
        results = [sending.used_by_sends([summed])]
        if bulk.account_version:  # one that never had credits says no totals, and its rows are told by its chunks alone
            results.append(sending.once([summed]))
        return "; ".join(f"{one.law}: {one.violations[0].detail}" for one in results if one.violations)


def accounted(bulk: Bulk, *, closed: bool) -> tuple[int, int, int, int, bool]:
    """(version, used, released, refunded, closed) as BulkSmsAccounted says them."""
    totals = bulk.totals
    return bulk.account_version, totals.used, totals.released, totals.refunded, closed


def send_of(bulk: Bulk) -> Send:
    """The credits of a send as dispatch-svc has them."""
    totals = bulk.totals
    return Send("t", "b", bulk.reserved or 0, totals.used, totals.released, totals.held, totals.refunded, 0, bulk.ended)


def shown(octets: bytes) -> str:
    """Slots for people."""
    return "-".join(Slot(octet).name.lower() for octet in octets)
