"""Numbers that are texted no more: added, uploaded, lifted with evidence; requests that wait; numbers that are dead."""

import asyncio
from typing import Any

from starlette.responses import Response

from muster.console.client import ApiProblem
from muster.console.nav import TENANT
from muster.console.pages.customers import REFUSED
from muster.console.routing import Pages
from muster.console.visit import Errors, Visit
from muster.kit.permissions import Permission

pages = Pages()

_PAGE = 50
_KEEP = Permission.KEEP_OPT_OUTS.roles
_SET = Permission.SET_OPT_OUTS.roles
_UPLOAD_NUMBERS_MAX = 10_000
SOURCES = ("person", "form", "reply", "link")
CHANNELS = ("phone", "email", "letter", "person", "other")


@pages.get("/customers/opt-outs", TENANT)
async def opt_outs(visit: Visit) -> Response:
    return await _show(visit)


@pages.post("/customers/opt-outs", _KEEP)
async def add(visit: Visit) -> Response:
    """One number, or several in lines of their own; each is told that cannot be read."""
    numbers = [line.strip() for line in visit.text("numbers").splitlines() if line.strip()]
    scope, reason = visit.text("scope") or "marketing", visit.text("reason").strip()
    if not numbers:
        return await _show(visit, errors=[("numbers", visit.t("opt_outs.numbers_needed"))])
    try:
        if len(numbers) == 1:
            body = {"number": numbers[0], "scope": scope, "reason": reason, "source": visit.text("source") or "person"}
            await visit.api.post("/v1/suppressions", body, key=visit.text("key"))
            return await _show(visit, notice=visit.t("opt_outs.added", n=1))
        if visit.who.role not in _SET:
            return await _show(visit, errors=[("numbers", visit.t("opt_outs.one_at_a_time"))])
        if len(numbers) > _UPLOAD_NUMBERS_MAX:
            return await _show(visit, errors=[("numbers", visit.t("opt_outs.too_many", n=_UPLOAD_NUMBERS_MAX))])
        query = {"scope": scope, "reason": reason}
        told = await visit.api.call(
            "POST", "/v1/suppressions/uploads", listed=numbers, query=query, key=visit.text("key")
        )
    except ApiProblem as problem:
        if problem.status not in REFUSED:
            raise
        return await _show(visit, errors=[("numbers", why) for _, why in visit.wrong(problem, "number")])
    errors = [("numbers", visit.t("opt_outs.bad_row", row=one["row"], why=one["message"])) for one in told["errors"]]
    return await _show(visit, notice=visit.t("opt_outs.added", n=told["suppressed"]), errors=errors)


@pages.post("/customers/opt-outs/find", TENANT)
async def find(visit: Visit) -> Response:
    """One number among them, which is in no address that somebody else could read."""
    number = visit.text("number").strip()
    return visit.go(f"/customers/opt-outs?q={visit.sealed(number)}" if number else "/customers/opt-outs")


@pages.get("/customers/opt-outs/of/{id}", TENANT)
async def one(visit: Visit) -> Response:
    return await _one(visit)


@pages.post("/customers/opt-outs/of/{id}/lift", _KEEP)
async def lift(visit: Visit) -> Response:
    """Text a number again, by the person's own word."""
    names = ("source", "wording", "how", "given_by")
    body: dict[str, Any] = {name: text for name in names if (text := visit.text(name).strip())}
    try:
        await visit.api.post(f"/v1/suppressions/{visit.path['id']}/lift", body, key=visit.text("key"))
    except ApiProblem as problem:
        if problem.status not in REFUSED:
            raise
        return await _one(visit, errors=visit.wrong(problem, *names))
    return visit.go("/customers/opt-outs")


@pages.post("/customers/opt-outs/of/{id}/correct", _SET)
async def correct(visit: Visit) -> Response:
    """Take back what somebody of the business entered by mistake."""
    reason = visit.text("reason").strip()
    if not reason:
        return await _one(visit, errors=[("reason", visit.t("operator.reason_needed"))])
    try:
        await visit.api.call("DELETE", f"/v1/suppressions/{visit.path['id']}", query={"reason": reason})
    except ApiProblem as problem:
        if problem.status not in REFUSED:
            raise
        return await _one(visit, errors=visit.wrong(problem, "reason"))
    return visit.go("/customers/opt-outs")


@pages.post("/customers/opt-outs/requests/{id}/{act}", _KEEP)
async def decide(visit: Visit) -> Response:
    """Apply a request to a number, or dismiss it with a reason."""
    act, said = visit.path["act"], visit.text("said").strip()
    if act not in ("apply", "dismiss"):
        raise ApiProblem(404, {"code": "not_found"})
    body = {"number": said} if act == "apply" else {"reason": said}
    try:
        await visit.api.post(f"/v1/suppressions/requests/{visit.path['id']}/{act}", body)
    except ApiProblem as problem:
        if problem.status not in REFUSED:
            raise
        return await _show(
            visit, errors=[(f"said-{visit.path['id']}", why) for _, why in visit.wrong(problem, "number", "reason")]
        )
    return await _show(visit, notice=visit.t(f"opt_outs.told_{act}"))


@pages.post("/customers/opt-outs/requests", _KEEP)
async def request(visit: Visit) -> Response:
    """Keep a withdrawal of which nobody knows yet whose it is."""
    names = ("channel", "address", "wording")
    try:
        await visit.api.post(
            "/v1/suppressions/requests", {name: visit.text(name).strip() for name in names}, key=visit.text("key")
        )
    except ApiProblem as problem:
        if problem.status not in REFUSED:
            raise
        return await _show(visit, errors=visit.wrong(problem, *names))
    return await _show(visit, notice=visit.t("opt_outs.request_kept"))


@pages.post("/customers/opt-outs/alive/{id}", _KEEP)
async def alive(visit: Visit) -> Response:
    """A number that was given up works again."""
    await visit.api.call("DELETE", f"/v1/suppressions/undeliverable/{visit.path['id']}")
    return await _show(visit, notice=visit.t("opt_outs.alive_again"))


async def _show(visit: Visit, *, errors: Errors | None = None, notice: str = "") -> Response:
    number = visit.unsealed("q")
    asked = visit.api.get("/v1/suppressions", limit=_PAGE, cursor=visit.asked("cursor"), number=number)
    found, requests, dead = await asyncio.gather(
        _or_wrong(visit, asked),
        visit.api.get("/v1/suppressions/requests", state="waiting", limit=_PAGE),
        visit.api.get("/v1/suppressions/undeliverable", limit=_PAGE),
    )
    page, wrong = found
    return visit.page(
        "opt_outs.html",
        status=422 if errors else 200,
        items=page["items"],
        cursor=page.get("next_cursor"),
        requests=requests["items"],
        dead=dead["items"],
        number=number,
        errors=[*(errors or []), *wrong],
        notice=notice,
        key=visit.new_key(),
        may_set=visit.who.role in _SET,
        channels=CHANNELS,
    )


async def _or_wrong(visit: Visit, asked: Any) -> tuple[dict[str, Any], Errors]:
    """A page, or why the number that is looked for is none."""
    try:
        return await asked, []
    except ApiProblem as problem:
        if problem.status != 422:
            raise
        return {"items": []}, [("number", why) for _, why in visit.wrong(problem, "number")]


async def _one(visit: Visit, *, errors: Errors | None = None) -> Response:
    history = await visit.api.get(f"/v1/suppressions/{visit.path['id']}", limit=100)
    return visit.page(
        "opt_out.html",
        status=422 if errors else 200,
        history=history["items"],
        id=visit.path["id"],
        errors=errors or [],
        key=visit.new_key(),
        sources=SOURCES,
        may_set=visit.who.role in _SET,
    )
