"""What a send costs more than there is: `muster quote` and `muster send` say how much is missing and what to do."""

import json
import sys
from typing import Any

import httpx
import pytest

from muster.client.commands import bulk, main
from muster.client.exits import ExitCode

QUOTE: dict[str, Any] = {
    **{"id": "q", "customers": 60, "recipients": 60, "parts": 60, "credits": 3_600, "left_out": {}},
    **{"balance": 500, "balance_after": -3_100},
}
COUNTS = {"accepted": 60, "unknown": 0, "rejected": 0, "stopped": 0, "suppressed": 0}
SHORT = {"code": "credits_short", "detail": "The send needs 3600 credits, 3100 more than the account has."}


class Account:
    """An API of one business: what its quote says, what the ledger has, and how its send ends."""

    def __init__(self) -> None:
        self.quote = dict(QUOTE)
        self.credits = {"available": 500, "owed": 0}
        self.ended: dict[str, Any] = {"state": "closed", "recipients": 60, "counts": COUNTS, "quote_id": "q"}
        self.sent: list[Any] = []
        self.is_silent = False

    def answer(self, request: httpx.Request, path: str) -> httpx.Response:
        if (request.method, path) == ("POST", "/v1/bulk-sms"):
            if self.is_silent:
                raise httpx.ReadTimeout("too late", request=request)
            self.sent.append(json.loads(request.content))
        answers = {
            "/v1/credits": self.credits,
            "/v1/bulk-sms": {"id": "b"},
            "/v1/bulk-sms/b": {"id": "b", **self.ended},
        }
        return httpx.Response(200, json=answers.get(path, self.quote))


@pytest.fixture
def account(answering: Any) -> Account:
    known = Account()
    answering(known.answer, bulk)
    return known


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


def test_a_quote_beyond_the_balance_says_how_many_credits_are_missing_and_what_to_do(
    account: Account, capsys: Any
) -> None:
    assert run("quote", "Hi") == ExitCode.CREDITS_SHORT

    told = capsys.readouterr()
    assert "balance after none: 3,100 credits too few" in [" ".join(line.split()) for line in told.out.splitlines()]
    assert "-3,100" not in told.out
    assert told.err.splitlines() == [
        "muster: 3,100 credits too few. Nothing is sent.",
        "  once there are more: muster send --quote q",
        "  to the first whom the credits cover: muster send --quote q --partial first_n",
    ]
    assert account.sent == []


def test_where_no_credits_are_left_nobody_is_told_that_they_cover_some(account: Account, capsys: Any) -> None:
    account.quote |= {"balance": 0, "balance_after": -3_600}
    account.credits["available"] = 0
    for words in (("quote", "Hi"), ("send", "Hi", "--yes"), ("send", "Hi", "--yes", "--partial", "first_n")):
        assert run(*words) == ExitCode.CREDITS_SHORT
        told = capsys.readouterr().err
        assert "3,600 credits too few" in told
        assert "first_n" not in told
    assert account.sent == []


def test_programs_get_the_whole_quote_too_where_credits_are_missing(account: Account, capsys: Any) -> None:
    assert run("quote", "Hi", "--json") == ExitCode.CREDITS_SHORT
    assert json.loads(capsys.readouterr().out) == QUOTE


@pytest.mark.parametrize("after", [0, 7])
def test_a_quote_that_the_balance_covers_to_the_last_credit_is_done(account: Account, capsys: Any, after: int) -> None:
    account.quote["balance_after"] = after
    assert run("quote", "Hi") == 0
    assert capsys.readouterr().err == ""


def test_a_send_that_credits_do_not_cover_is_refused_before_anybody_is_asked(account: Account, capsys: Any) -> None:
    for words in (("send", "Hi"), ("send", "--quote", "q"), ("bulk", "again", "b")):
        assert run(*words, "--yes") == ExitCode.CREDITS_SHORT
        told = capsys.readouterr().err
        assert "3,100 credits too few" in told
        assert "muster send --quote q --partial first_n" in told
    assert account.sent == []


def test_credits_that_came_a_moment_ago_are_counted(account: Account, capsys: Any) -> None:
    account.credits["available"] = 3_600
    assert run("send", "Hi", "--yes") == 0
    assert len(account.sent) == 1


def test_what_is_owed_is_paid_first_and_nobody_is_covered_before(account: Account, capsys: Any) -> None:
    account.credits |= {"available": 0, "owed": 20}
    assert run("send", "Hi", "--yes", "--partial", "first_n") == ExitCode.CREDITS_SHORT
    told = capsys.readouterr().err
    assert "3,620 credits too few (20 credits owed are paid first)" in told
    assert "first_n" not in told


def test_who_sends_to_the_first_whom_the_credits_cover_is_asked_just_that(
    account: Account, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    monkeypatch.setattr(sys.stdin, "readline", lambda: "y\n", raising=False)
    account.ended |= {"counts": COUNTS | {"accepted": 8, "stopped": 52}}
    assert run("send", "Hi", "--partial", "first_n") == ExitCode.PARTLY
    told = capsys.readouterr().err
    assert "Send to the first of 60 whom 500 of 3,600 credits cover? [y/N]" in told
    assert "muster: 52 of 60 messages were not sent" in told
    assert [one["partial"] for one in account.sent] == ["first_n"]


@pytest.mark.parametrize(
    ("ended", "code", "says"),
    [
        ({"state": "refused", "problem": SHORT | {"reason": "short"}}, 4, "once there are more credits, send it anew"),
        ({"state": "refused", "problem": SHORT | {"reason": "capped"}}, 4, "muster credits settings"),
        ({"state": "refused", "problem": SHORT | {"reason": "closed"}}, 4, "Nothing is sent"),
        ({"state": "refused", "problem": {"code": "audience_empty"}}, 1, ""),
        ({"counts": COUNTS}, 0, ""),
        ({"counts": COUNTS | {"accepted": 7, "stopped": 53}}, 5, "53 of 60 messages were not sent"),
        ({"counts": COUNTS | {"accepted": 0, "stopped": 60}}, 1, "60 of 60 messages were not sent"),
        ({"counts": dict.fromkeys(COUNTS, 0)}, 1, "nothing of it was sent"),
    ],
)
def test_a_script_tells_by_the_exit_code_how_a_send_ended(
    account: Account, capsys: Any, ended: dict[str, Any], code: int, says: str
) -> None:
    account.quote |= {"balance": 5_000, "balance_after": 1_400}
    account.ended |= ended
    assert run("send", "Hi", "--yes") == code
    assert says in capsys.readouterr().err


def test_a_send_of_which_nothing_was_heard_says_how_to_send_it_once(
    account: Account, capsys: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("muster.client.connection._FIRST_PAUSE_S", 0)
    account.quote |= {"balance": 5_000, "balance_after": 1_400}
    account.is_silent = True
    assert run("send", "Hi", "--yes") == ExitCode.NOT_CONNECTED
    told = capsys.readouterr().err
    assert "To send it, once all the same: muster send --quote q" in told
    assert "whether it was done is not known: look before you do it again" in told
