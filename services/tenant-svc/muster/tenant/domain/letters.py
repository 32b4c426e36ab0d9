"""What users are told by e-mail, in plain text. Headers are ours alone: names stand in the body. Pure."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final
from uuid import UUID

RESETS_A_DAY_MAX: Final = 5
RESET_PAUSE: Final = timedelta(minutes=1)


class LetterKind(StrEnum):
    """What a letter is about."""

    INVITATION = "invitation"
    RESET = "reset"
    PASSWORD_CHANGED = "password_changed"  # noqa: S105 - a name


SUBJECTS: Final = {
    LetterKind.INVITATION: "You are invited to Muster",
    LetterKind.RESET: "Set a new password for Muster",
    LetterKind.PASSWORD_CHANGED: "Your password for Muster was changed",
}


@dataclass(frozen=True, slots=True)
class UserLetter:
    """A letter to a user. `token`: that of its link, None where it has none, or where nobody can read it any more."""

    tenant_id: UUID
    letter_id: UUID
    kind: LetterKind
    recipient: str
    name: str
    tenant_name: str
    token: str | None
    since: datetime
    attempts: int


def body(letter: UserLetter, base_url: str, invitation_life: timedelta, reset_life: timedelta) -> str:
    """The text of a letter, with how long its link holds."""
    business, address = letter.tenant_name or "Muster", base_url.rstrip("/")
    hello = f"Hello {letter.name},\n\n"
    if letter.kind is LetterKind.INVITATION:
        return (
            f"{hello}you are invited to send and read text messages for {business}.\n\nChoose a password here:\n\n"
            f"{address}/join/{letter.token}\n\nIt works once, within {_span(invitation_life)}. "
            "If it has expired, ask whoever invited you for another.\n"
        )
    if letter.kind is LetterKind.RESET:
        return (
            f"{hello}somebody, you we hope, asked for a new password for {business}. Set it here:\n\n"
            f"{address}/reset/{letter.token}\n\nThe link works once, within {_span(reset_life)}. "
            "If it was not you, do nothing: your password stays as it is.\n"
        )
    return (
        f"{hello}your password for {business} was changed, and whoever else was signed in as you is signed out.\n\n"
        f"If it was not you, set a new one at once, and tell your admin:\n\n{address}/forgot\n"
    )


def _span(life: timedelta) -> str:
    """As people say it: 7 days, 2 hours, 90 minutes."""
    minutes = life // timedelta(minutes=1)
    for unit, length in (("day", 1_440), ("hour", 60), ("minute", 1)):
        if minutes % length == 0:
            count = minutes // length
            return f"{count} {unit}" if count == 1 else f"{count} {unit}s"
    raise AssertionError(minutes)


def may_reset(last_at: datetime | None, in_a_day: int, now: datetime) -> bool:
    """Whether another link is sent to somebody who was sent so many: strangers do not fill letter boxes."""
    return in_a_day < RESETS_A_DAY_MAX and (last_at is None or now - last_at >= RESET_PAUSE)
