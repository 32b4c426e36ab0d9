"""Unknown outcomes that have become known: by a late answer, or by a receipt that only one message fits."""

from collections.abc import Mapping

from muster.dispatch.domain.slots import SETTLED, Slot
from muster.dispatch.events import ChunkKey
from muster.dispatch.handlers import outcomes
from muster.dispatch.handlers.outcomes import Change
from muster.dispatch.sender.job import Job
from muster.dispatch.sender.link import Late
from muster.dispatch.sender.shared import Shared
from muster.dispatch.store import chunks, receipts, resends
from muster.dispatch.store.chunks import Home
from muster.kit import clock
from muster.smpp import Accepted, NotSent, Rejected

EVERY_S = 0.2
Found = dict[int, tuple[Slot, str]]


class Resolver:
    """Applies what was found out: in memory where the chunk is leased by this sender, else in its row."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._found: dict[ChunkKey, Found] = {}

    def add(self, key: ChunkKey, slot: int, state: Slot, carrier_id: str) -> None:
        """This part was accepted or rejected after all."""
        self._found.setdefault(key, {})[slot] = (state, carrier_id)

    def on_late(self, late: list[Late]) -> None:
        """Answers that came after their time."""
        for job, slot, outcome in late:
            if isinstance(outcome, Accepted):
                self.add(job.claimed.key.chunk, slot, Slot.ACCEPTED, outcome.carrier_id)
            elif isinstance(outcome, Rejected | NotSent):
                # Certainly not taken; after the word that it is unknown, nothing is sent again on its own.
                self.add(job.claimed.key.chunk, slot, Slot.REJECTED, "")

    async def flush(self) -> None:
        """Apply what was found out so far."""
        if not self._found:
            return
        shared = self._shared
        async with shared.exclusive:
            found = dict(self._found)
            for key in [key for key in found if key in shared.jobs]:
                _apply_live(shared.jobs[key], found.pop(key))
                self._found.pop(key)
            if found:
                async with shared.db.worker() as tx:
                    homes = await chunks.lock(tx, list(found))
                    refused = [key for key, some in found.items() if Slot.REJECTED in (to for to, _ in some.values())]
                    for key in await resends.sent_again(tx, refused):
                        found[key] = _taken(found[key])
                    changes = [_applied(home, found[key]) for key, home in homes.items()]
                    changes = [change for change in changes if change.tells]
                    await outcomes.store(tx, changes)
                    await receipts.forget_unknown(tx, [(key, slot) for key in homes for slot in found[key]])
                    await outcomes.tell_sagas(tx, changes)
            for key in found:
                self._found.pop(key, None)


def _taken(found: Found) -> Found:
    return {slot: (state, carrier_id) for slot, (state, carrier_id) in found.items() if state == Slot.ACCEPTED}


def _apply_live(job: Job, found: Found) -> None:
    for slot, (state, carrier_id) in (_taken(found) if job.claimed.why == "again" else found).items():
        if job.slots[slot] == Slot.UNKNOWN:
            job.slots[slot] = state
            job.carrier_ids[slot] = carrier_id
            job.dirty_at = job.dirty_at or clock.monotonic()


def _applied(home: Home, found: Mapping[int, tuple[Slot, str]]) -> Change:
    """Only what is unknown is resolved: what was charged or released by rule stays so, and a receipt may say how it
    ended."""
    after = bytearray(home.slots)
    ids = home.carrier_ids.split("\n") if home.carrier_ids else [""] * len(after)
    for slot, (state, carrier_id) in found.items():
        if after[slot] in SETTLED:
            ids[slot] = ids[slot] or carrier_id
        elif after[slot] == Slot.UNKNOWN:
            after[slot] = state
            ids[slot] = carrier_id
    joined = "\n".join(ids) if any(ids) else None
    return Change(home=home, after=bytes(after), errors={}, carrier_ids=joined, submitted=False, again=home.again)
