"""The state of a send as its user sees it, from what was heard of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Final

from muster.customer.domain.refusal import Refusal

SMALL_RECIPIENTS_MAX: Final = 500
SEND_BY_DEFAULT: Final = timedelta(days=1)
SEND_BY_MAX: Final = timedelta(days=30)


class Phase(StrEnum):
    """How far customer-svc itself has come with a send."""

    PLANNING = "planning"
    NEEDS_CONFIRMATION = "needs_confirmation"
    REQUESTED = "requested"
    WITHDRAWN = "withdrawn"
    REFUSED = "refused"


class State(StrEnum):
    """The states of a send in the API."""

    PLANNING = "planning"
    NEEDS_CONFIRMATION = "needs_confirmation"
    WAITING = "waiting"
    SENDING = "sending"
    PAUSED = "paused"
    STOPPING = "stopping"
    CLOSED = "closed"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True)
class Heard:
    """What is known of a send; each member has one source. control is the one of the highest version."""

    phase: Phase
    credits_refused: bool = False
    control: str = ""
    dispatched: bool = False
    closed: bool = False
    parked: bool = False


def state_of(heard: Heard) -> State:
    """Total: facts may come in any order, and the state never depends on which came first."""
    if heard.closed or heard.phase is Phase.WITHDRAWN:
        return State.CLOSED
    if heard.credits_refused or heard.phase is Phase.REFUSED:
        return State.REFUSED
    if heard.control == "stop":
        return State.STOPPING
    if heard.phase is not Phase.REQUESTED:
        return State(heard.phase.value)
    if heard.control == "pause" or heard.parked:
        return State.PAUSED
    return State.SENDING if heard.dispatched else State.WAITING


def judge_send_by(
    now: datetime, asked: datetime | None, starts: tuple[datetime, datetime] | None = None
) -> datetime | Refusal:
    """Until when messages may leave: a day from now if nothing is said, at most 30 days.

    starts: when the first and the last recipients may be texted, where they have hours; a day begins with the last.
    """
    if asked is None:
        begin = now if starts is None else max(now, starts[1])
        return min(begin + SEND_BY_DEFAULT, now + SEND_BY_MAX)
    if asked.tzinfo is None:
        return Refusal(
            "send_by", "no_time_zone", "A time needs its offset from UTC, such as 2026-11-23T17:00:00+11:00."
        )
    if asked <= now:
        return Refusal("send_by", "past", "This time is past.")
    if asked > now + SEND_BY_MAX:
        return Refusal("send_by", "too_far", f"At most {SEND_BY_MAX.days} days from now.")
    if starts is not None and asked <= starts[0]:
        when = starts[0].isoformat(timespec="minutes")
        return Refusal("send_by", "outside_hours", f"Nobody in this send may be texted before {when}.")
    return asked


def is_small(recipients: int) -> bool:
    """Whether a send takes the small lane."""
    return recipients <= SMALL_RECIPIENTS_MAX


Problem = Mapping[str, Any]


def audience_empty() -> Problem:
    """The plan found nobody who may be texted."""
    return _problem("audience_empty", "Nobody is left to text", "Everybody in the audience is left out.")


def audience_changed(field: str, message: str) -> Problem:
    """What the audience goes by is not what it was when it was quoted: a field that it asks for is gone, say."""
    return _problem("audience_changed", "The audience cannot be asked for any more", f"{field}: {message}.")


def no_hours(recipients: int) -> Problem:
    """The send ends before the hours begin at which these may be texted."""
    detail = f"Its send_by comes before the hours at which the {recipients} who would be texted may be."
    return _problem("outside_hours", "Nobody may be texted before its time is over", detail)


def costs_more(quoted: int, planned: int) -> Problem:
    """The plan costs more than was confirmed."""
    difference = planned - quoted
    detail = f"The send now costs {planned} credits, {difference} more than the {quoted} that were confirmed."
    figures = {"credits": planned, "quoted": quoted, "difference": difference}
    return _problem("costs_more", "The send costs more than the quote", detail) | figures


def credits_short(asked: int, shortfall: int, reason: str) -> Problem:
    """credit-svc set nothing aside."""
    detail = f"The send needs {asked} credits, {shortfall} more than the account has."
    if reason == "owed":
        detail = f"The account owes credits: with those, the send needs {shortfall} more than it has."
    if reason == "capped":
        detail = f"The send needs {asked} credits, {shortfall} more than the business's own cap leaves for now."
    if reason == "closed":
        detail = "The account is closed: it reserves nothing more."
    return _problem("credits_short", "Too few credits", detail) | {
        "asked": asked,
        "shortfall": shortfall,
        "reason": reason,
    }


def plan_failed() -> Problem:
    """A defect of ours; the log says which."""
    return _problem("plan_failed", "The send could not be planned", "Nothing was sent and no credits were reserved.")


def text_refused(message: str) -> Problem:
    """A text that could be sent when it was quoted cannot be sent any more."""
    return _problem("text_refused", "The text cannot be sent", message)


def texts_grew() -> Problem:
    """The texts of some have become so much longer since the quote that a chunk of them fits into no record."""
    message = "The texts of some customers have become much longer since the quote. Nothing was reserved: quote again."
    return _problem("texts_grew", "The send is not what was quoted", message)


def too_long(parts: int, limit: int) -> Problem:
    """Values have become longer since the quote, or the business has set itself a lower limit."""
    message = f"A message has {parts} parts now; this business has set its limit to {limit}. Nothing was reserved."
    problem = _problem("too_many_parts", "A message is longer than the business allows", message)
    return problem | {"parts": parts, "limit": limit}


def sender_refused(code: str, message: str) -> Problem:
    """The business has lost its sender since it was quoted, or its registration was rejected."""
    return _problem(code, "Nothing is sent by this sender", f"{message[:1].upper()}{message[1:]}.")


def numbers_astray(customer_ids: list[int], country: str) -> Problem:
    """What was taken for a mobile number of a country when it was stored is none now."""
    who = ", ".join(map(str, customer_ids))
    detail = (
        f"By the numbering plans of now these customers' numbers are no mobile numbers of {country} any more (customers"
        f" {who}). Correct them, or leave these customers out; nothing was sent and no credits were reserved."
    )
    problem = _problem("number_astray", "Some numbers cannot be texted any more", detail)
    return problem | {"customer_ids": customer_ids}


def limit_refused(code: str, message: str) -> Problem:
    """Its recipients are not those of a list of customers."""
    return _problem(code, "Its numbers look made up", f"{message[:1].upper()}{message[1:]}.")


def held_back() -> Problem:
    """Facts about it contradict each other."""
    detail = (
        "What was heard of this send contradicts itself, so nothing more of it leaves until an operator has looked. "
        "It can be stopped, and ends at its send_by in any case."
    )
    return _problem("parked", "The send is held back", detail)


def too_many_failed() -> Problem:
    """It has paused itself."""
    detail = (
        "Too many of its last messages were refused by the carrier or did not arrive, so it was paused. Look at the "
        "report: wrong numbers, a sender that is not registered? Resume it, or stop it; it ends at its send_by."
    )
    return _problem("error_rate", "The send was paused: too many messages fail", detail)


@dataclass(frozen=True, slots=True)
class Cut:
    """A closed send: how many of its messages were stopped, the word of dispatch-svc for why, and who ended it."""

    recipients: int
    stopped: int
    reason: str
    reserved: bool
    control: str
    by_operator: bool


def cut_short(cut: Cut) -> Problem | None:
    """Why a send was closed before all of it had left; None where it was not, or its own people have stopped it."""
    if not cut.stopped:
        return None
    some = f"{cut.stopped} of {cut.recipients} messages were not sent"
    back = "their credits came back"
    if cut.reason == "send_by" and not cut.reserved:
        return _problem(
            "credits_unanswered", "No credits were set aside in time", f"{some}: the ledger did not answer by send_by."
        )
    if cut.reason == "send_by":
        return _problem("send_by_passed", "Its time was over", f"{some} by send_by; {back}.")
    if cut.reason == "credits":
        why = "the credits, or a cap of the business's own, did not allow more"
        return _problem("credits_for_some", "Too few credits for all of it", f"{some}: {why}.")
    if cut.by_operator:
        return _problem(
            "ended_by_operator", "The operator has ended this send", f"{some}; {back}. The audit log says why."
        )
    if cut.control != "stop":
        return _problem("incomplete", "Part of the send was lost on its way", f"{some}; {back}.")
    return None


def outcomes_unknown(messages: int, credits: int, until: datetime) -> Problem:
    """Why a send is still open though nothing more of it leaves."""
    detail = (
        f"The carrier has not said what became of {messages} messages. {credits} credits are held until it has said so "
        f"of all, at the latest until {until:%Y-%m-%d %H:%M} UTC."
    )
    return {"code": "unknown_outcomes", "detail": detail, "messages": messages, "credits": credits, "until": until}


def _problem(code: str, title: str, detail: str) -> dict[str, Any]:
    return {"type": f"urn:muster:problem:{code}", "code": code, "title": title, "detail": detail}
