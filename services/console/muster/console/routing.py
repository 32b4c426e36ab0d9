"""How a request comes to its page: who may, whether a form is ours, and what is said where something goes wrong."""

from collections.abc import Callable, Iterable
from urllib.parse import quote, urlsplit

from starlette.datastructures import FormData
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import Scope

from muster.console import guard
from muster.console.client import ApiProblem
from muster.console.nav import ANYONE
from muster.console.sessions import Access
from muster.console.visit import Handler, House, Visit, page_above
from muster.kit import metrics, trace
from muster.kit.http import exchange

PUBLIC: frozenset[str] = frozenset()
"""The roles of a page that needs nobody to be signed in."""

_CARRIED_MAX = 100
_NEVER_CARRIED = ("csrf", "password")


class PageRoute(Route):
    """A route that metrics name by its template."""

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, child = super().matches(scope)
        return match, {**child, "route": self} if child else child


class Pages:
    """The pages of one file: `pages = Pages()`, `@pages.get("/sends")`, `@pages.post("/sends/{id}/stop")`."""

    def __init__(self) -> None:
        self.routes: list[PageRoute] = []

    def get(self, path: str, roles: Iterable[str] = ANYONE) -> Callable[[Handler], Handler]:
        """A page that shows something."""
        return self._add("GET", path, roles, reads_form=False)

    def post(self, path: str, roles: Iterable[str] = ANYONE) -> Callable[[Handler], Handler]:
        """A form. It has carried the token of this browser when the handler is called."""
        return self._add("POST", path, roles, reads_form=True)

    def upload(self, path: str, roles: Iterable[str]) -> Callable[[Handler], Handler]:
        """A form with a file, which nobody may begin to send who is not signed in."""
        return self._add("POST", path, roles, reads_form=True, has_file=True)

    def _add(
        self, method: str, path: str, roles: Iterable[str], *, reads_form: bool, has_file: bool = False
    ) -> Callable[[Handler], Handler]:
        allowed = frozenset(roles)

        def added(handler: Handler) -> Handler:
            async def endpoint(request: Request) -> Response:
                if has_file and (refused := await _before_a_file(request, allowed)) is not None:
                    return refused
                return await _answer(request, handler, allowed, reads_form=reads_form)

            self.routes.append(PageRoute(path, endpoint, methods=[method], name=f"{method} {path}"))
            return handler

        return added


async def _before_a_file(request: Request, allowed: frozenset[str]) -> Response | None:
    """What is answered without having read the file; None where it may come, within the limits of files."""
    house: House = request.app.state.house
    visit = Visit(request, house, await _known(request, house), FormData())
    if visit.member is None:
        return visit.go(f"/sign-in?next={quote(request.url.path)}")
    if visit.member.role not in allowed:
        return error_page(visit, 403, "forbidden")
    if not guard.is_own_origin(request.headers):
        return error_page(visit, 403, "foreign")
    settings = house.settings
    exchange(request).allow(body_bytes_max=settings.console_upload_bytes_max, timeout_s=settings.console_upload_s_max)
    return None


async def _answer(request: Request, handler: Handler, allowed: frozenset[str], *, reads_form: bool) -> Response:
    house: House = request.app.state.house
    form = await _form(request, house) if reads_form else FormData()
    own = not reads_form or _is_own(request, house, form)
    session = house.cookies.session(request)
    try:
        access = await house.sessions.enter(session) if session and (allowed or not reads_form) else None
        visit = Visit(request, house, access, form)
        if reads_form and not guard.is_own_origin(request.headers):
            metrics.console_forms_refused.labels("origin").inc()
            return error_page(visit, 403, "foreign")
        if allowed and access is None:
            return sign_in_first(visit)
        if not own:
            metrics.console_forms_refused.labels("token").inc()
            return _once_more(visit)
        if allowed and visit.who.role not in allowed:
            return error_page(visit, 403, "forbidden")
        return await handler(visit)
    except ApiProblem as problem:
        return await _on_problem(request, house, form, problem, is_public=not allowed)
    finally:
        await form.close()


async def _form(request: Request, house: House) -> FormData:
    return await request.form(max_fields=house.settings.console_form_fields_max, max_files=1)


def _is_own(request: Request, house: House, form: FormData) -> bool:
    given = form.get("csrf") or request.headers.get("x-csrf-token", "")
    return isinstance(given, str) and guard.is_own_form(house.cookies.bound(request), given)


async def _on_problem(
    request: Request, house: House, form: FormData, problem: ApiProblem, *, is_public: bool
) -> Response:
    """What the API refused and the page had no words of its own for."""
    if problem.status == 401 and not is_public:
        house.sessions.forget(house.cookies.session(request))
        return sign_in_first(Visit(request, house, None, form))
    visit = Visit(request, house, await _known(request, house), form)
    kinds = {401: "sign_in", 403: "forbidden", 404: "not_found", 429: "too_many"}
    kind = kinds.get(problem.status, "unavailable" if problem.status >= 500 else "refused")
    # A page that only shows something asks for nothing but what its address says: an id that is none, an old cursor.
    kind = "not_found" if kind == "refused" and request.method == "GET" else kind
    status = {"unavailable": 502, "not_found": 404}.get(kind, problem.status)
    return error_page(visit, status, kind, detail=problem.detail if kind == "refused" else "", problem=problem)


async def _known(request: Request, house: House) -> Access | None:
    """Who it is, if that can be said now: the page of an error has a menu where it can."""
    session = house.cookies.session(request)
    try:
        return await house.sessions.enter(session) if session else None
    except ApiProblem:
        return None


def error_page(
    visit: Visit, status: int, kind: str, *, detail: str = "", problem: ApiProblem | None = None
) -> Response:
    """What happened and what to do: the entries `<kind>_title` and `<kind>_says` of errors.toml."""
    retry_path = visit.request.url.path if visit.request.method == "GET" and status >= 429 else ""
    template = "error_fragment.html" if visit.is_fragment else "error.html"
    # A script that asked for a piece shows what it gets only where that is no error.
    shown = 200 if visit.is_fragment else status
    wait_s = problem.retry_after_s if problem else 0
    told = {"detail": detail, "retry_path": retry_path, "wait_s": wait_s, "reference": reference(status)}
    return visit.page(template, status=shown, kind=kind, **told)


def reference(status: int) -> str:
    """What somebody can quote who asks why Muster failed: the trace by which log lines of every service are found. ""
    where nothing failed."""
    return trace.trace_id(trace.current()) if status >= 500 else ""


def sign_in_first(visit: Visit) -> Response:
    """The session has ended, or there was none: sign in, and go on with what was being done."""
    path = visit.request.url.path
    if visit.is_fragment:
        return _session_over(visit)
    if visit.request.method != "POST":
        return visit.go("/sign-in" if path == "/" else f"/sign-in?next={quote(path)}")
    return visit.page(
        "sign_in.html", status=401, goes_to=path, carried=carried(visit), errors=[], ended=True, email="", tenants=[]
    )


def _session_over(visit: Visit) -> Response:
    """In place of a piece of a page: sign in, and come back to that page."""
    page = urlsplit(visit.request.headers.get("hx-current-url", "")).path
    return visit.page("session_fragment.html", goes_to=page if page.startswith("/") else "/")


def _once_more(visit: Visit) -> Response:
    """A form of another session of this browser, or an old one: nothing was done, and it can be sent again."""
    if visit.is_fragment:
        return _session_over(visit)
    return visit.page("once_more.html", status=403, goes_to=visit.request.url.path, carried=carried(visit), fresh=False)


def carried(visit: Visit) -> list[tuple[str, str]]:
    """The fields of a form that are kept while somebody signs in; never a password."""
    found = [(name, value) for name, value in visit.form.multi_items() if isinstance(value, str)]
    return [one for one in found if not any(word in one[0] for word in _NEVER_CARRIED)][:_CARRIED_MAX]


async def on_http(request: Request, error: Exception) -> Response:
    """A path that there is not, a method that it has not, a body that cannot be read."""
    assert isinstance(error, HTTPException)
    house: House = request.app.state.house
    visit = Visit(request, house, await _known(request, house), FormData())
    if error.status_code == 405 and request.method in ("GET", "HEAD") and (page := page_above(request)):
        return visit.go(page)
    kinds = {404: "not_found", 405: "not_found", 413: "too_large"}
    return error_page(visit, error.status_code, kinds.get(error.status_code, "unreadable"))
