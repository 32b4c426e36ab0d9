"""The outermost layer of every API: limits, ids, headers, metrics, and an answer whatever happens.

Pure ASGI. What it knows of a request is at scope["muster.edge"], where a route can raise its own limits.
"""

import asyncio
import json
import os
import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from muster.kit import clock, failpoint, metrics, observe, spans, trace
from muster.kit.problems import MEDIA_TYPE, Problem, unavailable
from muster.kit.settings import HttpSettings
from muster.kit.spans import Kind, Of

log = observe.logger(__name__)

_KEY = "muster.edge"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_SLOW_S = 2.0
_STREAM = b"text/event-stream"
# What a route may say otherwise.
_HEADERS = ((b"cache-control", b"no-store"), (b"x-content-type-options", b"nosniff"))
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})


class Exchange:
    """One request and its answer: the limits that hold for it and what is known so far. declared_bytes: how large its
    body says that it is; 0 where it does not."""

    def __init__(self, scope: Scope, settings: HttpSettings) -> None:
        # Of a header that comes twice the first one counts, as with Starlette's, which look through all for each.
        self._headers: dict[bytes, bytes] = dict(reversed(scope["headers"]))
        noise = os.urandom(36).hex()
        given = self.header(b"x-request-id") or ""
        self.request_id = given if _REQUEST_ID.fullmatch(given) else noise[:24]
        method = _method(scope)
        parent = spans.first(self.header(b"traceparent"), noise[24:])
        self.span = spans.begin(method, Kind.SERVER, parent=parent, about={Of.METHOD: method})
        self.body_bytes_max = settings.http_body_bytes_max
        self.timeout: asyncio.Timeout | None = None
        self.status = 0
        self.is_stream = False
        self.declared_bytes = _content_length(self.header(b"content-length") or "")
        self._received = 0

    def header(self, name: bytes) -> str | None:
        """A header of the request by its name in small letters."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    def count(self, size_bytes: int = 0) -> None:
        """Count a piece of the body; refuse one that is, or says that it is, over the limit: HTTPException 413."""
        self._received += size_bytes
        if max(self._received, self.declared_bytes) > self.body_bytes_max:
            raise HTTPException(413)

    def allow(self, *, body_bytes_max: int | None = None, timeout_s: float | None = None) -> None:
        """Raise (or lower) the limits of this one request."""
        if body_bytes_max is not None:
            self.body_bytes_max = body_bytes_max
        if timeout_s is not None and self.timeout is not None and not self.timeout.expired():
            self.timeout.reschedule(asyncio.get_running_loop().time() + timeout_s)


def exchange(request: Request) -> Exchange:
    """The exchange of `request`."""
    found = request.scope[_KEY]
    assert isinstance(found, Exchange)
    return found


def address_of(request: Request) -> str:
    """Where a request comes from: the last address of X-Forwarded-For, which the gateway before us has seen. What
    stands before it anybody may have written."""
    hops = [hop.strip() for hop in request.headers.get("x-forwarded-for", "").split(",") if hop.strip()]
    return hops[-1] if hops else request.client.host if request.client else ""


def problem_response(problem: Problem) -> Response:
    """The answer for a problem; "?" stands for half of a surrogate pair in the name of a field: no UTF-8 holds it."""
    content = json.dumps(problem.document(), ensure_ascii=False, separators=(",", ":")).encode(errors="replace")
    return Response(content, problem.status, headers=problem.headers, media_type=MEDIA_TYPE)


class Edge:
    """The middleware. Settings: body, time and number of requests in flight. `straight`: what answers some requests
    without the rest of the application, by method and path (kit/direct.py). `say`: how a problem is written, where the
    application did not come to that."""

    def __init__(
        self,
        app: ASGIApp,
        settings: HttpSettings,
        straight: Mapping[tuple[str, str], ASGIApp] | None = None,
        say: Callable[[Problem], Response] = problem_response,
    ) -> None:
        self._app = app
        self._say = say
        self._straight = straight or {}
        self._settings = settings
        self._in_flight = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        state = Exchange(scope, self._settings)
        scope[_KEY] = state
        observe.about(request_id=state.request_id)
        trace.enter(state.span.traceparent)
        started = clock.monotonic()
        self._in_flight += 1
        metrics.http_in_flight.inc()
        try:
            await self._bounded(state, scope, receive, _headed(state, send, scope))
        finally:
            self._in_flight -= 1
            metrics.http_in_flight.dec()
            _measure(state, scope, clock.monotonic() - started)

    async def _bounded(self, state: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        if self._in_flight > self._settings.http_in_flight_max:
            metrics.http_overloaded.inc()
            problem = unavailable("overloaded", "Too many requests are being answered.")
            await self._say(problem)(scope, receive, send)
            return
        try:
            try:
                async with asyncio.timeout(self._settings.http_request_timeout_s) as state.timeout:
                    app = self._straight.get((scope["method"], scope["path"]), self._app)
                    await app(scope, _counted(state, receive), send)
            finally:
                state.timeout = None
        except TimeoutError:
            problem = unavailable("timeout", "The request took too long and was given up.")
            await self._last_word(state, problem, scope, receive, send)
        except Exception:
            log.exception("http.failed", method=scope["method"], route=_route(scope))
            problem = Problem(500, "internal", "Something went wrong here", request_id=state.request_id)
            await self._last_word(state, problem, scope, receive, send)

    async def _last_word(self, state: Exchange, problem: Problem, scope: Scope, receive: Receive, send: Send) -> None:
        if state.status:
            # An answer had begun: only a broken connection tells the client that it is not whole.
            raise ConnectionAbortedError("the answer had begun")
        await self._say(problem)(scope, receive, send)


def _counted(state: Exchange, receive: Receive) -> Receive:
    async def counted() -> Message:
        state.count()
        message = await receive()
        if message["type"] == "http.request":
            state.count(len(message.get("body", b"")))
        return message

    return counted


def _headed(state: Exchange, send: Send, scope: Scope) -> Send:
    async def headed(message: Message) -> None:
        if message["type"] == "http.response.start":
            state.status = message["status"]
            if state.status < 300 and scope["method"] in _WRITES:
                failpoint.hit("http.before_answer")
            if state.timeout is not None and not state.timeout.expired():
                state.timeout.reschedule(None)  # a stream may take as long as its reader likes
            ids = (
                (b"x-request-id", state.request_id.encode()),
                (b"x-trace-id", trace.trace_id(state.span.traceparent).encode()),
            )
            headers = [*message.get("headers", ()), *ids]
            given = {name for name, _ in headers}
            state.is_stream = any(name == b"content-type" and value.startswith(_STREAM) for name, value in headers)
            headers += [one for one in _HEADERS if one[0] not in given]
            message = {**message, "headers": headers}
        await send(message)

    return headed


def _measure(state: Exchange, scope: Scope, seconds: float) -> None:
    method, route = _method(scope), _route(scope)
    count, observe_s = _counters(method, route, state.status)
    count()
    observe_s(seconds)
    state.span.name(f"{method} {route}")
    state.span.note({Of.ROUTE: route, Of.STATUS: state.status})
    state.span.end(str(state.status) if state.status >= 500 or not state.status else None)
    # Events go on for as long as their reader likes.
    if state.status >= 500 or (seconds > _SLOW_S and not state.is_stream):
        log.warning("http.slow_or_failed", method=method, route=route, status=state.status, took_ms=int(seconds * 1e3))


@lru_cache(maxsize=4_096)
def _counters(method: str, route: str, status: int) -> tuple[Callable[[], None], Callable[[float], None]]:
    """How to count an answer and its seconds. To look a metric up by its labels costs more than to count."""
    return metrics.http_requests.labels(method, route, status).inc, metrics.http_seconds.labels(route).observe


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "other"


def _route(scope: Scope) -> str:
    """The template, never the path: a path may hold a number."""
    return route_template(scope) or "unmatched"


def matched_route(scope: Scope) -> Any:
    """The matched route as it is included, None where there is none."""
    return scope.get("fastapi", {}).get("effective_route_context") or scope.get("route")


def route_template(scope: Scope) -> str:
    """The path template of the matched route ("/v1/users/{user_id}"), "" where there is none."""
    return str(getattr(matched_route(scope), "path", "") or "")


def _content_length(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() else 0
