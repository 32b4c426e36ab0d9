"""For the operator: how far the laws hold in the report, and the sums of each send."""

from typing import Any
from uuid import UUID

from muster.kit.auth import Tx
from muster.kit.http import Model
from muster.kit.laws import LawResult, Violation, laws_router, sums_router
from muster.report import domain
from muster.report.store import reading


class BulkSums(Model):
    """What the rows of one send come to."""

    tenant_id: UUID
    bulk_id: UUID
    closed: bool
    recipients: int
    credits: int
    accepted: int
    unknown: int
    rejected: int
    stopped: int
    suppressed: int
    queued: int
    submitting: int
    delivered: int
    undelivered: int
    expired: int


async def check_laws(tx: Tx) -> list[LawResult]:
    """Laws 6 and 7 over the whole report; the live counts are held against a recount of the rows."""
    rows = await reading.bulks(tx, None, None)
    broken = [(row, why) for row in rows if (why := _broken(row))]
    violations = [Violation(str(row["tenant_id"]), why, bulk_id=str(row["bulk_id"])) for row, why in broken]
    crossing = [
        Violation(str(row["tenant_id"]), f"{row['messages']} rows", bulk_id=str(row["bulk_id"]))
        for row in await reading.crossing(tx)
    ]
    checked = sum(1 + row["recipients"] for row in rows)
    return [LawResult("report", checked, violations), LawResult("tenant", checked, crossing)]


def _broken(row: dict[str, Any]) -> str:
    """What is wrong with a send's rows; an empty string if nothing is."""
    counts = row["counts"]
    if sum(counts) != row["recipients"] or counts[domain.ENDS["delivered"]] != row["delivered"]:
        return f"live counts {counts} are not those of its {row['recipients']} rows"
    if row["closed"] and (row["queued"] or row["submitting"]):
        return f"closed with {row['queued']} queued and {row['submitting']} submitting"
    if row["closed"] and row["recipients"] != row["asked"]:
        return f"closed with {row['recipients']} rows for {row['asked']} recipients"
    return ""


ROUTERS = (sums_router("report", BulkSums, reading.bulks), laws_router("report", check_laws))
