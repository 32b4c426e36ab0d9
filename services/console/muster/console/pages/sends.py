"""Messages that were sent: the list, and one of them live, with pause, resume and Stop."""

import asyncio
import json
from collections.abc import AsyncIterator

from starlette.responses import Response, StreamingResponse

from muster.console.client import ApiProblem, Json
from muster.console.nav import SENDERS, TENANT
from muster.console.pages.home import RUNNING
from muster.console.routing import Pages
from muster.console.visit import Errors, Visit

pages = Pages()


_PAGE = 25
_REASON = "in the console"
_CONTROLS = {
    "planning": ("stop",),
    "needs_confirmation": ("stop",),
    "waiting": ("pause", "stop"),
    "sending": ("pause", "stop"),
    "paused": ("resume", "stop"),
}


@pages.get("/sends", TENANT)
async def sends(visit: Visit) -> Response:
    """Those to many; with `show=all` single messages, answers and confirmations of an opt-out too, which are many."""
    show_all = visit.asked("show") == "all"
    kind = None if show_all else "bulk"
    found = await visit.api.get("/v1/bulk-sms", kind=kind, limit=_PAGE, cursor=visit.asked("cursor"))
    return visit.page("sends.html", sends=found["items"], cursor=found["next_cursor"], show_all=show_all)


@pages.get("/sends/{id}", TENANT)
async def one(visit: Visit) -> Response:
    return await show(visit, state=visit.told.get("state", ""))


@pages.get("/sends/{id}/live", TENANT)
async def live(visit: Visit) -> Response:
    """A stream of events: `numbers`, as a piece of the page; `sample` for the chart; `end` where nothing changes more.

    It ends by itself after a while, and the browser asks again, with a session that still holds.
    """
    send = await visit.api.get(path_of(visit))
    return StreamingResponse(_events(visit, send), media_type="text/event-stream")


@pages.post("/sends/{id}/{act}", SENDERS)
async def control(visit: Visit) -> Response:
    act = visit.path["act"]
    if act == "confirm":
        given = visit.text("credits")
        body: Json = {"credits": int(given)} if given.isascii() and given.isdigit() else {}
    elif act in ("stop", "pause", "resume"):
        body = {"reason": _REASON}
    else:
        raise ApiProblem(404, {"code": "not_found"})
    try:
        told = await visit.api.post(f"{path_of(visit)}/{act}", body)
    except ApiProblem as problem:
        if problem.status not in (409, 422):
            raise
        return await show(visit, errors=[("", problem.says)])
    # What answered the act knows it before the report has heard of it.
    return visit.tell(_told(visit, act, told), state=told["state"] if "counts" in told else "")


async def show(
    visit: Visit,
    notice: str = "",
    *,
    state: str = "",
    errors: Errors | None = None,
    number: str = "",
    whys: list[Json] | None = None,
) -> Response:
    """The page of a send. state: what an act was answered; whys: why those who have `number` are in it or out of it."""
    send, progress, unknown = await asyncio.gather(visit.api.get(path_of(visit)), _progress(visit), _unknown(visit))
    send = {**send, "state": state or _state(send, progress)}
    return visit.page(
        "send.html",
        status=422 if errors else 200,
        notice=notice,
        errors=errors or [],
        number=number,
        whys=whys,
        unknown=unknown,
        missed=_missed(visit, send, progress),
        key=visit.new_key(),
        may_send=visit.who.role in SENDERS,
        may=_may(visit, send),
        **_numbers(send, progress),
    )


def _state(send: Json, progress: Json | None) -> str:
    """One state for the page and for what comes live: the report's, once it knows more than that there is a send."""
    if progress is None or progress["state"] in ("planning", "waiting"):
        return str(send["state"])
    return str(progress["state"])


def _may(visit: Visit, send: Json) -> tuple[str, ...]:
    return _CONTROLS.get(send["state"], ()) if visit.who.role in SENDERS else ()


def _numbers(send: Json, progress: Json | None) -> Json:
    """What the figures of a send are drawn from; `progress` is None until the report has heard of it."""
    total = (progress or {}).get("recipients") or send["recipients"] or 0
    done = sum(progress[name] for name in ("sent", "held", "rejected")) if progress else 0
    return {"send": send, "progress": progress, "total": total, "done": done, "is_running": send["state"] in RUNNING}


def _missed(visit: Visit, send: Json, progress: Json | None) -> tuple[int, int] | None:
    """Of a send that is over: how many certainly did not get it, and of how many a receipt says that they did not."""
    if progress is None or send["state"] != "closed" or visit.who.role not in SENDERS:
        return None
    unsent = progress["rejected"] + progress["stopped"]
    failed = progress["failed"] - progress["rejected"]
    return (unsent, failed) if unsent + failed else None


async def _unknown(visit: Visit) -> Json | None:
    """What nobody knows of the send, where there is any."""
    try:
        found = await visit.api.get(f"{path_of(visit)}/unknown", limit=1)
    except ApiProblem as problem:
        # Not heard of there yet, or that part is away: the rest of the page is worth having without it.
        if problem.status != 404 and problem.status < 500:
            raise
        return None
    return found if found["messages"] else None


async def _progress(visit: Visit) -> Json | None:
    try:
        return await visit.api.get(f"{path_of(visit)}/progress")
    except ApiProblem as problem:
        if problem.status == 404:
            return None
        raise


async def _events(visit: Visit, send: Json) -> AsyncIterator[str]:
    yield "retry: 2000\n\n"
    try:
        async with asyncio.timeout(visit.house.settings.console_live_s_max):
            async with visit.api.stream(f"{path_of(visit)}/progress") as lines:
                name = ""
                async for line in lines:
                    if line.startswith("event: "):
                        name = line.removeprefix("event: ")
                    elif line.startswith("data: ") and name in ("progress", "end"):
                        progress = json.loads(line.removeprefix("data: "))
                        yield _event(visit, send, progress, is_end=name == "end")
    except TimeoutError:
        return
    except ApiProblem:
        # It may not be known to the report yet, or a part is being restarted: the browser asks again.
        yield f"event: state\ndata: {json.dumps({'state': send['state']})}\n\n"


def _event(visit: Visit, send: Json, progress: Json, *, is_end: bool) -> str:
    send = {**send, "state": _state(send, progress)}
    html = visit.render("send_numbers.html", **_numbers(send, progress))
    sample = {"state": send["state"], "sent": progress["sent"], "delivered": progress["delivered"]}
    event = {"html": html, "end": is_end, **sample}
    return f"event: {'end' if is_end else 'numbers'}\ndata: {json.dumps(event)}\n\n"


def _told(visit: Visit, act: str, told: Json) -> str:
    if act != "stop" or "counts" not in told:
        return visit.t(f"send.told_{act}")
    counts, credits = told["counts"], told["credits"]
    if told["state"] == "stopping" and (counts["submitting"] or counts["queued"]):
        return visit.t("send.told_stopping")
    gone = counts["accepted"] + counts["unknown"]
    return visit.t("send.told_stopped", n=gone, kept=counts["stopped"], released=credits["released"])


def path_of(visit: Visit) -> str:
    """The send that a page is about, in the API."""
    return f"/v1/bulk-sms/{visit.path['id']}"
