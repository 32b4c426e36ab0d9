# Made by generate.py.
"""The plain calls: tokens are fetched and renewed, writes carry an idempotency key and are safe to repeat."""

import json
import time
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import TracebackType
from typing import Any, Self

import httpx

from muster.client.connection import (
    TIMEOUT_S,
    TOKEN_MARGIN_S,
    Connection,
    Query,
    content_of,
    grant,
    params_of,
    pause_s,
)
from muster.client.errors import ApiError, NotConnected
from muster.client.files import Pieces


class Calls:
    """The API as one caller sees it. Every method raises ApiError where the API refuses; use it as a context."""

    def __init__(self, connection: Connection, *, transport: httpx.BaseTransport | None = None) -> None:
        self._connection = connection
        try:
            self._http = httpx.Client(base_url=connection.url, timeout=TIMEOUT_S, transport=transport)
        except (httpx.InvalidURL, ValueError) as error:
            raise NotConnected(f"{connection.url!r} is not the address of a server: {error}") from error
        self._token = ""
        self._token_until = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Give the connections back."""
        self._http.close()

    def get(self, path: str, /, **query: Query) -> Any:
        """The JSON of a GET; query members that are None are left out."""
        return self._call("GET", path, params=params_of(query))

    def post(self, path: str, body: object = None, *, key: str | None = None, if_match: str | None = None) -> Any:
        """The JSON of a POST; `key` is the idempotency key, a fresh one by default; if_match: the ETag of what was
        seen, where it must not have changed since."""
        return self._call("POST", path, content=json.dumps(body), headers=_json(if_match), key=key)

    def put(self, path: str, body: object, *, key: str | None = None) -> Any:
        """The JSON of a PUT; `key` is the idempotency key, a fresh one by default."""
        return self._call("PUT", path, content=json.dumps(body), headers=_json(), key=key)

    def patch(self, path: str, body: object, *, key: str | None = None, if_match: str | None = None) -> Any:
        """The JSON of a PATCH; `key` and `if_match` as of a POST."""
        return self._call("PATCH", path, content=json.dumps(body), headers=_json(if_match), key=key)

    def delete(self, path: str, *, key: str | None = None) -> Any:
        """The JSON of a DELETE, None where it answers without any; `key` is the idempotency key, a fresh one by
        default."""
        return self._call("DELETE", path, key=key)

    @contextmanager
    def download(self, path: str, media_type: str, /, **query: Query) -> Iterator[httpx.Response]:
        """A GET whose answer is a file of any length, to be read as it comes."""
        with self._streamed(path, {"Accept": media_type}, params_of(query)) as response:
            yield response

    def upload(
        self, path: str, pieces: Pieces, headers: Mapping[str, str], *, key: str | None = None, **query: Query
    ) -> Any:
        """The JSON of a POST of a file; `key` is the idempotency key, a fresh one by default."""
        headers = {**headers, "Content-Length": str(pieces.size_bytes)}
        return self._call("POST", path, content=pieces, headers=headers, params=params_of(query), key=key)

    def pages(self, path: str, /, **query: Query) -> Iterator[dict[str, Any]]:
        """Every item of a listing, page by page; `cursor` in the query says where to begin."""
        while True:
            page = self.get(path, **query)
            for item in page["items"]:
                yield item
            if page["next_cursor"] is None:
                return
            query["cursor"] = page["next_cursor"]

    @contextmanager
    def _streamed(
        self, path: str, headers: Mapping[str, str], params: httpx.QueryParams | None = None
    ) -> Iterator[httpx.Response]:
        headers = {**headers, "Authorization": f"Bearer {self._fresh_token()}"}
        with self._http.stream("GET", path, params=params, headers=headers) as response:
            if not response.is_success:
                response.read()
                content_of(response)
            yield response

    def _call(self, method: str, path: str, *, key: str | None = None, **options: Any) -> Any:
        headers = {**options.pop("headers", {})}
        if method != "GET":
            headers["Idempotency-Key"] = key or str(uuid.uuid4())
        is_new = not self._is_token_fresh
        headers["Authorization"] = f"Bearer {self._fresh_token()}"
        try:
            return content_of(self._tried(method, path, headers, **options))
        except ApiError as refused:
            if refused.status != 401 or is_new:
                raise
        # A token that was given for longer is not taken any more: the keys were changed, or a clock was set.
        self._token_until = 0.0
        headers["Authorization"] = f"Bearer {self._fresh_token()}"
        return content_of(self._tried(method, path, headers, **options))

    def _tried(self, method: str, path: str, headers: Mapping[str, str], **options: Any) -> httpx.Response:
        """A call made again while the service is away or overloaded, and where that is harmless."""
        attempt = 0
        while True:
            attempt += 1
            try:
                response = self._http.request(method, path, headers=dict(headers), **options)
                wait_s = pause_s(attempt, method, headers, response)
                if wait_s is None:
                    return response
            except httpx.TransportError:
                wait_s = pause_s(attempt, method, headers, None)
                if wait_s is None:
                    raise
            time.sleep(wait_s)

    @property
    def _is_token_fresh(self) -> bool:
        return time.monotonic() < self._token_until

    def _fresh_token(self) -> str:
        if not self._is_token_fresh:
            # Asked for again it is only another token.
            headers = {"Idempotency-Key": "token"}
            token = content_of(self._tried("POST", "/v1/token", headers, json=grant(self._connection)))
            self._token = token["access_token"]
            self._token_until = time.monotonic() + token["expires_in"] - TOKEN_MARGIN_S
        return self._token


def _json(if_match: str | None = None) -> dict[str, str]:
    return {"Content-Type": "application/json"} | ({"If-Match": if_match} if if_match is not None else {})
