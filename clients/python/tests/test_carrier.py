"""`muster carrier`: what an operator types becomes a request, and a password is never an argument."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import muster.client.commands.carrier as command

STANDING = {
    "adopted": True, "applied": True, "connections": 1, "in_flight": 0, "parts_per_second_now": 40, "why": "",
    "said_at": None,
}  # fmt: skip
HEALTH = {"share": 10, "why": "errors", "since": None, "answered": 900, "failed": 700, "not_taken": 0}
CARRIER = {
    "account": "west", "kind": "smpp", "state": "open", "smpp": {"host": "a.example"}, "routes": ["default"],
    "binds_as": [], "standing": STANDING, "health": HEALTH,
}  # fmt: skip
TRIED = {"id": "t1", "outcome": "accepted", "error": "", "receipts": [""]}
Asked = list[tuple[Any, ...]]
Run = Callable[..., Result]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What the API was asked; it answers as one that has an account."""
    said: Asked = []

    def post(_: Any, path: str, body: Any = None, **__: Any) -> Any:
        said.append(("POST", path, body))
        return {**TRIED, "outcome": "queued"} if path.endswith("/tests") else CARRIER

    def patch(_: Any, path: str, body: Any) -> Any:
        said.append(("PATCH", path, body))
        return CARRIER

    def get(_: Any, path: str, **__: Any) -> Any:
        return TRIED if "/tests/" in path else {"items": [CARRIER], "next_cursor": None} if path[-1] == "s" else CARRIER

    for name, answer in (("post", post), ("patch", patch), ("get", get)):
        monkeypatch.setattr(command.Muster, name, answer)
    for name in ("URL", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.setenv(f"MUSTER_{name}", "http://127.0.0.1:1")
    monkeypatch.delenv("MUSTER_CARRIER_PASSWORD", raising=False)
    monkeypatch.setattr(command, "_POLL_S", 0)
    return said


@pytest.fixture
def run(asked: Asked) -> Run:
    return lambda *words, typed="": CliRunner().invoke(command.app, words, input=typed)


def test_an_account_is_made_from_options_settings_and_a_password_that_is_no_argument(asked: Asked, run: Run) -> None:
    words = ["create", "west", "--host", "a.example", "--system-id", "me", "--draining", "--password"]
    ran = run(*words, "--set", "smpp.binds=2", "--set", "parts_window=50", "--set", "smpp.tls=true", typed="s3cret\n")

    assert ran.exit_code == 0, ran.output
    smpp = {"host": "a.example", "port": 2775, "system_id": "me", "binds": 2, "tls": True}
    body = {"account": "west", "state": "draining", "parts_window": 50, "smpp": smpp, "password": "s3cret"}
    assert asked == [("POST", "/v1/carriers", body)]
    assert "s3cret" not in ran.output


def test_the_password_may_come_from_the_environment(asked: Asked, run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MUSTER_CARRIER_PASSWORD", "other")
    assert run("change", "west", "--password").exit_code == 0
    assert asked == [("PATCH", "/v1/carriers/west", {"password": "other"})]


@pytest.mark.parametrize("word", ["password=x", "smpp.password=x", "http.secrets={}", "parts_window", "=5"])
def test_a_setting_that_is_none_and_a_password_among_the_arguments_are_refused(
    asked: Asked, run: Run, word: str
) -> None:
    assert run("change", "west", "--set", word).exit_code == 2
    assert asked == []


@pytest.mark.parametrize("words", [["smpp=5"], ['http={"secrets": {}}'], ["parts_window=5", "parts_window.x=5"]])
def test_a_setting_that_takes_the_place_of_its_group_is_refused(asked: Asked, run: Run, words: list[str]) -> None:
    given = [word for one in words for word in ("--set", one)]
    create = ("create", "west", "--host", "a.example", "--system-id", "me")

    assert [run(*create, *given).exit_code, run("change", "west", *given).exit_code] == [2, 2]
    assert asked == []


@pytest.mark.parametrize("word", ["http.profile.idle_s=10", "http.profile={}", "smpp.codes.0x8=unknown"])
def test_what_is_replaced_as_a_whole_is_not_set_in_part(asked: Asked, run: Run, word: str) -> None:
    ran = [run("change-http", "web", "--set", word), run("change", "web", "--set", word)]
    assert [one.exit_code for one in ran] == [2, 2]
    assert all(re.search(r"as a[\s│]*whole", one.output) for one in ran), ran[0].output
    assert asked == []


def test_a_change_says_what_is_to_change(asked: Asked, run: Run) -> None:
    assert [run("change", "west").exit_code, run("change-http", "web").exit_code] == [2, 2]
    assert asked == []


def test_an_account_by_http_is_made_and_changed_from_a_file_and_secrets_that_are_no_argument(
    asked: Asked, run: Run, tmp_path: Path
) -> None:
    file = tmp_path / "web.json"
    file.write_text('{"adapter": "twilio"}', encoding="utf-8")
    secrets = {"auth": "s3cret", "callbacks": []}

    made = run("create-http", "web", str(file), "--secrets", "--set", "parts_window=20", typed=json.dumps(secrets))
    changed = run("change-http", "web", "--secrets", typed=json.dumps(secrets))
    unread = [
        run("create-http", "web", str(tmp_path / "none.json")),
        run("change-http", "web", "--secrets", typed="s3cret"),
    ]

    http = {"profile": {"adapter": "twilio"}, "secrets": secrets}
    body = {"account": "web", "state": "open", "parts_window": 20, "http": http}
    change = ("PATCH", "/v1/carriers/web", {"http": {"secrets": secrets}})
    assert asked == [("POST", "/v1/carriers", body), change]
    assert [one.exit_code for one in (made, changed, *unread)] == [0, 0, 2, 2]
    assert not any("s3cret" in one.output for one in (made, changed, *unread))


def test_a_test_that_waits_for_a_connection_says_so_and_where_to_look(
    asked: Asked, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(TRIED, "outcome", "queued")
    monkeypatch.setattr(command, "WAIT_S_MAX", 0.0)
    ran = run("test", "west", "--to", "+61411000001", "--sender", "Salon")
    assert ran.exit_code == 1
    assert "muster carrier show west" in ran.output


@pytest.mark.parametrize("act", ["drain", "open", "close"])
def test_an_account_is_drained_opened_and_closed_with_a_reason(asked: Asked, run: Run, act: str) -> None:
    assert run(act, "a/b", "--reason", "work on the line").exit_code == 0
    assert asked == [("POST", f"/v1/carriers/a%2Fb/{act}", {"reason": "work on the line"})]


@pytest.mark.parametrize(("outcome", "code"), [("accepted", 0), ("rejected", 1), ("unknown", 1), ("not_sent", 1)])
def test_a_test_waits_for_the_carrier_s_word_and_only_yes_is_0(
    asked: Asked, run: Run, monkeypatch: pytest.MonkeyPatch, outcome: str, code: int
) -> None:
    monkeypatch.setitem(TRIED, "outcome", outcome)
    ran = run("test", "west", "--to", "+61411000001", "--sender", "Salon", "--json")
    assert (ran.exit_code, json.loads(ran.stdout)["outcome"]) == (code, outcome)
    assert asked == [
        ("POST", "/v1/carriers/west/tests", {"to": "+61411000001", "sender": "Salon", "text": "This is a test."})
    ]


def test_the_list_says_which_account_no_sender_has(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "no sender has it" not in run("list").stdout
    monkeypatch.setitem(STANDING, "adopted", False)
    assert "no sender has it" in run("list").stdout
