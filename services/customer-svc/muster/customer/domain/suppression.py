"""Whether a number may be texted: the highest version of (tenant, number) says it."""

from dataclasses import dataclass, replace
from enum import IntEnum


class Scope(IntEnum):
    """What a suppression reaches; numbers as in SuppressionScope of the events."""

    MARKETING = 1
    ALL = 2


@dataclass(frozen=True, slots=True)
class Suppression:
    """The state of one number. version 0: nothing was ever said of it."""

    version: int = 0
    suppressed: bool = False
    scope: Scope = Scope.ALL


@dataclass(frozen=True, slots=True)
class Wish:
    """What somebody asked for. source: "reply", "person", "link" or "complaint"."""

    suppressed: bool
    scope: Scope
    source: str
    inbound_id: str = ""
    reason: str = ""
    by: str = ""


def decide(now: Suppression, wish: Wish) -> Suppression:
    """The next version, also where nothing else changes: it ends the hold of the inbound message that it names.

    A narrower opt-out never narrows a wider one.
    """
    narrower = now.suppressed and wish.suppressed and wish.scope < now.scope
    scope = now.scope if narrower else wish.scope
    return replace(now, version=now.version + 1, suppressed=wish.suppressed, scope=scope)
