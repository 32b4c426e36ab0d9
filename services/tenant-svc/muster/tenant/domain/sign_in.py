"""How people sign in: passwords, sessions, links, and how guessing is slowed. Pure."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from typing import Final
from uuid import UUID

from muster.tenant.domain import Wrong

PASSWORD_CHARS_MIN: Final = 10
PASSWORD_CHARS_MAX: Final = 200
# Of zxcvbn's 0 to 4: "safely unguessable", 10^8 guesses or more.
_STRENGTH_MIN: Final = 3
# It takes time by the square of the length, and says nothing new of more.
_JUDGED_CHARS: Final = 72
# Guesses that somebody may make who has forgotten which password it was; then each waits twice as long as the last.
FREE_GUESSES: Final = 5
FREE_GUESSES_OF_PLACE: Final = 50
_FIRST_PAUSE_S: Final = 2
PAUSE_S_MAX: Final = 900
GUESSES_KEPT: Final = timedelta(days=1)
SEEN_STEP: Final = timedelta(seconds=60)


class LinkKind(StrEnum):
    """What a single-use link is for."""

    INVITATION = "invitation"
    RESET = "reset"
    FIRST_ADMIN = "first_admin"


@dataclass(frozen=True, slots=True)
class Account:
    """A user as somebody who signs in. `hash` is None where there is no password yet; an operator has no tenant, whose
    name, country and time zone are "" then."""

    tenant_id: UUID
    user_id: UUID
    email: str | None
    name: str
    role: str
    hash: str | None
    tenant_name: str
    country: str
    time_zone: str
    suspended: bool


@dataclass(frozen=True, slots=True)
class Session:
    """Somebody who is signed in somewhere."""

    tenant_id: UUID
    session_id: UUID
    user_id: UUID
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    ended_at: datetime | None
    address: str
    user_agent: str


@dataclass(frozen=True, slots=True)
class Link:
    """A single-use link. `user_id` is None where who takes it becomes a new user; email and name are "" then."""

    tenant_id: UUID
    link_id: UUID
    kind: LinkKind
    user_id: UUID | None
    email: str
    name: str
    tenant_name: str
    country: str
    time_zone: str
    expires_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Guesses:
    """How often a password was guessed wrongly of late."""

    failures: int
    last_at: datetime
    next_at: datetime


def check_password(password: str, known: Iterable[str]) -> Wrong | None:
    """Why this cannot be a password: too short, too long, or easily guessed by who knows the words of `known`.

    Takes up to some 50 ms: not on an event loop.
    """
    if len(password) < PASSWORD_CHARS_MIN:
        message = f"must have {PASSWORD_CHARS_MIN} characters or more; a few words in a row are easy to remember"
        return Wrong("password", "password_too_short", message)
    if len(password) > PASSWORD_CHARS_MAX:
        return Wrong("password", "password_too_long", f"must have {PASSWORD_CHARS_MAX} characters at most")
    from zxcvbn import zxcvbn  # its dictionaries are large: only who asks pays for them

    words = {part for text in known for part in (text, text.replace(" ", ""), *re.split(r"[\s@.]+", text)) if part}
    judged = zxcvbn(password[:_JUDGED_CHARS], user_inputs=["muster", *sorted(words)], max_length=_JUDGED_CHARS)
    if judged["score"] >= _STRENGTH_MIN:
        return None
    found = judged["feedback"]["warning"].rstrip(".")
    message = f"is easily guessed{': ' + found[0].lower() + found[1:] if found else ''}; add a word or two"
    return Wrong("password", "password_too_weak", message)


def pause_s(failures: int, free: int) -> int:
    """How long the next guess waits after so many wrong ones in a row: 0, then 2, 4, 8 ... to a quarter of an hour."""
    if failures < free:
        return 0
    return int(min(PAUSE_S_MAX, _FIRST_PAUSE_S ** min(failures - free + 1, 20)))


def guessed(before: Guesses | None, now: datetime, free: int) -> Guesses | timedelta:
    """The guesses with one more, which counts as wrong until it is seen to be right; or how long it has to wait."""
    if before is None or now - before.last_at > GUESSES_KEPT:
        return Guesses(1, now, now)
    if now < before.next_at:
        return before.next_at - now
    failures = before.failures + 1
    return Guesses(failures, now, now + timedelta(seconds=pause_s(failures, free)))


def digest(token: str) -> bytes:
    """What is stored of a token of 256 random bits: its SHA-256."""
    return sha256(token.encode("utf-8", "surrogatepass")).digest()


def is_open(session: Session, now: datetime, idle: timedelta) -> bool:
    """Whether a session still gives tokens."""
    return session.ended_at is None and now < session.expires_at and now - session.seen_at < idle
