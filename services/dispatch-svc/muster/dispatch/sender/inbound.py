"""What people write: joined from its parts, read, held where it may be an opt-out, and passed on."""

import hashlib
from collections.abc import Sequence
from typing import Final

from muster.dispatch.handlers import inbound
from muster.dispatch.handlers.inbound import Heard
from muster.dispatch.sender.link import Link
from muster.dispatch.sender.shared import Shared
from muster.dispatch.store import inbound as store
from muster.dispatch.store.inbound import Part, PartKey
from muster.kit import observe
from muster.kit.pg import RETRIABLE, Tx
from muster.smpp import Deliver, read_concat, read_languages
from muster.text import Shifts, decode

log = observe.logger(__name__)

# A carrier that heard no answer says the same again within seconds, or after the next bind; a person may mean it.
_SAME_SESSION_S: Final = 5.0
_OTHER_SESSION_S: Final = 600.0
# No phone writes so much: 255 parts of 153 characters are 39,015. What is longer would not fit into an event.
_CHARACTERS_MAX: Final = 40_000
_LATE_AT_ONCE: Final = 100
_MISSING: Final = "[…]"


class Inbox:
    """Takes messages that people wrote."""

    def __init__(self, shared: Shared) -> None:
        self._shared = shared
        self._settings = shared.settings
        self.link: Link | None = None

    async def take(self, delivers: Sequence[Deliver]) -> list[int]:
        """Store each in a transaction of its own: replies are rare, and one must not wait for another's tenant, nor
        share the fate of one that cannot be stored. The sequences of those that were not."""
        refused: list[int] = []
        for at, deliver in enumerate(delivers):
            try:
                async with self._shared.db.worker() as tx:
                    await self._take(tx, deliver)
            except RETRIABLE as error:
                log.warning("sender.database_away", why=type(error).__name__)
                return refused + [other.sequence for other in delivers[at:]]
            except Exception as error:
                # Whatever it is: the carrier keeps it. The type only, since a message of an error may hold a text.
                log.error("inbound.not_stored", why=type(error).__name__)
                refused.append(deliver.sequence)
        return refused

    async def _take(self, tx: Tx, deliver: Deliver) -> None:
        concat, octets = read_concat(deliver)
        shifts, reference = Shifts(*read_languages(deliver)), -1
        if concat is not None:
            reference = concat.reference
            key = PartKey(deliver.source, deliver.destination, reference, concat.total)
            part = Part(key, concat.number, octets, deliver.data_coding, shifts)
            whole = await store.add_part(tx, self._shared.account.name, part)
            if whole is None:
                return
            octets, shifts = whole.octets, whole.shifts
        # Decoded when joined: whoever counts octets cuts a character in two.
        text = decode(octets, deliver.data_coding, shifts).replace("\0", "")
        await self._take_whole(tx, deliver.source, deliver.destination, text, reference)

    async def take_late(self) -> bool:
        """Read what there is of messages whose rest does not come; whether there may be more."""
        settings = self._settings
        async with self._shared.db.worker() as tx:
            late = await store.take_late(tx, self._shared.account.name, settings.dispatch_parts_wait_s, _LATE_AT_ONCE)
            for key, parts in late.items():
                log.warning("inbound.parts_missing", parts=len(parts), total=key.total)
                await self._take_whole(tx, key.source, key.destination, _torn(parts), key.reference)
            await store.forget_joined(tx, _OTHER_SESSION_S)
        return len(late) == _LATE_AT_ONCE

    async def _take_whole(self, tx: Tx, source: str, destination: str, text: str, reference: int) -> None:
        text = text[:_CHARACTERS_MAX]
        session = self.link.number if self.link is not None else 0
        digest = hashlib.blake2b(repr((source, destination, text, reference)).encode(), digest_size=16).digest()
        ends = (self._shared.account.name, source, destination)
        heard = Heard(*ends, text, digest, session, _SAME_SESSION_S, _OTHER_SESSION_S)
        await inbound.take(tx, self._settings, heard)


def _torn(parts: Sequence[Part]) -> str:
    """The text of a message of which parts are missing, in whose places stand marks."""
    runs = [b""]
    before = 0
    for part in parts:
        if part.number != before + 1:
            runs.append(b"")
        runs[-1] += part.octets
        before = part.number
    if before != parts[-1].key.total:
        runs.append(b"")
    texts = (decode(run, parts[0].data_coding, parts[0].shifts).replace("\0", "").strip() for run in runs)
    return f" {_MISSING} ".join(texts).strip()
