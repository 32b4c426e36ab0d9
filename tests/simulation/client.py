"""Somebody who calls the API: a request runs in the process that serves it, and may be lost with it."""

import asyncio
import json
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID

from muster.events import NIL_TENANT

if TYPE_CHECKING:
    from simulation.world import World

OPERATOR: Final = f"{NIL_TENANT}:operator"
_ANSWER_LIMIT_S: Final = 40.0
_RETRY_S: Final = 1.0
_TRIES_MAX: Final = 60


class NoAnswer(Exception):
    """The connection broke: whether anything was done is not known."""


def admin(tenant_id: UUID) -> str:
    """The token of a tenant's admin."""
    return f"{tenant_id}:admin"


async def call(
    world: "World", token: str, method: str, path: str, body: Any = None, *, service: str, key: str = "",
    content_type: str = "application/json",
) -> tuple[int, Any]:  # fmt: skip
    """One request: status and document."""
    node, app = world.apps.get(service, (None, None))
    if node is None or node.dead:
        raise NoAnswer
    octets = body if isinstance(body, bytes) else b"" if body is None else json.dumps(body).encode()
    headers = [(b"authorization", f"Bearer {token}".encode())]
    if octets:
        headers += [(b"content-type", content_type.encode()), (b"content-length", str(len(octets)).encode())]
    if key:
        headers.append((b"idempotency-key", key.encode()))
    path, _, query = path.partition("?")
    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": method, "scheme": "http",
        "path": path, "raw_path": path.encode(), "query_string": query.encode(), "headers": headers,
        "server": ("simulated", 80), "client": ("simulated", 1), "root_path": "", "state": {},
    }  # fmt: skip
    answer: asyncio.Future[tuple[int, Any]] = world.loop.create_future()
    task = world.loop.create_task(_serve(app, scope, octets, answer), context=node.context.copy())
    task.add_done_callback(lambda _: answer.done() or answer.set_exception(NoAnswer()), context=world.context)
    node.ends.append(lambda: answer.done() or answer.set_exception(NoAnswer()))
    try:
        async with asyncio.timeout(_ANSWER_LIMIT_S):
            return await asyncio.shield(answer)
    except TimeoutError:
        raise NoAnswer from None


async def _serve(app: Any, scope: Any, octets: bytes, answer: "asyncio.Future[tuple[int, Any]]") -> None:
    status, found = 0, b""
    asked = False

    async def receive() -> Any:
        nonlocal asked
        if asked:
            await asyncio.Event().wait()
        asked = True
        return {"type": "http.request", "body": octets, "more_body": False}

    async def send(message: Any) -> None:
        nonlocal status, found
        if message["type"] == "http.response.start":
            status = message["status"]
        else:
            found += message.get("body", b"")
            if not message.get("more_body") and not answer.done():
                answer.set_result((status, json.loads(found) if found else None))

    await app(scope, receive, send)


async def ask(world: "World", token: str, method: str, path: str, body: Any = None, **options: Any) -> tuple[int, Any]:
    """As a client that tries again, with the same key, for as long as it does not get an answer."""
    for _ in range(_TRIES_MAX):
        status, found = await _try(world, world.faults.of_request(), token, method, path, body, **options)
        world.trace.add("client", f"{method} {options['service']}", status)
        if status and status < 500:
            return status, found
        await asyncio.sleep(_RETRY_S)
    raise AssertionError(f"{method} {path}: no answer after {_TRIES_MAX} tries")


async def _try(world: "World", fault: str, *asked: Any, **options: Any) -> tuple[int, Any]:
    """One request, or two at once where somebody is impatient; status 0 where no answer arrives."""
    count = 2 if fault == "asked twice at once" else 1
    calls = [asyncio.ensure_future(call(world, *asked, **options)) for _ in range(count)]
    answers = await asyncio.gather(*calls, return_exceptions=True)
    for answer in reversed(answers):
        if not isinstance(answer, BaseException) and fault != "answer lost":
            return answer
        if isinstance(answer, BaseException) and not isinstance(answer, NoAnswer):
            raise answer
    return 0, None
