"""Direct routes are answered straight from the edge, as any other route would be."""

import json
from collections.abc import AsyncIterator, Callable
from typing import Annotated, Any

import asyncpg
import httpx
import pytest
from fastapi import APIRouter, Depends, Request
from prometheus_client import REGISTRY
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response

from muster.kit.auth import Caller, Permission, Verifier, requires
from muster.kit.direct import DirectRoute, body_of, straight
from muster.kit.problems import Problem
from muster.kit.settings import HttpSettings, ServiceSettings

ERRORS: dict[str, Exception] = {
    "problem": Problem(409, "taken", "It is taken"),
    "http": HTTPException(404),
    "busy": asyncpg.TooManyConnectionsError(),
    "value": asyncpg.DataError("out of range"),
    "bug": KeyError("bug"),
    "late": TimeoutError(),
}
Client = Callable[..., httpx.AsyncClient]
TRACE = f"00-{1:032x}-{1:016x}-00"


async def act(request: Request, caller: Caller) -> Response:
    """Says who has called with what, or fails as it is told."""
    body = await body_of(request)
    assert body == await request.body()
    if (error := ERRORS.get(body.decode("utf-8", "replace"))) is not None:
        raise error
    return Response(json.dumps({"user": caller.user_id, "bytes": len(body)}).encode(), 202)


def routers() -> tuple[APIRouter, APIRouter]:
    """The same route, direct and not."""
    direct, plain = APIRouter(prefix="/v1", route_class=DirectRoute), APIRouter(prefix="/v1")
    for router in (direct, plain):

        @router.post("/acts")
        async def take(request: Request, caller: Annotated[Caller, requires(Permission.SEND)]) -> Response:
            return await act(request, caller)

    return direct, plain


@pytest.fixture
def both(client_of: Client, issuer: Any) -> list[httpx.AsyncClient]:
    settings = HttpSettings(environment="development", http_body_bytes_max=100)
    verifier = Verifier.of(ServiceSettings(), fetch=issuer.fetch)
    return [client_of(router, settings=settings, verifier=verifier) for router in routers()]


@pytest.mark.parametrize(
    ("content", "status"),
    [
        *((b"a" * 50, 202), (b"a" * 101, 413), (b"problem", 409), (b"http", 404), (b"busy", 503)),
        *((b"value", 422), (b"bug", 500), (b"late", 503)),
    ],
)
async def test_whatever_happens_is_answered_word_for_word_as_by_any_other_route(
    both: list[httpx.AsyncClient], issuer: Any, content: bytes, status: int
) -> None:
    headers = {"Authorization": f"Bearer {issuer.token()}", "X-Request-Id": "one", "traceparent": TRACE}

    direct, plain = [await client.post("/v1/acts", content=content, headers=headers) for client in both]

    assert (direct.status_code, direct.content, direct.headers) == (status, plain.content, plain.headers)


async def test_a_body_that_comes_in_pieces_is_read_whole(both: list[httpx.AsyncClient], issuer: Any) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(3):
            yield b"12345"

    answer = await both[0].post("/v1/acts", content=pieces(), headers={"Authorization": f"Bearer {issuer.token()}"})
    assert (answer.status_code, answer.json()["bytes"]) == (202, 15)


@pytest.mark.parametrize("before", [[], [{"type": "http.request", "body": b"1", "more_body": True}]])
async def test_a_body_that_breaks_off_is_none(before: list[Any]) -> None:
    messages = iter([*before, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(messages)

    with pytest.raises(ClientDisconnect):
        await body_of(Request({"type": "http"}, receive))


async def test_of_a_header_that_comes_twice_the_first_one_counts(both: list[httpx.AsyncClient], issuer: Any) -> None:
    token, other = issuer.token(), issuer.token(role="staff")
    twice = [("Authorization", f"Bearer {token}"), ("Authorization", f"Bearer {other}")]
    ids = [("X-Request-Id", "one"), ("X-Request-Id", "two"), ("traceparent", TRACE)]

    direct, plain = [await client.post("/v1/acts", content=b"a", headers=[*twice, *ids]) for client in both]

    assert (direct.status_code, direct.headers["X-Request-Id"]) == (202, "one")
    assert (direct.content, direct.headers) == (plain.content, plain.headers)


@pytest.mark.parametrize("who", [{}, {"role": "staff"}, {"exp": 1}])
async def test_who_may_not_call_is_refused_as_by_any_other_route(
    both: list[httpx.AsyncClient], issuer: Any, who: dict[str, Any]
) -> None:
    headers = {"X-Request-Id": "one", "traceparent": TRACE} | (
        {"Authorization": f"Bearer {issuer.token(**who)}"} if who else {}
    )

    direct, plain = [await client.post("/v1/acts", content=b"a", headers=headers) for client in both]

    assert direct.status_code in (401, 403)
    assert (direct.content, direct.headers) == (plain.content, plain.headers)


async def test_it_is_counted_by_its_template_and_other_methods_and_paths_are_none_of_its(
    both: list[httpx.AsyncClient], issuer: Any
) -> None:
    counted = {"method": "POST", "route": "/v1/acts", "status": "202"}

    def seen() -> float:
        return REGISTRY.get_sample_value("muster_http_requests_total", counted) or 0.0

    before, headers = seen(), {"Authorization": f"Bearer {issuer.token()}"}
    statuses = [
        (await both[0].request(method, path, content=b"a", headers=headers)).status_code
        for method, path in (("POST", "/v1/acts"), ("GET", "/v1/acts"), ("POST", "/v1/acts/"), ("POST", "/v1/act"))
    ]
    assert (statuses, seen() - before) == ([202, 405, 404, 404], 1)


async def test_a_direct_route_whose_path_has_a_parameter_goes_the_long_way(client_of: Client, issuer: Any) -> None:
    router = APIRouter(prefix="/v1", route_class=DirectRoute)

    @router.get("/acts/{act_id}")
    async def read(request: Request, caller: Annotated[Caller, requires(Permission.SEND)]) -> Response:
        return Response(request.path_params["act_id"])

    verifier = Verifier.of(ServiceSettings(), fetch=issuer.fetch)
    client = client_of(router, settings=HttpSettings(environment="development"), verifier=verifier)

    found = await client.get("/v1/acts/7", headers={"Authorization": f"Bearer {issuer.token()}"})

    assert (straight([router], {}), found.text) == ({}, "7")


async def test_a_direct_route_takes_nothing_that_fastapi_would_have_to_solve() -> None:
    router = APIRouter(route_class=DirectRoute)
    with pytest.raises(TypeError, match="what else it needs, it reads itself"):

        @router.post("/acts")
        async def take(request: Request, other: Annotated[int, Depends(lambda: 1)]) -> Response:
            raise AssertionError
