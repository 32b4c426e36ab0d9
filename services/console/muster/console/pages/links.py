"""The links of e-mails: an invitation, a new password, the first admin. Looking uses nothing up."""

from starlette.responses import Response

from muster.console.client import ApiProblem, Json
from muster.console.pages.sign_in import enter
from muster.console.routing import PUBLIC, Pages
from muster.console.visit import Errors, Visit

pages = Pages()


@pages.get("/join/{token}", PUBLIC)
async def join(visit: Visit) -> Response:
    return await _show(visit, [])


@pages.get("/reset/{token}", PUBLIC)
async def reset(visit: Visit) -> Response:
    return await _show(visit, [])


@pages.post("/join/{token}", PUBLIC)
async def use_join(visit: Visit) -> Response:
    return await _use(visit)


@pages.post("/reset/{token}", PUBLIC)
async def use_reset(visit: Visit) -> Response:
    return await _use(visit)


async def _show(visit: Visit, errors: Errors) -> Response:
    try:
        link = await visit.api.post("/v1/links/look", {"token": visit.path["token"]})
    except ApiProblem as problem:
        if problem.status not in (404, 410, 422):
            raise
        kind = problem.code if problem.code in ("link_used", "link_expired") else "link_unknown"
        return visit.page("link_over.html", status=410 if problem.status == 410 else 404, kind=kind)
    given = {name: visit.text(name) or link.get(name) or "" for name in ("email", "name")}
    return visit.page("link.html", status=422 if errors else 200, link=link, errors=errors, given=given)


async def _use(visit: Visit) -> Response:
    password = visit.text("password")
    if not password:
        return await _show(visit, [("password", visit.t("link.password_needed"))])
    if password != visit.text("password_again"):
        return await _show(visit, [("password_again", visit.t("link.not_the_same"))])
    body: Json = {"token": visit.path["token"], "password": password}
    body |= {name: visit.text(name).strip() for name in ("email", "name") if visit.text(name).strip()}
    try:
        opened = await visit.api.post("/v1/links/use", body)
    except ApiProblem as problem:
        if problem.status != 422:
            return await _show(visit, [])
        return await _show(visit, visit.wrong(problem, "name", "email", "password"))
    return enter(visit, opened, "/")
