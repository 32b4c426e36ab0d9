"""/health/live, /health/ready and /metrics, on a port of their own, without a web framework: memory matters."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

_REQUEST_BYTES_MAX = 8_192
_REQUEST_S_MAX = 5.0
_TEXT = "text/plain; charset=utf-8"
_REASONS = {200: "OK", 400: "Bad Request", 404: "Not Found", 405: "Method Not Allowed", 503: "Service Unavailable"}

Answer = tuple[int, str, bytes]


class Watched(Protocol):
    """What health is asked of."""

    @property
    def is_alive(self) -> bool: ...
    @property
    def is_ready(self) -> bool: ...


async def serve(process: Watched, host: str, port: int) -> asyncio.Server:
    """Listen; OSError where the port is taken."""
    paths: dict[str, Callable[[], Answer]] = {
        "/health/live": lambda: _state(good=process.is_alive, word="alive"),
        "/health/ready": lambda: _state(good=process.is_ready, word="ready"),
        "/metrics": lambda: (200, CONTENT_TYPE_LATEST, generate_latest()),
    }

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        # A client that went away, stayed silent or sent too much gets no answer, and there is nobody to tell.
        with suppress(OSError, TimeoutError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            async with asyncio.timeout(_REQUEST_S_MAX):
                head = await reader.readuntil(b"\r\n\r\n")
                writer.write(_response(head, paths))
                await writer.drain()
        writer.close()

    return await asyncio.start_server(connected, host, port, limit=_REQUEST_BYTES_MAX)


def _state(*, good: bool, word: str) -> Answer:
    return (200, _TEXT, f"{word}\n".encode()) if good else (503, _TEXT, f"not {word}\n".encode())


def _response(head: bytes, paths: dict[str, Callable[[], Answer]]) -> bytes:
    words = head.split(b"\r\n", 1)[0].decode("latin-1").split(" ")
    status, media_type, body = _answer(words, paths)
    lines = (
        f"HTTP/1.1 {status} {_REASONS[status]}",
        f"Content-Type: {media_type}",
        f"Content-Length: {len(body)}",
        "Cache-Control: no-store",
        "Connection: close",
    )
    return "\r\n".join((*lines, "", "")).encode() + (b"" if words[0] == "HEAD" else body)


def _answer(words: list[str], paths: dict[str, Callable[[], Answer]]) -> Answer:
    if len(words) != 3:
        return 400, _TEXT, b"bad request\n"
    method, target, _ = words
    if method not in ("GET", "HEAD"):
        return 405, _TEXT, b"only GET\n"
    answer = paths.get(target.partition("?")[0])
    return answer() if answer else (404, _TEXT, b"not found\n")
