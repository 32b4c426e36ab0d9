"""Users, keys, roles, sessions, replies and the log of acts, as the command asks for them and shows them."""

import io
import json
import sys
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from muster.client import Connection, profiles
from muster.client.commands import audit, inbox, main, people, signing, team, tenant
from muster.client.profiles import Profile

ACT = {"id": "a", "at": "2026-11-27T07:00:00Z", "act": "bulk-sms.stopped", "says": "Stopped a send", "role": "admin"}
ACT |= {"subject_id": "b", "reason": "wrong text"}
USERS = [{"id": "u1", "email": "kim@salon.example", "name": "Kim"}, {"id": "u2", "email": None, "name": "till"}]
REPLY = {"at": "", "number": "+61412345678", "text": "STOP?", "verdict": "unclear", "doubtful": True, "id": "r"}
ROLES = {"roles": ["admin", "staff"], "permissions": [{"name": "send", "says": "send", "roles": ["admin"]}]}
ANSWERS: dict[str, Any] = {
    "/v1/audit": [{**ACT, "user_id": one} for one in ("u1", "u2", "u3", "")],
    "/v1/users": USERS,
    "/v1/replies": [{**REPLY, "erased": False}, {**REPLY, "erased": True, "number": "", "text": ""}],
}

CALLS: list[tuple[str, list[str], Any]] = [
    (
        "audit --user u1 --act bulk-sms.stopped --on b --from 2026-11-01 --to 2026-11-02T03:00:00Z --limit 7",
        [
            "GET /v1/audit?user_id=u1&act=bulk-sms.stopped&subject_id=b"
            "&from=2026-11-01T00%3A00%3A00Z&to=2026-11-02T03%3A00%3A00Z&limit=7"
        ],
        None,
    ),
    ("audit --tenant t", ["GET /v1/audit?tenant_id=t&limit=100"], None),
    ("roles", ["GET /v1/roles"], None),
    ("team list", ["GET /v1/users"], None),
    ("team list --tenant t", ["GET /v1/users?tenant_id=t"], None),
    (
        "team invite kim@salon.example --role staff",
        ["POST /v1/users"],
        {"email": "kim@salon.example", "name": "kim@salon.example", "role": "staff"},
    ),
    ("team invite-again u1", ["POST /v1/users/u1/invitation"], None),
    ("team invite-again u1 --link --tenant t", ["POST /v1/users/u1/link?tenant_id=t"], None),
    ("team change u1 --role manager", ["PATCH /v1/users/u1"], {"role": "manager"}),
    ("team shut-out u1 --tenant t", ["PATCH /v1/users/u1"], {"active": False, "tenant_id": "t"}),
    ("team let-in u1", ["PATCH /v1/users/u1"], {"active": True}),
    ("keys list", ["GET /v1/api-keys"], None),
    (
        "keys create till --role staff --expires-at 2027-01-01T00:00:00Z",
        ["POST /v1/api-keys"],
        {"name": "till", "role": "staff", "expires_at": "2027-01-01T00:00:00Z"},
    ),
    ("keys revoke k --yes", ["DELETE /v1/api-keys/k"], None),
    ("sessions list --user u1", ["GET /v1/sessions?user_id=u1"], None),
    ("sessions end s/1", ["DELETE /v1/sessions/s%2F1"], None),
    ("replies list --verdict unclear --bulk b --limit 3", ["GET /v1/replies?verdict=unclear&bulk_id=b&limit=3"], None),
    ("replies show r", ["GET /v1/replies/r"], None),
    (
        "replies decide r opt_out --scope all",
        ["POST /v1/replies/r/verdict"],
        {"verdict": "opt_out", "scope": "all"},
    ),
    ("replies with 0412345678", ["GET /v1/conversations?number=0412345678&limit=100"], None),
    ("customers changes 7", ["GET /v1/customers/7/changes"], None),
    ("customers remove 7 --yes", ["DELETE /v1/customers/7"], None),
    ("customers forget-field last/visit", ["DELETE /v1/own-fields/last%2Fvisit"], None),
    ("tenant list", ["GET /v1/tenants"], None),
    ("tenant first-admin t", ["POST /v1/tenants/t/first-admin"], None),
]


@pytest.fixture
def asked(answering: Callable[..., None]) -> list[tuple[str, Any]]:
    said: list[tuple[str, Any]] = []

    def answer(request: httpx.Request, path: str) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        said.append((f"{request.method} {request.url.raw_path.decode()}", body))
        if request.method == "DELETE" or path == "/v1/me/password":
            return httpx.Response(204)
        return httpx.Response(
            200, json=ROLES if path == "/v1/roles" else {"items": ANSWERS.get(path, []), "next_cursor": None}
        )

    answering(answer, audit, inbox, people, signing, team, tenant)
    return said


def ended(words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(words.split())
    return int(end.value.code or 0)


@pytest.mark.parametrize(("words", "calls", "body"), CALLS, ids=[words for words, _, _ in CALLS])
def test_a_command_asks_this_of_the_api_and_prints_nothing_but_json_for_programs(
    asked: list[tuple[str, Any]], capsys: pytest.CaptureFixture[str], words: str, calls: list[str], body: Any
) -> None:
    assert ended(f"{words} --json") == 0
    assert asked == [(call, body) for call in calls]
    assert all(isinstance(json.loads(line), dict) for line in capsys.readouterr().out.splitlines())


def test_the_log_tells_people_by_their_names_and_the_platform_by_its_own(
    asked: list[tuple[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended("audit") == 0
    out = capsys.readouterr().out
    shown = [line.split("│")[3].strip() for line in out.splitlines() if "Stopped a send" in line]
    assert shown == ["kim@salon.example", "till", "u3", "Muster"]
    assert [call for call, _ in asked] == ["GET /v1/users", "GET /v1/audit?limit=100"]


def test_roles_and_replies_are_tables_in_which_who_was_erased_is_told(
    asked: list[tuple[str, Any]], capsys: pytest.CaptureFixture[str]
) -> None:
    assert ended("roles") == ended("replies list") == 0
    out = capsys.readouterr().out
    assert [cell.strip() for line in out.splitlines() if "│ send" in line for cell in line.split("│")[1:-1]] == [
        *("send", "send", "yes", ""),
    ]
    assert "STOP?" in out
    assert "erased" in out


def test_a_password_is_changed_by_two_lines_or_by_what_is_typed_the_same_twice(
    asked: list[tuple[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("old one\nnew one\n"))
    assert ended("password --password-stdin --json") == 0
    typed = iter(("old", "new", "newer"))
    monkeypatch.setattr(signing.typer, "prompt", lambda *_, **__: next(typed))
    assert ended("password") == 2
    assert asked == [("PUT /v1/me/password", {"current_password": "old one", "new_password": "new one"})]


def test_an_operator_who_has_signed_in_is_asked_who_they_are_as_anybody(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    for name in ("MUSTER_URL", "MUSTER_CLIENT_ID", "MUSTER_CLIENT_SECRET", "MUSTER_VAR", "MUSTER_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MUSTER_CONFIG", str(tmp_path))
    profiles.keep("default", Profile("http://muster", "operator", "op@muster.example", session_token="s"))
    assert Connection.from_environment(operator=None).session_token == "s"
    assert Connection.from_environment(operator=True).session_token == "s"
