"""`muster credits`, as its user runs it: what each command asks of the API, and as whom."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from muster.client.api import Muster
from muster.client.commands import main

PEOPLE = {"operator": "op", "second_operator": "op2", "tenant": "admin"}


class Asked:
    """What was asked of the API, and as whom; answers everything with one object or one page."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, str, str, Any]] = []
        self.keys: list[str | None] = []
        self._who = ""

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body: Any = json.loads(request.content) if request.content else None
        if request.url.path == "/v1/token":
            self._who = body["client_id"]
            return httpx.Response(200, json={"access_token": "t", "expires_in": 900})
        self.calls.append((self._who, request.method, request.url.raw_path.decode(), body))
        self.keys.append(request.headers.get("Idempotency-Key"))
        return httpx.Response(200, json={"items": [], "next_cursor": None, "id": "x"})


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Asked:
    found = Asked()
    people = {name: {"client_id": name, "client_secret": "s"} for name in ("operator", "second_operator")}
    tenant = {"id": "t", "client_id": "admin", "client_secret": "s"}
    run = {"url": "http://muster.example", "tenants": [tenant], **people}
    (tmp_path / "run.json").write_text(json.dumps(run), encoding="utf-8")
    for name in ("MUSTER_URL", "MUSTER_CLIENT_ID", "MUSTER_CLIENT_SECRET"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MUSTER_VAR", str(tmp_path))
    plain = Muster.__init__
    transport = httpx.MockTransport(found)
    monkeypatch.setattr(Muster, "__init__", lambda self, to, **_: plain(self, to, transport=transport))
    return found


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(["credits", *arguments])
    return int(ended.value.code or 0)


COMMANDS: list[tuple[list[str], str, str, str, Any]] = [
    (["waiting"], "operator", "GET", "/v1/credits/top-ups?state=awaiting_confirmation", None),
    (
        ["confirm", "t", "u", "--yes"],
        "second_operator",
        "POST",
        "/v1/credits/top-ups/u/confirmation",
        {"tenant_id": "t"},
    ),
    (
        ["reject", "t", "u", "--reason", "no"],
        *("second_operator", "POST", "/v1/credits/top-ups/u/rejection", {"tenant_id": "t", "reason": "no"}),
    ),
    (
        ["reverse", "t", "../u", "--reason", "no", "--yes"],
        *("operator", "POST", "/v1/credits/top-ups/..%2Fu/reversal", {"tenant_id": "t", "reason": "no"}),
    ),
    (
        ["transfer", "a", "b", "5", "--reason", "May", "--yes"],
        *("admin", "POST", "/v1/credits/transfers"),
        {"from_tenant_id": "a", "to_tenant_id": "b", "credits": 5, "reason": "May"},
    ),
    (["settings"], "admin", "GET", "/v1/credits/settings", None),
    (
        ["caps", "--daily", "9", "--monthly", "none"],
        *("admin", "PATCH", "/v1/credits/settings", {"daily_cap": 9, "monthly_cap": None}),
    ),
    (["caps", "--daily", "9"], "admin", "PATCH", "/v1/credits/settings", {"daily_cap": 9}),
    (["alert", "50"], "admin", "PATCH", "/v1/credits/settings", {"alert_below": 50}),
    (["alert", "none"], "admin", "PATCH", "/v1/credits/settings", {"alert_below": None}),
    (["auto-top-up", "--below", "0"], "admin", "PATCH", "/v1/credits/settings", {"automatic_top_up": None}),
    (
        ["auto-top-up", "--below", "5", "--amount", "500", "--currency", "EUR", "--monthly-max", "900"],
        *("admin", "PATCH", "/v1/credits/settings"),
        {"automatic_top_up": {"below": 5, "amount": 500, "currency": "EUR", "monthly_max": 900}},
    ),
    (["charges"], "admin", "GET", "/v1/credits/charges", None),
    (["prices"], "operator", "GET", "/v1/credits/prices", None),
    (
        ["set-price", "EUR", "10", "1"],
        *("operator", "POST", "/v1/credits/prices"),
        {"currency": "EUR", "minor_units": 10, "credits": 1, "valid_from": None},
    ),
    (["rates"], "admin", "GET", "/v1/rates?coming=true", None),
    (["rates", "--operator"], "operator", "GET", "/v1/rates?coming=true", None),
    (
        ["set-rate", "NZ", "3", "--valid-from", "2030-01-01T00:00:00Z"],
        *("operator", "PUT", "/v1/rates"),
        {"country": "NZ", "credits_per_part": 3, "valid_from": "2030-01-01T00:00:00Z"},
    ),
]


@pytest.mark.parametrize(("words", "who", "method", "path", "body"), COMMANDS, ids=lambda one: str(one)[:40])
@pytest.mark.parametrize("as_json", [False, True])
def test_each_command_asks_once_as_the_right_person(
    asked: Asked, words: list[str], who: str, method: str, path: str, body: Any, as_json: bool
) -> None:
    assert run(*words, *(["--json"] if as_json else [])) == 0

    assert asked.calls == [(who, method, path, body)]
    assert all(asked.keys) == (method != "GET"), "a write carries a key, so that repeating it is harmless"


@pytest.mark.parametrize(
    "words", [["caps", "--daily", "12.50"], ["alert", "-5"], ["alert", "ten"], ["transfer", "a", "b", "1.5"]]
)
def test_an_amount_that_is_none_asks_nothing(asked: Asked, words: list[str]) -> None:
    assert run(*words) == 2
    assert asked.calls == []
