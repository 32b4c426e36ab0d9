"""Both clients: one is made from the other; what is repeated, how often, after how long, and what a refusal says."""

import importlib.util
import json
import re
from collections.abc import Callable
from importlib.resources import files
from pathlib import Path
from typing import Any

import httpx
import pytest

from muster.client import ApiError, AsyncMuster, Connection, FieldError, Muster
from muster.client.connection import content_of, pause_s

CONNECTION = Connection("http://muster", "id", "secret")
Answer = Callable[[httpx.Request], httpx.Response]


class Api:
    """Answers in turn; tokens are given, and counted."""

    def __init__(self, *turns: httpx.Response | Exception) -> None:
        self.turns = list(turns)
        self.asked: list[httpx.Request] = []
        self.tokens = 0

    def __call__(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/token":
            self.tokens += 1
            return httpx.Response(200, json={"access_token": f"t{self.tokens}", "expires_in": 900})
        self.asked.append(request)
        turn = self.turns.pop(0)
        if isinstance(turn, Exception):
            raise turn
        return turn


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muster.client.connection._FIRST_PAUSE_S", 0.0)


@pytest.fixture(params=["blocking", "asynchronous"])
def ask(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """The same call by the one client and by the other: `await ask(api, "get", "/v1/credits")`."""

    async def asked(api: Api, method: str, *given: Any, **options: Any) -> Any:
        transport = httpx.MockTransport(api)
        if request.param == "blocking":
            with Muster(CONNECTION, transport=transport) as muster:
                found = getattr(muster, method)(*given, **options)
                return found if isinstance(found, dict) or found is None else list(found)
        async with AsyncMuster(CONNECTION, transport=transport) as muster:
            found = getattr(muster, method)(*given, **options)
            return [one async for one in found] if hasattr(found, "__aiter__") else await found

    return asked


def test_the_blocking_client_is_what_is_made_of_the_asynchronous_one() -> None:
    generator = Path(__file__).parents[1] / "generate.py"
    spec = importlib.util.spec_from_file_location("client_generate", generator)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    made = module.files()
    assert {path.name for path in made} == {path.name for path in module.BLOCKING.glob("*.py")}
    stale = [path.name for path, text in made.items() if path.read_text("utf-8") != text]
    assert stale == [], "python clients/python/generate.py makes them anew"


async def test_a_write_is_repeated_with_its_key_until_it_is_answered(ask: Any) -> None:
    api = Api(httpx.ConnectError("away"), httpx.Response(503), httpx.Response(202, json={"id": "b1"}))
    assert await ask(api, "send", "q1") == {"id": "b1"}
    assert len({one.headers["Idempotency-Key"] for one in api.asked}) == 1
    assert [json.loads(one.content) for one in api.asked] == [{"quote_id": "q1"}] * 3
    api = Api(httpx.Response(202, json={}), httpx.Response(202, json={}))
    await ask(api, "send", "q1")
    await ask(api, "send", "q1", key="mine")
    assert api.asked[0].headers["Idempotency-Key"] not in ("mine", "")
    assert api.asked[1].headers["Idempotency-Key"] == "mine"


async def test_after_so_many_tries_the_caller_hears_of_it(ask: Any) -> None:
    api = Api(*[httpx.Response(503, json={"title": "Away", "code": "unavailable"})] * 4)
    with pytest.raises(ApiError) as refused:
        await ask(api, "credits")
    assert (refused.value.status, refused.value.code, len(api.asked)) == (503, "unavailable", 4)


async def test_a_refusal_is_not_repeated_and_says_what_is_wrong_with_what(ask: Any) -> None:
    problem = {"title": "No", "code": "invalid", "errors": [{"field": "to", "code": "short", "message": "is short"}]}
    api = Api(httpx.Response(422, json=problem))
    with pytest.raises(ApiError) as refused:
        await ask(api, "message", "Hi", to="1")
    assert refused.value.errors == (FieldError("to", "short", "is short"),)
    assert len(api.asked) == 1


async def test_a_token_that_is_not_taken_any_more_is_asked_for_anew_once(ask: Any) -> None:
    over = httpx.Response(401, json={"title": "Over", "code": "unauthorized"})
    page = httpx.Response(200, json={"items": [{"id": "1"}], "next_cursor": "c"})
    last = httpx.Response(200, json={"items": [{"id": "2"}], "next_cursor": None})
    api = Api(page, over, last)
    assert await ask(api, "report") == [{"id": "1"}, {"id": "2"}]
    assert (api.tokens, api.asked[-1].headers["Authorization"]) == (2, "Bearer t2")
    api = Api(over)
    with pytest.raises(ApiError, match="401"):
        await ask(api, "credits")


async def test_a_file_goes_piece_by_piece_and_again_from_its_start(ask: Any) -> None:
    gone: list[int] = []
    content = b"Mobile\n" + b"0412345678\n" * 10_000
    api = Api(httpx.Response(503), httpx.Response(202, json={"id": "i1"}))
    await ask(api, "begin_import", content, sent=lambda done, _: gone.append(done))
    assert api.asked[-1].content == content
    assert gone[-1] == len(content)
    assert gone.count(len(content)) == 2


@pytest.mark.parametrize(
    ("wanted", "pause"),
    [("2", 2.0), ("30", 30.0), ("31", None), ("Wed, 21 Oct 2026 07:28:00 GMT", 0.0)],
)
def test_a_servers_retry_after_is_kept_to_unless_it_is_long(wanted: str, pause: float | None) -> None:
    answer = httpx.Response(429, headers={"Retry-After": wanted})
    assert pause_s(1, "GET", {}, answer) == pause


def test_pauses_double_and_are_never_the_same_for_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("muster.client.connection._FIRST_PAUSE_S", 0.5)
    for attempt, most in ((1, 0.5), (2, 1.0), (3, 2.0)):
        pauses = [pause_s(attempt, "GET", {}, None) or 0.0 for _ in range(200)]
        assert most / 2 <= min(pauses) < max(pauses) <= most
        assert len(set(pauses)) > 100
    assert pause_s(4, "GET", {}, None) is None


def test_what_may_be_done_twice_by_a_repetition_is_not_repeated() -> None:
    assert pause_s(1, "POST", {}, None) is None
    assert pause_s(1, "POST", {"Idempotency-Key": "k"}, None) is not None


def test_a_refusal_tells_programs_all_that_the_problem_said() -> None:
    problem = {"title": "Not allowed", "detail": "Staff do not send.", "code": "forbidden", "permission": "send"}
    answer = httpx.Response(
        403,
        json=problem,
        headers={"Retry-After": "7", "X-Trace-Id": "0af7"},
        request=httpx.Request("POST", "http://muster/v1/bulk-sms?a=b"),
    )
    with pytest.raises(ApiError) as refused:
        content_of(answer)
    error = refused.value
    assert (error.status, error.code, error.title, error.detail) == (
        403,
        "forbidden",
        "Not allowed",
        "Staff do not send.",
    )
    assert (error.retry_after_s, error.trace_id, error.problem) == (7.0, "0af7", problem)
    assert error.path == "/v1/bulk-sms"


def test_what_the_page_names_is_there_and_the_package_says_that_it_is_typed() -> None:
    page = (Path(__file__).parents[3] / "docs" / "client.md").read_text(encoding="utf-8")
    methods, refusals = (page.split(f"## {title}")[1].split("##")[0] for title in ("Methods", "What goes wrong"))
    named = set(re.findall(r"`([a-z_]+)`", methods))
    assert len(named) > 40
    assert [name for name in named if not (hasattr(Muster, name) and hasattr(AsyncMuster, name))] == []
    members = re.findall(r"`\.([a-z_]+)`", refusals)
    assert set(members) == {name for name in (*vars(ApiError(404, {})), "errors") if not name.startswith("_")}
    assert files("muster.client").joinpath("py.typed").is_file()
