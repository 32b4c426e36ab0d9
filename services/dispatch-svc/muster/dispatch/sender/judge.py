"""Judges sends by what carriers answer and receipts say, and pauses one that ails.

All in memory, by control version of the send: after a resume it is judged by what came of it since, and what was
written before counts for nothing. A sender that dies forgets, and judges anew.
"""

from dataclasses import dataclass, field
from typing import Final

from muster.dispatch.domain.health import Health, Limits, after, ails
from muster.dispatch.domain.receipts import Receipt
from muster.dispatch.domain.slots import Slot
from muster.dispatch.events import ChunkKey
from muster.dispatch.handlers import ailing
from muster.dispatch.store.sagas import SagaKey
from muster.kit.pg import Database

EVERY_S: Final = 0.1
_SENDS_MAX: Final = 10_000


@dataclass(slots=True)
class _File:
    """What is known of a send under one control version: answers of the carrier, and receipts, each on their own."""

    control_version: int
    answers: Health = field(default_factory=Health)
    receipts: Health = field(default_factory=Health)


class Judge:
    """One for each sender. `ailing`: what is to be paused, and the control version that it ails under."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._files: dict[SagaKey, _File] = {}
        self.ailing: dict[SagaKey, int] = {}

    def answered(self, key: ChunkKey, control_version: int, before: bytes, now: bytes) -> None:
        """Outcomes of a chunk that were just stored, as slots; of a claim under this control version."""
        good = now.count(Slot.ACCEPTED) - before.count(Slot.ACCEPTED)
        bad = now.count(Slot.REJECTED) - before.count(Slot.REJECTED)
        found = self._file(key, control_version) if good > 0 or bad > 0 else None
        if found is not None:
            found.answers = after(found.answers, max(good, 0), max(bad, 0), self._limits)
            self._look(key, found, found.answers)

    def received(self, key: ChunkKey, control_version: int, before: bytes, now: bytes) -> None:
        """Receipts of a chunk that were just stored; it was first claimed under this control version."""
        good = now.count(Receipt.DELIVERED) - before.count(Receipt.DELIVERED)
        bad = before.count(Receipt.NONE) - now.count(Receipt.NONE) - good
        found = self._file(key, control_version)
        if found is not None:
            found.receipts = after(found.receipts, max(good, 0), max(bad, 0), self._limits)
            self._look(key, found, found.receipts)

    def _file(self, key: ChunkKey, control_version: int) -> _File | None:
        """What it counts for; None where it is of before the last control."""
        send = SagaKey(key.tenant_id, key.bulk_id)
        found = self._files.pop(send, None)
        if found is None or found.control_version < control_version:
            found = _File(control_version)
        # Those that were heard of last are last; the others are forgotten first.
        self._files[send] = found
        if len(self._files) > _SENDS_MAX:
            del self._files[next(iter(self._files))]
        return found if found.control_version == control_version else None

    def _look(self, key: ChunkKey, found: _File, health: Health) -> None:
        if ails(health, self._limits):
            self.ailing[SagaKey(key.tenant_id, key.bulk_id)] = found.control_version

    async def pause_ailing(self, db: Database) -> None:
        """Pause those that ail, each once. While the database is away they stay to be paused."""
        for key, control_version in list(self.ailing.items()):
            async with db.worker() as tx:
                await ailing.pause(tx, key, control_version)
            del self.ailing[key]
            # Of what is still to come of this control version nothing is judged again.
            self._files[key] = _File(control_version + 1)
