"""`muster bulk watch`: streams of server-sent events, those that are cut off, and those that there are too many of."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from muster.client import ApiError, Connection, Muster, connection
from muster.client.blocking import sending
from muster.client.commands import bulk, main
from muster.client.events import Event, Events

BULK = "0198f2a0-0000-7000-8000-000000000001"
ENDS = ("delivered", "failed", "held", "stopped", "suppressed")
Answer = Callable[[httpx.Request], httpx.Response]


def numbers(left: int, state: str = "sending") -> dict[str, Any]:
    counts = {**dict.fromkeys(ENDS, 0), "recipients": 3, "left": left}
    return {
        **counts,
        "state": state,
        "rate_per_s": 7.5,
        "pace": {"finish_at": "2026-11-27T07:00:00Z"} if left else None,
    }


def event(id_: str, name: str, progress: dict[str, Any]) -> str:
    return f"id: {id_}\nevent: {name}\ndata: {json.dumps(progress)}\n\n"


@pytest.fixture
def watching(monkeypatch: pytest.MonkeyPatch) -> Callable[..., tuple[Muster, list[httpx.Request]]]:
    """A Muster whose streams answer in turn; JSON is asked for between them."""
    monkeypatch.setattr(sending, "WATCH_RETRY_S", 0.0)
    monkeypatch.setattr(connection, "_FIRST_PAUSE_S", 0.0)

    def made(*streams: httpx.Response | Exception) -> tuple[Muster, list[httpx.Request]]:
        asked: list[httpx.Request] = []
        turns = iter(streams)

        def answer(request: httpx.Request) -> httpx.Response:
            if request.url.path == "/v1/token":
                return httpx.Response(200, json={"access_token": "t", "expires_in": 900})
            asked.append(request)
            if request.headers["accept"] != "text/event-stream":
                return httpx.Response(200, json=numbers(1))
            turn = next(turns)
            if isinstance(turn, Exception):
                raise turn
            return turn

        return Muster(Connection("http://muster", "id", "secret"), transport=httpx.MockTransport(answer)), asked

    return made


def test_events_are_read_whole_and_one_that_is_cut_off_is_none() -> None:
    lines = ["retry: 1500", "", ": still here", "", "id: 7", "event: progress", 'data: {"a": 1}', "", "event: end"]

    events = Events()
    found = [event for line in lines if (event := events.read(line)) is not None]

    assert found == [Event("", retry_s=1.5), Event(""), Event("progress", '{"a": 1}', "7")]


def test_a_stream_that_was_cut_off_is_taken_up_after_the_last_event_that_was_seen(watching: Any) -> None:
    first = httpx.Response(200, text="retry: 0\n\n" + event("a", "progress", numbers(2)) + "id: b\nevent: pro")
    last = httpx.Response(200, text=event("c", "progress", numbers(0, "closed")) + event("c", "end", numbers(0)))
    muster, asked = watching(first, httpx.ConnectError("away"), last)

    seen = [progress["left"] for progress in muster.watch(BULK)]

    assert seen == [2, 1, 1, 0, 0]
    streams = [request for request in asked if request.headers["accept"] == "text/event-stream"]
    assert [request.headers["last-event-id"] for request in streams] == ["", "a", "a"]


def test_where_there_are_too_many_streams_the_numbers_are_asked_for(watching: Any) -> None:
    full = httpx.Response(429, json={"title": "Too many streams", "code": "too_many_streams"})
    muster, _ = watching(full, full, httpx.Response(200, text=event("c", "end", numbers(0, "closed"))))

    assert [progress["left"] for progress in muster.watch(BULK)] == [1, 1, 0]


def test_a_send_that_is_not_there_is_not_watched(watching: Any) -> None:
    muster, _ = watching(httpx.Response(404, json={"title": "Not found", "code": "not_found"}))

    with pytest.raises(ApiError, match="404"):
        list(muster.watch(BULK))


def test_the_command_prints_each_change_as_a_line_for_programs(
    watching: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    text = event("a", "progress", numbers(2)) + event("b", "end", numbers(0, "closed"))
    for name in ("URL", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.setenv(f"MUSTER_{name}", "http://muster")
    for options, lines in ((("--json",), 2), ((), 0)):
        muster, _ = watching(httpx.Response(200, text=text))
        monkeypatch.setattr(bulk, "Muster", lambda _, muster=muster: muster)

        with pytest.raises(SystemExit) as ended:
            main(("bulk", "watch", BULK, *options))

        out = capsys.readouterr().out
        assert (ended.value.code, sum(line.startswith("{") for line in out.splitlines())) == (0, lines)
        assert "closed" in out
