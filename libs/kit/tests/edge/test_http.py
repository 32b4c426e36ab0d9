"""What a client sees when things go wrong: problem documents, and nothing of the inside."""

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any

import asyncpg
import httpx
import pytest
from fastapi import APIRouter, Depends, Query, Request
from pydantic import Field

from muster.kit.auth import PUBLIC, Caller, Permission, Verifier, public, requires, route_permissions
from muster.kit.forms import Form
from muster.kit.http import Flag, Int, Model, Moment, allow, create_app
from muster.kit.pages import CursorText, Limit, decode_cursor, encode_cursor
from muster.kit.pg import Overloaded
from muster.kit.problems import Problem, not_found, unprocessable
from muster.kit.settings import HttpSettings, ServiceSettings

ClientOf = Callable[..., httpx.AsyncClient]


class Inner(Model):
    list: str


@dataclass
class Some:
    since: Annotated[str, Query(alias="from")] = ""


class Body(Model):
    count: Int
    loud: Flag = False
    audience: Inner | None = None
    text: Annotated[str, Field(max_length=5)] = ""
    at: Moment | None = None
    currency: Annotated[str, Form("[A-Z]{3}", "must be three capital letters, such as AUD")] = "AUD"
    named: Annotated[dict[str, Int], Field(default_factory=dict)]


Admin = Annotated[Caller, requires(Permission.CHANGE_SETTINGS)]


def routes(error: Exception | None = None) -> APIRouter:
    router = APIRouter()

    @router.post("/things/{thing_id}")
    @public
    async def thing(thing_id: int, body: Body) -> dict[str, int]:
        return {"id": thing_id}

    @router.get("/raise")
    @public
    async def fail() -> None:
        assert error is not None
        raise error

    @router.get("/wait")
    @public
    async def wait() -> None:
        await asyncio.sleep(60)

    @router.post("/stream", dependencies=[allow(body_bytes_max=4_000)])
    @public
    async def stream(request: Request) -> int:
        return sum([len(chunk) async for chunk in request.stream()])

    @router.get("/pages")
    @public
    async def pages(limit: Limit = 50, cursor: CursorText = None) -> dict[str, Any]:
        return decode_cursor(cursor, {"n": int}) if cursor else {"limit": limit}

    @router.get("/admins")
    async def admins(caller: Admin) -> str:
        return caller.user_id

    @router.get("/births")
    async def births(caller: Admin, some: Annotated[Some, Depends()], limit: Limit = 50) -> str:
        return f"{some.since} {limit}"

    return router


def problem_of(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    problem: dict[str, Any] = answer.json()
    assert (answer.status_code, problem["status"], problem["code"]) == (status, status, code)
    assert answer.headers["content-type"] == "application/problem+json"
    assert problem["type"] == f"urn:muster:problem:{code}"
    assert problem["title"]
    assert answer.headers["cache-control"] == "no-store"
    assert answer.headers["x-request-id"]
    return problem


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, [("count", "missing")]),
        ({"count": "5"}, [("count", "int_type")]),
        ({"count": 5.0}, [("count", "int_type")]),
        ({"count": True}, [("count", "int_type")]),
        ({"count": 2**63}, [("count", "less_than_equal")]),
        ({"count": 1, "loud": 1}, [("loud", "bool_type")]),
        ({"count": 1, "colour": "red"}, [("colour", "unknown_field")]),
        ({"count": 1, "audience": {"list": "a", "all": 1}}, [("audience.all", "unknown_field")]),
        ({"count": 1, "text": "longer"}, [("text", "string_too_long")]),
        ([], [("body", "object_type")]),
        (None, [("body", "missing")]),
    ],
)
async def test_a_wrong_body_names_each_field(client_of: ClientOf, body: Any, errors: list[tuple[str, str]]) -> None:
    answer = await client_of(routes()).post("/things/1", json=body)
    problem = problem_of(answer, 422, "not_valid")
    assert [(error["field"], error["code"]) for error in problem["errors"]] == errors


@pytest.mark.parametrize(
    "at",
    ["2026-11-27", "2026-11-27T10:00:00", "tomorrow", "1764000000", 1764000000, True, "0001-01-01T00:00:00+14:00",
     "9999-12-31T23:59:59-14:00", "2026-13-01T00:00:00Z", "2026-11-27T10:00:00+25:00"],
)  # fmt: skip
async def test_a_time_that_is_not_of_rfc_3339_or_no_time_of_ours_names_its_field(client_of: ClientOf, at: Any) -> None:
    client = client_of(routes())
    problem = problem_of(await client.post("/things/1", json={"count": 1, "at": at}), 422, "not_valid")
    assert [error["field"] for error in problem["errors"]] == ["at"]
    assert (await client.post("/things/1", json={"count": 1, "at": "2026-11-27T10:00:00.5+11:00"})).status_code == 200


@pytest.mark.parametrize("currency", ["aud", "AUDE", "", "AUD\n", "ＡＵＤ"])
async def test_a_text_that_has_not_its_form_is_answered_in_words_and_not_by_a_pattern(
    client_of: ClientOf, currency: str
) -> None:
    client = client_of(routes())
    problem = problem_of(await client.post("/things/1", json={"count": 1, "currency": currency}), 422, "not_valid")

    message = "must be three capital letters, such as AUD"
    assert problem["errors"] == [{"field": "currency", "code": "string_pattern_mismatch", "message": message}]
    assert (await client.post("/things/1", json={"count": 1, "currency": "NZD"})).status_code == 200
    assert Body.model_json_schema()["properties"]["currency"]["pattern"] == "^[A-Z]{3}$"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"text": 5}, "must be a text"),
        ({"loud": "yes"}, "must be true or false"),
        ({"named": []}, "must be a JSON object"),
        ({"audience": "all"}, "must be a JSON object"),
    ],
)
async def test_what_is_of_another_kind_is_told_which_it_must_be(
    client_of: ClientOf, body: dict[str, Any], message: str
) -> None:
    problem = problem_of(await client_of(routes()).post("/things/1", json={"count": 1, **body}), 422, "not_valid")
    assert [error["message"] for error in problem["errors"]] == [message]


async def test_half_of_a_surrogate_pair_in_the_name_of_a_field_is_answered_like_any_other(client_of: ClientOf) -> None:
    content, headers = b'{"count": 1, "named": {"\\ud800": "x"}}', {"Content-Type": "application/json"}
    answer = await client_of(routes()).post("/things/1", content=content, headers=headers)
    assert problem_of(answer, 422, "not_valid")["errors"][0]["code"] == "int_type"


async def test_wrong_input_is_not_repeated_to_whoever_reads_the_answer(client_of: ClientOf) -> None:
    answer = await client_of(routes()).post("/things/1", json={"count": "+61400000000", "text": "secret"})
    assert "61400" not in answer.text
    assert "secret" not in answer.text


async def test_whoever_hangs_up_before_the_end_of_a_body_is_no_failure_of_ours(
    caplog: pytest.LogCaptureFixture,
) -> None:
    router, said = APIRouter(), []

    @router.post("/all")
    @public
    async def take(request: Request) -> int:
        return len(await request.body())

    pieces = iter([{"type": "http.request", "body": b"half", "more_body": True}, {"type": "http.disconnect"}])

    async def receive() -> Any:
        return next(pieces)

    async def send(message: Any) -> None:
        said.append(message)

    scope = {"type": "http", "method": "POST", "path": "/all", "raw_path": b"/all", "query_string": b"", "headers": []}
    await create_app("kit", routers=[router], state={})(scope, receive, send)

    assert said[0]["status"] == 400
    assert "http.failed" not in caplog.text


async def test_malformed_json_names_the_position(client_of: ClientOf) -> None:
    content, headers = b'{"count": 1,\n "text" "x"}', {"Content-Type": "application/json"}
    answer = await client_of(routes()).post("/things/1", content=content, headers=headers)
    problem = problem_of(answer, 422, "malformed_json")
    assert (problem["line"], problem["column"], problem["position"]) == (2, 9, 21)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (b"[" * 100_000, "nested too deeply"),
        (b'{"text": "\xff"}', "byte 11 is no character"),
        (b'{"count": ' + b"9" * 5_000 + b"}", "too many digits"),
    ],
)
async def test_a_body_that_no_parser_takes_is_malformed_json_too(client_of: ClientOf, content: bytes, why: str) -> None:
    headers = {"Content-Type": "application/json"}
    answer = await client_of(routes()).post("/things/1", content=content, headers=headers)
    [error] = problem_of(answer, 422, "malformed_json")["errors"]
    assert error["field"] == "body"
    assert why in error["message"]


async def test_other_wrong_requests_are_problems_too(client_of: ClientOf) -> None:
    client = client_of(routes())
    problem_of(await client.get("/nowhere"), 404, "not_found")
    problem_of(await client.get("/admins/"), 404, "not_found")
    wrong = await client.put("/things/1", json={"count": 1})
    problem_of(wrong, 405, "method_not_allowed")
    assert wrong.headers["allow"] == "POST"
    text = await client.post("/things/1", content=b'{"count":1}', headers={"Content-Type": "text/plain"})
    problem_of(text, 415, "unsupported_media_type")
    for no_number in (b"NaN", b"-Infinity", b"1e999"):
        content, headers = b'{"count": ' + no_number + b"}", {"Content-Type": "application/json"}
        problem_of(await client.post("/things/1", content=content, headers=headers), 422, "not_valid")
    path = problem_of(await client.post("/things/x", json={"count": 1}), 422, "not_valid")
    assert path["errors"][0]["field"] == "thing_id"


async def test_a_body_over_the_limit_is_413_whether_it_says_so_or_not(client_of: ClientOf) -> None:
    client = client_of(routes(), settings=HttpSettings(http_body_bytes_max=1_000))

    async def chunks(total: int) -> Any:
        for _ in range(total // 500):
            yield b" " * 500

    headers = {"Content-Type": "application/json"}
    for content in (b" " * 1_500, chunks(1_500)):
        answer = await client.post("/things/1", content=content, headers=headers)
        assert problem_of(answer, 413, "too_large")["limit_bytes"] == 1_000
    says = [problem_of(await client.post("/things/1", content=b" " * 1_500), 413, "too_large")["detail"]]
    says.append(problem_of(await client.post("/things/1", content=chunks(1_500)), 413, "too_large")["detail"])
    assert says == [
        "It has 1,500 bytes (1.465 KiB); at most 1,000 bytes are read here.",
        "At most 1,000 bytes are read here.",
    ]
    assert (await client.post("/stream", content=chunks(4_000))).json() == 4_000
    assert problem_of(await client.post("/stream", content=chunks(4_500)), 413, "too_large")["limit_bytes"] == 4_000


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (Problem(409, "already_ended", "Ended"), 409, "already_ended"),
        (not_found("bulk-sms"), 404, "not_found"),
        (unprocessable("audience", "empty", "nobody is left"), 422, "empty"),
        (RuntimeError("SELECT secret FROM t"), 500, "internal"),
        (asyncpg.UniqueViolationError("Key (number)=(+61400000000) exists"), 500, "internal"),
        (asyncpg.ConnectionDoesNotExistError("gone"), 503, "unavailable"),
        (asyncpg.QueryCanceledError("statement timeout: SELECT secret"), 503, "unavailable"),
        (asyncpg.LockNotAvailableError("x"), 503, "unavailable"),
        (asyncpg.DiskFullError("x"), 503, "unavailable"),
        (ConnectionRefusedError("x"), 503, "unavailable"),
        (Overloaded("x"), 503, "unavailable"),
        (asyncpg.CharacterNotInRepertoireError("x"), 422, "value_not_storable"),
    ],
)
async def test_each_error_is_the_right_problem_and_shows_nothing_of_the_inside(
    client_of: ClientOf, error: Exception, status: int, code: str
) -> None:
    answer = await client_of(routes(error)).get("/raise")
    problem_of(answer, status, code)
    assert "SELECT" not in answer.text
    assert "61400" not in answer.text
    assert ("retry-after" in answer.headers) == (status == 503)


async def test_a_request_that_takes_too_long_is_given_up(client_of: ClientOf) -> None:
    client = client_of(routes(), settings=HttpSettings(http_request_timeout_s=0.05))
    answer = await client.get("/wait")
    problem_of(answer, 503, "timeout")
    assert answer.headers["retry-after"]


async def test_too_many_requests_at_once_are_refused_and_the_others_served(client_of: ClientOf) -> None:
    settings = HttpSettings(http_in_flight_max=2, http_request_timeout_s=1)
    client = client_of(routes(), settings=settings)
    answers = await asyncio.gather(*(client.get("/wait") for _ in range(5)))
    assert sorted(answer.json()["code"] for answer in answers) == ["overloaded"] * 3 + ["timeout"] * 2
    assert (await client.get("/pages")).status_code == 200


async def test_pages_have_bounds_and_cursors_are_ours(client_of: ClientOf) -> None:
    client = client_of(routes())
    good = encode_cursor({"n": 7})
    assert (await client.get(f"/pages?cursor={good}")).json() == {"n": 7}
    forged = [
        encode_cursor({"n": "x"}),
        encode_cursor({"n": 2**63}),
        encode_cursor({"m": 7}),
        encode_cursor({}),
        "rubbish",
        "e30",
        "W10",
        "%00",
        "é",
    ]
    for query in (*(f"cursor={one}" for one in forged), "limit=0", "limit=501", "limit=x"):
        answer = await client.get(f"/pages?{query}")
        assert answer.status_code == 422, query
        assert answer.json()["errors"][0]["field"] in ("cursor", "limit")


async def test_ids_of_requests_and_traces_come_back(client_of: ClientOf) -> None:
    client = client_of(routes())
    given = await client.get("/pages", headers={"X-Request-Id": "abc-1"})
    assert given.headers["x-request-id"] == "abc-1"
    made = await client.get("/pages", headers={"X-Request-Id": "a b\x7f"})
    assert len(made.headers["x-request-id"]) == 24


async def test_no_token_and_the_wrong_role_are_told_apart(client_of: ClientOf, issuer: Any) -> None:
    client = client_of(routes(), verifier=Verifier.of(ServiceSettings(), fetch=issuer.fetch))

    async def ask(header: str | None) -> httpx.Response:
        return await client.get("/admins", headers={"Authorization": header} if header else {})

    for header in (None, "Bearer rubbish", "Basic eDp5", f"Bearer {issuer.token(exp=5)}"):
        answer = await ask(header)
        problem_of(answer, 401, "unauthorized")
        assert answer.headers["www-authenticate"].startswith("Bearer")
    problem_of(await ask(f"Bearer {issuer.token(role='staff')}"), 403, "forbidden")
    problem_of(await ask(f"Bearer {issuer.token(role='operator')}"), 403, "forbidden")
    assert (await ask(f"Bearer {issuer.token()}")).json() == "user-1"


async def test_a_query_parameter_that_a_route_does_not_know_is_named_with_those_that_it_knows(
    client_of: ClientOf, issuer: Any
) -> None:
    outer = APIRouter(prefix="/v1")
    outer.include_router(routes())
    client = client_of(outer, verifier=Verifier.of(ServiceSettings(), fetch=issuer.fetch))
    headers = {"Authorization": f"Bearer {issuer.token()}"}

    assert (await client.get("/v1/births?from=a&limit=3", headers=headers)).json() == "a 3"
    wrong = problem_of(
        await client.get("/v1/births?since=a&limit=3&Limit=4&since=b", headers=headers), 422, "not_valid"
    )
    assert [(one["field"], one["code"]) for one in wrong["errors"]] == [
        ("since", "unknown_parameter"),
        ("Limit", "unknown_parameter"),
    ]
    assert "known are limit, from" in wrong["errors"][0]["message"]
    wrong = problem_of(await client.get("/v1/admins?limit=3", headers=headers), 422, "not_valid")
    assert "this path takes none" in wrong["errors"][0]["message"]
    many = "&".join(f"{'x' * 200}{n}=1" for n in range(300))
    wrong = problem_of(await client.get(f"/v1/admins?{many}", headers=headers), 422, "not_valid")
    assert len(json.dumps(wrong)) < 10_000
    problem_of(await client.get("/v1/births?since=a"), 401, "unauthorized")
    assert (await client.get("/v1/pages?limit=3&utm_source=mail")).json() == {"limit": 3}, "whom we do not know"


async def test_while_no_keys_were_ever_had_the_answer_is_503(client_of: ClientOf, issuer: Any) -> None:
    issuer.answer = ConnectionRefusedError("down")
    client = client_of(routes(), verifier=Verifier.of(ServiceSettings(), fetch=issuer.fetch))
    answer = await client.get("/admins", headers={"Authorization": f"Bearer {issuer.token()}"})
    problem_of(answer, 503, "keys_unavailable")


def test_each_route_tells_its_permission_and_a_forgotten_one_is_seen() -> None:
    router = routes()

    @router.get("/forgotten")
    async def forgotten() -> None: ...

    (outer := APIRouter(prefix="/v1")).include_router(router)
    found = route_permissions(create_app("kit", routers=[outer], state={}))
    assert found["GET", "/v1/admins"] == Permission.CHANGE_SETTINGS
    assert found["GET", "/v1/pages"] == PUBLIC
    assert found["GET", "/v1/forgotten"] is None


async def test_documentation_is_off_in_production_and_the_document_is_there_for_us(client_of: ClientOf) -> None:
    for path in ("/docs", "/redoc", "/openapi.json"):
        assert (await client_of(routes()).get(path)).status_code == 404
    development = client_of(routes(), settings=HttpSettings(environment="development"))
    assert (await development.get("/docs")).status_code == 200
    document = create_app("kit", routers=[routes()], state={}).openapi()
    operation = document["paths"]["/things/{thing_id}"]["post"]
    assert operation["responses"].keys() == {"200", "default"}
    assert operation["responses"]["default"]["$ref"] == "#/components/responses/Problem"
    assert "HTTPValidationError" not in json.dumps(document)
