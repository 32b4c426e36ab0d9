"""`muster send` and `muster bulk unknown`: what is asked of the API."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from muster.client import Connection, Muster
from muster.client.commands import bulk, checks, main, why

Run = Callable[..., int]
BULK = "0198f2a0-0000-7000-8000-000000000001"
SHOWN = {
    "shortest": {"customer_id": 17, "name": "Ana", "country": "AU", "text": "Hi Ana", "parts": 1, "credits": 1},
    "dearest": {"customer_id": 4, "name": "Zoő", "country": "NZ", "text": "Hi Zoő", "parts": 1, "credits": 2},
}
CHECK = {"check": "class", "country": "AU", "status": "warning", "message": "An offer?", "source": "Spam Act 2003"}
SIGNATURE = "ab" * 64
SIGNED: dict[str, Any] = {
    **{"class": "marketing", "sender": "Salon", "recipients": 5, "credits": 5, "role": "admin", "confirmed_by": "ada"},
    **{"quoted_at": "2026-11-28T01:00:00Z", "confirmed_at": "2026-11-28T01:01:00Z"},
    "checks": [{**CHECK, "recipients": 5}],
    "overrides": [{"check": "consent", "country": "US", "by": "ada", "reason": "On paper"}],
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, Any]]:
    """What the command asks of an API that knows one send."""
    seen: list[tuple[str, str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        path, body = request.url.path, json.loads(request.content) if request.content else None
        if path == "/v1/token":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 900})
        seen.append((request.method, path, body))
        if path.endswith("/verification"):
            same = body["signed"] == SIGNED
            return httpx.Response(200, json={"valid": same, "kept": same})
        if path.endswith("/checks"):
            told = {"bulk_id": BULK, "signed": SIGNED, "signature": SIGNATURE, "public_key": "cd" * 32}
            return httpx.Response(200, json={**told, "how": "", "intact": True, "text": True})
        if path.endswith("/unknown"):
            message = {"seq": 3, "parts": 1, "credits": 2, "submitted_at": "2026-11-26T20:00:00Z"}
            given = {"id": BULK, "answer": "charge", "messages": 1, "credits": 2}
            return httpx.Response(200, json=given if body else {"items": [message], "next_cursor": None})
        if "/customers" in path:
            told = {"customer_id": 17, "outcome": "texted", "report": f"/v1/messages/{BULK}-1"}
            return httpx.Response(200, json={"items": [told]} if path.endswith("/customers") else told)
        if path.startswith("/v1/messages/"):
            return httpx.Response(200, json={"status": "delivered"})
        told = {"id": BULK, "recipients": 2, "credits": 2, "state": "closed"}
        return httpx.Response(200, json=told | (SHOWN if path == "/v1/quotes" else {}))

    def muster(_: Connection) -> Muster:
        return Muster(Connection("http://muster", "id", "secret"), transport=httpx.MockTransport(answer))

    for name in ("URL", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.setenv(f"MUSTER_{name}", "http://muster")
    for module in (bulk, checks, why):
        monkeypatch.setattr(module, "Muster", muster)
    return seen


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("options", "partial"),
    [((), "nothing"), (("--partial", "first_n"), "first_n"), (("--partial", "nothing"), "nothing")],
)
def test_a_send_says_what_is_wanted_where_credits_are_short(
    asked: list[tuple[str, str, Any]], options: tuple[str, ...], partial: str
) -> None:
    assert run("send", "Hello", "--yes", "--no-watch", "--json", *options) == 0

    assert [body["partial"] for method, path, body in asked if (method, path) == ("POST", "/v1/bulk-sms")] == [partial]


def test_a_send_can_be_for_a_time_of_each_recipients_own(asked: list[tuple[str, str, Any]]) -> None:
    assert run("send", "Hello", "--yes", "--no-watch", "--json", "--local-time", "2026-12-24T10:00") == 0

    [quoted] = [body for method, path, body in asked if (method, path) == ("POST", "/v1/quotes")]
    assert quoted == {"text": "Hello", "audience": {"all": True}, "local_time": "2026-12-24T10:00"}


def test_a_send_can_be_no_marketing(asked: list[tuple[str, str, Any]]) -> None:
    assert run("send", "Hello", "--yes", "--no-watch", "--json", "--class", "factual") == 0

    [quoted] = [body for method, path, body in asked if (method, path) == ("POST", "/v1/quotes")]
    assert quoted == {"text": "Hello", "audience": {"all": True}, "class": "factual"}


def test_a_send_can_be_by_another_sender_of_the_business_and_be_too_late(asked: list[tuple[str, str, Any]]) -> None:
    until = "2026-12-24T17:00:00+11:00"
    assert run("send", "Hello", "--yes", "--no-watch", "--json", "--sender", "Salon", "--send-by", until) == 0
    assert run("bulk", "again", BULK, "--yes", "--no-watch", "--json", "--send-by", until) == 0

    [quoted] = [body for method, path, body in asked if (method, path) == ("POST", "/v1/quotes")]
    assert quoted == {"text": "Hello", "audience": {"all": True}, "sender": "Salon"}
    sent = [body for method, path, body in asked if (method, path) == ("POST", "/v1/bulk-sms")]
    assert sent == [{"quote_id": BULK, "partial": "nothing", "send_by": until}] * 2


@pytest.mark.parametrize(("options", "failed"), [((), False), (("--failed",), True)])
def test_a_send_is_sent_again_after_its_new_quote_was_shown(
    asked: list[tuple[str, str, Any]], capsys: pytest.CaptureFixture[str], options: tuple[str, ...], failed: bool
) -> None:
    assert run("bulk", "again", BULK, "--yes", "--no-watch", "--json", *options) == 0

    assert len(capsys.readouterr().out.splitlines()) == 2
    sent = {"quote_id": BULK, "partial": "nothing"}
    writes = [one for one in asked if one[0] == "POST"]
    assert writes == [("POST", f"/v1/bulk-sms/{BULK}/again", {"failed": failed}), ("POST", "/v1/bulk-sms", sent)]


def test_a_choice_that_there_is_none_asks_nothing(asked: list[tuple[str, str, Any]]) -> None:
    assert run("send", "Hello", "--yes", "--partial", "some") == 2
    assert asked == []


def test_unknown_messages_are_listed_and_answered(
    asked: list[tuple[str, str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("bulk", "unknown", BULK, "--json") == 0
    assert json.loads(capsys.readouterr().out)["seq"] == 3
    assert run("bulk", "unknown", BULK, "--answer", "charge", "--yes", "--reason", "seen", "--json") == 0
    assert json.loads(capsys.readouterr().out)["answer"] == "charge"

    path = f"/v1/bulk-sms/{BULK}/unknown"
    assert asked == [("GET", path, None), ("POST", path, {"answer": "charge", "reason": "seen"})]


def test_a_quote_shows_people_the_shortest_and_the_dearest_message_and_who_gets_it(
    asked: list[tuple[str, str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("quote", "Hi {first_name}") == 0
    lines = [[cell.strip() for cell in line.split("│")[1:-1]] for line in capsys.readouterr().out.splitlines()]
    assert ["shortest", "Ana (17, AU)", "1", "1", "Hi Ana"] in lines
    assert ["dearest", "Zoő (4, NZ)", "1", "2", "Hi Zoő"] in lines
    assert len(asked) == 1


@pytest.mark.parametrize(
    ("options", "audience"),
    [
        ((), {"all": True}),
        (("--to", "all"), {"all": True}),
        (("--to", "tag:vip", "--to", "tag:new"), {"tags": ["vip", "new"]}),
        (("--to", "list:Regulars", "--to", "search:Lapsed"), {"lists": ["Regulars"], "saved_search": "Lapsed"}),
        (("--to", "last visit before 2026-05-01"), {"query": "last visit before 2026-05-01"}),
        (
            ("--exclude", "messaged:7", "--exclude", "cap:4/30", "--exclude", "seen:last visit=2026-05-01"),
            {
                "all": True,
                "exclude": {
                    "messaged_in_days": 7,
                    "cap": {"messages": 4, "days": 30},
                    "seen_since": {"field": "last visit", "since": "2026-05-01"},
                },
            },
        ),
        (
            ("--to", "tag:vip", "--exclude", "list:Staff", "--exclude", "number starts with 0400"),
            {"tags": ["vip"], "exclude": {"lists": ["Staff"], "query": "number starts with 0400"}},
        ),
    ],
)
def test_whom_a_send_is_for_and_whom_it_excludes_is_said_by_options(
    asked: list[tuple[str, str, Any]], options: tuple[str, ...], audience: dict[str, Any]
) -> None:
    assert run("quote", "Hello", "--json", *options) == 0
    assert asked == [("POST", "/v1/quotes", {"text": "Hello", "audience": audience})]
    assert run("send", "Hello", "--yes", "--no-watch", "--json", *options) == 0
    assert asked[1][2] == asked[0][2]


@pytest.mark.parametrize(
    "options",
    [
        ("--to", "all", "--to", "tag:vip"),
        ("--to", "one query", "--to", "another"),
        ("--to", "tag:"),
        ("--exclude", "messaged:week"),
        ("--exclude", "cap:4"),
        ("--exclude", "seen:2026-05-01"),
    ],
)
def test_an_audience_that_is_not_clear_is_asked_of_nobody(
    asked: list[tuple[str, str, Any]], options: tuple[str, ...]
) -> None:
    assert run("quote", "Hello", *options) == 2
    assert asked == []


def test_why_somebody_got_it_is_told_by_customer_or_by_number(
    asked: list[tuple[str, str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run("why", BULK, "17", "--json") == 0
    assert json.loads(capsys.readouterr().out)["status"] == "delivered"
    assert run("why", BULK, "0412 000 001", "--json") == 0
    assert [one["customer_id"] for one in json.loads(capsys.readouterr().out)["items"]] == [17]
    customers, message = f"/v1/bulk-sms/{BULK}/customers", f"/v1/messages/{BULK}-1"
    assert [path for _, path, _ in asked] == [f"{customers}/17", message, customers, message]


def test_checks_that_block_a_send_are_overridden_by_name_with_a_reason(asked: list[tuple[str, str, Any]]) -> None:
    options = ("--override", "consent:US", "--override", "identity:GB", "--reason", "Signed on paper")
    assert run("send", "Hello", "--yes", "--no-watch", "--json", *options) == 0
    [sent] = [body for method, path, body in asked if (method, path) == ("POST", "/v1/bulk-sms")]
    assert sent["overrides"] == [
        {"check": "consent", "country": "US", "reason": "Signed on paper"},
        {"check": "identity", "country": "GB", "reason": "Signed on paper"},
    ]
    asked.clear()
    for wrong in (("--override", "consent:US"), ("--override", "consent", "--reason", "r"), ("--reason", "r")):
        assert run("send", "Hello", "--yes", *wrong) == 2
    assert asked == []


def test_a_quote_shows_its_checks_and_where_what_is_not_kept_to_is_written(
    asked: list[tuple[str, str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    checks.show_checks([{**CHECK, "recipients": 5, "found": ["20% off"]}])
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("warning", "An offer?", "Spam Act 2003 (20% off)"))


def test_signed_checks_are_shown_saved_and_verified(
    asked: list[tuple[str, str, Any]], capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    assert run("bulk", "checks", BULK) == 0
    shown = capsys.readouterr().out
    assert all(word in shown for word in ("Spam Act 2003", "ada", "On paper", "intact"))
    assert run("bulk", "checks", BULK, "--json") == 0
    file = tmp_path / "checks.json"
    file.write_text(capsys.readouterr().out, encoding="utf-8")
    asked.clear()

    assert run("bulk", "verify", str(file)) == 0
    assert asked == [
        ("POST", f"/v1/bulk-sms/{BULK}/checks/verification", {"signed": SIGNED, "signature": SIGNATURE}),
    ]
    file.write_text(file.read_text(encoding="utf-8").replace("ada", "bob"), encoding="utf-8")
    assert run("bulk", "verify", str(file)) == 1
    file.write_text("[]", encoding="utf-8")
    assert run("bulk", "verify", str(file)) == 2
