"""How far the laws hold here, and pages of what this service said, for the laws that span services."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request

from muster.customer.store import plans
from muster.kit.auth import Caller, Permission, requires
from muster.kit.desk import Desk
from muster.kit.http import Model
from muster.kit.laws import laws_router
from muster.kit.pages import CursorText, Page, decode_cursor, page_of
from muster.kit.pg import Record, Tx
from muster.laws import sending, system
from muster.laws.result import LawResult

_LIMIT_MAX = 5_000


async def check(tx: Tx) -> list[LawResult]:
    """once: who is texted and who is left out are the audience, and what was published is what was planned; tenant."""
    return [
        sending.planned(map(_planned, await plans.membership_sums(tx))),
        system.tenant(await plans.crossed_tenants(tx), await plans.count_bulks(tx)),
    ]


def _planned(row: Record) -> sending.Planned:
    pairs = [
        ("audience", row["customers"], "recipients + left out", row["accounted"]),
        ("audience", row["customers"], "frozen", row["frozen_customers"] or 0),
        ("recipients", row["recipients"], "frozen recipients", row["frozen_recipients"] or 0),
        ("chunks", row["chunks"], "frozen chunks", row["frozen_chunks"] or 0),
    ]
    if row["step"] == "done" and row["phase"] == "requested":
        pairs += [
            ("recipients", row["recipients"], "published", row["said_recipients"]),
            ("credits", row["credits"], "published credits", row["said_credits"]),
        ]
    return sending.Planned(row["tenant_id"], row["bulk_id"], pairs)


router = APIRouter()
router.include_router(laws_router("customer", check))


class SaidOut(Model):
    """What this service said of a send."""

    tenant_id: UUID
    bulk_id: UUID
    recipients: int | None
    chunks: int | None
    credits: int | None
    phase: str
    closed: bool
    kind: int


@router.get("/v1/ops/customer/bulks")
async def said(
    request: Request,
    _: Annotated[Caller, requires(Permission.RUN_PLATFORM)],
    limit: Annotated[int, Query(ge=1, le=_LIMIT_MAX)] = 1_000,
    cursor: CursorText = None,
) -> Page[SaidOut]:
    """Sends of all tenants that were requested or withdrawn, by id."""
    after = decode_cursor(cursor, {"id": UUID})["id"] if cursor else None

    async def work(tx: Tx) -> list[Record]:
        return await plans.page_of_said(tx, after, limit + 1)

    desk: Desk = request.app.state.desk
    rows = await desk.ask(work)
    return page_of(rows, limit, lambda row: SaidOut(**row), lambda row: {"id": row["bulk_id"]})
