"""Replies as they come in, and the conversation with one number, with an answer and what an unclear one means."""

import asyncio
from typing import Any

from starlette.responses import Response

from muster.console.client import REFUSED, ApiProblem, Json
from muster.console.nav import SENDERS, TENANT
from muster.console.routing import Pages
from muster.console.visit import Errors, Visit
from muster.text import Encoding, TextRefused, count_parts, country_of

pages = Pages()


_PAGE = 100
SHOWS = ("all", "unclear", "ordinary", "opt_out", "help")


@pages.get("/replies", TENANT)
async def replies(visit: Visit) -> Response:
    return visit.page("replies.html", **await _inbox(visit))


@pages.get("/replies/latest", TENANT)
async def latest(visit: Visit) -> Response:
    """The list again, where something has come since `newest`; else 204, which changes nothing of the page."""
    inbox = await _inbox(visit)
    if inbox["newest"] == visit.request.query_params.get("newest"):
        return Response(status_code=204)
    return visit.page("replies_inbox.html", is_new=True, **inbox)


@pages.get("/replies/{id}", TENANT)
async def conversation(visit: Visit) -> Response:
    return await _show(visit)


@pages.get("/replies/{id}/latest", TENANT)
async def lines(visit: Visit) -> Response:
    """The conversation again, where it has gone on since; else 204."""
    reply = await _reply(visit)
    found = await _lines(visit, reply)
    if _mark(found) == visit.request.query_params.get("newest"):
        return Response(status_code=204)
    return visit.page("conversation_lines.html", reply=reply, lines=found, mark=_mark(found))


@pages.post("/replies/{id}/verdict", TENANT)
async def decide(visit: Visit) -> Response:
    body = {"verdict": visit.text("verdict"), "scope": visit.text("scope") or "marketing"}
    try:
        await visit.api.post(f"/v1/replies/{visit.path['id']}/verdict", body)
    except ApiProblem as problem:
        if problem.status not in REFUSED:
            raise
        return await _show(visit, errors=visit.wrong(problem))
    return await _show(visit, notice=visit.t(f"replies.decided_{body['verdict']}"))


@pages.post("/replies/{id}/count", SENDERS)
async def count(visit: Visit) -> Response:
    """What an answer comes to, as one types: a piece of the page."""
    reply = await _reply(visit)
    return visit.page("conversation_count.html", cost=await _cost(visit, reply, visit.text("text")))


@pages.post("/replies/{id}/answer", SENDERS)
async def answer(visit: Visit) -> Response:
    """Send an answer, once for each form that was shown, however often it is sent."""
    reply = await _reply(visit)
    text = visit.text("text").strip()
    if not text:
        return await _show(visit, errors=[("text", visit.t("replies.text_needed"))])
    try:
        told = await visit.api.post("/v1/messages", {"to": reply["number"], "text": text}, key=visit.text("key"))
    except ApiProblem as problem:
        if problem.status not in REFUSED:
            raise
        return await _show(visit, errors=visit.wrong(problem, "text"), text=text)
    return await _show(visit, notice=visit.t("replies.answered", n=told["credits"]))


async def _inbox(visit: Visit) -> dict[str, Any]:
    show = visit.request.query_params.get("show", "")
    show = show if show in SHOWS else "all"
    cursor = visit.asked("cursor")
    found = await visit.api.get(
        "/v1/replies", verdict=None if show == "all" else show, limit=_PAGE, cursor=cursor, bulk_id=visit.asked("send")
    )
    people: dict[str, list[Json]] = {}
    for one in found["items"]:
        people.setdefault(one["number"] or one["id"], []).append(one)
    return {
        "show": show,
        "shows": SHOWS,
        "people": list(people.values()),
        "newest": found["items"][0]["id"] if found["items"] else "",
        "is_first": cursor is None,
        "cursor": found.get("next_cursor"),
        "send": visit.asked("send"),
    }


async def _reply(visit: Visit) -> Json:
    return await visit.api.get(f"/v1/replies/{visit.path['id']}")


async def _lines(visit: Visit, reply: Json) -> list[Json]:
    """Messages to and from the number, the newest last; the reply alone where its number is forgotten."""
    if not reply["number"]:
        return [{**reply, "direction": "in", "reply_id": reply["id"]}]
    found = await visit.api.get("/v1/conversations", number=reply["number"], limit=_PAGE)
    return list(reversed(found["items"]))


def _mark(lines: list[Json]) -> str:
    return f"{len(lines)}.{lines[-1]['at']}" if lines else ""


async def _show(visit: Visit, *, errors: Errors | None = None, notice: str = "", text: str = "") -> Response:
    reply = await _reply(visit)
    found, people, stopped = await asyncio.gather(_lines(visit, reply), _people(visit, reply), _stopped(visit, reply))
    return visit.page(
        "conversation.html",
        status=422 if errors else 200,
        reply=reply,
        lines=found,
        mark=_mark(found),
        people=people,
        stopped=stopped,
        errors=errors or [],
        notice=notice,
        text=text,
        cost=await _cost(visit, reply, text),
        key=visit.new_key(),
        may_answer=visit.who.role in SENDERS and bool(reply["number"]),
    )


async def _people(visit: Visit, reply: Json) -> list[Json]:
    """The customers who have the number."""
    if not reply["number"]:
        return []
    try:
        found = await visit.api.get("/v1/customers", search=reply["number"], limit=5)
    except ApiProblem as problem:
        if problem.status not in (404, 422):
            raise
        return []
    return [one for one in found["items"] if any(mobile["number"] == reply["number"] for mobile in one["numbers"])]


async def _stopped(visit: Visit, reply: Json) -> Json | None:
    """The opt-out of the number, where there is one."""
    if not reply["number"]:
        return None
    found = await visit.api.get("/v1/suppressions", number=reply["number"], limit=1)
    return next(iter(found["items"]), None)


async def _cost(visit: Visit, reply: Json, text: str) -> dict[str, Any] | None:
    """Parts, credits and encoding of an answer; None where nothing is written."""
    if not text.strip() or not reply["number"]:
        return None
    try:
        encoding, parts = count_parts(text.strip())
    except TextRefused as refused:
        return {"refused": str(refused), "parts": 0, "credits": None, "is_ucs2": False}
    rates = {one["country"]: one["credits_per_part"] for one in (await visit.api.get("/v1/rates"))["items"]}
    rate = rates.get(country_of(reply["number"]), rates.get(""))
    return {
        "parts": parts,
        "credits": None if rate is None else parts * rate,
        "is_ucs2": encoding is Encoding.UCS2,
        "refused": "",
    }
