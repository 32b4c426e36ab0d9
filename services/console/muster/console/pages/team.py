"""The users of the business: who there is, in which role, who is invited and who is shut out."""

from starlette.responses import Response

from muster.console.client import REFUSED, ApiProblem
from muster.console.routing import Pages
from muster.console.visit import Visit
from muster.kit.permissions import Permission
from muster.kit.tokens import Role

pages = Pages()

_MAY = Permission.MANAGE_TEAM.roles & Permission.READ_SENDS.roles
ROLES = (Role.ADMIN, Role.MANAGER, Role.STAFF)


@pages.get("/settings/team", _MAY)
async def team(visit: Visit) -> Response:
    return await _show(visit)


@pages.post("/settings/team", _MAY)
async def invite(visit: Visit) -> Response:
    """A new user, who is invited by e-mail."""
    given = {name: visit.text(name).strip() for name in ("name", "email", "role")}
    try:
        await visit.api.post("/v1/users", given, key=visit.text("key"))
    except ApiProblem as problem:
        if problem.status not in REFUSED:
            raise
        return await _show(visit, errors=visit.wrong(problem, *given), given=given)
    return await _show(visit, notice=visit.t("team.invited", email=given["email"]))


@pages.post("/settings/team/{id}/change", _MAY)
async def change(visit: Visit) -> Response:
    user = f"/v1/users/{visit.path['id']}"
    body: dict[str, object] = {"role": visit.text("role")}
    if act := visit.text("active"):
        body = {"active": act == "yes"}
    try:
        changed = await visit.api.call("PATCH", user, body=body)
    except ApiProblem as problem:
        return await _refused(visit, problem)
    entry = "team.changed" if changed["active"] else "team.shut_out"
    return await _show(visit, notice=visit.t(entry, name=changed["name"]))


@pages.post("/settings/team/{id}/invitation", _MAY)
async def invite_again(visit: Visit) -> Response:
    try:
        told = await visit.api.post(f"/v1/users/{visit.path['id']}/invitation")
    except ApiProblem as problem:
        return await _refused(visit, problem)
    return await _show(visit, notice=visit.t("team.invited", email=told["email"]))


@pages.post("/settings/team/{id}/link", _MAY)
async def link(visit: Visit) -> Response:
    """A link to hand over, which is shown once."""
    try:
        made = await visit.api.post(f"/v1/users/{visit.path['id']}/link")
    except ApiProblem as problem:
        return await _refused(visit, problem)
    return await _show(visit, link=made["url"])


@pages.post("/settings/team/{id}/sign-out", _MAY)
async def sign_out(visit: Visit) -> Response:
    """End each of a user's sessions."""
    user_id = visit.path["id"]
    try:
        found = (await visit.api.get("/v1/sessions", user_id=user_id))["items"]
        for one in found:
            await visit.api.call("DELETE", f"/v1/sessions/{one['id']}")
    except ApiProblem as problem:
        return await _refused(visit, problem)
    return await _show(visit, notice=visit.t("team.signed_out", n=len(found)))


async def _refused(visit: Visit, problem: ApiProblem) -> Response:
    if problem.status not in REFUSED:
        raise problem
    return await _show(visit, errors=visit.wrong(problem))


async def _show(
    visit: Visit,
    *,
    errors: list[tuple[str, str]] | None = None,
    notice: str = "",
    given: dict[str, str] | None = None,
    link: str = "",
) -> Response:
    found = await visit.api.get("/v1/users", limit=100, cursor=visit.asked("cursor"))
    return visit.page(
        "team.html",
        status=422 if errors else 200,
        users=found["items"],
        cursor=found.get("next_cursor"),
        errors=errors or [],
        notice=notice,
        given=given or {"name": "", "email": "", "role": Role.STAFF.value},
        link=link,
        roles=ROLES,
        key=visit.new_key(),
    )
