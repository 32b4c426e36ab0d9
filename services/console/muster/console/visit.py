"""One request to a page, and how it is answered."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import httpx
from jinja2 import Environment, PackageLoader, StrictUndefined
from starlette.datastructures import FormData
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from muster.console import guard
from muster.console.assets import Assets
from muster.console.client import Api
from muster.console.drafts import Drafts
from muster.console.formats import Formats, formats
from muster.console.nav import entries_for
from muster.console.sessions import Access, Member, Sessions
from muster.console.settings import ConsoleSettings
from muster.console.strings import Text, has, text_of


@dataclass(frozen=True)
class House:
    """What all requests share."""

    settings: ConsoleSettings
    http: httpx.AsyncClient
    sessions: Sessions
    assets: Assets
    cookies: guard.Cookies
    drafts: Drafts = field(default_factory=Drafts)
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
        """A page, or a piece of one, from a template; by status 422 its errors are told."""
        content = self.render(template, **values)
        response = HTMLResponse(content, status)
        if not self.house.cookies.bound(self.request):
            self.house.cookies.begin_visit(response, self.bound)
        return response

    def render(self, template: str, **values: Any) -> str:
        """The text of a template."""
        given = {
            "visit": self,
            "t": self.t,
            "f": self.f,
            "says": has,
            "who": self.member,
            "nav": entries_for(self.member.role if self.member else ""),
            "here": self.request.url.path,
            "csrf": guard.form_token(self.bound),
            "asset": self.house.assets.path,
        }
        return self.house.templates.get_template(template).render(given | values)

    def go(self, path: str) -> Response:
        """Lead the browser on after an act."""
        if self.is_fragment:
            return Response(headers={"HX-Redirect": path})
        return RedirectResponse(path, 303)


Handler = Callable[[Visit], Awaitable[Response]]
