"""Whether a number may be texted: the highest version of (tenant, number) says it."""

from dataclasses import dataclass, replace
from datetime import datetime
from enum import IntEnum
from typing import Final

from muster.customer.domain.consent import Standing, Word, judge
from muster.customer.domain.customers import Consent
from muster.customer.domain.refusal import Refusal


class Scope(IntEnum):
    """What a suppression reaches; numbers as in SuppressionScope of the events."""

    MARKETING = 1
    ALL = 2


BY_HAND: Final = frozenset(("person", "upload"))
"""Sources of suppressions that somebody of the business has entered, who may have been wrong."""


@dataclass(frozen=True, slots=True)
class Suppression:
    """The state of one number. version 0: nothing was ever said of it. source and since: of that version."""

    version: int = 0
    suppressed: bool = False
    scope: Scope = Scope.ALL
    source: str = ""
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asked for. source: "reply", "person", "form", "link", "complaint", "upload", or "correction" where
    what was entered by hand was a mistake. given_at, wording, address: when, in which words and from where it was
    asked for, as far as is known; by: who has recorded it."""

    suppressed: bool
    scope: Scope
    source: str
    inbound_id: str = ""
    reason: str = ""
    by: str = ""
    given_at: datetime | None = None
    wording: str = ""
    address: str = ""


def decide(now: Suppression, wish: Wish) -> Suppression:
    """The next version, also where nothing else changes: it ends the hold of the inbound message that it names.

    A narrower opt-out never narrows a wider one.
    """
    narrower = now.suppressed and wish.suppressed and wish.scope < now.scope
    scope = now.scope if narrower else wish.scope
    return replace(now, version=now.version + 1, suppressed=wish.suppressed, scope=scope, source=wish.source)


def judge_lift(now: Suppression, word: Word, at: datetime) -> Refusal | None:
    """Why this word does not lift a suppression: only the person's own one does that is later than it."""
    return judge(Standing(Consent.WITHDRAWN, now.since), word, at)


def judge_correction(now: Suppression) -> Refusal | None:
    """Why a suppression cannot have been a mistake of somebody of the business."""
    if now.source in BY_HAND:
        return None
    message = (
        "The person asked for this themselves. Only their own later word lifts it: POST .../lift with its wording."
    )
    return Refusal("source", "own_word_needed", message)
