"""What this service does on each event: load, decide, save, emit. One batch is one transaction."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from muster.events.personal import born_at
from muster.kit import erasure
from muster.kit.consumer import Handler
from muster.kit.outbox import emit
from muster.kit.pg import Tx
from muster.reply import domain, events
from muster.reply.domain import Attribution, Forward, Inbound, Known, Line, Notice, Reply, Scope, Sent, Tenant, Verdict
from muster.reply.events import approving
from muster.reply.store import emails, inbox, notices, sent

_CANDIDATES_MAX = 8
_TOLD_LINES_MAX = 6
_EVER = datetime(2000, 1, 1, tzinfo=UTC)


async def on_tenant_changed(tx: Tx, batch: Sequence[events.TenantHeard]) -> None:
    """Keep the settings that decide about replies."""
    await sent.save_tenants(tx, [events.tenant_of(received) for received in batch])


async def on_bulk_recipients_attached(tx: Tx, batch: Sequence[events.ChunkHeard]) -> None:
    """Keep chunks as they came; the texts of people erased since the send was begun are blanked."""
    chunks = [events.chunk_of(received) for received in batch]
    first = min(born_at(chunk.bulk_id) for chunk in chunks)
    erased = await erasure.erased_since(tx, {chunk.tenant_id for chunk in chunks}, first)
    kept = [_without_erased(chunk, erased.get(chunk.tenant_id, {})) for chunk in chunks]
    await sent.add_chunks(tx, [(c.tenant_id, c.bulk_id, c.chunk, c.due_at, c.keys, c.payload) for c in kept])


async def on_sms_dispatched(tx: Tx, batch: Sequence[events.DispatchHeard]) -> None:
    """Note when chunks left, and which of their messages did not."""
    steps = [events.dispatch_of(received) for received in batch]
    steps.sort(key=lambda step: (step.tenant_id, step.bulk_id, step.chunk))
    await sent.add_dispatches(tx, [(s.tenant_id, s.bulk_id, s.chunk, s.sent_at, s.unsent) for s in steps])


async def on_sms_received(tx: Tx, batch: Sequence[events.InboundHeard]) -> None:
    """Find what each reply answers, read what it asks for, and tell everyone whom it concerns. Each one once."""
    causes = {(inbound.tenant_id, inbound.inbound_id): (inbound, r.event_id) for r, inbound in _read(batch)}
    stored = await inbox.stored(tx, causes)
    new = {key: cause for key, cause in causes.items() if key not in stored}
    if not new:
        return
    replies = await _replies(tx, [inbound for inbound, _ in new.values()])
    await inbox.add(tx, replies)
    await inbox.save_answered(tx, replies)
    await emails.add(tx, replies)
    said = zip(replies, new.values(), strict=True)
    await emit(tx, *(fact for reply, (_, event_id) in said for fact in events.facts_of(reply, event_id)))


async def on_credits_low(tx: Tx, batch: Sequence[events.LowHeard]) -> None:
    """Write to the receptions of those whose credits fell below what they set, once for each fall."""
    await _notify(tx, [events.low_of(received) for received in batch])


async def on_automatic_top_up_failed(tx: Tx, batch: Sequence[events.FailedTopUpHeard]) -> None:
    """Write to the receptions of those whose automatic top-up came to nothing, once for each."""
    await _notify(tx, [events.failed_top_up_of(received) for received in batch])


async def on_bulk_sms_controlled(tx: Tx, batch: Sequence[events.ControlHeard]) -> None:
    """Write to the receptions of those whose sends have paused themselves, once for each time."""
    paused = [events.paused_of(received) for received in batch]
    await _notify(tx, [one for one in paused if one is not None])


async def on_scheduled_start_decided(tx: Tx, batch: Sequence[events.StartHeard]) -> None:
    """Write to the receptions of those whose schedules were to send and did not, once for each start."""
    missed = [events.missed_start_of(received) for received in batch]
    await _notify(tx, [one for one in missed if one is not None])


async def on_approval_requested(tx: Tx, batch: Sequence[approving.ApprovalAskedHeard]) -> None:
    """Write to who approves that something waits, once for each request."""
    await _notify(tx, [approving.approval_asked_of(received) for received in batch])


async def on_approval_decided(tx: Tx, batch: Sequence[approving.ApprovalDecidedHeard]) -> None:
    """Write that something may be sent, or not, once for each request."""
    decided = [approving.approval_decided_of(received) for received in batch]
    await _notify(tx, [one for one in decided if one is not None])


async def blank(tx: Tx, tenant_id: UUID, gone: erasure.Gone) -> None:
    """Blank what people wrote and were sent before they were erased; e-mails about it that wait are not sent."""
    numbers = await inbox.blank(tx, tenant_id, gone)
    await emails.drop_erased(tx, tenant_id)
    await erasure.blank_answers(tx, tenant_id, numbers - {""})
    for number_hash, at in gone.items():
        await _blank_chunks(tx, tenant_id, events.key_of(number_hash), at)


async def conversation(tx: Tx, tenant_id: UUID, number_hash: bytes, before: datetime, limit: int) -> list[Line]:
    """The newest messages between a business and a number before a moment. One that was not sent is not in it; one that
    was answered is, also where its sending is not heard of yet."""
    incoming = [
        Line(
            row["received_at"],
            row["text"],
            outgoing=False,
            bulk_id=row["bulk_id"],
            seq=row["seq"],
            inbound_id=row["inbound_id"],
            verdict=Verdict(row["verdict"]),
        )
        for row in await inbox.written_by(tx, tenant_id, number_hash, before, limit)
    ]
    answered = {(line.bulk_id, line.seq) for line in incoming}
    key = {(tenant_id, events.key_of(number_hash))}
    until = before - timedelta(microseconds=1)
    outgoing = [
        Line(row["sent_at"], recipient.text, outgoing=True, bulk_id=row["bulk_id"], seq=recipient.seq)
        for row in await sent.chunks_with(tx, key, _EVER, until, limit)
        for recipient in [events.recipient_of(row["payload"], row["place"])]
        if recipient.seq not in row["unsent"] and (row["dispatched"] or (row["bulk_id"], recipient.seq) in answered)
    ]
    return domain.merge(outgoing, incoming, limit)


async def told(tx: Tx, forward: Forward) -> Forward:
    """A reply that goes out by e-mail, with the conversation until it."""
    lines = await conversation(tx, forward.tenant_id, forward.number_hash, forward.received_at, _TOLD_LINES_MAX)
    return replace(forward, conversation=tuple(lines))


async def decide(tx: Tx, tenant_id: UUID, inbound_id: UUID, verdict: Verdict, scope: Scope) -> bool:
    """A person says what an unclear reply means, once; False where there is no such reply that is unclear."""
    row = await inbox.decide(tx, tenant_id, inbound_id, verdict, scope, domain.BY_A_PERSON)
    if row is None:
        return False
    answers = row["bulk_id"] and Sent(row["bulk_id"], row["seq"], row["received_at"], dispatched=True)
    reply = Reply(
        # Neither number nor text is told.
        inbound=Inbound(tenant_id, inbound_id, "", row["number_hash"], "", row["received_at"]),
        attribution=Attribution(answers, row["doubtful"]),
        verdict=verdict,
        scope=scope,
        rule=domain.BY_A_PERSON,
    )
    await emit(tx, *events.facts_of(reply, inbound_id))
    return True


async def _notify(tx: Tx, found: Sequence[Notice]) -> None:
    tenants = await sent.tenants(tx, {notice.tenant_id for notice in found})
    to = (domain.addressed(one, tenants.get(one.tenant_id, Tenant(one.tenant_id))) for one in found)
    await notices.add(tx, [one for one in to if one is not None])


def _read(batch: Sequence[events.InboundHeard]) -> list[tuple[events.InboundHeard, Inbound]]:
    return [(received, events.inbound_of(received)) for received in batch]


async def _replies(tx: Tx, inbounds: Sequence[Inbound]) -> list[Reply]:
    tenant_ids = {inbound.tenant_id for inbound in inbounds}
    tenants = await sent.tenants(tx, tenant_ids)
    erased = await erasure.erased_since(tx, tenant_ids, min(inbound.received_at for inbound in inbounds))
    candidates = await _candidates(tx, inbounds)
    answered = await inbox.answered(tx, {(inbound.tenant_id, inbound.number_hash) for inbound in inbounds})
    replies = []
    for inbound in inbounds:
        number = (inbound.tenant_id, inbound.number_hash)
        times = answered.setdefault(number, {})
        tenant = tenants.get(inbound.tenant_id, Tenant(inbound.tenant_id))
        found = candidates.get((inbound.tenant_id, events.key_of(inbound.number_hash)), [])
        reply = domain.read(
            inbound, Known(tenant, found, times, erased.get(inbound.tenant_id, {}).get(inbound.number_hash))
        )
        if reply.answer is not None:
            times[reply.answer.reason] = inbound.received_at
        replies.append(reply)
    return replies


async def _candidates(tx: Tx, inbounds: Sequence[Inbound]) -> dict[tuple[UUID, int], list[Sent]]:
    """The messages that these may answer, without those that never left."""
    times = [inbound.received_at for inbound in inbounds]
    rows = await sent.chunks_with(
        tx,
        {(inbound.tenant_id, events.key_of(inbound.number_hash)) for inbound in inbounds},
        min(times) - domain.ANSWERS_WITHIN,
        max(times) + domain.CLOCKS_APART,
        _CANDIDATES_MAX,
    )
    found: dict[tuple[UUID, int], list[Sent]] = {}
    for row in rows:
        recipient = events.recipient_of(row["payload"], row["place"])
        if recipient.seq not in row["unsent"]:
            message = Sent(row["bulk_id"], recipient.seq, row["sent_at"], row["dispatched"], recipient.sender)
            found.setdefault((row["tenant_id"], row["key"]), []).append(message)
    return found


def _without_erased(chunk: events.Chunk, erased: erasure.Gone) -> events.Chunk:
    gone = {events.key_of(number_hash) for number_hash, at in erased.items() if born_at(chunk.bulk_id) <= at}
    return events.blanked(chunk, gone) if gone else chunk


async def _blank_chunks(tx: Tx, tenant_id: UUID, key: int, until: datetime) -> None:
    for row in await sent.chunks_to_blank(tx, tenant_id, key, until):
        payload = events.without(row["payload"], row["places"])
        await sent.replace_payload(tx, tenant_id, row["bulk_id"], row["chunk"], payload)


HANDLERS: Mapping[str, Handler] = {
    "TenantChanged": on_tenant_changed,
    "PersonErased": erasure.on_person_erased,
    "SmsDispatched": on_sms_dispatched,
    "SmsReceived": on_sms_received,
    "BulkRecipientsAttached": on_bulk_recipients_attached,
    "CreditsLow": on_credits_low,
    "AutomaticTopUpFailed": on_automatic_top_up_failed,
    "BulkSmsControlled": on_bulk_sms_controlled,
    "ScheduledStartDecided": on_scheduled_start_decided,
    "ApprovalRequested": on_approval_requested,
    "ApprovalDecided": on_approval_decided,
}
