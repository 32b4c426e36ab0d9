"""A send as the API shows it."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from muster.customer.api.when import wall_text
from muster.customer.domain.sends import (
    Cut,
    Heard,
    Phase,
    Problem,
    State,
    cut_short,
    held_back,
    outcomes_unknown,
    state_of,
    too_many_failed,
)
from muster.customer.events import MessageClass, MessageKind, Partial
from muster.kit import trace
from muster.kit.http import Model
from muster.kit.pg import Record


class CountsOut(Model):
    """How messages were left, as last accounted for."""

    accepted: int
    unknown: int
    rejected: int
    stopped: int
    suppressed: int


class WaitingOut(Model):
    """So many recipients may be texted from a moment on."""

    until: datetime
    recipients: int


class HoursOut(Model):
    """Recipients who may not be texted at the hour of planning: when the first are texted, when the last, how many wait
    until when (the first 20 moments), and how many in all."""

    starts_at: datetime
    last_starts_at: datetime
    waiting: list[WaitingOut]
    waiting_recipients: int


class BulkOut(Model):
    """A send. text: of a template in several languages, the one for all others. What planning has not found yet is as
    quoted; reserved = used + released + held. `again_of`: it is for those who did not get that send; `schedule_id`: it
    is a start of that schedule; `local_time`: what a clock of their own shows before anybody is texted; `test`: to
    people of the business, to see what customers would get; `approval_id`: what let it through, where one person alone
    might not send it; `trace_id`: by which logs and traces of all services are searched for it."""

    id: UUID
    state: State
    kind: str
    test: bool
    message_class: str
    quote_id: UUID | None
    again_of: UUID | None
    schedule_id: UUID | None
    approval_id: UUID | None
    text: str
    template_id: UUID | None
    template_version: int | None
    sender: str
    customers: int | None
    recipients: int | None
    parts: int | None
    credits: int | None
    credits_quoted: int
    credits_reserved: int | None
    credits_used: int
    credits_released: int
    credits_held: int
    credits_refunded: int
    left_out: dict[str, int] | None
    counts: CountsOut
    stop_reason: str
    problem: dict[str, Any] | None
    waiting_for: dict[str, Any] | None
    hours: HoursOut | None
    local_time: str | None
    partial: str
    send_by: datetime
    created_at: datetime
    created_by: str
    trace_id: str | None


def bulk_out(row: Record, unknown_kept_s: float) -> BulkOut:
    """A stored send with its state. Its problem: the plan's, else the ledger's, else why it was cut short.

    `unknown_kept_s`: for how long outcomes may stay unknown.
    """
    state = state_of_row(row)
    return BulkOut(
        id=row["bulk_id"],
        state=state,
        kind=MessageKind(row["kind"]).name.lower(),
        test=row["test"],
        message_class=MessageClass(row["message_class"]).name.lower(),
        quote_id=row["quote_id"],
        again_of=row["again_of"],
        schedule_id=row["schedule_id"],
        approval_id=row["approval_id"],
        text=row["text"],
        template_id=row["template_id"],
        template_version=row["template_version"],
        sender=row["sender"],
        customers=row["customers"],
        recipients=row["recipients"],
        parts=row["parts"],
        credits=row["credits"],
        credits_quoted=row["credits_confirmed"],
        credits_reserved=row["credits_reserved"],
        credits_used=row["credits_used"],
        credits_released=row["credits_released"],
        credits_held=_held(row),
        credits_refunded=row["credits_refunded"],
        left_out=_json(row["left_out"]),
        counts=CountsOut(**{name: row[name] for name in CountsOut.model_fields}),
        stop_reason=row["stop_reason"],
        problem=_json(row["problem"]) or _json(row["credits_refused"]) or _problem(row, state),
        waiting_for=_waiting_for(row, state, unknown_kept_s),
        hours=_json(row["hours"]),
        local_time=row["local_time"] and wall_text(row["local_time"]),
        partial=Partial(row["partial"]).name.lower(),
        send_by=row["send_by"],
        created_at=row["created_at"],
        created_by=row["created_by"],
        trace_id=trace.trace_id(row["traceparent"]) or None,
    )


def state_of_row(row: Record) -> State:
    """The state of a stored send."""
    heard = Heard(
        Phase(row["phase"]),
        credits_refused=row["credits_refused"] is not None,
        control=row["control"],
        parked=row["control_reason"] == "parked",
        dispatched=row["dispatched"],
        closed=row["closed"],
    )
    return state_of(heard)


def _problem(row: Record, state: State) -> Problem | None:
    if state is State.PAUSED and row["control_reason"] == "parked":
        return held_back()
    if state is State.PAUSED and row["control_reason"] == "error_rate":
        return too_many_failed()
    if state is not State.CLOSED:
        return None
    return cut_short(
        Cut(
            recipients=row["recipients"] or 0,
            stopped=row["stopped"],
            reason=row["stop_reason"],
            reserved=row["credits_reserved"] is not None,
            control=row["control"],
            by_operator=row["control_reason"] == "operator",
        )
    )


def _waiting_for(row: Record, state: State, unknown_kept_s: float) -> Problem | None:
    """What keeps a send open of which nothing more leaves."""
    if state not in (State.SENDING, State.STOPPING, State.PAUSED) or not row["last_submit_ms"]:
        return None
    until = datetime.fromtimestamp(row["last_submit_ms"] / 1000 + unknown_kept_s, UTC)
    return outcomes_unknown(row["unknown"], row["credits_held"], until)


def _held(row: Record) -> int:
    """What is reserved and neither used nor released: the words of the ledger and of dispatch-svc come apart."""
    return max(0, int(row["credits_reserved"] or 0) - int(row["credits_used"]) - int(row["credits_released"]))


def _json(text: str | None) -> Any:
    return None if text is None else orjson.loads(text)
