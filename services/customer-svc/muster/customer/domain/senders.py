"""By which sender a business may send, and what it should know of one."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from muster.customer.domain.refusal import Refusal

_UNVERIFIED_IN: Final = "AU"


class Standing(StrEnum):
    """Whether a business has a sender: as dispatch-svc says it."""

    ACTIVE = "active"
    LEASED = "leased"
    QUARANTINED = "quarantined"
    FREE = "free"
    WITHHELD = "withheld"


class Registration(StrEnum):
    """How a sender stands with the register of names."""

    UNREGISTERED = "unregistered"
    PENDING = "pending"
    REGISTERED = "registered"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Sender:
    """A sender of a business as last heard. reason: why it is withheld, was rejected or given up."""

    sender: str
    standing: Standing = Standing.ACTIVE
    registration: Registration = Registration.UNREGISTERED
    reason: str = ""


def is_number(sender: str) -> bool:
    """Whether a sender is a number, with its plus or without, and no name."""
    digits = sender.removeprefix("+")
    return digits.isascii() and digits.isdigit()


def looked_up(sender: str) -> str:
    """How it is kept: a number without its plus."""
    return sender.removeprefix("+") if is_number(sender) else sender


def written(sender: str) -> str:
    """How it stands in a send: a number with its plus."""
    return f"+{sender.removeprefix('+')}" if is_number(sender) else sender


def refusal(sender: Sender | None) -> Refusal | None:
    """Why nothing is sent by it; None if it may be. None is given for one that the business never had."""
    if sender is None:
        return Refusal("sender", "not_own_sender", "this is no sender of yours")
    because = f": {sender.reason}" if sender.reason else ""
    if sender.standing is Standing.WITHHELD:
        return Refusal("sender", "sender_withheld", f"your business does not have this sender{because}")
    if sender.standing is not Standing.ACTIVE:
        return Refusal("sender", "sender_released", f"your business has this sender no more{because}")
    if sender.registration is Registration.REJECTED:
        return Refusal("sender", "sender_rejected", f"the registration of this sender was rejected{because}")
    return None


def warnings(sender: Sender, countries: Any) -> list[dict[str, str]]:
    """What a business should know before it sends by it to these countries."""
    if _UNVERIFIED_IN not in countries or is_number(sender.sender) or sender.registration is Registration.REGISTERED:
        return []
    message = f'"{sender.sender}" is not registered: phones in Australia show "Unverified" in its place.'
    return [{"code": "shown_unverified", "field": "sender", "message": message}]
