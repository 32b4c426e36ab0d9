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
    if heard.control == "pause":
        return State.PAUSED
    return State.SENDING if heard.dispatched else State.WAITING


def judge_send_by(now: datetime, asked: datetime | None) -> datetime | Refusal:
    """Until when messages may leave: a day from now if nothing is said, at most 30 days."""
    if asked is None:
        return now + SEND_BY_DEFAULT
    if asked.tzinfo is None:
        return Refusal(
            "send_by", "no_time_zone", "A time needs its offset from UTC, such as 2026-11-23T17:00:00+11:00."
        )
    if asked <= now:
        return Refusal("send_by", "past", "This time is past.")
    if asked > now + SEND_BY_MAX:
        return Refusal("send_by", "too_far", f"At most {SEND_BY_MAX.days} days from now.")
    return asked


def is_small(recipients: int) -> bool:
    """Whether a send takes the small lane."""
    return recipients <= SMALL_RECIPIENTS_MAX


Problem = Mapping[str, Any]


def audience_empty() -> Problem:
    """The plan found nobody who may be texted."""
    return _problem("audience_empty", "Nobody is left to text", "Everybody in the audience is left out.")


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


def _problem(code: str, title: str, detail: str) -> dict[str, Any]:
    return {"type": f"urn:muster:problem:{code}", "code": code, "title": title, "detail": detail}
