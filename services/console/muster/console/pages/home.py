"""Where one begins: credits, what is being sent, what came back today, and what needs somebody."""

import asyncio
from collections.abc import Awaitable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from starlette.responses import Response

from muster.console.client import ApiProblem, Json
from muster.console.nav import SENDERS
from muster.console.routing import Pages
from muster.console.visit import Visit

pages = Pages()

RUNNING = frozenset({"planning", "needs_confirmation", "waiting", "sending", "paused", "stopping"})
_REPLIES = 100


@dataclass(frozen=True)
class Task:
    """Something that needs somebody: an entry of home.toml, its values, where it is done, and whether it is urgent."""

    entry: str
    path: str
    values: dict[str, Any]
    is_urgent: bool = False


@pages.get("/")
async def home(visit: Visit) -> Response:
    if visit.who.role == "operator":
        return visit.page("home_operator.html")
    api = visit.api
    credits, wallet, sends, replies, unclear, requests, approvals = await asyncio.gather(
        _or_none(api.get("/v1/credits")),
        _or_none(api.get("/v1/credits/settings")),
        _or_none(api.get("/v1/bulk-sms", kind="bulk", limit=20)),
        _or_none(api.get("/v1/replies", limit=_REPLIES)),
        _or_none(api.get("/v1/replies", verdict="unclear", limit=_REPLIES)),
        _or_none(api.get("/v1/suppressions/requests", state="waiting", limit=_REPLIES)),
        _or_none(api.get("/v1/approvals", state="open", limit=_REPLIES)),
    )
    known = {route.path for route in visit.request.app.routes}
    running = [one for one in _items(sends) if one["state"] in RUNNING]
    tasks = [*_of_sends(running), *_of_people(visit, approvals, unclear, requests), *_of_credits(credits, wallet)]
    return visit.page(
        "home.html",
        credits=credits,
        sends=sends,
        running=running,
        latest=[one for one in _items(sends) if one["state"] not in RUNNING][:3],
        replies=replies,
        today=[one for one in _items(replies) if _is_today(visit, one["at"])],
        more_today=len(_items(replies)) == _REPLIES and _is_today(visit, _items(replies)[-1]["at"]),
        # Where a page for it is still to come, it is told all the same.
        leads=lambda path: path.partition("?")[0] in known or path.startswith("/sends/"),
        tasks=sorted(tasks, key=lambda one: not one.is_urgent),
        may_send=visit.who.role in SENDERS,
    )


def _of_sends(running: list[Json]) -> list[Task]:
    waiting = [one for one in running if one["state"] == "needs_confirmation"]
    return [Task("confirm", f"/sends/{one['id']}", {"text": one["text"][:60]}, is_urgent=True) for one in waiting]


def _of_people(visit: Visit, approvals: Json | None, unclear: Json | None, requests: Json | None) -> list[Task]:
    own = visit.who.user_id
    others = [one for one in _items(approvals) if own not in (one["asked_by"], one["made_by"])]
    held, waiting = _items(unclear), _items(requests)
    found = []
    if others and visit.who.role in SENDERS:
        found.append(Task("approve", "/approvals", {"n": len(others)}))
    if held:
        found.append(Task("held", "/replies?show=unclear", {"n": len(held)}, is_urgent=True))
    if waiting:
        days = min(one["days_left"] for one in waiting)
        entry = "opt_outs_late" if days < 0 else "opt_outs_today" if days == 0 else "opt_outs"
        values = {"n": len(waiting), "days": days}
        found.append(Task(entry, "/customers/opt-outs", values, is_urgent=days <= 1))
    return found


def _of_credits(credits: Json | None, wallet: Json | None) -> list[Task]:
    if credits is None:
        return []
    if credits["owed"]:
        return [Task("owed", "/credits", {"n": credits["owed"]}, is_urgent=True)]
    if not credits["available"]:
        return [Task("none_left", "/credits", {}, is_urgent=True)]
    limit = (wallet or {}).get("alert_below")
    is_low = limit is not None and credits["available"] < limit
    return [Task("low", "/credits", {"n": credits["available"]})] if is_low else []


def _is_today(visit: Visit, at: str) -> bool:
    return bool(datetime.fromisoformat(at).astimezone(visit.f.zone).date() == visit.f.today)


def _items(page: Json | None) -> list[Json]:
    return list(page["items"]) if page else []


async def _or_none(asked: Awaitable[Json]) -> Json | None:
    """A part of the page that is not to be had now must not take the others with it. A session that ended must."""
    try:
        return await asked
    except ApiProblem as problem:
        if problem.status == 401:
            raise
        return None
