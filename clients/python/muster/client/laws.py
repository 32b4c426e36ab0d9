"""The eight laws, judged over what the services serve to the operator.

Each service checks what its own database can show and serves it with its sums at `/v1/ops/{service}/laws` and
`/v1/ops/{service}/bulks`. What only two services together can show is compared here.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from itertools import islice
from typing import Any, TypeAlias

from muster.laws.across import Figures, Sends, by_message, by_send, same_charge, same_counts, same_money
from muster.laws.report import Message
from muster.laws.result import LAWS, SHOWN_MAX, Violation

COMPARED_MAX = 50_000
"""Messages that are compared one by one, to name those that make the sums of two services differ."""

Pages: TypeAlias = Callable[..., Iterable[Mapping[str, Any]]]
SERVICES = ("tenant", "customer", "credit", "dispatch", "reply", "report")
_FIGURES = tuple(one.name for one in fields(Figures))


@dataclass(slots=True)
class Law:
    """How much a law was checked on, and what breaks it: tenant, bulk and message where they are known."""

    name: str
    checked: int = 0
    violation_count: int = 0
    violations: list[dict[str, Any]] = field(default_factory=list)

    def add(self, document: Mapping[str, Any]) -> None:
        """Take over a finding, as services serve it; more violations may be counted than are listed."""
        self.checked += document["checked"]
        self.violation_count += document["violation_count"]
        self.violations = (self.violations + document["violations"])[:SHOWN_MAX]


def check_laws(get: Callable[[str], Any], pages: Pages) -> list[Law]:
    """Every law on a running system: `get(path)` answers JSON, `pages(path, **query)` every item of a listing."""
    laws = {name: Law(name) for name in LAWS}
    for service in SERVICES:
        for document in get(f"/v1/ops/{service}/laws")["laws"]:
            laws[document["law"]].add(document)
    credit, dispatch, report = (_sends(pages(f"/v1/ops/{name}/bulks")) for name in ("credit", "dispatch", "report"))
    laws["reserved"].add(same_money(dispatch, credit).document())
    compared = _Compared(pages)
    for found in (same_counts(dispatch, report), same_charge(dispatch, report)):
        laws[found.law].add(by_message(found, compared.messages).document())
    return list(laws.values())


class _Compared:
    """The messages of sends whose sums differ, in two services: of the first ones, as far as the bound goes."""

    def __init__(self, pages: Pages) -> None:
        self._pages = pages
        self._known: dict[tuple[str, str | None], list[tuple[Message, Message | None]]] = {}
        self._left = COMPARED_MAX

    def messages(self, of: Violation) -> list[tuple[Message, Message | None]]:
        """Each message of the send, as dispatch-svc has it, beside its row."""
        key = (of.tenant_id, of.bulk_id)
        if key not in self._known:
            said = self._read("dispatch", *key)
            rows = {one.message: one for one in self._read("report", *key)}
            # The two are read in orders of their own: of a send that is cut short a row may only not have been read.
            whole = len(said) < self._left and len(rows) < self._left
            self._left -= len(said)
            self._known[key] = [(one, rows.get(one.message)) for one in said if whole or one.message in rows]
        return self._known[key]

    def _read(self, service: str, tenant_id: str, bulk_id: str | None) -> list[Message]:
        items = self._pages(f"/v1/ops/{service}/messages", tenant_id=tenant_id, bulk_id=bulk_id)
        # What receipts say comes later and is no part of the sums.
        return [Message(**{**item, "receipt": 0}) for item in islice(items, max(self._left, 0))]


def _sends(items: Iterable[Mapping[str, Any]]) -> Sends:
    return by_send(Figures(**{name: item[name] for name in _FIGURES if name in item}) for item in items)
