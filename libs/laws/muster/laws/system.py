"""Laws 7 and 8: whose things are, and that every send comes to its end."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from muster.laws.result import Id, LawResult, found

OVERDUE_MAX_S: Final = 300.0
"""How long after `send_by` a send of which nothing is held may be without an end."""
UNANSWERED_MAX_S: Final = 7200.0
"""How long totals may go without the ledger's answer; they are repeated hourly."""


@dataclass(frozen=True, slots=True)
class Reference:
    """Something of one tenant, `what`, that belongs to something of `owner`; None where that is not there."""

    tenant_id: Id
    what: str
    owner: Id | None = None
    bulk_id: Id | None = None
    message: Id | int | None = None


def tenant(references: Iterable[Reference], checked: int | None = None) -> LawResult:
    """Law 7: whatever belongs to something belongs to the same tenant."""
    every = list(references)
    wrong = [
        found(one.tenant_id, _of_whom(one), one.bulk_id, one.message) for one in every if one.owner != one.tenant_id
    ]
    return LawResult("tenant", len(every) if checked is None else checked, wrong)


def _of_whom(one: Reference) -> str:
    return f"{one.what} of nobody" if one.owner is None else f"{one.what} of the tenant {one.owner}"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a send has come. `overdue_s`: since its `send_by`, if that has passed; `unanswered_s`: since its totals
    were said, if the ledger has not answered them."""

    tenant_id: Id
    bulk_id: Id
    ended: bool = False
    parked: str = ""
    held: int = 0
    overdue_s: float = 0.0
    unanswered_s: float = 0.0


def bounded(sends: Iterable[Progress], checked: int | None = None) -> LawResult:
    """Law 8: no send is parked, none is open long after its time, and totals are answered."""
    every = list(sends)
    wrong = [found(one.tenant_id, ", ".join(why), one.bulk_id) for one in every if (why := _not_bounded(one))]
    return LawResult("bounded", len(every) if checked is None else checked, wrong)


def _not_bounded(one: Progress) -> list[str]:
    why = []
    if one.parked:
        why.append(f"parked: {one.parked}")
    if not one.ended and not one.held and one.overdue_s > OVERDUE_MAX_S:
        why.append("not ended long after send_by")
    if one.unanswered_s > UNANSWERED_MAX_S:
        why.append("totals not answered")
    return why
