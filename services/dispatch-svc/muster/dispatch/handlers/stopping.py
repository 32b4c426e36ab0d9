"""One message is stopped, and none of those that were sent with it: single messages share a send by chance."""

from typing import Final

from muster.dispatch.domain import slots
from muster.dispatch.domain.slots import OPEN, Slot
from muster.dispatch.events import KIND_BULK
from muster.dispatch.handlers import outcomes
from muster.dispatch.store import chunks, endings
from muster.dispatch.store.chunks import Home
from muster.dispatch.store.sagas import SagaKey
from muster.kit.pg import Tx

# Messages of one send that came within some milliseconds: a chunk for each country and route.
_CHUNKS_MAX: Final = 500


async def stop_message(tx: Tx, send: SagaKey, seq: int) -> Slot | None:
    """How a single message is left after a word that it is to be stopped (worker): STOPPED, also where it was already;
    QUEUED where a sender has it just now; what else has become of it. None where there is no such single message."""
    keys = await chunks.of_send(tx, *send, _CHUNKS_MAX, but_kind=KIND_BULK)
    taken = {one.key.chunk: one.key for one in await endings.lock_queued(tx, *send, _CHUNKS_MAX)} if keys else {}
    homes = await chunks.lock(tx, keys)
    home = next((one for one in homes.values() if seq in one.recipients.seq), None)
    if home is None:
        return None
    of_it = _slots_of(home, seq)
    states = bytes(home.slots[slot] for slot in of_it)
    if not OPEN.issuperset(states):
        return slots.left_of(states) or Slot.QUEUED
    if home.key not in taken:
        return Slot.QUEUED
    after = bytearray(home.slots)
    for slot in of_it:
        after[slot] = Slot.STOPPED
    change = outcomes.changed(home, bytes(after))
    if change.done:
        await endings.end(tx, [(taken[home.key], False)])
    await outcomes.store(tx, [change])
    await outcomes.tell_sagas(tx, [change])
    return Slot.STOPPED


def _slots_of(home: Home, seq: int) -> range:
    at, parts = home.recipients.seq.index(seq), home.recipients.parts
    start = sum(parts[:at])
    return range(start, start + parts[at])
