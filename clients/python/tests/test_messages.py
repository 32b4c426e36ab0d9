"""`muster message`: what is asked of the API, and what is waited for."""

import json
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from muster.client import Connection, Muster
from muster.client.commands import main, message

ID = "0198f2a0-0000-7000-8000-000000000001-1"
TAKEN = {"id": ID, "bulk_id": ID[:-2], "state": "waiting", "parts": 1, "credits": 1, "send_by": "2026-11-28T00:00:00Z"}
NOT = {
    "state": "refused",
    "problem": {"code": "invalid", "title": "Not valid", "detail": "messages.1.to: is no number"},
}


class Api:
    """An API whose report knows the message a while later; `asked`: method, path, body and idempotency key."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any, str]] = []
        self.states: Iterator[str] = iter(())

    def __call__(self, request: httpx.Request) -> httpx.Response:
        path, body = request.url.path, json.loads(request.content) if request.content else None
        if path == "/v1/token":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 900})
        self.asked.append((request.method, path, body, request.headers.get("Idempotency-Key", "")))
        if path.endswith("/stop"):
            return httpx.Response(200, json={"id": ID, "status": "stopped"})
        if request.method == "POST" and "messages" in body:
            each = [
                TAKEN | {"index": n} if one["to"] != "12" else NOT | {"index": n}
                for n, one in enumerate(body["messages"])
            ]
            return httpx.Response(207, json={"messages": each, "accepted": 0, "refused": 0})
        if request.method == "POST":
            return httpx.Response(202, json=TAKEN)
        state = next(self.states)
        found = {"id": ID, "status": state} if state else {"code": "not_found", "title": "Not found"}
        return httpx.Response(200 if state else 404, json=found)


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    made = Api()

    def muster(_: Connection) -> Muster:
        return Muster(Connection("http://muster", "id", "secret"), transport=httpx.MockTransport(made))

    for name in ("URL", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.setenv(f"MUSTER_{name}", "http://muster")
    monkeypatch.setattr(message, "Muster", muster)
    monkeypatch.setattr(message, "POLL_S", 0)
    return made


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


def test_a_message_is_sent_as_it_is_written_under_the_key_that_is_given(api: Api) -> None:
    options = ("--kind", "reminder", "--key", "k", "--sender", "Salon")
    assert run("message", "send", "Hi {{there}}", "--yes", "--to", "0412 000 001", *options) == 0
    body = {"text": "Hi {{there}}", "to": "0412 000 001", "class": "factual", "kind": "reminder", "sender": "Salon"}
    assert api.asked == [("POST", "/v1/messages", body, "k")]


def test_a_message_to_several_numbers_is_one_request_that_tells_who_was_refused(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("message", "send", "Hi", "--yes", "--to", "0412000001", "--to", "12", "--key", "k") == 5
    told = capsys.readouterr()
    assert "is no number" in told.out
    assert ID in told.out
    assert told.err == "muster: 1 of 2 numbers refused\n"
    assert run("message", "send", "Hi", "--yes", "--to", "0412000001", "--to", "0412000002", "--json") == 0
    assert [json.loads(line)["to"] for line in capsys.readouterr().out.splitlines()] == ["0412000001", "0412000002"]
    one = {"text": "Hi", "class": "factual", "kind": "single"}
    body = {"messages": [{**one, "to": "0412000001"}, {**one, "to": "12"}]}
    assert api.asked[0] == ("POST", "/v1/messages", body, "k")


def test_what_cannot_be_waited_for_is_refused_before_anything_is_sent(api: Api) -> None:
    assert run("message", "send", "Hi", "--yes", "--to", "0412000001", "--to", "0412000002", "--wait", "5") == 2
    assert api.asked == []


def test_its_end_is_waited_for_also_while_the_report_has_not_heard_of_it(
    api: Api, capsys: pytest.CaptureFixture[str]
) -> None:
    api.states = iter(["", "queued", "accepted", "delivered"])
    assert run("message", "send", "Hi", "--yes", "--customer", "7", "--wait", "60", "--json") == 0
    assert json.loads(capsys.readouterr().out)["status"] == "delivered"
    assert [path for _, path, _, _ in api.asked] == ["/v1/messages", *[f"/v1/messages/{ID}"] * 4]


def test_the_status_of_a_message_is_asked_by_its_id_and_one_that_is_not_known_is_an_error(api: Api) -> None:
    api.states = iter(["undelivered", ""])
    assert run("message", "status", ID) == 0
    assert run("message", "status", ID) == 1


def test_a_message_is_stopped_by_its_id_with_a_reason(api: Api, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("message", "stop", ID, "--reason", "wrong text", "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"id": ID, "status": "stopped"}
    assert [one[:3] for one in api.asked] == [("POST", f"/v1/messages/{ID}/stop", {"reason": "wrong text"})]
