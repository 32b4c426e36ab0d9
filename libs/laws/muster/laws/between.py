"""What services say of the same sends, read and compared: laws 2, 3 and 6 on a running system.

What is to be read comes out as steps, so that a command that waits for each answer and a page that waits for nobody
compare by the same lines.
"""

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from itertools import islice
from typing import Any, Final, TypeAlias

from muster.laws.across import Figures, Sends, by_message, by_send, same_charge, same_counts, same_money
from muster.laws.report import Message
from muster.laws.result import LawResult, Violation

MESSAGES_MAX: Final = 50_000
"""Messages that are compared one by one, to name those that make the sums of two services differ."""
_PAGE: Final = "500"
_FIGURES: Final = tuple(one.name for one in fields(Figures))


@dataclass(frozen=True, slots=True)
class Ask:
    """A listing that is to be read, page by page: at most so many of its items, all where None."""

    path: str
    query: Mapping[str, str] = field(default_factory=dict)
    items_max: int | None = None


@dataclass(frozen=True, slots=True)
class Between:
    """What was found; is_whole: of every send, not only of the first ones by tenant and id."""

    results: list[LawResult]
    is_whole: bool


Item: TypeAlias = Mapping[str, Any]
Steps: TypeAlias = Generator[Ask, Sequence[Item], Between]
_Beside: TypeAlias = dict[tuple[str, str | None], list[tuple[Message, Message | None]]]


def between(
    sends_max: int | None = None, messages_max: int = MESSAGES_MAX, looked_into_max: int | None = None
) -> Steps:
    """Yields what is to be read, is sent what was read, returns what it comes to.

    sends_max: how many sends are compared; looked_into_max: in how many of those that differ messages are looked for.
    """
    listed = {}
    for name in ("dispatch", "credit", "report"):
        most = None if sends_max is None else sends_max + 1
        listed[name] = yield Ask(f"/v1/ops/{name}/bulks", {"limit": _PAGE}, most)
    sends, is_whole = _within(listed, sends_max)
    money = same_money(sends["dispatch"], sends["credit"])
    rest = (same_counts(sends["dispatch"], sends["report"]), same_charge(sends["dispatch"], sends["report"]))
    keys = dict.fromkeys(_key(violation) for one in rest for violation in one.violations)
    beside = yield from _messages(islice(keys, looked_into_max), messages_max)
    named = [by_message(one, lambda of: beside.get(_key(of), [])) for one in rest]
    return Between([money, *named], is_whole)


def compare(pages: Callable[..., Iterable[Item]], steps: Steps | None = None) -> Between:
    """All of it at once: `pages(path, **query)` gives every item of a listing."""
    steps = between() if steps is None else steps
    try:
        ask = next(steps)
        while True:
            ask = steps.send(list(islice(pages(ask.path, **ask.query), ask.items_max)))
    except StopIteration as end:
        found: Between = end.value
        return found


def _within(listed: Mapping[str, Sequence[Item]], sends_max: int | None) -> tuple[Mapping[str, Sends], bool]:
    """The sends of which all three are known: each lists by tenant and id, so those before the first left out."""
    over = [_of(items[sends_max]) for items in listed.values() if sends_max is not None and len(items) > sends_max]
    end = min(over, default=None)
    found = {name: [one for one in items if end is None or _of(one) < end] for name, items in listed.items()}
    return {name: _sends(items) for name, items in found.items()}, end is None


def _messages(keys: Iterable[tuple[str, str | None]], messages_max: int) -> Generator[Ask, Sequence[Item], _Beside]:
    """Each message of some sends as dispatch-svc has it, beside its row: as far as the bound goes."""
    beside: _Beside = {}
    left = messages_max
    for tenant_id, bulk_id in keys:
        if left <= 0:
            break
        query = {"tenant_id": tenant_id, "bulk_id": bulk_id or ""}
        said = list(map(_message, (yield Ask("/v1/ops/dispatch/messages", query, left))))
        there = map(_message, (yield Ask("/v1/ops/report/messages", query, left)))
        rows = {one.message: one for one in there}
        # The two are read in orders of their own: of a send that is cut short a row may only not have been read.
        whole = len(said) < left and len(rows) < left
        left -= len(said)
        beside[tenant_id, bulk_id] = [(one, rows.get(one.message)) for one in said if whole or one.message in rows]
    return beside


def _message(item: Item) -> Message:
    # What receipts say comes later and is no part of the sums.
    return Message(**{**item, "receipt": 0})


def _sends(items: Iterable[Item]) -> Sends:
    return by_send(Figures(**{name: item[name] for name in _FIGURES if name in item}) for item in items)


def _of(item: Item) -> tuple[str, str]:
    return str(item["tenant_id"]), str(item["bulk_id"])


def _key(violation: Violation) -> tuple[str, str | None]:
    return violation.tenant_id, violation.bulk_id
