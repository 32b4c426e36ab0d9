"""Law 6: what the report shows of a send is what became of it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from muster.laws.result import Id, LawResult, found


@dataclass(frozen=True, slots=True)
class Rows:
    """The report's rows of one send, counted, beside its live counts. `asked` is how many recipients it has, `waiting`
    are the messages that are queued or submitting, where they were looked up."""

    tenant_id: Id
    bulk_id: Id
    closed: bool
    asked: int
    rows: int
    queued: int = 0
    submitting: int = 0
    delivered: int = 0
    live: int = 0
    live_delivered: int = 0
    waiting: Sequence[int] = ()


def report(sends: Iterable[Rows]) -> LawResult:
    """Law 6 within the report: live counts are those of the rows; a closed send has a row for each recipient, and none
    of them waits."""
    checked, wrong = 0, []
    for one in sends:
        checked += 1 + one.rows
        wrong += [found(one.tenant_id, why, one.bulk_id) for why in _not_reported(one)]
        if one.closed:
            wrong += [found(one.tenant_id, "waits though its send is closed", one.bulk_id, seq) for seq in one.waiting]
    return LawResult("report", checked, wrong)


def _not_reported(one: Rows) -> list[str]:
    why = []
    if (one.live, one.live_delivered) != (one.rows, one.delivered):
        why.append(f"live counts are {one.live}, {one.live_delivered} delivered; rows {one.rows}, {one.delivered}")
    if one.closed and (one.queued or one.submitting) and not one.waiting:
        why.append(f"closed with {one.queued} queued and {one.submitting} submitting")
    if one.closed and one.rows != one.asked:
        why.append(f"closed with {one.rows} rows for {one.asked} recipients")
    return why


@dataclass(frozen=True, slots=True)
class Message:
    """One message, column by column; codes as the events have them."""

    tenant_id: Id
    bulk_id: Id
    message: int
    left: int
    accepted: int
    credits: int
    receipt: int = 0


_COLUMNS: Final = ("tenant_id", "bulk_id", "message", "left", "accepted", "credits", "receipt")


def columns(messages: Iterable[tuple[Message, Message | None]]) -> LawResult:
    """Law 6 row by row: each message as dispatch-svc has it, beside its row in the report."""
    every = list(messages)
    wrong = [
        found(said.tenant_id, _differs(said, row), said.bulk_id, said.message) for said, row in every if said != row
    ]
    return LawResult("report", len(every), wrong)


def _differs(said: Message, row: Message | None) -> str:
    if row is None:
        return "has no row"
    names = (name for name in _COLUMNS if getattr(said, name) != getattr(row, name))
    return ", ".join(f"{name} {getattr(said, name)}, in its row {getattr(row, name)}" for name in names)
