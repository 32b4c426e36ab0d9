"""The eight laws, judged over what the services serve to the operator.

Each service checks what its own database can show and serves it with its sums at `/v1/ops/{service}/laws` and
`/v1/ops/{service}/bulks`. What only two services together can show is compared by muster.laws.between.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from muster.laws.between import compare
from muster.laws.result import LAWS, SERVICES, SHOWN_MAX

Pages: TypeAlias = Callable[..., Iterable[Mapping[str, Any]]]


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
    for found in compare(pages).results:
        laws[found.law].add(found.document())
    return list(laws.values())
