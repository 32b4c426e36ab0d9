"""What costs or cannot be undone is asked about; what is refused is said with what to do; Ctrl-C tells what goes on."""

import io
import json
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest
import typer

from muster.client import ApiError, profiles
from muster.client.commands import (
    bulk,
    credits,
    dialogue,
    lists,
    main,
    message,
    money,
    ops,
    people,
    refusals,
    report,
    team,
    trying,
)
from muster.client.exits import ExitCode

ASKED = (bulk, credits, lists, message, money, ops, people, team, trying)
ACTS: list[tuple[str, str, str]] = [
    ("send Hi --no-watch", "POST /v1/bulk-sms", "Send to 3 for 1 credit?"),
    ("bulk again b --no-watch", "POST /v1/bulk-sms", "Send to 3 for 1 credit?"),
    ("bulk unknown b --answer release", "POST /v1/bulk-sms/b/unknown", "Release what is unknown of this send"),
    ("message send Hi --to 0412345678", "POST /v1/messages", "Text 0412345678, for credits?"),
    ("message send Hi --to 041 --to 042", "POST /v1/messages", "Text 2 numbers, for credits?"),
    ("message send Hi --customer 7", "POST /v1/messages", "Text customer 7, for credits?"),
    ("test send Hi", "POST /v1/test-messages", "Send a test to your own number, for credits?"),
    ("credits top-up t 1200", "POST /v1/credits/top-ups", "Grant 1,200 credits to t?"),
    ("credits confirm t u", "POST /v1/credits/top-ups/u/confirmation", "Grant to t what the top-up u says?"),
    ("credits reverse t u --reason no", "POST /v1/credits/top-ups/u/reversal", "Take the top-up u back from t?"),
    ("credits transfer a b 5", "POST /v1/credits/transfers", "Move 5 credits from a to b?"),
    ("customers merge 7 8", "POST /v1/customers/7/merge", "Merge 8 (Ana) into 7 (Ana), for good?"),
    ("customers erase 7", "POST /v1/customers/7/erasure", "Erase customer 7 for good?"),
    ("customers erase-number 041", "POST /v1/erasures", "Erase whoever has 041 for good?"),
    ("customers remove 7", "DELETE /v1/customers/7", "Remove customer 7 for good?"),
    ("keys revoke k", "DELETE /v1/api-keys/k", "Revoke the key k, for good?"),
    ("lists delete vip", "DELETE /v1/lists/l", "Forget the list 'vip' of 2 customers?"),
    ("ops resolve t b end --reason why", "POST /v1/ops/dispatch/bulks/t/b/resolution", "End the send b of t"),
    ("ops dead-letters drop credit l --reason why", "POST /v1/ops/credit/dead-letters/l/drop", "Give up the dead"),
    ("ops resume credit x --reason why --accept-loss", "POST /v1/ops/credit/consumers/resume", "Give up what x"),
]
CUSTOMER = {"id": 7, "first_name": "Ana", "last_name": "", "numbers": [], "tags": [], "own_fields": {}}
MORE = dict.fromkeys(
    ("allow_bulk_sms", "consent", "opted_out", "language", "time_zone", "version", "changed_at", "archived_at")
)
QUOTE = {"id": "q", "recipients": 3, "credits": 1, "state": "closed", "name": "vip", "customers": 2}
READ = ("/v1/quotes", "/v1/bulk-sms/b/again")  # ask what it would be, by a POST


class Terminal(io.StringIO):
    """Somebody who types."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def api(answering: Callable[..., None]) -> list[str]:
    """What was asked that changes something."""
    changed: list[str] = []

    def answer(request: httpx.Request, path: str) -> httpx.Response:
        if request.method != "GET" and path not in READ:
            changed.append(f"{request.method} {path}")
        said: dict[str, Any] = {**QUOTE, **CUSTOMER, **MORE, "merged_into": None, "messages": [], "refused": False}
        said |= {"id": "l" if "/lists" in path else "q", "text": "", "customer_id": 7, "sender": ""}
        if path == "/v1/messages" and b'"messages"' in request.content:
            said["messages"] = [{"id": "m", "state": "queued"}] * 2
        return httpx.Response(200, json=said)

    answering(answer, *ASKED)
    return changed


def ended(words: str, monkeypatch: pytest.MonkeyPatch, typed: io.StringIO) -> int:
    monkeypatch.setattr(sys, "stdin", typed)
    with pytest.raises(SystemExit) as end:
        main(words.split())
    return int(end.value.code or 0)


@pytest.mark.parametrize(("words", "call", "question"), ACTS, ids=[words for words, _, _ in ACTS])
def test_what_costs_or_cannot_be_undone_is_asked_about_on_standard_error_and_done_on_a_yes_alone(
    api: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    call: str,
    question: str,
) -> None:
    assert ended(words, monkeypatch, io.StringIO("y\n")) == ExitCode.WRONG_USE
    out, err = capsys.readouterr()
    assert (out, "standard input is no terminal; --yes says yes" in err) == ("", True)
    assert ended(words, monkeypatch, Terminal("n\n")) == ExitCode.FAILED
    out, err = capsys.readouterr()
    assert (question in err, question in out) == (True, False)
    assert err.endswith("Nothing was done.\n")
    assert api == []

    assert ended(words, monkeypatch, Terminal("Y\n")) == 0
    assert ended(f"{words} --yes --json", monkeypatch, io.StringIO()) == 0
    assert api == [call, call]
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines() if line.startswith("{")]


def test_what_is_asked_for_at_a_sign_in_is_asked_on_standard_error(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO(" kim@salon.example \n"))
    assert dialogue.typed("E-mail address") == "kim@salon.example"
    with pytest.raises(typer.Exit) as end:
        dialogue.typed("E-mail address")
    assert end.value.exit_code == ExitCode.WRONG_USE
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("no", ["\n", "", "yellow\n", "no\n"])
def test_what_is_no_yes_is_a_no(monkeypatch: pytest.MonkeyPatch, no: str) -> None:
    monkeypatch.setattr(sys, "stdin", Terminal(no))
    with pytest.raises(typer.Exit) as end:
        dialogue.ask("Go on?", yes=False)
    assert end.value.exit_code == ExitCode.FAILED


def test_ctrl_c_at_the_question_does_nothing_and_leaves_no_traceback(
    api: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken_off() -> str:
        raise KeyboardInterrupt

    terminal = Terminal()
    monkeypatch.setattr(terminal, "readline", broken_off)
    assert ended("customers erase 7", monkeypatch, terminal) == ExitCode.INTERRUPTED
    assert capsys.readouterr().err.endswith("\nNothing was done.\n")
    assert api == []


@pytest.mark.parametrize(
    ("words", "module", "says"),
    [
        ("message send Hi --to 041 --yes --wait 9", message, "muster message status q"),
        ("send Hi --yes", bulk, "To stop it: muster bulk stop q"),
        ("bulk watch q", bulk, "To stop it: muster bulk stop q"),
    ],
)
def test_ctrl_c_while_a_command_waits_says_what_goes_on(
    api: list[str],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: str,
    module: Any,
    says: str,
) -> None:
    def broken_off(*_: Any, **__: Any) -> Any:
        raise KeyboardInterrupt

    monkeypatch.setattr("muster.client.Muster.message_status", broken_off)
    monkeypatch.setattr("muster.client.Muster.watch", broken_off)
    monkeypatch.setattr("muster.client.Muster.bulk", broken_off)
    assert ended(words, monkeypatch, io.StringIO()) == ExitCode.INTERRUPTED
    assert says in capsys.readouterr().err


def refused(
    status: int, code: str = "", trace_id: str = "", retry_after_s: float | None = None, **more: Any
) -> ApiError:
    return ApiError(status, {"title": "No", "code": code, **more}, retry_after_s, trace_id)


@pytest.mark.parametrize(
    ("error", "code", "says"),
    [
        (refused(401, "unauthorized"), 3, "401 No\n  to sign in again: muster login"),
        (refused(401, "invalid_client"), 3, "401 No\n  to sign in again: muster login"),
        (refused(400, "invalid_grant"), 3, "400 No\n  to sign in again: muster login"),
        (refused(401), 3, "401 No\n  to sign in again: muster login"),
        (refused(401, "wrong_credentials"), 3, "401 No"),
        (
            refused(403, "forbidden", permission="send"),
            1,
            "403 No\n  permission that is missing: send; who has it: muster roles",
        ),
        (refused(500, "internal", "0af7"), 1, "500 No\n  for whoever looks into it, the trace: 0af7"),
        (refused(404, "not_found", "0af7"), 1, "404 No"),
        (refused(429, "too_many", retry_after_s=90), 1, "429 No\n  it may be asked again in 90 s"),
        (refused(422, errors=[{"field": "to", "message": "none"}]), 1, "422 No\n  to: none"),
        (refused(422, errors="two"), 1, "422 No"),
    ],
)
def test_a_refusal_is_said_with_what_to_do_about_it(error: ApiError, code: int, says: str) -> None:
    assert (refusals.exit_code(error), refusals.words(error)) == (code, says)


def test_who_speaks_by_a_profile_is_told_to_sign_in_by_it_again() -> None:
    with profiles.chosen("work"):
        assert refusals.words(refused(401)).endswith("muster login --profile work")


def test_a_server_that_failed_is_told_by_its_trace(
    answering: Callable[..., None], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    failed = httpx.Response(
        500, json={"title": "It failed", "code": "internal"}, headers={"X-Trace-Id": "0af7651916cd"}
    )
    answering(lambda _, __: failed, report)
    assert ended("report --json", monkeypatch, io.StringIO()) == 1
    assert capsys.readouterr() == (
        "",
        "muster: 500 It failed\n  for whoever looks into it, the trace: 0af7651916cd\n",
    )
