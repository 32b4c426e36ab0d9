"""Signing in and out, and a password that was forgotten."""

from datetime import datetime

from starlette.responses import Response

from muster.console import guard
from muster.console.client import ApiProblem, Json
from muster.console.routing import PUBLIC, Pages
from muster.console.visit import Visit
from muster.kit import clock

pages = Pages()

_CARRIED = "carried."


@pages.get("/sign-in", PUBLIC)
async def show(visit: Visit) -> Response:
    goes_to = guard.own_path(visit.request.query_params.get("next", "/"))
    if visit.member is not None:
        return visit.go(goes_to)
    return _page(visit, goes_to=goes_to, status=200, errors=[])


@pages.post("/sign-in", PUBLIC)
async def sign_in(visit: Visit) -> Response:
    goes_to = guard.own_path(visit.text("next"))
    email, password = visit.text("email").strip(), visit.text("password")
    missing = [(name, visit.t(f"sign_in.{name}_needed")) for name in ("email", "password") if not visit.text(name)]
    if missing:
        return _page(visit, goes_to=goes_to, status=422, errors=missing)
    body = {"email": email, "password": password}
    if visit.text("tenant_id"):
        body["tenant_id"] = visit.text("tenant_id")
    try:
        opened = await visit.api.post("/v1/sessions", body)
    except ApiProblem as problem:
        return _refused(visit, goes_to, problem)
    return enter(visit, opened, goes_to)


def enter(visit: Visit, opened: Json, goes_to: str) -> Response:
    """Begin the session that the API has opened, and go on with what was being done before."""
    kept = [(name.removeprefix(_CARRIED), value) for name, value in visit.form.multi_items() if _is_carried(name)]
    visit.bound = opened["session_token"]
    response = visit.page("once_more.html", goes_to=goes_to, carried=kept, fresh=True) if kept else visit.go(goes_to)
    left_s = (datetime.fromisoformat(opened["session"]["expires_at"]) - clock.now()).total_seconds()
    visit.house.cookies.begin_session(response, opened["session_token"], max(1, int(left_s)))
    return response


@pages.post("/sign-out", PUBLIC)
async def sign_out(visit: Visit) -> Response:
    session = visit.house.cookies.session(visit.request)
    access = await visit.house.sessions.enter(session) if session else None
    if access is not None:
        await Visit(visit.request, visit.house, access, visit.form).api.call("DELETE", "/v1/sessions/current")
        visit.house.sessions.forget(session)
    response = visit.go("/sign-in")
    visit.house.cookies.end_session(response)
    # Drafts too: the next one at this computer is to find nothing.
    response.headers["Clear-Site-Data"] = '"storage"'
    return response


@pages.get("/forgot", PUBLIC)
async def forgot(visit: Visit) -> Response:
    return visit.page("forgot.html", errors=[], sent=False)


@pages.post("/forgot", PUBLIC)
async def send_link(visit: Visit) -> Response:
    email = visit.text("email").strip()
    if "@" not in email:
        return visit.page("forgot.html", status=422, errors=[("email", visit.t("sign_in.email_needed"))], sent=False)
    await visit.api.post("/v1/password-resets", {"email": email})
    return visit.page("forgot.html", errors=[], sent=True)


def _refused(visit: Visit, goes_to: str, problem: ApiProblem) -> Response:
    if problem.code == "choose_tenant":
        return _page(visit, goes_to=goes_to, status=409, errors=[], tenants=problem.document.get("tenants", []))
    if problem.status == 429:
        wait_s = problem.retry_after_s or 60
        entry, wait = ("slowed_s", wait_s) if wait_s < 60 else ("slowed", -(-wait_s // 60))
        return _page(visit, goes_to=goes_to, status=429, errors=[("", visit.t(f"sign_in.{entry}", n=wait))])
    if problem.status in (401, 422):
        return _page(visit, goes_to=goes_to, status=422, errors=[("email", visit.t("sign_in.wrong"))])
    raise problem


def _page(
    visit: Visit, *, goes_to: str, status: int, errors: list[tuple[str, str]], tenants: list[Json] | None = None
) -> Response:
    kept = [(name.removeprefix(_CARRIED), value) for name, value in visit.form.multi_items() if _is_carried(name)]
    return visit.page(
        "sign_in.html",
        status=status,
        goes_to=goes_to,
        carried=kept,
        errors=errors,
        ended=False,
        slowed=status == 429,
        email=visit.text("email").strip(),
        tenants=tenants or [],
    )


def _is_carried(name: str) -> bool:
    return name.startswith(_CARRIED)
