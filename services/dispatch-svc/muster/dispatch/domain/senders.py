"""What a sender is: a number or a name, whose it is, whether it is registered, and what becomes of it when it is given
up. Pure."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

# Who was texted may answer, and opt out, for so long after the last marketing message (Spam Act 2003, s 18).
LEASE: Final = timedelta(days=30)

_NUMBER: Final = re.compile(r"\+?[1-9][0-9]{6,14}")
_NAME: Final = re.compile(r"(?=.*[A-Za-z])[A-Za-z0-9 &_.-]{1,11}")


class Kind(StrEnum):
    """A number gets replies, a name gets none."""

    NUMBER = "number"
    NAME = "name"


class Standing(StrEnum):
    """Whether its business may send by it. LEASED: it was given up, and replies still reach who had it. QUARANTINED:
    nobody may have it yet. WITHHELD: its business has chosen it, and does not have it."""

    ACTIVE = "active"
    LEASED = "leased"
    QUARANTINED = "quarantined"
    FREE = "free"
    WITHHELD = "withheld"


class Registration(StrEnum):
    """How it stands with the registers of names (in Australia the SMS Sender ID Register)."""

    UNREGISTERED = "unregistered"
    PENDING = "pending"
    REGISTERED = "registered"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Use:
    """What was sent by a sender: when the last marketing left, until when some may leave yet, whether anything was."""

    last_at: datetime | None
    queued_until: datetime | None
    ever: bool


def normal(sender: str) -> str:
    """How a sender is kept: a number as its digits, a name as it is."""
    return sender.removeprefix("+") if kind_of(sender) is Kind.NUMBER else sender


def kind_of(sender: str) -> Kind:
    """Whether a sender is a number or a name."""
    digits = sender.removeprefix("+")
    return Kind.NUMBER if digits.isascii() and digits.isdigit() else Kind.NAME


def is_sender(sender: str) -> bool:
    """Whether it could be one: a number in E.164, or a name of 1 to 11 letters, digits, spaces and some signs."""
    if kind_of(sender) is Kind.NUMBER:
        return _NUMBER.fullmatch(sender) is not None
    return _NAME.fullmatch(sender) is not None and sender == sender.strip()


def leased_until(use: Use, now: datetime) -> datetime:
    """Until when a sender that its business gives up is leased to it: while who was texted may answer."""
    ends = [at + LEASE for at in (use.last_at, use.queued_until) if at is not None]
    return max(*ends, now) if ends else now


def time_over(standing: Standing, use: Use, quarantine: timedelta, now: datetime) -> tuple[Standing, datetime | None]:
    """How a sender stands whose time is over: a lease ends in quarantine unless marketing left since, and that ends.
    One by which nothing was sent is free at once."""
    if standing is Standing.QUARANTINED or not use.ever:
        return Standing.FREE, None
    until = leased_until(use, now)
    return (Standing.LEASED, until) if until > now else (Standing.QUARANTINED, now + quarantine)


def is_shown_unverified(sender: str, registration: Registration, country: str) -> bool:
    """Whether phones show something else in its place: in Australia "Unverified", since 1 July 2026, for a name that is
    not registered."""
    return country == "AU" and kind_of(sender) is Kind.NAME and registration is not Registration.REGISTERED
