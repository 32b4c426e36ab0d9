"""Messages by which an operator tries the account, written by the link that sends use."""

import asyncio
import random
from collections.abc import Sequence
from datetime import timedelta
from typing import Final
from uuid import UUID

from muster.dispatch.domain.receipts import Receipt
from muster.dispatch.events import ChunkFacts, ChunkKey
from muster.dispatch.events.trials import trial as halves_of
from muster.dispatch.sender.job import ERROR_LENGTH, Job, Window
from muster.dispatch.sender.link import Link, Sink
from muster.dispatch.sender.shared import Shared
from muster.dispatch.store import trials as store
from muster.dispatch.store.claims import Claimed
from muster.dispatch.store.queue import AttemptKey
from muster.dispatch.store.trials import Trial
from muster.events import NIL_TENANT
from muster.kit import clock, metrics
from muster.kit.pg import Tx
from muster.smpp import Accepted, NotSent, Outcome, Rejected, Unknown, id_candidates, normalise_id, status_name
from muster.smpp.outcomes import NOT_CONNECTED
from muster.text import split

_AT_ONCE: Final = 5
_EXPECTING_MAX: Final = 100
_VALID: Final = timedelta(hours=1)
# After that a stop of the platform has been answered: nothing leaves any more.
_WRITE_WITHIN_S: Final = 0.5
_TRY_EVERY_S: Final = 0.1


class Trials:
    """Looked after once in a while by whoever has adopted the account."""

    def __init__(self, shared: Shared, link: Link) -> None:
        self._shared = shared
        self._link = link
        # What the carrier said and is not stored yet.
        self._answered: list[tuple[UUID, list[Outcome]]] = []

    async def recover(self) -> None:
        """Of what an earlier sender was writing nobody knows anything; what it sent has ids that are no message's."""
        shared = self._shared
        async with shared.db.worker() as tx:
            await store.recover(tx, shared.account.name)
            for one in await store.expecting(tx, shared.account.name, _EXPECTING_MAX):
                self._note(one.carrier_ids)

    async def step(self) -> None:
        """Send what is queued, if there is a connection, and read what receipts say of what was sent."""
        shared = self._shared
        async with shared.db.worker() as tx:
            await self._store(tx)
            await self._read_receipts(tx)
            taken = await store.take(tx, shared.account.name, _AT_ONCE) if self._link.free_slots else []
        self._answered.clear()
        for trial in taken:
            self._answered.append((trial.test_id, await self._send(trial)))
        if taken:
            async with shared.db.worker() as tx:
                await self._store(tx)
            self._answered.clear()

    async def _store(self, tx: Tx) -> None:
        for test_id, outcomes in self._answered:
            ids = [normalise_id(one.carrier_id) for one in outcomes if isinstance(one, Accepted) and one.carrier_id]
            self._note(ids)
            await store.answer(tx, test_id, *_summed(outcomes), list(dict.fromkeys(ids)))

    def _note(self, carrier_ids: Sequence[str]) -> None:
        """A receipt of these is nobody else's."""
        self._shared.trial_ids.update(one for carrier_id in carrier_ids for one in id_candidates(carrier_id))

    async def _read_receipts(self, tx: Tx) -> None:
        account = self._shared.account.name
        for trial in await store.expecting(tx, account, _EXPECTING_MAX):
            candidates = [id_candidates(carrier_id) for carrier_id in trial.carrier_ids]
            found = await store.receipts(tx, account, [one for several in candidates for one in several])
            said = [next((found[one] for one in several if one in found), Receipt.NONE) for several in candidates]
            states = [Receipt(one).name.lower() if one else "" for one in said]
            if states != trial.receipts:
                await store.report(tx, trial.test_id, states)

    async def _send(self, trial: Trial) -> list[Outcome]:
        """What became of each part."""
        shared = self._shared
        parts = len(split(trial.body, 16 if shared.account.reference_bits == 16 else 8))
        job = _job(trial, parts, shared.account.name, shared.account.reference_bits)
        outcomes: dict[int, Outcome] = {}
        answered = asyncio.Event()

        def sink_of(slots: Sequence[int]) -> Sink:
            def sink(indexed: list[tuple[int, Outcome]]) -> None:
                outcomes.update({slots[index]: outcome for index, outcome in indexed})
                if len(outcomes) == len(slots):
                    answered.set()

            return sink

        deadline = clock.monotonic() + _WRITE_WITHIN_S
        written: int | None = None
        while written is None and clock.monotonic() < deadline and await self._link.writable():
            written = self._link.start(
                job, Window(parts, list(range(parts))), sink_of, lambda: clock.monotonic() < deadline
            )
            if written is None:
                await asyncio.sleep(_TRY_EVERY_S)
        if not written:
            return [NOT_CONNECTED if written is None else Rejected(ERROR_LENGTH)]
        metrics.submits.inc(written)
        shared.rate.spend(written, clock.monotonic())
        await answered.wait()
        return [outcomes[slot] for slot in sorted(outcomes)]


def _job(trial: Trial, parts: int, account: str, reference_bits: int) -> Job:
    """A message of no send, in the shape that links know."""
    plain, personal = halves_of(
        int(trial.number.removeprefix("+")), trial.body, parts, random.getrandbits(16), reference_bits
    )
    about = ChunkFacts(country="", account=account, message_class=0, kind=0, sender=trial.sender, lane=1)
    now = clock.now()
    return Job(
        Claimed(
            key=AttemptKey(ChunkKey(NIL_TENANT, trial.test_id, 1), 0, 0),
            about=about,
            order=None,
            intent_upto=0,
            valid_until=now + _VALID,
            reserved=0,
            upto=0,
            reference_base=random.getrandbits(16),
            reference_bits=reference_bits,
            slots=bytes(parts),
            said=0,
            carrier_ids=None,
            receipts=None,
            receipts_said=0,
            joined_counter=0,
            counter=0,
            control_version=0,
            created_at=now,
            plain=plain,
            personal=personal,
        )
    )


def _summed(outcomes: Sequence[Outcome]) -> tuple[str, str]:
    """One word for all parts, the worst, and why."""
    for one in outcomes:
        if isinstance(one, Unknown):
            return "unknown", one.reason.value
    for one in outcomes:
        if isinstance(one, Rejected):
            return "rejected", status_name(one.status)
    for one in outcomes:
        if isinstance(one, NotSent):
            return "not_sent", one.reason.value
    return "accepted", ""
