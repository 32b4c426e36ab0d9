"""The public API as pages use it: a call is a coroutine that returns the answer's JSON or raises ApiProblem."""

import re
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import httpx

from muster.kit import clock, metrics, observe, trace

log = observe.logger(__name__)

Json = dict[str, Any]
REFUSED = (400, 403, 404, 409, 422, 429)
"""What a form is told of where it stands; the rest is told by a page of its own."""
_JSON = "application/json"
_BINARY = "application/octet-stream"
_PATH = re.compile(r"(?:/(?!\.\.?(?:/|$))[A-Za-z0-9._~%:+@-]+)+")


class ApiProblem(Exception):
    """What the API refused, or that it did not answer: its problem document (RFC 9457).

    errors: [{"field", "code", "message"}] of a 422; retry_after_s: when it may be tried again, 0 where nobody said.
    """

    def __init__(self, status: int, document: Mapping[str, Any], retry_after_s: int = 0) -> None:
        super().__init__(f"{status} {document.get('code', '')}")
        self.status = status
        self.document = document
        self.retry_after_s = retry_after_s

    @property
    def code(self) -> str:
        return str(self.document.get("code", ""))

    @property
    def title(self) -> str:
        return str(self.document.get("title", ""))

    @property
    def detail(self) -> str:
        return str(self.document.get("detail") or "")

    @property
    def says(self) -> str:
        """What happened and what to do: neither is to be understood without the other."""
        title = self.title.rstrip(".")
        return f"{title}. {self.detail}" if title and self.detail else title or self.detail

    @property
    def errors(self) -> list[Json]:
        found = self.document.get("errors")
        return [one for one in found if isinstance(one, dict)] if isinstance(found, list) else []


class Api:
    """The API as one person calls it; without a token as anybody does."""

    def __init__(self, http: httpx.AsyncClient, token: str = "", origin: Mapping[str, str] | None = None) -> None:
        """origin: headers that say from where somebody calls."""
        self._http = http
        self._headers = {**(origin or {}), **({"Authorization": f"Bearer {token}"} if token else {})}

    async def get(self, path: str, **query: Any) -> Json:
        """GET `path`; parts of the query that are None are left out."""
        return await self.call("GET", path, query=query)

    async def post(self, path: str, body: Mapping[str, Any] | None = None, *, key: str = "") -> Json:
        """POST `body`; `key` is the Idempotency-Key. {} where the answer has no body."""
        return await self.call("POST", path, body=body, key=key)

    async def call(
        self,
        method: str,
        path: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        key: str = "",
        form: Mapping[str, str] | None = None,
        if_match: str = "",
        listed: Sequence[Any] | None = None,
    ) -> Json:
        """Any method. `form` is sent as a form, `body` or `listed` as JSON; `if_match`: the version that was seen, 412
        where it is not that any more. An answer that is a list is {"items": it}."""
        _can_be(path, key, if_match)
        asked = {name: value for name, value in (query or {}).items() if value is not None}
        headers = {**self._headers, "Accept": _JSON, **({"Idempotency-Key": key} if key else {}), **_trace()}
        headers |= {"If-Match": f'"{if_match}"'} if if_match else {}
        begun = clock.monotonic()
        sent = body if listed is None else list(listed)
        with _reaching(method):
            answer = await self._http.request(method, path, params=asked, json=sent, data=form, headers=headers)
        metrics.console_api_seconds.observe(clock.monotonic() - begun)
        return _content(answer)

    @asynccontextmanager
    async def stream(self, path: str) -> AsyncIterator[AsyncIterator[str]]:
        """The lines of a stream of events. ApiProblem where it is refused or breaks off."""
        _can_be(path)
        headers = {**self._headers, "Accept": "text/event-stream", **_trace()}
        with _reaching("GET"):
            async with self._http.stream("GET", path, headers=headers) as answer:
                if answer.is_error:
                    await answer.aread()
                    _content(answer)
                yield answer.aiter_lines()

    async def upload(self, path: str, file: AsyncIterator[bytes], *, timeout_s: float, key: str, **query: Any) -> Json:
        """POST a file as it comes."""
        _can_be(path, key)
        headers = {**self._headers, "Accept": _JSON, "Content-Type": _BINARY, "Prefer": "respond-async", **_trace()}
        with _reaching("POST"):
            answer = await self._http.post(
                path, params=query, content=file, headers=headers | {"Idempotency-Key": key}, timeout=timeout_s
            )
        return _content(answer)

    async def file(self, path: str, accept: str, **query: Any) -> httpx.Response:
        """The answer of a GET with its content still to come: whoever asks hands it on and closes it."""
        _can_be(path)
        asked = {name: value for name, value in query.items() if value is not None}
        headers = {**self._headers, "Accept": accept, **_trace()}
        request = self._http.build_request("GET", path, params=asked, headers=headers)
        with _reaching("GET"):
            answer = await self._http.send(request, stream=True)
            if answer.is_error:
                await answer.aread()
                _content(answer)
        return answer


def _can_be(path: str, *headers: str) -> None:
    """Refuse what no page of ours asks for: ids come from addresses and keys from forms, which anybody may write. An id
    must not lead to another path, and a header is of visible characters."""
    if not _PATH.fullmatch(path):
        raise ApiProblem(404, {"code": "not_found"})
    if not all(one.isascii() and one.isprintable() for one in headers):
        raise ApiProblem(422, {"code": "not_valid"})


@contextmanager
def _reaching(method: str) -> Iterator[None]:
    """Whatever keeps the API from answering is counted, logged, and an ApiProblem."""
    try:
        yield
    except httpx.HTTPError as error:
        metrics.console_api_calls.labels("unreachable").inc()
        log.warning("console.api_unreachable", method=method, exc_info=error)
        raise ApiProblem(503, {"code": "unreachable"}) from error


def _trace() -> dict[str, str]:
    parent = trace.current()
    return {"traceparent": parent} if parent else {}


def _content(answer: httpx.Response) -> Json:
    try:
        found = answer.json() if answer.content else {}
    except ValueError:
        found = None
    if answer.is_success and found is not None:
        metrics.console_api_calls.labels("answered").inc()
        return found if isinstance(found, dict) else {"items": found}
    status = answer.status_code if answer.is_error else 502
    metrics.console_api_calls.labels("failed" if status >= 500 else "refused").inc()
    wait = answer.headers.get("Retry-After", "")
    document = found if isinstance(found, dict) else {"code": "unreadable"}
    raise ApiProblem(status, document, int(wait) if wait.isascii() and wait.isdigit() else 0)
