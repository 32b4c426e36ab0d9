"""Laws 2, 3 and 6 between services: what two of them say of the same send.

Facts take a moment to travel, so a difference counts only for a send that has ended.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, TypeAlias

from muster.laws.report import Message, columns
from muster.laws.result import Id, LawResult, Violation, found


@dataclass(frozen=True, slots=True)
class Figures:
    """A send as one service sees it: credits, and messages by how they were left. `credits`: what its rows charge."""

    tenant_id: Id
    bulk_id: Id
    closed: bool = False
    reserved: int = 0
    used: int = 0
    released: int = 0
    held: int = 0
    refunded: int = 0
    recipients: int = 0
    accepted: int = 0
    unknown: int = 0
    rejected: int = 0
    stopped: int = 0
    suppressed: int = 0
    credits: int = 0


MONEY: Final = ("reserved", "used", "released", "held", "refunded")
COUNTS: Final = ("recipients", "accepted", "unknown", "rejected", "stopped", "suppressed")
Key: TypeAlias = tuple[Id, Id]
Sends: TypeAlias = Mapping[Key, Figures]


def by_send(every: Iterable[Figures]) -> Sends:
    """Figures by (tenant, send)."""
    return {(one.tenant_id, one.bulk_id): one for one in every}


def same_money(dispatch: Sends, credit: Sends) -> LawResult:
    """Law 2: the ledger has applied what dispatch-svc said of each ended send."""
    return _compare("reserved", dispatch, credit, MONEY, ("dispatch-svc", "credit-svc"))


def same_counts(dispatch: Sends, report: Sends) -> LawResult:
    """Law 6: the report's rows of each ended send are its recipients."""
    return _compare("report", dispatch, report, COUNTS, ("dispatch-svc", "report-svc"))


def same_charge(dispatch: Sends, report: Sends) -> LawResult:
    """Law 3: what the report's rows charge is what was used; a send with unknown outcomes may still change."""
    ended = [one for one in dispatch.values() if one.closed and not one.unknown]
    wrong: list[Violation] = []
    for one in ended:
        charged = _other(report, one).credits
        if charged != one.used:
            detail = f"used {one.used} at dispatch-svc, charged {charged} in the report"
            wrong.append(found(one.tenant_id, detail, one.bulk_id))
    return LawResult("used", len(ended), wrong)


def by_message(
    result: LawResult, messages: Callable[[Violation], Iterable[tuple[Message, Message | None]]]
) -> LawResult:
    """The same finding, with the messages that make a send's sums differ in the place of the send, where there are any;
    `messages` gives those of the send of a violation, as dispatch-svc has them and as the report does."""
    wrong: list[Violation] = []
    for one in result.violations:
        wrong += columns(messages(one)).violations or [one]
    return LawResult(result.law, result.checked, wrong)


def _compare(law: str, one: Sends, other: Sends, members: Sequence[str], names: tuple[str, str]) -> LawResult:
    ended = [figures for figures in one.values() if figures.closed]
    wrong = []
    for figures in ended:
        there = _other(other, figures)
        off = [
            f"{member} {getattr(figures, member)} at {names[0]}, {getattr(there, member)} at {names[1]}"
            for member in members
            if getattr(figures, member) != getattr(there, member)
        ]
        if off:
            wrong.append(found(figures.tenant_id, "; ".join(off), figures.bulk_id))
    return LawResult(law, len(ended), wrong)


def _other(sends: Sends, of: Figures) -> Figures:
    """A send that the other has never heard of is nothing there: so it is where one was stopped before its request."""
    return sends.get((of.tenant_id, of.bulk_id)) or Figures(of.tenant_id, of.bulk_id)
