"""What people write: joined from its parts, read, held where it may be an opt-out, and passed on."""

import hashlib
from collections.abc import Sequence
from typing import Final
from uuid import UUID

from muster.dispatch import events
from muster.dispatch.events import ALL, MARKETING, Inbound
from muster.dispatch.sender.link import Link
from muster.dispatch.sender.shared import Shared
from muster.dispatch.store import inbound as store
from muster.dispatch.store import suppressions
from muster.dispatch.store.inbound import Message, Part, PartKey
from muster.events import NIL_TENANT
from muster.kit import clock, metrics, observe
from muster.kit.ids import uuid7
from muster.kit.outbox import emit
from muster.kit.pg import RETRIABLE, Tx
from muster.kit.settings import secret
from muster.smpp import Deliver, read_concat
from muster.text import Verdict, decode, number_hash, read_reply

log = observe.logger(__name__)

# A carrier that heard no answer says the same again within seconds, or after the next bind; a person may mean it.
_SAME_SESSION_S: Final = 5.0
_OTHER_SESSION_S: Final = 600.0
# No phone writes so much: 255 parts of 153 characters are 39,015. What is longer would not fit into an event.
_CHARACTERS_MAX: Final = 40_000
_LATE_AT_ONCE: Final = 100
_MISSING: Final = "[…]"
_HELD: Final = frozenset((Verdict.OPT_OUT, Verdict.UNCLEAR))


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
        whole: bytes | None = octets
        if concat is not None:
            key = PartKey(deliver.source, deliver.destination, concat.reference, concat.total)
            part = Part(key, concat.number, octets, deliver.data_coding)
            whole = await store.add_part(tx, self._shared.account.name, part)
        if whole is not None:
            reference = concat.reference if concat is not None else -1
            # Decoded when joined: whoever counts octets cuts a character in two.
            text = decode(whole, deliver.data_coding).replace("\0", "")
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
        account = self._shared.account.name
        session = self.link.number if self.link is not None else 0
        digest = hashlib.blake2b(repr((source, destination, text, reference)).encode(), digest_size=16).digest()
        if await store.is_repeated(tx, account, digest, session, _SAME_SESSION_S, _OTHER_SESSION_S):
            return
        to = events.normal_sender(destination)
        owner = await store.owner_of(tx, to)
        number = events.e164(source)
        tenant_id = owner or NIL_TENANT
        inbound = Inbound(tenant_id, uuid7(), number, self._hash(tenant_id, number), to, text, account)
        reading = read_reply(text)
        kept = (None, None) if owner else (number, text)
        await store.add(
            tx,
            Message(
                *(tenant_id, inbound.inbound_id, account, digest, session, inbound.number_hash),
                *(reading.verdict.name.lower(), reading.rule, *kept),
            ),
        )
        metrics.inbound_messages.labels("no" if owner is None else "yes").inc()
        if owner is None:
            log.warning("inbound.nobodys_number", account=account)
            return
        if reading.verdict in _HELD:
            await self._hold(tx, inbound, ALL if reading.scope == "all" else MARKETING)
        await emit(tx, events.received(inbound, clock.unix_ms()))

    def _hash(self, tenant_id: UUID, number: str) -> bytes:
        key = bytes.fromhex(secret(self._settings.hash_key, "hash_key"))
        return number_hash(key, self._settings.hash_generation, tenant_id, number)

    async def _hold(self, tx: Tx, inbound: Inbound, scope: int) -> None:
        """From the commit on, no intent covers this number."""
        await suppressions.lock_tenants(tx, {inbound.tenant_id})
        await suppressions.add_hold(tx, inbound.tenant_id, inbound.number_hash, inbound.inbound_id, scope)
        await suppressions.raise_counters(tx, {inbound.tenant_id})


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
    texts = (decode(run, parts[0].data_coding).replace("\0", "").strip() for run in runs)
    return f" {_MISSING} ".join(texts).strip()
