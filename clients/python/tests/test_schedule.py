"""`muster schedule`: what it asks the API for, and what it says to mistakes before it asks."""

import json
from typing import Any

import httpx
import pytest

from muster.client import Connection, Muster
from muster.client.commands import main, schedule

ID = "01931f5e-7b1c-7000-8000-000000000001"
KEPT = {
    "id": ID, "name": "Weekly", "state": "active", "when": {"cron": "0 10 * * 2"}, "audience": {"all": True},
    "next": {"wall": "2026-12-01T10:00", "at": "2026-11-30T23:00:00Z", "shift": None},
    "occurrences": [{"wall": "2026-11-24T10:00", "outcome": "missed", "bulk_id": None, "detail": "too late"}],
}  # fmt: skip
CRON = {"cron": "0 9 * * 1", "time_zone": "UTC", "except_holidays": ["AU-NSW", "NZ"]}
PREVIEW = {"time_zone": "UTC", "starts": [KEPT["next"]]}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, str, Any]]:
    """What the API was asked, which answers as if all went well."""
    seen: list[tuple[str, str, Any]] = []

    def answer(request: httpx.Request) -> httpx.Response:
        path = request.url.path
        if path == "/v1/token":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 900})
        seen.append((request.method, path, json.loads(request.content) if request.content else None))
        if request.method == "DELETE":
            return httpx.Response(204)
        page = {"items": KEPT["occurrences"] if "occurrences" in path else [KEPT], "next_cursor": None}
        listed = path == "/v1/schedules" and request.method == "GET"
        return httpx.Response(200, json=PREVIEW if "preview" in path else page if listed or "occ" in path else KEPT)

    def connected(_: object) -> Muster:
        return Muster(Connection("http://muster", "id", "secret"), transport=httpx.MockTransport(answer))

    monkeypatch.setattr(schedule, "Muster", connected)
    monkeypatch.setattr(schedule.Connection, "from_environment", lambda: None)
    return seen


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(("schedule", *arguments))
    return int(ended.value.code or 0)


def test_a_schedule_can_be_by_another_sender_of_the_business(asked: Any) -> None:
    said = ("--name", "Weekly", "--credits-max", "500", "--cron", "0 10 * * 2", "--sender", "Salon")
    assert run("add", "Hello", *said) == 0

    [(_, _, body)] = asked
    assert body["sender"] == "Salon"


def test_a_schedule_has_all_that_the_api_has_of_one(asked: Any) -> None:
    limits = ("--send-within", "90", "--late-max", "5", "--partial", "first_n", "--class", "factual")
    when = ("--name", "Weekly", "--credits-max", "500", "--cron", "0 10 * * 2")
    assert run("add", *when, *limits, "--template", ID) == 0
    assert run("change", ID, *limits, "--sender", "Salon") == 0

    said = {"send_within_minutes": 90, "late_max_minutes": 5, "partial": "first_n", "class": "factual"}
    [(_, _, added), (_, _, changed)] = asked
    assert added == {
        "name": "Weekly", "when": {"cron": "0 10 * * 2"}, "audience": {"all": True}, "credits_max": 500,
        "above_credits_max": "skip", "template_id": ID, **said,
    }  # fmt: skip
    assert changed == {**said, "sender": "Salon"}


@pytest.mark.parametrize("words", [(), ("Hello", "--template", ID)])
def test_a_schedule_has_either_a_text_or_a_template(asked: Any, words: tuple[str, ...]) -> None:
    assert run("add", "--name", "Weekly", "--credits-max", "500", "--cron", "0 10 * * 2", *words) == 2
    assert asked == []


def test_a_schedule_is_added_as_it_is_said(asked: Any, capsys: Any) -> None:
    said = (
        "--name",
        "Weekly",
        "--credits-max",
        "500",
        "--cron",
        "0 10 * * 2",
        "--zone",
        "UTC",
        "--above",
        "first_n",
        "--local-time",
    )
    assert run("add", "Hello", *said) == 0
    assert asked == [
        ("POST", "/v1/schedules", {
            "name": "Weekly", "when": {"cron": "0 10 * * 2", "time_zone": "UTC"}, "text": "Hello",
            "audience": {"all": True}, "credits_max": 500, "above_credits_max": "first_n", "local_time": True,
        })
    ]  # fmt: skip
    out = capsys.readouterr().out
    assert "2026-12-01T10:00" in out
    assert "missed" in out


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (("list",), ("GET", "/v1/schedules", None)),
        (("show", ID), ("GET", f"/v1/schedules/{ID}", None)),
        (("history", ID), ("GET", f"/v1/schedules/{ID}/occurrences", None)),
        (("preview", ID), ("GET", f"/v1/schedules/{ID}/preview", None)),
        (
            ("preview", "--once", "2026-12-24T10:00"),
            ("POST", "/v1/schedules/preview", {"when": {"once": "2026-12-24T10:00"}}),
        ),
        (("pause", ID), ("POST", f"/v1/schedules/{ID}/pause", None)),
        (("resume", ID), ("POST", f"/v1/schedules/{ID}/resume", None)),
        (("skip", ID, "2026-12-01T10:00"), ("POST", f"/v1/schedules/{ID}/skip", {"wall": "2026-12-01T10:00"})),
        (("archive", ID), ("DELETE", f"/v1/schedules/{ID}", None)),
    ],
)
def test_each_command_asks_for_one_thing(asked: Any, arguments: tuple[str, ...], expected: Any) -> None:
    assert run(*arguments) == 0
    assert asked == [expected]


@pytest.mark.parametrize(
    "when", [(), ("--once", "2026-12-24T10:00", "--cron", "* * * * *"), ("--when", "{"), ("--when", "[1]")]
)
def test_what_cannot_be_a_time_is_said_before_anything_is_asked(asked: Any, capsys: Any, when: tuple[str, ...]) -> None:
    assert run("add", "Hello", "--name", "n", "--credits-max", "1", *when) == 2
    assert "--" in capsys.readouterr().err
    assert asked == []


def test_only_what_is_named_of_a_schedule_is_changed(asked: Any) -> None:
    assert run("change", ID, "--credits-max", "70", "--tag", "all", "--send-within", "90", "--same-moment") == 0
    days = ("--except-holidays", "AU-NSW, NZ")
    assert run("change", ID, "--cron", "0 9 * * 1", "--zone", "UTC", *days, "--text", "Hi") == 0
    assert asked == [
        (
            "PATCH",
            f"/v1/schedules/{ID}",
            {"credits_max": 70, "audience": {"all": True}, "send_within_minutes": 90, "local_time": False},
        ),
        ("PATCH", f"/v1/schedules/{ID}", {"when": CRON, "text": "Hi"}),
    ]


@pytest.mark.parametrize("given", [(), ("--zone", "UTC"), ("--cron", "0 9 * * 1", "--once", "2026-12-24T10:00")])
def test_a_change_of_nothing_or_of_half_a_rule_is_not_asked_for(asked: Any, given: tuple[str, ...]) -> None:
    assert run("change", ID, *given) == 2
    assert asked == []
