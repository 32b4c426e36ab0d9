"""What goes on until it is broken off: a report that is followed, a send that is watched."""

import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from muster.client.commands import bulk, main, report


def row(name: str, status: str) -> dict[str, Any]:
    empty = {"bulk_id": "b", "seq": 1, "kind": "bulk", "sent_at": None, "number": "+61412345678", "text": "Hi"}
    return {"id": name, **empty, "erased": False, "parts": 1, "credits": 1, "status": status, "replies": []}


def ended(*arguments: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(arguments)
    return int(end.value.code or 0)


def test_the_report_goes_on_with_what_comes_and_with_whose_status_changes(
    answering: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    states = [
        [row("one", "accepted")],
        [row("two", "accepted"), row("one", "accepted")],
        [row("two", "accepted"), row("one", "delivered")],
    ]

    def wait(_: float) -> None:
        states.pop(0)
        if not states:
            raise KeyboardInterrupt

    answering(lambda _, __: httpx.Response(200, json={"items": states[0], "next_cursor": None}), report)
    monkeypatch.setattr(report.time, "sleep", wait)
    assert ended("report", "--follow", "--json") == 0
    told = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(one["id"], one["status"]) for one in told] == [
        ("one", "accepted"),
        ("two", "accepted"),
        ("one", "delivered"),
    ]


def test_a_send_whose_watching_is_broken_off_goes_on_and_says_how_to_stop_it(
    answering: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    asked: list[tuple[str, Any]] = []

    def answer(request: httpx.Request, path: str) -> httpx.Response:
        asked.append((path, json.loads(request.content)))
        quoted = {"id": "q-1", "recipients": 3, "credits": 3}
        return httpx.Response(201, json=quoted if path == "/v1/quotes" else {"id": "b-1"})

    def broken_off(*_: Any) -> None:
        raise KeyboardInterrupt

    answering(answer, bulk)
    monkeypatch.setattr(bulk, "follow", broken_off)
    assert ended("bulk", "send", "--to", "all", "--text", "Hi", "--yes", "--json") == 130
    assert "muster bulk stop b-1" in capsys.readouterr().err
    assert asked == [
        ("/v1/quotes", {"text": "Hi", "audience": {"all": True}}),
        ("/v1/bulk-sms", {"quote_id": "q-1", "partial": "nothing"}),
    ]
    assert ended("bulk", "send", "Hi", "--text", "Hi") == 2
    assert "give the text once" in capsys.readouterr().err
