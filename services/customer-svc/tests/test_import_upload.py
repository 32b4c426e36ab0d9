"""A file on its way in: it may come slowly, is seen to come, and leaves nothing where it does not."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from muster.customer.api import import_upload
from muster.customer.settings import CustomerSettings

PATH = "/v1/customers/imports"
ROW = b"Ana,0412000001\n"


async def sent(app: Any, pieces: AsyncIterator[bytes | None]) -> list[dict[str, Any]]:
    """What is answered to a body that comes by these pieces; None: the connection is lost."""
    answers: list[dict[str, Any]] = []

    async def receive() -> dict[str, Any]:
        piece = await anext(pieces, b"")
        if piece is None:
            return {"type": "http.disconnect"}
        return {"type": "http.request", "body": piece, "more_body": bool(piece)}

    async def send(message: dict[str, Any]) -> None:
        answers.append(message)

    headers = [(b"authorization", b"Bearer admin"), (b"content-type", b"text/csv")]
    scope = {
        **{"type": "http", "method": "POST", "path": PATH, "raw_path": PATH.encode(), "query_string": b""},
        **{"headers": headers, "scheme": "http", "server": ("customer", 80), "client": ("127.0.0.1", 1)},
        **{"root_path": "", "http_version": "1.1", "asgi": {"version": "3.0"}},
    }
    await asyncio.wait_for(app(scope, receive, send), 120)
    return answers


async def shown(salon: Any) -> list[Any]:
    return list((await salon.ask("GET", PATH)).json()["items"])


async def nothing_is_left(salon: Any) -> bool:
    return await salon.count("customer_import") == await salon.count("customer_import_part") == 0


async def test_a_connection_that_is_lost_leaves_nothing_of_what_had_come(salon: Any, app: Any) -> None:
    seen: list[Any] = []

    async def pieces() -> AsyncIterator[bytes | None]:
        yield ROW * 200_000
        seen.extend(await shown(salon))
        yield b"First na"
        yield None

    [start, *_] = await sent(app, pieces())
    assert start["status"] == 400
    assert [(one["state"], one["bytes"]) for one in seen] == [("uploading", 200_000 * len(ROW))]
    assert await nothing_is_left(salon)


async def test_a_file_that_comes_slowly_is_seen_to_come_and_is_imported(
    salon: Any, app: Any, settings: CustomerSettings, monkeypatch: Any
) -> None:
    seen: list[int] = []
    monkeypatch.setattr(import_upload, "_KEPT_EVERY_S", 0.0)
    # More than one window goes by, and in each of them enough has come.
    object.__setattr__(settings, "customer_import_slow_s", 0.000_1)
    object.__setattr__(settings, "customer_import_bytes_per_s_min", 0)

    async def pieces() -> AsyncIterator[bytes]:
        yield b"First name,Mobile\n"
        for n in range(20):
            await asyncio.sleep(0.001)
            yield f"P{n},0412{n:06d}\n".encode()
            seen.extend(one["bytes"] for one in await shown(salon))

    [start, *_] = await sent(app, pieces())
    assert start["status"] == 201
    assert seen == sorted(set(seen))
    assert await salon.count("customer") == 20


async def test_an_upload_that_stands_still_is_given_up_by_name_and_leaves_nothing(
    salon: Any, app: Any, settings: CustomerSettings
) -> None:
    object.__setattr__(settings, "customer_import_slow_s", 0.05)

    async def pieces() -> AsyncIterator[bytes]:
        yield ROW
        await asyncio.Event().wait()

    start, body, *_ = await sent(app, pieces())
    assert start["status"] == 408
    assert b'"code":"upload_too_slow"' in body["body"]
    assert b'"bytes_per_s_min":1024' in body["body"]
    assert await nothing_is_left(salon)


async def test_a_file_that_says_it_is_too_large_is_refused_before_any_of_it_has_come(salon: Any) -> None:
    async def never() -> AsyncIterator[bytes]:
        raise AssertionError("nothing of it is asked for")
        yield b""

    said = {"Authorization": "Bearer admin", "Content-Type": "text/csv", "Content-Length": str(2 << 30)}
    answer = await salon.http.post("/v1/customers/imports", content=never(), headers=said)
    assert (answer.status_code, answer.json()["code"]) == (413, "too_large")
    assert (await salon.ask("GET", "/v1/customers/imports")).json()["items"] == []
