"""Credits: what there is, that it adds up, what was used when, and every entry of the account."""

import asyncio
from datetime import datetime
from typing import Any

from starlette.responses import Response

from muster.console.client import Json
from muster.console.nav import TENANT
from muster.console.routing import Pages
from muster.console.visit import Visit

pages = Pages()

_PAGE = 50
_DRAWN = 500
KINDS = {
    **{"top_up": "+", "transfer_in": "+", "void": "+", "refund": "+"},
    **{"pending": "−", "reversal": "−", "transfer_out": "−"},
    "post": "",  # of what was reserved before
}
"""Kinds of entries, and which way each moves what is available."""


@pages.get("/credits", TENANT)
async def credits(visit: Visit) -> Response:
    kind, cursor = visit.asked("kind"), visit.asked("cursor")
    kind = kind if kind in KINDS else None
    balance, settings, found, drawn = await asyncio.gather(
        visit.api.get("/v1/credits"),
        visit.api.get("/v1/credits/settings"),
        visit.api.get("/v1/credits/statement", kind=kind, cursor=cursor, limit=_PAGE),
        visit.api.get("/v1/credits/statement", limit=_DRAWN),
    )
    return visit.page(
        "credits.html",
        balance=balance,
        settings=settings,
        entries=found["items"],
        cursor=found.get("next_cursor"),
        kind=kind,
        kinds=KINDS,
        is_first=cursor is None,
        points=_points(drawn["items"]),
    )


@pages.get("/credits/statement.csv", TENANT)
async def statement(visit: Visit) -> Response:
    return await visit.file("/v1/credits/statement", "text/csv", "statement.csv")


def _points(entries: list[Json]) -> dict[str, list[Any]] | None:
    """What the chart draws, the oldest first: seconds since 1970, credits available, credits used in all."""
    if len(entries) < 2:
        return None
    old_first = entries[::-1]
    return {
        "at": [datetime.fromisoformat(one["at"]).timestamp() for one in old_first],
        "available": [one["available_after"] for one in old_first],
        "used": [one["consumed_after"] for one in old_first],
    }
