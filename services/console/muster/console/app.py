"""The console as an ASGI application."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.resources import files

import httpx
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import HTMLResponse, Response
from starlette.routing import Route

from muster.console import guard, pages, routing
from muster.console.assets import Assets
from muster.console.sessions import Sessions
from muster.console.settings import ConsoleSettings
from muster.console.visit import House
from muster.kit import observe, trace
from muster.kit.edge import Edge
from muster.kit.problems import Problem

_CALM = files(__package__) / "templates" / "calm.html"


def create_app(settings: ConsoleSettings, transport: httpx.AsyncBaseTransport | None = None) -> Starlette:
    """All pages. `transport`: what answers instead of the API at settings.api."""
    observe.name_service("console")
    http = httpx.AsyncClient(
        base_url=settings.api,
        transport=transport,
        trust_env=False,
        timeout=settings.console_api_timeout_s,
        limits=httpx.Limits(max_connections=settings.console_api_connections_max, keepalive_expiry=30),
    )
    assets = Assets(settings.console_packages)
    sessions = Sessions(http, settings.console_sessions_max)
    house = House(settings, http, sessions, assets, guard.Cookies(is_secure=settings.is_secure))

    @asynccontextmanager
    async def lifespan(_: Starlette) -> AsyncIterator[None]:
        yield
        await http.aclose()

    app = Starlette(
        routes=[Route("/assets/{file}", assets.serve), *(route for one in pages.ALL for route in one.routes)],
        middleware=[
            Middleware(guard.Headers, is_secure=settings.is_secure),
            Middleware(Edge, settings=settings, say=calm_page),
        ],
        exception_handlers={HTTPException: routing.on_http, ClientDisconnect: _on_broken_off},
        lifespan=lifespan,
    )
    app.router.redirect_slashes = False
    app.state.house = house
    return app


def calm_page(problem: Problem) -> Response:
    """What is said where no page could be made: without a session, a menu, or anything else that may be broken."""
    text = _CALM.read_text("utf-8").replace("{reference}", trace.trace_id(trace.current()))
    return HTMLResponse(text, problem.status, headers=problem.headers)


async def _on_broken_off(_: Request, __: Exception) -> Response:
    return Response(status_code=400)
