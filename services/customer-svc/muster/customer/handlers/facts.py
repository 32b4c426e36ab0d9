"""What this service does on each event: load, decide, save, emit. Every fact may come twice, late or out of order."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from functools import partial
from typing import Final
from uuid import UUID

from muster.customer import events
from muster.customer.domain.sends import Phase
from muster.customer.events import (
    AnswerRequested,
    BulkSmsAccounted,
    BulkSmsControlled,
    CreditsRefused,
    CreditsReserved,
    CreditsSettled,
    CreditsToppedUp,
    OptOutReceived,
    RatesChanged,
    RouteChanged,
    SenderChanged,
    SuspensionChanged,
    TenantChanged,
)
from muster.customer.events.erasing import is_to_erased
from muster.customer.handlers import consents, scheduling, single
from muster.customer.handlers.erasing import on_person_forgotten
from muster.customer.handlers.outcomes import on_sms_dispatched, on_sms_status_changed
from muster.customer.handlers.undeliverable import on_reply_received
from muster.customer.store import bulks, limits, reference, suppressions
from muster.kit import clock, erasure, observe
from muster.kit.consumer import Handler, Received
from muster.kit.outbox import emit
from muster.kit.pg import Tx

# Why a send ended, in the words of dispatch-svc.
STOPPED: Final = "stopped"
# Why a send has paused itself.
ERROR_RATE: Final = "error_rate"

log = observe.logger(__name__)


async def on_tenant_changed(tx: Tx, batch: Sequence[Received[TenantChanged]]) -> None:
    """Settings of tenants, the highest version."""
    for received in batch:
        await reference.save_tenant(tx, events.tenant_of(received.message))


async def on_suspension_changed(tx: Tx, batch: Sequence[Received[SuspensionChanged]], *, start_days: int = 0) -> None:
    """Whom the operator has suspended, and whether the platform is stopped; the highest version."""
    for message in (received.message for received in batch):
        subject_id = events.uuid_of(message.tenant_id)
        await reference.save_suspension(tx, subject_id, message.version, message.reason, suspended=message.suspended)
        if message.suspended:
            await limits.begin_anew(tx, subject_id, events.moment(message.at_unix_ms), start_days)


async def on_rates_changed(tx: Tx, batch: Sequence[Received[RatesChanged]]) -> None:
    """Rates, the one that began last of each country."""
    for message in (received.message for received in batch):
        rate = (message.country, message.version, message.credits_per_part)
        await reference.save_rate(tx, *rate, message.valid_from_unix_ms)


async def on_route_changed(tx: Tx, batch: Sequence[Received[RouteChanged]]) -> None:
    """Routes, the highest version of each."""
    for message in (received.message for received in batch):
        bits = 16 if message.reference_bits == 16 else 8
        takes = (list(message.countries), list(message.senders))
        await reference.save_route(tx, message.route, message.version, *takes, bits, is_open=message.open)


async def on_sender_changed(tx: Tx, batch: Sequence[Received[SenderChanged]]) -> None:
    """Senders, the highest version of each."""
    for received in batch:
        await reference.save_sender(tx, *events.sender_of(received.message))


async def on_opt_out_received(tx: Tx, batch: Sequence[Received[OptOutReceived]]) -> None:
    """Suppress a number, or lift it; a message that was heard before is answered with the same version again."""
    for received in batch:
        tenant_id = events.uuid_of(received.message.tenant_id)
        wish = events.wish_of(received.message)
        version = await consents.fulfil(tx, tenant_id, received.message.number_hash, wish)
        await emit(tx, events.suppression_changed(tenant_id, version, received.event_id))


async def on_answer_requested(bulk_id_key: bytes, tx: Tx, batch: Sequence[Received[AnswerRequested]]) -> None:
    """Send an answer, once. bulk_id_key: what the ids of sends are checked by."""
    gone = await erasure.erased_since(tx, {events.uuid_of(one.message.tenant_id) for one in batch}, _asked_first(batch))
    for received in batch:
        if is_to_erased(received.message, gone.get(events.uuid_of(received.message.tenant_id), {})):
            continue
        answer = events.answer_of(received.message)
        refusal = await single.send_answer(tx, answer, bulk_id_key)
        if refusal is not None:
            log.warning("answer.not_sent", answer_id=answer.answer_id, tenant_id=str(answer.tenant_id), why=refusal)


def _asked_first(batch: Sequence[Received[AnswerRequested]]) -> datetime:
    return min(events.moment(received.message.at_unix_ms or received.time_unix_ms) for received in batch)


async def on_bulk_sms_controlled(tx: Tx, batch: Sequence[Received[BulkSmsControlled]], *, start_days: int = 0) -> None:
    """Remember the control; a stop of what was not requested yet ends it here. start_days: for how long a business is
    new; one of which too many messages fail begins anew."""
    for received in batch:
        tenant_id, bulk_id = events.ids_of(received.message)
        control = events.control_of(received.message)
        version, reason = received.message.control_version, received.message.reason
        await bulks.save_control(tx, tenant_id, bulk_id, version, control, reason)
        if reason == ERROR_RATE:
            await limits.begin_anew(tx, tenant_id, events.moment(received.message.at_unix_ms), start_days)
        await _withdraw(tx, tenant_id, bulk_id, received.event_id, stop=control == "stop")


async def _withdraw(tx: Tx, tenant_id: UUID, bulk_id: UUID, causation: UUID, *, stop: bool) -> None:
    bulk = await bulks.lock_bulk(tx, tenant_id, bulk_id)
    if bulk is not None and bulk["phase"] == Phase.REQUESTED:
        return
    if bulk is not None and bulk["phase"] in (Phase.PLANNING, Phase.NEEDS_CONFIRMATION):
        if not stop:
            return
        await bulks.withdraw(tx, tenant_id, bulk_id, STOPPED)
    # One that was refused, or that is not here, is answered too: an id is told only after its send was stored, so this
    # one will never be requested, and dispatch-svc has made a row for the control, which only this ends.
    await emit(tx, events.bulk_withdrawn(tenant_id, bulk_id, STOPPED, clock.now(), causation))


async def on_credits_topped_up(tx: Tx, batch: Sequence[Received[CreditsToppedUp]]) -> None:
    """The balance that quotes show."""
    await _save_balances(tx, batch)


async def on_credits_reserved(tx: Tx, batch: Sequence[Received[CreditsReserved]]) -> None:
    """Credits are set aside for sends."""
    await bulks.save_reserved(tx, [(*events.ids_of(received.message), received.message.credits) for received in batch])
    await _save_balances(tx, batch)


async def on_credits_refused(tx: Tx, batch: Sequence[Received[CreditsRefused]]) -> None:
    """Sends that were refused, each with its shortfall."""
    for received in batch:
        problem = events.refusal_of(received.message)
        bulk = await bulks.save_refused(tx, *events.ids_of(received.message), problem)
        if bulk is not None:
            await scheduling.tell_refused(tx, bulk, problem)
    await _save_balances(tx, batch)


async def on_credits_settled(tx: Tx, batch: Sequence[Received[CreditsSettled]]) -> None:
    """The balance after a settlement."""
    await _save_balances(tx, batch)


async def on_bulk_sms_accounted(tx: Tx, batch: Sequence[Received[BulkSmsAccounted]]) -> None:
    """Running totals of sends."""
    for received in batch:
        await bulks.save_account(tx, events.account_of(received.message))


async def say_recent_suppressions(tx: Tx, minutes: int, limit: int) -> None:
    """Repeat what was said lately: a broker that lost its last words of a compacted topic gets them again."""
    versions = await suppressions.recent_versions(tx, minutes, limit)
    await emit(tx, *(events.suppression_changed(tenant_id, version) for tenant_id, version in versions))


_Credits = CreditsToppedUp | CreditsReserved | CreditsRefused | CreditsSettled


async def _save_balances(
    tx: Tx,
    batch: Sequence[Received[CreditsToppedUp]]
    | Sequence[Received[CreditsReserved]]
    | Sequence[Received[CreditsRefused]]
    | Sequence[Received[CreditsSettled]],
) -> None:
    messages: list[_Credits] = [received.message for received in batch]
    balances = [(events.uuid_of(m.tenant_id), m.account_version, m.available) for m in messages]
    await reference.save_balances(tx, balances)


def handlers(bulk_id_key: bytes, start_days: int = 0) -> dict[str, Handler]:
    """The handler of each event type that is heard. start_days: for how long a business is new."""
    return {
        **_HANDLERS,
        "AnswerRequested": partial(on_answer_requested, bulk_id_key),
        "SuspensionChanged": partial(on_suspension_changed, start_days=start_days),
        "BulkSmsControlled": partial(on_bulk_sms_controlled, start_days=start_days),
    }


_HANDLERS: Mapping[str, Handler] = {
    "PersonForgotten": on_person_forgotten,
    "TenantChanged": on_tenant_changed,
    "SuspensionChanged": on_suspension_changed,
    "RatesChanged": on_rates_changed,
    "RouteChanged": on_route_changed,
    "SenderChanged": on_sender_changed,
    "OptOutReceived": on_opt_out_received,
    "ReplyReceived": on_reply_received,
    "BulkSmsControlled": on_bulk_sms_controlled,
    "CreditsToppedUp": on_credits_topped_up,
    "CreditsReserved": on_credits_reserved,
    "CreditsRefused": on_credits_refused,
    "CreditsSettled": on_credits_settled,
    "BulkSmsAccounted": on_bulk_sms_accounted,
    "SmsDispatched": on_sms_dispatched,
    "SmsStatusChanged": on_sms_status_changed,
}
