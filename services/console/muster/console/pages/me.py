"""Oneself: name, password, and where one is signed in."""

from starlette.responses import Response

from muster.console.client import ApiProblem
from muster.console.routing import Pages
from muster.console.visit import Visit

pages = Pages()

_REFUSED = (400, 404, 409, 422, 429)


@pages.get("/settings/me")
async def me(visit: Visit) -> Response:
    return await _show(visit)


@pages.post("/settings/me/name")
async def rename(visit: Visit) -> Response:
    try:
        await visit.api.call("PATCH", "/v1/me", body={"name": visit.text("name").strip()})
    except ApiProblem as problem:
        return await _refused(visit, problem, "name")
    return await _show(visit, notice=visit.t("me.renamed"))


@pages.post("/settings/me/password")
async def password(visit: Visit) -> Response:
    body = {name: visit.text(name) for name in ("current_password", "new_password")}
    try:
        await visit.api.call("PUT", "/v1/me/password", body=body)
    except ApiProblem as problem:
        return await _refused(visit, problem, *body)
    return await _show(visit, notice=visit.t("me.password_changed"))


@pages.post("/settings/me/session")
async def end(visit: Visit) -> Response:
    """End a session of one's own."""
    try:
        await visit.api.call("DELETE", f"/v1/sessions/{visit.text('session')}")
    except ApiProblem as problem:
        return await _refused(visit, problem)
    return await _show(visit, notice=visit.t("me.session_ended"))


async def _refused(visit: Visit, problem: ApiProblem, *fields: str) -> Response:
    if problem.status not in _REFUSED:
        raise problem
    return await _show(visit, errors=visit.wrong(problem, *fields))


async def _show(visit: Visit, *, errors: list[tuple[str, str]] | None = None, notice: str = "") -> Response:
    user = (await visit.api.get("/v1/me"))["user"]
    sessions = (await visit.api.get("/v1/sessions"))["items"]
    status = 422 if errors else 200
    return visit.page("me.html", status=status, user=user, sessions=sessions, errors=errors or [], notice=notice)
