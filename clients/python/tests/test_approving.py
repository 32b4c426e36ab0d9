"""`muster approvals`, `approve`, `refuse` and `test`: what the API is asked, and what a person sees of it."""

import json
from typing import Any

import httpx
import pytest

from muster.client.commands import approvals, bulk, main, trying

WAITING = {
    "id": "01aa", "state": "open", "subject": "quote", "quote_id": "q", "credits": 8_400, "recipients": 4_200,
    "note": "for Monday", "asked_by": "ada", "expires_at": "2026-11-30T08:00:00Z",
}  # fmt: skip
TAKEN = {"to": "+61491570156", "id": "b-1", "bulk_id": "b", "state": "waiting", "parts": 1, "credits": 1}
STOPPED = {"to": "+61491570157", "index": 1, "state": "refused", "problem": {"detail": "to: it said STOP"}}
TEST = {"text": "Hi Zoë", "customer_id": 7, "sender": "Ada", "credits": 1, "messages": [TAKEN], "refused": 0}
RULE = {"credits_above": 500, "recipients_above": None, "email": ""}
ANSWERS: dict[str, Any] = {
    "GET /v1/approvals": {"items": [WAITING], "next_cursor": None},
    "GET /v1/approvals/01aa": WAITING | {"text": "Hi"},
    "POST /v1/approvals": WAITING,
    "POST /v1/approvals/01aa/approve": WAITING | {"state": "approved"},
    "POST /v1/approvals/01aa/refuse": WAITING | {"state": "refused"},
    "GET /v1/approval-rule": RULE,
    "PUT /v1/approval-rule": RULE,
    "POST /v1/test-messages": TEST,
    "GET /v1/test-numbers": {"numbers": []},
    "PUT /v1/test-numbers/own": {"numbers": []},
    "POST /v1/test-numbers": {"numbers": []},
    "GET /v1/quotes/q": {"id": "q", "recipients": 1, "parts": 1, "credits": 1, "left_out": {}},
    "POST /v1/bulk-sms": {"id": "b"},
    "GET /v1/bulk-sms/b": {"id": "b", "state": "waiting"},
}


@pytest.fixture
def asked(answering: Any) -> list[Any]:
    """What the API was asked, which answers as if all went well."""
    seen: list[Any] = []

    def answer(request: httpx.Request, path: str) -> httpx.Response:
        said = json.loads(request.content) if request.content else str(request.url.params)
        seen.append((f"{request.method} {path}", said))
        if request.method == "DELETE":
            return httpx.Response(204)
        return httpx.Response(200, json=ANSWERS[f"{request.method} {path}"])

    answering(answer, approvals, bulk, trying)
    return seen


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "call"),
    [
        (("approvals",), ("GET /v1/approvals", "state=open")),
        (("approvals", "list", "--state", "used"), ("GET /v1/approvals", "state=used")),
        (("approvals", "show", "01aa"), ("GET /v1/approvals/01aa", "")),
        (
            ("approvals", "ask", "--quote", "q", "--note", "please"),
            ("POST /v1/approvals", {"quote_id": "q", "note": "please"}),
        ),
        (("approvals", "ask", "--schedule", "s"), ("POST /v1/approvals", {"schedule_id": "s", "note": ""})),
        (("approvals", "rule"), ("GET /v1/approval-rule", "")),
        (("approvals", "rule", "--credits-above", "500"), ("PUT /v1/approval-rule", RULE)),
        (("approvals", "rule", "--never"), ("PUT /v1/approval-rule", RULE | {"credits_above": None})),
        (("approve", "01aa", "--reason", "fine"), ("POST /v1/approvals/01aa/approve", {"reason": "fine"})),
        (("refuse", "01aa", "--reason", "dear"), ("POST /v1/approvals/01aa/refuse", {"reason": "dear"})),
        (("test", "send", "--quote", "q", "--yes"), ("POST /v1/test-messages", {"quote_id": "q"})),
        (
            ("test", "send", "Hi", "--class", "factual", "--customer", "7", "--number", "0491570156", "-y"),
            ("POST /v1/test-messages", {"text": "Hi", "class": "factual", "customer_id": 7, "to": ["0491570156"]}),
        ),
        (("test", "numbers"), ("GET /v1/test-numbers", "")),
        (("test", "own", "0491570156"), ("PUT /v1/test-numbers/own", {"number": "0491570156"})),
        (
            ("test", "add", "0491570156", "--name", "x"),
            ("POST /v1/test-numbers", {"number": "0491570156", "name": "x"}),
        ),
        (("test", "remove", "01bb"), ("DELETE /v1/test-numbers/01bb", "")),
    ],
)
def test_a_command_asks_the_api(asked: list[Any], arguments: tuple[str, ...], call: Any) -> None:
    assert run(*arguments) == 0
    assert asked[-1] == call


def test_an_approved_quote_is_sent_as_it_is(asked: list[Any]) -> None:
    assert run("send", "--quote", "q", "--yes", "--no-watch", "--json") == 0
    assert ("POST /v1/bulk-sms", {"quote_id": "q", "partial": "nothing"}) in asked
    assert "POST /v1/quotes" not in dict(asked)


def test_a_test_that_is_refused_for_some_numbers_says_why_and_ends_with_5_and_for_all_with_1(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    some = TEST | {"messages": [TAKEN, STOPPED], "refused": 1}
    monkeypatch.setitem(ANSWERS, "POST /v1/test-messages", some)
    assert run("test", "send", "Hi", "--yes") == 5
    out = capsys.readouterr().out
    assert ("it said STOP" in out, "+61491570156" in out) == (True, True)
    monkeypatch.setitem(ANSWERS, "POST /v1/test-messages", TEST | {"messages": [STOPPED], "refused": 1})
    assert run("test", "send", "Hi", "--yes") == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("approvals", "ask"),
        ("approvals", "ask", "--quote", "q", "--send", "b"),
        ("approvals", "rule", "--never", "--credits-above", "1"),
        ("approvals", "rule", "--email", "a@b.example"),
        ("refuse", "01aa"),
        ("send", "Hi", "--quote", "q"),
        ("test", "send"),
        ("test", "send", "Hi", "--quote", "q"),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_api_is_asked(asked: list[Any], arguments: tuple[str, ...]) -> None:
    assert run(*arguments) == 2
    assert asked == []
