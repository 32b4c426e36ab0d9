"""`muster ops limits` and `set-limits`: what is not said is as for all."""

from typing import Any

import pytest
from typer.testing import CliRunner

import muster.client.commands.ops as command

LIMITS = {
    "left_today": 4,
    "now": {"range_hourly": 20, "prefix_hourly": None, "plan_range": None, "daily": 5_000},
    "own": {"range_hourly": None, "prefix_hourly": None, "plan_range": 0, "daily": 5_000},
    "busiest": [{"scope": "range", "begins": "+61493123", "since": "2026-11-27T16:00:00Z", "messages": 12}],
}


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (["limits", "T/1"], ("GET", "/v1/ops/customer/tenants/T%2F1/limits")),
        (
            ["set-limits", "T", "--reason", "asked", "--range-hourly", "0", "--daily", "5000"],
            (
                "PUT",
                "/v1/ops/customer/tenants/T/limits",
                {"range_hourly": 0, "prefix_hourly": None, "plan_range": None, "daily": 5000, "reason": "asked"},
            ),
        ),
    ],
)
def test_a_command_asks_the_api_for_what_it_says(monkeypatch: pytest.MonkeyPatch, words: list[str], asked: Any) -> None:
    said: list[Any] = []
    monkeypatch.setattr(command.Muster, "get", lambda _, path: said.append(("GET", path)) or LIMITS)
    monkeypatch.setattr(command.Muster, "put", lambda _, *given: said.append(("PUT", *given)) or LIMITS)
    for name in ("URL", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.setenv(f"MUSTER_{name}", "http://127.0.0.1:1")

    ran = CliRunner().invoke(command.app, words)

    assert (ran.exit_code, said) == (0, [asked]), ran.output
    assert "left today" in ran.output
    assert "+61493123" in ran.output
    assert "{" not in ran.output, "where most of it went is a table"
    lines = {" ".join(line.split()) for line in ran.output.splitlines()}
    assert {"range hourly 20, as for all", "prefix hourly no limit, as for all", "plan range no limit"} <= lines
    assert "daily 5,000" in lines
