"""The eight laws, judged over what the services serve to the operator.

Each service checks what its own database can show and serves it with its sums at `/v1/ops/{service}/laws` and
`/v1/ops/{service}/bulks`. What only two services together can show is compared here. Facts take a moment to travel,
so a difference between services counts only for a send that both have seen the end of.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

LAWS: Mapping[str, str] = {
    "granted": "granted + owed = available + reserved + consumed, per account",
    "reserved": "reserved = used + released + held, per send",
    "used": "used = price of accepted parts, plus unknown parts charged by rule",
    "submit": "no submit without a reservation, after send_by, or against a hold or a suppression",
    "once": "at most one accepted submit per part; exactly one state per recipient of a closed send",
    "report": "report rows of a closed send = its recipients, column for column",
    "tenant": "nothing crosses a tenant",
    "bounded": "every send reaches its end within a bound",
}
SERVICES = ("tenant", "customer", "credit", "dispatch", "reply", "report")
SHOWN_MAX = 100
MONEY = ("reserved", "used", "released", "held", "refunded")
COUNTS = ("recipients", "accepted", "unknown", "rejected", "stopped", "suppressed")

Sums = Mapping[str, Any]
Bulks = Mapping[tuple[str, str], Sums]


@dataclass(slots=True)
class Law:
    """How much a law was checked on, and what breaks it: tenant, bulk and message where they are known."""

    name: str
    checked: int = 0
    violation_count: int = 0
    violations: list[dict[str, Any]] = field(default_factory=list)

    def add(self, checked: int, violations: Iterable[dict[str, Any]], count: int | None = None) -> None:
        """Take over a finding; `count` where more violations were found than are listed."""
        found = list(violations)
        self.checked += checked
        self.violation_count += len(found) if count is None else count
        self.violations = (self.violations + found)[:SHOWN_MAX]


def differences(one: Bulks, other: Bulks, members: Iterable[str], between: str) -> tuple[int, list[dict[str, Any]]]:
    """How many ended sends of `one` were compared with `other`, and where the named members differ.

    A send that `other` has never heard of is nothing there: so it is where one was stopped before it was requested.
    """
    wrong = []
    ended = [key for key, sums in one.items() if sums["closed"]]
    for key in ended:
        there = other.get(key, {})
        off = {m: [one[key][m], there.get(m, 0)] for m in members if one[key][m] != there.get(m, 0)}
        if off:
            wrong.append({"tenant_id": key[0], "bulk_id": key[1], "message": f"{between} disagree", "detail": off})
    return len(ended), wrong


def used_credits(dispatch: Bulks, report: Bulks) -> tuple[int, list[dict[str, Any]]]:
    """Law 3 seen from the report: what its rows charge is what dispatch-svc says was used, less refunds by rule."""
    wrong = []
    ended = [key for key, sums in dispatch.items() if sums["closed"] and not sums["unknown"]]
    for key in ended:
        charged = report.get(key, {}).get("credits", 0)
        if charged != dispatch[key]["used"]:
            detail = {"used": dispatch[key]["used"], "charged in the report": charged}
            wrong.append({"tenant_id": key[0], "bulk_id": key[1], "message": "used differs", "detail": detail})
    return len(ended), wrong


def check_laws(get: Callable[[str], Any], bulks: Callable[[str], Iterable[Sums]]) -> list[Law]:
    """Every law on a running system: `get(path)` answers JSON, `bulks(path)` every item of a listing."""
    laws = {name: Law(name) for name in LAWS}
    for service in SERVICES:
        for found in get(f"/v1/ops/{service}/laws")["laws"]:
            laws[found["law"]].add(found["checked"], found["violations"], found["violation_count"])
    credit, dispatch, report = (_by_bulk(bulks(f"/v1/ops/{name}/bulks")) for name in ("credit", "dispatch", "report"))
    laws["reserved"].add(*differences(dispatch, credit, MONEY, "dispatch-svc and credit-svc"))
    laws["report"].add(*differences(dispatch, report, COUNTS, "dispatch-svc and report-svc"))
    laws["used"].add(*used_credits(dispatch, report))
    return list(laws.values())


def _by_bulk(items: Iterable[Sums]) -> dict[tuple[str, str], Sums]:
    return {(item["tenant_id"], item["bulk_id"]): item for item in items}
