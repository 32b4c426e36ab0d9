"""`muster route`: what an operator types becomes a request, and what is answered a line that can be read."""

import json
from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner, Result

import muster.client.commands.route as command

ROUTE = {
    "route": "west", "accounts": [{"account": "a", "weight": 3}, {"account": "b", "weight": 0}], "countries": ["AU"],
    "senders": [], "failover": "default", "open": True, "reference_bits": 8, "parts_per_second": 0, "version": 1,
}  # fmt: skip
TESTED = {
    "country": "AU", "sender": "Salon", "route": "west", "why": "it names the country",
    "options": [{"route": "west", "account": "a", "weight": 3, "percent": 100, "why": ""}],
}  # fmt: skip
Asked = list[tuple[Any, ...]]
Run = Callable[..., Result]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """What the API was asked; it answers as one that has a route."""
    said: Asked = []

    def answer(method: str) -> Callable[..., Any]:
        def call(_: Any, path: str, *body: Any, **__: Any) -> Any:
            said.append((method, path, *body))
            if path.endswith("/test"):
                return TESTED
            return {"items": [ROUTE], "next_cursor": None} if path == "/v1/routes" and method == "GET" else ROUTE

        return call

    for name in ("get", "post", "patch", "delete"):
        monkeypatch.setattr(command.Muster, name, answer(name.upper()))
    for name in ("URL", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.setenv(f"MUSTER_{name}", "http://127.0.0.1:1")
    return said


@pytest.fixture
def run(asked: Asked) -> Run:
    return lambda *words: CliRunner().invoke(command.app, words)


def test_a_change_of_a_route_says_what_is_to_change(asked: Asked, run: Run) -> None:
    assert run("change", "west").exit_code == 2
    assert asked == []


def test_a_route_is_made_from_accounts_with_weights_countries_and_senders(asked: Asked, run: Run) -> None:
    made = ["create", "west", "--account", "a=3", "--account", "b", "--country", "AU", "--country", "NZ"]
    ran = run(*made, "--sender", "Salon", "--failover", "default", "--closed")

    assert ran.exit_code == 0, ran.output
    body = {
        "route": "west", "accounts": [{"account": "a", "weight": 3}, {"account": "b"}], "countries": ["AU", "NZ"],
        "senders": ["Salon"], "failover": "default", "open": False,
    }  # fmt: skip
    assert asked == [("POST", "/v1/routes", body)]


def test_a_change_says_only_what_is_to_be_different(asked: Asked, run: Run) -> None:
    assert run("change", "west", "--account", "b=0").exit_code == 0
    assert run("change", "west", "--any-country", "--failover", "").exit_code == 0
    assert asked == [
        ("PATCH", "/v1/routes/west", {"accounts": [{"account": "b", "weight": 0}]}),
        ("PATCH", "/v1/routes/west", {"countries": [], "failover": ""}),
    ]


@pytest.mark.parametrize("written", ["a=", "=3", "a=-1", "a=x"])
def test_a_weight_that_is_no_number_never_reaches_the_api(asked: Asked, run: Run, written: str) -> None:
    ran = run("create", "west", "--account", written)
    assert (ran.exit_code, asked) == (2, [])
    assert "NAME=WEIGHT" in ran.output


def test_a_route_is_listed_shown_and_deleted(asked: Asked, run: Run) -> None:
    listed = run("list")
    assert "a=3, b=0" in listed.output
    assert "any" in listed.output
    assert json.loads(run("show", "west", "--json").output) == ROUTE
    assert run("delete", "a/b").exit_code == 0
    assert asked[1:] == [("GET", "/v1/routes/west"), ("DELETE", "/v1/routes/a%2Fb")]


def test_a_test_shows_the_route_and_each_account_with_its_percent(asked: Asked, run: Run) -> None:
    ran = run("test", "--to", "+61411000001", "--sender", "Salon", "--parts", "2")
    assert "west: it names the country" in ran.output
    assert "100" in ran.output
    assert asked == [("POST", "/v1/routes/test", {"to": "+61411000001", "sender": "Salon", "parts": 2})]
