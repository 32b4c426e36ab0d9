"""For the operator: how far the laws hold in the report, and the sums of each send."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from muster.kit.auth import Tx
from muster.kit.http import Model
from muster.kit.laws import laws_router, messages_router, sums_router
from muster.kit.ops import ops_router
from muster.laws import report, system
from muster.laws.result import SHOWN_MAX, LawResult
from muster.report import domain
from muster.report.handlers import HANDLERS
from muster.report.store import offsets, reading


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
    stuck = [(row["tenant_id"], row["bulk_id"]) for row in rows if row["closed"] and row["queued"] + row["submitting"]]
    waiting = await reading.waiting(tx, stuck, SHOWN_MAX) if stuck else {}
    reported = report.report(_rows(row, waiting.get((row["tenant_id"], row["bulk_id"]), ())) for row in rows)
    return [reported, system.tenant(await reading.crossing(tx), reported.checked)]


def _rows(row: dict[str, Any], waiting: Sequence[int]) -> report.Rows:
    return report.Rows(
        tenant_id=row["tenant_id"],
        bulk_id=row["bulk_id"],
        closed=row["closed"],
        asked=row["asked"],
        rows=row["recipients"],
        queued=row["queued"],
        submitting=row["submitting"],
        delivered=row["delivered"],
        live=sum(row["counts"]),
        live_delivered=row["counts"][domain.ENDS["delivered"]],
        waiting=waiting,
    )


ROUTERS = (
    sums_router("report", BulkSums, reading.bulks),
    messages_router("report", reading.messages),
    laws_router("report", check_laws),
    ops_router("report", lambda _: HANDLERS, offsets.places),
)
