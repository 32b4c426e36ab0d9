"""The laws on the running system: what each service finds in its own books, and what two say of the same send."""

import asyncio
from typing import Any

from starlette.responses import Response

from muster.console.client import ApiProblem, Json
from muster.console.nav import OPERATOR
from muster.console.pages.operator import or_none
from muster.console.routing import Pages
from muster.console.visit import Visit
from muster.laws.between import Ask, Between, between
from muster.laws.result import LAWS, SERVICES

pages = Pages()

# A page is waited for: `muster laws` compares every send.
_COMPARED_SENDS = 5_000
_COMPARED_MESSAGES = 2_000
_LOOKED_INTO = 10
_COMPARED_S = 15.0


@pages.get("/operator/laws", OPERATOR)
async def laws(visit: Visit) -> Response:
    """Each law over all services; the comparison comes as a piece of its own, without scripts on demand."""
    told = await asyncio.gather(*(or_none(visit, f"/v1/ops/{service}/laws") for service in SERVICES))
    found = {name: {"checked": 0, "broken": 0, "where": []} for name in LAWS}
    away = [service for service, answer in zip(SERVICES, told, strict=True) if answer is None]
    for service, answer in zip(SERVICES, told, strict=True):
        for law in answer["laws"] if answer else ():
            one: dict[str, Any] = found[law["law"]]
            one["checked"] += law["checked"]
            one["broken"] += law["violation_count"]
            one["where"] += [{**violation, "service": service} for violation in law["violations"]]
    compared = await _compared(visit) if visit.asked("compare") else None
    return visit.page("laws.html", laws=LAWS, found=found, away=away, compared=compared)


@pages.get("/operator/laws/between", OPERATOR)
async def compared_now(visit: Visit) -> Response:
    """What the services say of the same sends: a piece of the page."""
    return visit.page("laws_between.html", compared=await _compared(visit))


async def _compared(visit: Visit) -> Json:
    """By law: how many sends were compared and what differs. `why`: why it could not be done, as an entry's name."""
    try:
        async with asyncio.timeout(_COMPARED_S):
            found = await _read(visit)
    except TimeoutError:
        return {"why": "between_too_slow", "laws": {}, "is_whole": False}
    except ApiProblem as problem:
        if problem.status < 500:
            raise
        return {"why": "between_away", "laws": {}, "is_whole": False}
    return {"why": "", "laws": {one.law: one for one in found.results}, "is_whole": found.is_whole}


async def _read(visit: Visit) -> Between:
    steps = between(_COMPARED_SENDS, _COMPARED_MESSAGES, _LOOKED_INTO)
    try:
        ask = next(steps)
        while True:
            ask = steps.send(await _items(visit, ask))
    except StopIteration as end:
        found: Between = end.value
        return found


async def _items(visit: Visit, ask: Ask) -> list[Json]:
    items: list[Json] = []
    cursor = None
    while ask.items_max is None or len(items) < ask.items_max:
        page = await visit.api.get(ask.path, **ask.query, cursor=cursor)
        items += page["items"]
        cursor = page.get("next_cursor")
        if cursor is None:
            break
    return items[: ask.items_max]
