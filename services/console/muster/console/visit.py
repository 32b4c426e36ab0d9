"""One request to a page, and how it is answered."""

import json
import re
import secrets
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.background import BackgroundTask
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from starlette.routing import Match

from muster.console import guard
from muster.console.assets import Assets
from muster.console.client import Api, ApiProblem
from muster.console.formats import Formats, formats
from muster.console.nav import SETTINGS, entries_for
from muster.console.sessions import Access, Member, Sessions
from muster.console.settings import ConsoleSettings
from muster.console.strings import Text, has, text_of

_NEWS_S = 60

Errors = list[tuple[str, str]]
"""What is wrong with which field of a form; "" is none of them."""


@dataclass(frozen=True)
class House:
    """What all requests share."""

    settings: ConsoleSettings
    http: httpx.AsyncClient
    sessions: Sessions
    assets: Assets
    cookies: guard.Cookies
    templates: Environment = field(
        default_factory=lambda: Environment(
            loader=PackageLoader("muster.console"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
            auto_reload=False,
        )
    )


class Visit:
    """A request with who makes it. `form` is what was posted; `api` is the API as this person calls it.

    `who` is asked only of pages that are not public: there somebody is signed in.
    """

    def __init__(self, request: Request, house: House, access: Access | None, form: FormData) -> None:
        self.request = request
        self.house = house
        self.form = form
        self.api = Api(house.http, access.token if access else "", guard.origin(request))
        self.member = access.who if access else None
        member = self.member
        accepted = request.headers.get("accept-language", "")
        self.f: Formats = formats(accepted, member.country if member else "", member.time_zone if member else "UTC")
        self.t: Text = text_of(self.f)
        self.bound = house.cookies.bound(request) or guard.new_visit()

    @property
    def who(self) -> Member:
        assert self.member is not None
        return self.member

    @property
    def path(self) -> Mapping[str, str]:
        """The values of the path's names."""
        return self.request.path_params

    @property
    def is_fragment(self) -> bool:
        """Whether a script asks for a piece of a page."""
        return self.request.headers.get("hx-request") == "true"

    def text(self, name: str) -> str:
        """A field of the form, "" where it is not there or is a file."""
        value = self.form.get(name)
        return value if isinstance(value, str) else ""

    def texts(self, name: str) -> list[str]:
        """All values of a field of the form."""
        return [value for value in self.form.getlist(name) if isinstance(value, str) and value]

    def page(self, template: str, *, status: int = 200, **values: Any) -> Response:
        """A page, or a piece of one, from a template; by status 422 its errors are told.

        What an act came to (`notice`) is told by the page that it was done on, under that page's own address: there
        neither a reload nor the back button asks whether the form is to be sent again.
        """
        if values.get("notice") and status == 200 and self.request.method == "POST" and not self.is_fragment:
            return self.tell(values["notice"])
        if "notice" in values:
            values["notice"] = values["notice"] or self.told.get("notice", "")
        content = self.render(template, **values)
        response = HTMLResponse(content, status)
        if not self.house.cookies.bound(self.request):
            self.house.cookies.begin_visit(response, self.bound)
        return response

    def tell(self, notice: str, **more: str) -> Response:
        """Lead back from an act to its page, which finds what to say in `told`, for as long as it is news."""
        told = self.sealed(json.dumps({"notice": notice, **more}))
        return self.go(f"{page_above(self.request)}?told={told}")

    @property
    def told(self) -> Mapping[str, str]:
        """What the act came to from which we were led here; empty where there was none, or a while ago."""
        found = self.unsealed("told", age_s_max=_NEWS_S)
        return dict(json.loads(found)) if found else {}

    def render(self, template: str, **values: Any) -> str:
        """The text of a template."""
        role = self.member.role if self.member else ""
        given = {
            "visit": self,
            "t": self.t,
            "f": self.f,
            "says": has,
            "who": self.member,
            "nav": entries_for(role),
            "tabs": entries_for(role, SETTINGS),
            "here": self.request.url.path,
            "csrf": guard.form_token(self.bound),
            "asset": self.house.assets.path,
        }
        return self.house.templates.get_template(template).render(given | values)

    def wrong(self, problem: ApiProblem, *fields: str) -> Errors:
        """What the API refused, each error at the field of the form that it is about, or at none ("") of `fields`."""
        found = []
        for one in problem.errors:
            name, message = str(one.get("field", "")), str(one.get("message", ""))
            field = next(
                (field for field in fields if name == field or name.startswith((f"{field}.", f"{field}["))), ""
            )
            found.append((field, _sentence(name, message)))
        return found or [("", problem.says or self.t("errors.refused_title"))]

    def why(self, problem: ApiProblem) -> str:
        """What the API refused, in one line."""
        return "; ".join(message for _, message in self.wrong(problem))

    @staticmethod
    def new_key() -> str:
        """An Idempotency-Key for a form that is shown now: however often it is sent, it does what it does once."""
        return secrets.token_urlsafe(16)

    def asked(self, name: str) -> str | None:
        """A value of the query; None where it is not there, or empty."""
        return self.request.query_params.get(name) or None

    async def file(self, path: str, accept: str, name: str, **query: Any) -> Response:
        """A file of the API, handed on as it comes, however large it is."""
        answer = await self.api.file(path, accept, **query)
        headers = {"Content-Disposition": f'attachment; filename="{name}"', "Cache-Control": "no-store"}
        kind = answer.headers.get("Content-Type", accept)
        ended = BackgroundTask(answer.aclose)
        return StreamingResponse(answer.aiter_bytes(), headers=headers, media_type=kind, background=ended)

    def sealed(self, text: str) -> str:
        """What somebody looks for, as an address may hold it: nobody else can read it, nor they in another session."""
        return guard.sealed(self.house.cookies.session(self.request), text)

    def unsealed(self, name: str, *, age_s_max: int | None = None) -> str | None:
        """What was sealed into a value of the query; None where that is not there, too old, or of another session."""
        given = self.asked(name)
        return guard.unsealed(self.house.cookies.session(self.request), given, age_s_max) if given else None

    def go(self, path: str) -> Response:
        """Lead the browser on after an act."""
        if self.is_fragment:
            return Response(headers={"HX-Redirect": path})
        return RedirectResponse(path, 303)


Handler = Callable[[Visit], Awaitable[Response]]


def page_above(request: Request) -> str:
    """The page that an act is done on: its address is in the browser afterwards, and may be opened anew, which does
    nothing. It is the address itself or the nearest above that shows something; "" where none does."""
    path = request.url.path
    while path:
        scope = {**request.scope, "path": path, "method": "GET"}
        if any(route.matches(scope)[0] is Match.FULL for route in request.app.routes):
            return path
        path = path.rpartition("/")[0]
    return ""


_GOES_ON = frozenset(("is", "has", "holds", "lies", "may", "must", "needs"))
_STANDS_ALONE = frozenset(("at", "no", "there"))
_PLACE = re.compile(r"\[\d+\]")


def _sentence(name: str, message: str) -> str:
    """What the API says of a field, as it is read without that name before it: `email`, `is needed` becomes `Email is
    needed`. A whole sentence stays as it is."""
    if message[:1].isupper() or not name:
        return message
    words = _PLACE.sub("", name).replace("_", " ").replace(".", " ").strip()
    begins = message.split(" ", 1)[0]
    if begins in _STANDS_ALONE:
        return f"{message[:1].upper()}{message[1:]}"
    joint = " " if begins in _GOES_ON else ": "
    return f"{words[:1].upper()}{words[1:]}{joint}{message}"
