"""HTTP/1.1 as far as the simulator's ports need it: requests with a length, answers in JSON."""

import asyncio
import json
from http import HTTPStatus
from typing import Any, Final, NamedTuple

_BODY_OCTETS_MAX: Final = 1_000_000


class Asked(NamedTuple):
    """A request; names of headers are lower case. `close`: the connection ends with its answer."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    close: bool


class NotHttp(Exception):
    """What came is no request; `status` is what to answer."""

    def __init__(self, status: int) -> None:
        super().__init__(status)
        self.status = status


async def read_request(reader: asyncio.StreamReader) -> Asked:
    """The next request; NotHttp, or what asyncio raises when the client is gone."""
    head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
    words = head[0].split(" ")
    headers = {name.strip().lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
    length = headers.get("content-length") or "0"
    if len(words) != 3 or not length.isdecimal():
        raise NotHttp(400)
    if int(length) > _BODY_OCTETS_MAX:
        raise NotHttp(413)
    body = await reader.readexactly(int(length))
    return Asked(words[0], words[1], headers, body, headers.get("connection", "").lower() == "close")


def write_answer(writer: asyncio.StreamWriter, status: int, value: Any, *headers: tuple[str, str]) -> None:
    """Answer in JSON."""
    body = json.dumps(value, ensure_ascii=False).encode()
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}", "Content-Type: application/json"]
    lines += [f"Content-Length: {len(body)}", *(f"{name}: {said}" for name, said in headers), "", ""]
    writer.write("\r\n".join(lines).encode() + body)
