"""What people write, however it came: known again, read, held where it may be an opt-out, and passed on."""

from typing import Final, NamedTuple
from uuid import UUID

from muster.dispatch import events
from muster.dispatch.domain import sandbox
from muster.dispatch.events import ALL, MARKETING, Inbound
from muster.dispatch.settings import DispatchSettings
from muster.dispatch.store import inbound as store
from muster.dispatch.store import senders, suppressions
from muster.dispatch.store.inbound import Message
from muster.events import NIL_TENANT
from muster.kit import clock, metrics, observe
from muster.kit.ids import uuid7
from muster.kit.outbox import emit
from muster.kit.pg import Tx
from muster.kit.settings import secret
from muster.text import Verdict, number_hash, read_reply

log = observe.logger(__name__)

_HELD: Final = frozenset((Verdict.OPT_OUT, Verdict.UNCLEAR))


class Heard(NamedTuple):
    """A whole message. It is the same as another with its `digest` that came within `same_s` in the same session, or
    within `other_s` in another."""

    account: str
    source: str
    destination: str
    text: str
    digest: bytes
    session: int
    same_s: float
    other_s: float


async def take(tx: Tx, settings: DispatchSettings, heard: Heard) -> None:
    """Store it with its hold, and say it; nothing if it was told before."""
    account, text = heard.account, heard.text
    if await store.is_repeated(tx, account, heard.digest, heard.session, heard.same_s, heard.other_s):
        return
    owner, to = await _addressee(tx, heard)
    number = events.e164(heard.source)
    tenant_id = owner or NIL_TENANT
    inbound = Inbound(tenant_id, uuid7(), number, _hash(settings, tenant_id, number), to, text, account)
    reading = read_reply(text)
    kept = (None, None) if owner else (number, text)
    await store.add(
        tx,
        Message(
            *(tenant_id, inbound.inbound_id, account, heard.digest, heard.session, inbound.number_hash),
            *(reading.verdict.name.lower(), reading.rule, *kept),
        ),
    )
    metrics.inbound_messages.labels("no" if owner is None else "yes").inc()
    if owner is None:
        log.warning("inbound.nobodys_number", account=account)
        return
    if reading.verdict in _HELD:
        await _hold(tx, inbound, ALL if reading.scope == "all" else MARKETING)
    await emit(tx, events.received(inbound, clock.unix_ms()))


async def _addressee(tx: Tx, heard: Heard) -> tuple[UUID | None, str]:
    """Whose the number is that was written to, and the number. The sandbox alone names both."""
    if heard.account == sandbox.ACCOUNT:
        tenant_id, sender = sandbox.read_address(heard.destination)
        return tenant_id, events.normal_sender(sender)
    to = events.normal_sender(heard.destination)
    return await senders.owner_of(tx, to), to


def _hash(settings: DispatchSettings, tenant_id: UUID, number: str) -> bytes:
    key = bytes.fromhex(secret(settings.hash_key, "hash_key"))
    return number_hash(key, settings.hash_generation, tenant_id, number)


async def _hold(tx: Tx, inbound: Inbound, scope: int) -> None:
    """From the commit on, no intent covers this number."""
    await suppressions.lock_tenants(tx, {inbound.tenant_id})
    await suppressions.add_hold(tx, inbound.tenant_id, inbound.number_hash, inbound.inbound_id, scope)
    await suppressions.raise_counters(tx, {inbound.tenant_id})
