import importlib.util
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import httpx
import pytest

from muster.console.app import create_app
from muster.console.settings import ConsoleSettings

ORIGIN = "https://muster.example"
SESSION = "s" * 43
TENANT = {
    "id": "01931f5e-7b1c-7000-8000-000000000001",
    "name": "Demo Salon",
    "country": "AU",
    "time_zone": "Australia/Sydney",
}
OPENED = {
    "session_token": SESSION,
    "access_token": "t",
    "expires_in": 60,
    "session": {"id": "1", "created_at": "2026-11-28T00:00:00Z", "expires_at": "2099-11-28T00:00:00Z"},
    "user": {"id": "u1", "email": "ann@demo.example", "name": "Ann", "role": "admin"},
    "tenant": TENANT,
}

Answer = tuple[int, Any]


class FakeApi:
    """The public API as far as a test says: answers by "METHOD /path", and what was asked in `calls`."""

    def __init__(self) -> None:
        self.calls: list[httpx.Request] = []
        self.role = "admin"
        self.is_open = True
        self.streams: dict[str, str] = {}
        self.answers: dict[str, Answer | Callable[[httpx.Request], Answer]] = {
            "POST /v1/sessions": (201, OPENED),
            "DELETE /v1/sessions/current": (204, None),
        }

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.calls.append(request)
        name = f"{request.method} {request.url.path}"
        if name in self.streams and request.headers["accept"] == "text/event-stream":
            return httpx.Response(200, text=self.streams[name], headers={"Content-Type": "text/event-stream"})
        if name == "POST /v1/token":
            known = self.is_open and f"refresh_token={SESSION}".encode() in request.content
            found: Answer = (200, {"access_token": "t", "expires_in": 60}) if known else (401, {"code": "unauthorized"})
        elif name == "GET /v1/me":
            tenant = None if self.role == "operator" else TENANT
            found = (200, {"user": OPENED["user"], "tenant": tenant, "role": self.role, "session_id": "1"})
        else:
            given = self.answers.get(name, (404, {"code": "not_found", "status": 404}))
            found = given(request) if callable(given) else given
        status, body = found
        return httpx.Response(status, json=body) if body is not None else httpx.Response(status)

    def asked(self, name: str) -> list[httpx.Request]:
        return [one for one in self.calls if f"{one.method} {one.url.path}" == name]


@pytest.fixture(scope="session")
def said() -> ModuleType:
    """What the API says, by example: the file beside us."""
    spec = importlib.util.spec_from_file_location("console_said", Path(__file__).with_name("fakes.py"))
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture
def api() -> FakeApi:
    return FakeApi()


class Browser(httpx.AsyncClient):
    """Keeps cookies, has no scripts, and follows nothing by itself but what tells what an act came to."""

    async def post(self, *given: Any, **more: Any) -> httpx.Response:
        answer = await super().post(*given, **more)
        leads_to = answer.headers.get("Location", "")
        return await self.get(leads_to) if "?told=" in leads_to else answer


@pytest.fixture
async def browser(api):
    """Somebody's browser."""
    settings = ConsoleSettings(base_url=ORIGIN, api_url="http://api.invalid")
    app = create_app(settings, httpx.MockTransport(api))
    async with Browser(transport=httpx.ASGITransport(app), base_url=ORIGIN) as client:
        yield client


@pytest.fixture
async def member(browser):
    """A browser in which somebody is signed in."""
    browser.cookies.set("__Host-muster_session", SESSION, domain="muster.example")
    return browser


def csrf_of(page: httpx.Response) -> str:
    """The token of a page's forms."""
    return page.text.split('name="csrf" value="')[1].split('"')[0]


@pytest.fixture
def token():
    return csrf_of
