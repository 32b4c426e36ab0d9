"""New outcomes of chunks: said, added up and stored, whoever has found them out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from muster.dispatch import events
from muster.dispatch.domain import slots
from muster.dispatch.domain.saga import Done, Fact, Moved
from muster.dispatch.domain.slots import Slot
from muster.dispatch.events import ChunkKey
from muster.dispatch.handlers.sagas import advance_locked
from muster.dispatch.store import chunks, endings, receipts, resends, sagas
from muster.dispatch.store.chunks import Home, Outcome
from muster.dispatch.store.endings import Taken
from muster.dispatch.store.sagas import SagaKey
from muster.kit import clock
from muster.kit.outbox import emit
from muster.kit.pg import Tx


@dataclass(frozen=True, slots=True)
class Change:
    """A chunk's slots after something happened to them. `errors`: the carrier's command_status by position.

    `leased`: the lease goes on. The chunk is done when that ends, in the transaction that lets its saga know: a sender
    that dies in between would leave a done chunk that nobody counts. `again`: an attempt is to write what is unknown
    once more, hence it is not done either. `resent`: slots that were unknown and have been taken since.
    """

    home: Home
    after: bytes
    errors: Mapping[int, int]
    carrier_ids: str | None
    submitted: bool
    leased: bool = False
    again: bool = False
    resent: frozenset[int] = frozenset()

    @property
    def tells(self) -> bool:
        """Whether it says anything that the chunk's row does not."""
        return self.after != self.home.slots or self.carrier_ids != self.home.carrier_ids

    @property
    def done(self) -> bool:
        """Whether nothing of it is open, nor held by a sender, nor to be sent again."""
        return not self.leased and not self.again and Slot.QUEUED not in self.after and Slot.RETRY not in self.after


def changed(home: Home, after: bytes) -> Change:
    """A change that no carrier has caused."""
    return Change(home=home, after=after, errors={}, carrier_ids=home.carrier_ids, submitted=False, again=home.again)


async def store(tx: Tx, changes: Sequence[Change]) -> dict[ChunkKey, int]:
    """Store and say outcomes of chunks that this transaction holds; the version of the last word on each chunk."""
    said, outcomes, versions = [], {}, {}
    now = clock.unix_ms()
    for change in changes:
        home = change.home
        words = slots.words(home.recipients.parts, home.slots, change.after)
        version = versions[home.key] = home.said + bool(words)
        if words:
            said += events.dispatched(home.key, home.about, home.recipients, words, change.errors, version, now)
        outcomes[home.key] = Outcome(
            slots=change.after,
            sums=slots.sums(home.recipients.parts, home.recipients.prices, change.after),
            said=version,
            done=change.done,
            carrier_ids=change.carrier_ids,
            submitted=change.submitted,
            again=change.again,
        )
        if Slot.UNKNOWN in change.after:
            await chunks.add_unknown(tx, home.key, home.about, home.recipients, home.slots, change.after)
        if Slot.UNKNOWN in home.slots:
            resolved, settled = _known(home.slots, change)
            await receipts.forget_unknown(tx, [(home.key, slot) for slot in resolved])
            await receipts.settle_unknown(tx, [(home.key, slot) for slot in settled])
    await chunks.save(tx, outcomes)
    await emit(tx, *said)
    return versions


def _known(before: bytes, change: Change) -> tuple[list[int], list[int]]:
    """Slots that were unknown: those whose end is known now, and those charged or released without that, or taken when
    they were sent again: a receipt may still be about what was written first, and resolves no other."""
    pairs = zip(before, change.after, strict=True)
    ended = [slot for slot, (old, new) in enumerate(pairs) if old == Slot.UNKNOWN != new]
    settled = [slot for slot in ended if change.after[slot] in slots.SETTLED or slot in change.resent]
    return [slot for slot in ended if slot not in settled], settled


async def tell_sagas(tx: Tx, changes: Sequence[Change]) -> None:
    """Let the sagas know which chunks have ended, or only moved. They are locked here, after the chunks."""
    done: dict[SagaKey, int] = {}
    for change in changes:
        key = SagaKey(change.home.key.tenant_id, change.home.key.bulk_id)
        done[key] = done.get(key, 0) + (change.done and not change.home.done)
    before = await sagas.lock(tx, list(done))
    facts: dict[SagaKey, list[Fact]] = {
        key: [Done(before[key].done + count), Moved()] if count else [Moved()] for key, count in done.items()
    }
    await advance_locked(tx, before, facts)


async def end_queued(tx: Tx, taken: Sequence[Taken], to: Slot) -> None:
    """End what is open of these queued attempts, which this transaction has locked."""
    homes = await chunks.lock(tx, [one.key.chunk for one in taken])
    changes = [replace(changed(home, slots.end_open(home.slots, to)), again=False) for home in homes.values()]
    await endings.end(tx, [(one.key, False) for one in taken])
    await store(tx, changes)
    await tell_sagas(tx, changes)


async def recover(tx: Tx, taken: Sequence[Taken]) -> None:
    """End the leases of dead senders: what their intents covered is unknown unless its receipt is there, the rest goes
    back to the queue, and so does what may be sent again."""
    homes = await chunks.lock(tx, [one.key.chunk for one in taken])
    afters = {
        one.key.chunk: slots.recover(home.slots, one.order, one.intent_upto, home.receipts)
        for one in taken
        for home in [homes[one.key.chunk]]
    }
    again = await resends.allowed(tx, [key for key, after in afters.items() if Slot.UNKNOWN in after])
    changes, ended = [], []
    for one in taken:
        home, after = homes[one.key.chunk], afters[one.key.chunk]
        change = replace(changed(home, after), submitted=after != home.slots, again=home.again or home.key in again)
        changes.append(change)
        ended.append((one.key, not change.done))
    await endings.end(tx, ended)
    await store(tx, changes)
    await tell_sagas(tx, changes)
