"""`muster credits statement`: what is asked for, and files that are there when all of them is."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl

import httpx
import pytest

from muster.client import ApiError, Connection, Muster
from muster.client.commands import arguments, credits, exporting

LINES = b"at,kind\r\n2026-11-01T00:00:00Z,top_up\r\n2026-11-02T00:00:00Z,post\r\n"


class Broken(httpx.SyncByteStream):
    """A file whose server dies in the middle of it."""

    def __iter__(self) -> Any:
        yield LINES[:20]
        raise httpx.RemoteProtocolError("the server has gone")


def muster(answer: Callable[[httpx.Request], httpx.Response]) -> Muster:
    def serve(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1/token":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 900})
        return answer(request)

    return Muster(Connection("http://muster", "id", "secret"), transport=httpx.MockTransport(serve))


@pytest.mark.parametrize(("name", "media_type"), [("a.csv", "text/csv"), ("a.JSONL", "application/x-ndjson")])
def test_a_file_is_asked_for_by_its_ending_with_its_filters(tmp_path: Path, name: str, media_type: str) -> None:
    asked: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request)
        return httpx.Response(200, content=LINES, headers={"X-Total-Count": "2"})

    query: dict[str, Any] = {"from": "2026-11-01T00:00:00Z", "kind": ["post", "void"], "reference": None}
    with muster(answer) as api:
        assert exporting.save(api, credits.STATEMENT, tmp_path / name, query) == 2

    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert (tmp_path / name).read_bytes() == LINES
    assert asked[0].headers["accept"] == media_type
    assert parse_qsl(asked[0].url.query.decode()) == [
        ("from", "2026-11-01T00:00:00Z"),
        ("kind", "post"),
        ("kind", "void"),
    ]


def test_a_file_that_broke_off_or_was_refused_is_not_there(tmp_path: Path) -> None:
    with muster(lambda _: httpx.Response(200, stream=Broken())) as api, pytest.raises(httpx.RemoteProtocolError):
        exporting.save(api, credits.STATEMENT, tmp_path / "a.csv", {})
    problem = {"title": "The request is not valid", "code": "not_valid"}
    with muster(lambda _: httpx.Response(422, json=problem)) as api, pytest.raises(ApiError):
        exporting.save(api, credits.STATEMENT, tmp_path / "a.csv", {})

    assert list(tmp_path.iterdir()) == []


def test_an_ending_that_says_no_form_is_refused_before_anything_is_asked(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    from muster.client.commands import main

    for name, value in (("URL", "http://127.0.0.1:1"), ("CLIENT_ID", "id"), ("CLIENT_SECRET", "secret")):
        monkeypatch.setenv(f"MUSTER_{name}", value)

    with pytest.raises(SystemExit) as ended:
        main(["credits", "statement", "--export", "a.pdf"])

    assert ended.value.code == 2
    assert "must end in .csv or .jsonl" in capsys.readouterr().err.replace("│\n│", "")


def test_a_day_is_asked_for_as_its_first_moment_and_pages_keep_the_filters() -> None:
    asked: list[dict[str, str]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(dict(request.url.params))
        more = None if len(asked) == 2 else "next"
        return httpx.Response(200, text=json.dumps({"items": [{"kind": "post"}], "next_cursor": more}))

    with muster(answer) as api:
        rows = list(api.pages(credits.STATEMENT, **{"from": arguments.moment("2026-11-01"), "kind": ["post"]}))

    assert len(rows) == 2
    first = {"from": "2026-11-01T00:00:00Z", "kind": "post"}
    assert asked == [first, {**first, "cursor": "next"}]
