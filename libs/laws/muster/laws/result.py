"""What a law found, and the names of the laws."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias
from uuid import UUID

LAWS: Final[Mapping[str, str]] = {
    "granted": "granted + owed = available + reserved + consumed, per account",
    "reserved": "reserved = used + released + held, per send",
    "used": "used = price of accepted parts, plus unknown parts charged by rule",
    "submit": "no submit without a reservation, after send_by, or against a hold or a suppression",
    "once": "at most one accepted submit per part; exactly one state per recipient of a closed send",
    "report": "report rows of a closed send = its recipients, column for column",
    "tenant": "nothing crosses a tenant",
    "bounded": "every send reaches its end within a bound",
}
"""Each law by its name, in the order of their numbers from 1."""
SERVICES: Final = ("tenant", "customer", "credit", "dispatch", "reply", "report")
"""Who has a database, and says at `/v1/ops/{service}/laws` what it finds there."""
SHOWN_MAX: Final = 100

Id: TypeAlias = UUID | str


@dataclass(frozen=True, slots=True)
class Violation:
    """One place where a law does not hold. Ids and figures only, never a number or a text."""

    tenant_id: str
    detail: str
    bulk_id: str | None = None
    message: str | None = None

    @property
    def message_id(self) -> str | None:
        """The id by which the API shows the message: `message` is its place in the send."""
        return f"{self.bulk_id}-{self.message}" if self.bulk_id and self.message else None


@dataclass(frozen=True, slots=True)
class LawResult:
    """What the check of one law found: how many things were looked at, and which broke it.

    `violation_count` where only the first of many are in `violations`.
    """

    law: str
    checked: int
    violations: list[Violation] = field(default_factory=list)
    violation_count: int | None = None

    @property
    def count(self) -> int:
        """How many violations there are."""
        return len(self.violations) if self.violation_count is None else self.violation_count

    def document(self) -> dict[str, Any]:
        """The JSON object of this law; at most 100 violations are shown."""
        shown = [
            {
                "tenant_id": one.tenant_id,
                "bulk_id": one.bulk_id,
                "message": one.message,
                "message_id": one.message_id,
                "detail": one.detail,
            }
            for one in self.violations[:SHOWN_MAX]
        ]
        return {"law": self.law, "checked": self.checked, "violations": shown, "violation_count": self.count}


def found(tenant_id: Id, detail: str, bulk_id: Id | None = None, message: Id | int | None = None) -> Violation:
    """A violation, from ids as they come."""
    return Violation(
        str(tenant_id),
        detail,
        bulk_id=None if bulk_id is None else str(bulk_id),
        message=None if message is None else str(message),
    )


def together(law: str, results: Iterable[LawResult]) -> LawResult:
    """Several findings about one law as one."""
    every = list(results)
    return LawResult(
        law,
        sum(one.checked for one in every),
        [violation for one in every for violation in one.violations],
        sum(one.count for one in every),
    )
