"""What waits for a second person: what would be sent, to how many, for how much; yes or no."""

import asyncio

from starlette.responses import Response

from muster.console.client import ApiProblem, Json
from muster.console.nav import SENDERS
from muster.console.routing import Pages
from muster.console.visit import Visit

pages = Pages()

_SHOWN_MAX = 50


@pages.get("/approvals", SENDERS)
async def approvals(visit: Visit) -> Response:
    return await _show(visit)


@pages.post("/approvals/{id}/approve", SENDERS)
async def approve(visit: Visit) -> Response:
    return await _decide(visit, "approve", None)


@pages.post("/approvals/{id}/refuse", SENDERS)
async def refuse(visit: Visit) -> Response:
    reason = visit.text("reason").strip()
    if not reason:
        return await _show(visit, errors=[(f"reason-{visit.path['id']}", visit.t("approvals.reason_needed"))])
    return await _decide(visit, "refuse", {"reason": reason})


async def _decide(visit: Visit, act: str, body: Json | None) -> Response:
    approval_id = visit.path["id"]
    try:
        await visit.api.post(f"/v1/approvals/{approval_id}/{act}", body)
    except ApiProblem as problem:
        if problem.status not in (403, 409, 422):
            raise
        return await _show(visit, errors=[("", problem.says)])
    return await _show(visit, notice=visit.t(f"approvals.told_{act}"))


async def _show(visit: Visit, *, errors: list[tuple[str, str]] | None = None, notice: str = "") -> Response:
    found = (await visit.api.get("/v1/approvals", state="open", limit=_SHOWN_MAX))["items"]
    whole = await asyncio.gather(*(visit.api.get(f"/v1/approvals/{one['id']}") for one in found))
    own = visit.who.user_id
    waiting = [{**one, "is_own": own in (one["asked_by"], one["made_by"])} for one in whole]
    status = 422 if errors else 200
    return visit.page("approvals.html", status=status, waiting=waiting, errors=errors or [], notice=notice)
