"""The eight laws, judged over what the services serve to the operator.

Each service checks what its own database can show and serves it with its sums at `/v1/ops/{service}/laws` and
`/v1/ops/{service}/bulks`. What only two services together can show is compared here.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from muster.laws.across import Figures, Sends, by_send, same_charge, same_counts, same_money
from muster.laws.result import LAWS, SHOWN_MAX

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


def check_laws(get: Callable[[str], Any], bulks: Callable[[str], Iterable[Mapping[str, Any]]]) -> list[Law]:
    """Every law on a running system: `get(path)` answers JSON, `bulks(path)` every item of a listing."""
    laws = {name: Law(name) for name in LAWS}
    for service in SERVICES:
        for document in get(f"/v1/ops/{service}/laws")["laws"]:
            laws[document["law"]].add(document)
    credit, dispatch, report = (_sends(bulks(f"/v1/ops/{name}/bulks")) for name in ("credit", "dispatch", "report"))
    for found in (same_money(dispatch, credit), same_counts(dispatch, report), same_charge(dispatch, report)):
        laws[found.law].add(found.document())
    return list(laws.values())


def _sends(items: Iterable[Mapping[str, Any]]) -> Sends:
    return by_send(Figures(**{name: item[name] for name in _FIGURES if name in item}) for item in items)
