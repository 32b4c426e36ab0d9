"""The businesses that an operator looks after: made, credited, suspended and closed; one by one."""

import asyncio

from starlette.responses import Response

from muster.console.client import REFUSED, ApiProblem, Json
from muster.console.nav import OPERATOR
from muster.console.routing import Pages
from muster.console.visit import Errors, Visit

pages = Pages()

_FIELDS = ("name", "country", "time_zone", "sender", "reception_email")


@pages.get("/operator/tenants", OPERATOR)
async def tenants(visit: Visit) -> Response:
    return await _list(visit)


@pages.post("/operator/tenants", OPERATOR)
async def make(visit: Visit) -> Response:
    given = {name: visit.text(name).strip() for name in _FIELDS}
    body: dict[str, object] = {**given, "allow_sms_replies": visit.text("allow_sms_replies") == "yes"}
    try:
        made = await visit.api.post("/v1/tenants", body, key=visit.text("key"))
    except ApiProblem as problem:
        if problem.status not in REFUSED:
            raise
        return await _list(visit, errors=visit.wrong(problem, *_FIELDS), given=given)
    return visit.go(f"/operator/tenants/{made['id']}")


async def _list(visit: Visit, *, errors: Errors | None = None, given: dict[str, str] | None = None) -> Response:
    found = await visit.api.get("/v1/tenants", limit=100, cursor=visit.asked("cursor"))
    return visit.page(
        "tenants.html",
        status=422 if errors else 200,
        tenants=found["items"],
        cursor=found.get("next_cursor"),
        errors=errors or [],
        given=given or dict.fromkeys(_FIELDS, ""),
        key=visit.new_key(),
    )


@pages.get("/operator/tenants/{id}", OPERATOR)
async def tenant(visit: Visit) -> Response:
    return await _show(visit)


@pages.post("/operator/tenants/{id}/top-up", OPERATOR)
async def top_up(visit: Visit) -> Response:
    """Credits, once for each form that was shown. Above the limit of one person they wait for another operator."""
    given = {name: visit.text(name).strip() for name in ("credits", "reason", "reference")}
    number = given["credits"]
    credits = int(number) if number.isascii() and number.isdigit() else number
    body = {**given, "credits": credits, "tenant_id": visit.path["id"]}
    try:
        told = await visit.api.post("/v1/credits/top-ups", body, key=visit.text("key"))
    except ApiProblem as problem:
        return await _refused(visit, problem, *given)
    entry = "tenants.topped_up" if "available" in told else "tenants.top_up_waits"
    return await _show(visit, notice=visit.t(entry, n=told["credits"]))


@pages.post("/operator/tenants/{id}/confirm", OPERATOR)
async def confirm(visit: Visit) -> Response:
    """Agree to another operator's top-up."""
    path = f"/v1/credits/top-ups/{visit.text('top_up')}/confirmation"
    try:
        told = await visit.api.post(path, {"tenant_id": visit.path["id"]})
    except ApiProblem as problem:
        return await _refused(visit, problem)
    return await _show(visit, notice=visit.t("tenants.topped_up", n=told["credits"]))


@pages.post("/operator/tenants/{id}/first-admin", OPERATOR)
async def first_admin(visit: Visit) -> Response:
    """A link to hand over, which is shown once."""
    try:
        made = await visit.api.post(f"/v1/tenants/{visit.path['id']}/first-admin")
    except ApiProblem as problem:
        return await _refused(visit, problem)
    return await _show(visit, link=made["url"])


@pages.post("/operator/tenants/{id}/{act}", OPERATOR)
async def control(visit: Visit) -> Response:
    """Suspend or reinstate, with a reason."""
    act = visit.path["act"]
    if act not in ("suspend", "reinstate"):
        raise ApiProblem(404, {"code": "not_found"})
    try:
        await visit.api.post(
            f"/v1/ops/dispatch/tenants/{visit.path['id']}/{act}", {"reason": visit.text("why").strip()}
        )
    except ApiProblem as problem:
        if problem.status not in REFUSED:
            raise
        return await _show(visit, errors=[("why", visit.why(problem))])
    return await _show(visit, notice=visit.t(f"tenants.told_{act}"))


async def _refused(visit: Visit, problem: ApiProblem, *fields: str) -> Response:
    if problem.status not in REFUSED:
        raise problem
    return await _show(visit, errors=visit.wrong(problem, *fields))


async def _show(visit: Visit, *, errors: Errors | None = None, notice: str = "", link: str = "") -> Response:
    tenant_id = visit.path["id"]
    found, waiting, suspended = await asyncio.gather(
        visit.api.get(f"/v1/tenants/{tenant_id}"),
        visit.api.get("/v1/credits/top-ups", tenant_id=tenant_id, state="awaiting_confirmation", limit=50),
        _suspension(visit, tenant_id),
    )
    return visit.page(
        "tenant.html",
        status=422 if errors else 200,
        tenant=found,
        waiting=waiting["items"],
        suspended=suspended,
        errors=errors or [],
        notice=notice,
        link=link,
        key=visit.new_key(),
    )


async def _suspension(visit: Visit, tenant_id: str) -> Json | None:
    """Since when and why a business is suspended, where it is."""
    found = await visit.api.get("/v1/ops/dispatch/suspensions", limit=500)
    return next((one for one in found["items"] if one["tenant_id"] == tenant_id and one["suspended"]), None)
