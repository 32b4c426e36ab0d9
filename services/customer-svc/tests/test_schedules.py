"""/v1/schedules as its user sees it."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from muster.kit import clock

TEXT = "Hello {{first_name}}, come in. STOP to opt out"
DAILY = {"repeat": {"frequency": "daily", "times": ["10:00"]}, "time_zone": "Australia/Sydney"}


@contextmanager
def at(moment: str) -> Iterator[None]:
    """The clock of this process shows this, in UTC."""
    ns = int(datetime.fromisoformat(moment).replace(tzinfo=UTC).timestamp()) * 10**9
    with clock.replaced(lambda: ns, time.monotonic):
        yield


def wanted(**members: Any) -> dict[str, Any]:
    return {
        "name": "Every day", "when": DAILY, "text": TEXT, "audience": {"all": True}, "credits_max": 100, **members
    }  # fmt: skip


async def add(salon: Any, **members: Any) -> dict[str, Any]:
    answer = await salon.ask("POST", "/v1/schedules", wanted(**members))
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def act(salon: Any, one: dict[str, Any], name: str, body: Any = None, **headers: str) -> Any:
    return await salon.ask("POST", f"/v1/schedules/{one['id']}/{name}", body, **headers)


async def test_a_schedule_is_kept_as_it_was_given_with_its_next_start(salon: Any) -> None:
    with at("2026-11-27T07:00"):
        made = await add(salon, audience={"tag": "regulars"}, above_credits_max="first_n")
    shown = (await salon.ask("GET", f"/v1/schedules/{made['id']}", by="staff")).json()
    assert shown == made
    assert made["next"] == {"wall": "2026-11-28T10:00", "at": "2026-11-27T23:00:00Z", "shift": None}
    assert (made["state"], made["audience"], made["text"]) == ("active", {"tag": "regulars"}, TEXT)
    assert made["when"]["starts_on"] == "2026-11-27"
    assert made["when"]["repeat"]["interval"] == 1
    assert (made["send_within_minutes"], made["late_max_minutes"], made["occurrences"]) == (1_440, 60, [])
    [listed] = (await salon.ask("GET", "/v1/schedules")).json()["items"]
    assert listed | {"approval": "not_needed"} == made
    [said] = await salon.said("ActRecorded")
    assert (said.message.act, said.message.subject_id, said.message.user_id) == ("schedule.added", made["id"], "ada")


async def test_the_same_key_keeps_one_schedule_and_only_those_who_may_send_keep_any(salon: Any) -> None:
    with at("2026-11-27T07:00"):
        answers = [await salon.ask("POST", "/v1/schedules", wanted(), Idempotency_Key="one") for _ in range(2)]
        assert answers[0].json() == answers[1].json()
        assert await salon.count("schedule") == 1
        path = f"/v1/schedules/{answers[0].json()['id']}"
        for method, where, body in (
            ("POST", "/v1/schedules", wanted()),
            ("PATCH", path, {"name": "x"}),
            ("DELETE", path, None),
            *(("POST", f"{path}/{act}", None) for act in ("pause", "resume")),
            ("POST", f"{path}/skip", {"wall": "2026-11-28T10:00"}),
        ):
            assert (await salon.ask(method, where, body, by="staff")).status_code == 403
            assert (await salon.ask(method, where, body, by="operator")).status_code == 403
        for method, where, body in (("GET", path, None), ("PATCH", path, {"name": "x"}), ("DELETE", path, None)):
            assert (await salon.ask(method, where, body, by="other")).status_code == 404
    assert (await salon.ask("GET", path)).json()["name"] == "Every day"


REPEAT: dict[str, Any] = {"frequency": "daily", "times": ["10:00"]}
BAD: list[tuple[dict[str, Any], str, str]] = [
    ({"when": {}}, "when", "value_error"),
    ({"when": {"cron": "0 10 * * *", "once": "2026-12-24T10:00"}}, "when", "value_error"),
    ({"when": {"once": "2026-02-30T10:00"}}, "when.once", "value_error"),
    ({"when": {"once": "2026-12-24T25:00"}}, "when.once", "value_error"),
    ({"when": {"once": "2026-12-24T10:00+11:00"}}, "when.once", "string_pattern_mismatch"),
    ({"when": {"once": "2025-12-24T10:00"}}, "when.once", "past"),
    ({"when": {"cron": "0 10 30 2 *"}}, "when.cron", "not_cron"),
    ({"when": {"repeat": REPEAT, "time_zone": "Mars/Olympus"}}, "when.time_zone", "no_such_zone"),
    ({"when": {"repeat": REPEAT, "ends_on": "2026-12-24", "count": 3}}, "when", "value_error"),
    ({"when": {"repeat": REPEAT, "count": 0}}, "when.count", "greater_than_equal"),
    ({"when": {"repeat": REPEAT, "except_dates": ["2026-13-01"]}}, "when.except_dates.0", "value_error"),
    ({"when": {"repeat": {**REPEAT, "interval": 0}}}, "when.repeat.interval", "greater_than_equal"),
    ({"when": {"repeat": {**REPEAT, "times": []}}}, "when.repeat.times", "too_short"),
    ({"when": {"repeat": {**REPEAT, "times": ["24:00"]}}}, "when.repeat.times.0", "value_error"),
    ({"when": {"repeat": {**REPEAT, "by_month_day": [0]}}}, "when.repeat.by_month_day.0", "value_error"),
    ({"when": {"repeat": {**REPEAT, "frequency": "hourly"}}}, "when.repeat.frequency", "literal_error"),
    ({"when": {"repeat": {**REPEAT, "by_month": [2], "by_month_day": [30]}}}, "when", "never"),
    ({"credits_max": 0}, "credits_max", "greater_than_equal"),
    ({"late_max_minutes": 100, "send_within_minutes": 99}, "late_max_minutes", "later_than_send"),
    ({"send_within_minutes": 43_201}, "send_within_minutes", "less_than_equal"),
    ({"text": None}, "text", "text_or_template"),
    ({"text": "Hello {{shoesize}}"}, "text", "unknown_field"),
    ({"sender": "Stranger"}, "sender", "not_own_sender"),
    ({"audience": {"customer_ids": [77]}}, "audience.customer_ids", "unknown_customer"),
    ({"name": " "}, "name", "string_too_short"),
]  # fmt: skip


async def test_bad_input_names_its_field_and_nothing_is_kept(salon: Any) -> None:
    with at("2026-11-27T07:00"):
        for members, field, code in BAD:
            answer = await salon.ask("POST", "/v1/schedules", wanted(**members))
            assert answer.status_code == 422, (members, answer.text)
            error = answer.json()["errors"][0]
            assert (error["field"], error["code"]) == (field, code), members
            if set(members) == {"when"}:
                asked = await salon.ask("POST", "/v1/schedules/preview", members, by="staff")
                assert (asked.status_code, asked.json()["errors"][0]["field"]) == (422, field)
    assert await salon.count("schedule") == 0


async def test_a_preview_shows_the_next_ten_starts_and_what_the_clocks_do_to_them_and_keeps_nothing(salon: Any) -> None:
    when = {"cron": "30 2 * * *", "time_zone": "Australia/Sydney", "starts_on": "2026-10-01"}
    with at("2026-09-30T00:00"):
        answer = (await salon.ask("POST", "/v1/schedules/preview", {"when": when}, by="staff")).json()
    assert [start["wall"][8:10] for start in answer["starts"]] == [f"{day:02}" for day in range(1, 11)]
    assert answer["starts"][3] == {"wall": "2026-10-04T02:30", "at": "2026-10-03T16:00:00Z", "shift": "moved"}
    assert await salon.count("schedule") == 0
    with at("2026-11-27T07:00"):
        made = await add(salon)
        kept = (await salon.ask("GET", f"/v1/schedules/{made['id']}/preview")).json()
    assert (kept["starts"][0], len(kept["starts"])) == (made["next"], 10)


async def test_the_zone_is_the_business_s_own_unless_another_is_said(salon: Any) -> None:
    with at("2026-11-27T07:00"):
        made = await add(salon, when={"once": "2026-12-24T10:00"})
    assert (made["when"]["time_zone"], made["next"]["at"]) == ("UTC", "2026-12-24T10:00:00Z")


async def test_a_paused_schedule_has_no_next_start_and_goes_on_from_when_it_is_resumed(salon: Any) -> None:
    with at("2026-11-27T07:00"):
        made = await add(salon)
        for _ in range(2):
            paused = (await act(salon, made, "pause")).json()
            assert (paused["state"], paused["next"]) == ("paused", None)
        assert (await act(salon, made, "skip", {"wall": "2026-11-28T10:00"})).json()["code"] == "not_active"
    with at("2026-12-24T07:00"):
        for _ in range(2):
            resumed = (await act(salon, made, "resume")).json()
            assert (resumed["state"], resumed["next"]["wall"]) == ("active", "2026-12-25T10:00")


async def test_the_next_start_is_skipped_once_and_by_its_name(salon: Any) -> None:
    with at("2026-11-27T07:00"):
        made = await add(salon)
        for _ in range(2):
            skipped = (await act(salon, made, "skip", {"wall": "2026-11-28T10:00"}, Idempotency_Key="skip")).json()
        assert skipped["next"]["wall"] == "2026-11-29T10:00"
        assert [(one["wall"], one["outcome"]) for one in skipped["occurrences"]] == [("2026-11-28T10:00", "skipped")]
        again = await act(salon, made, "skip", {"wall": "2026-11-28T10:00"})
        assert (again.status_code, again.json()["code"], again.json()["next"]) == (409, "not_next", "2026-11-29T10:00")
        # What was skipped does not come back with a pause, nor with another time on the same day.
        await act(salon, made, "pause")
        assert (await act(salon, made, "resume")).json()["next"]["wall"] == "2026-11-29T10:00"


async def test_a_change_replaces_what_it_says_and_leaves_the_rest(salon: Any) -> None:
    with at("2026-11-27T07:00"):
        template = (await salon.ask("POST", "/v1/templates", {"name": "t", "text": "First"})).json()
        made = await add(salon, text=None, template_id=template["id"])
        assert (made["text"], made["template_version"]) == ("First", 1)
        path = f"/v1/schedules/{made['id']}"
        await salon.ask("PUT", f"/v1/templates/{template['id']}", {"name": "t", "text": "Second"})
        named = (await salon.ask("PATCH", path, {"name": "New", "credits_max": 7})).json()
        assert {**named, "changed_at": made["changed_at"]} == {**made, "name": "New", "credits_max": 7, "version": 2}
        pinned = (await salon.ask("PATCH", path, {"template_id": template["id"]})).json()
        assert (pinned["text"], pinned["template_version"]) == ("Second", 2)
        moved = (await salon.ask("PATCH", path, {"when": {"cron": "0 8 * * 1", "time_zone": "Europe/London"}})).json()
        assert moved["next"] == {"wall": "2026-11-30T08:00", "at": "2026-11-30T08:00:00Z", "shift": None}
        for body, field in (({"name": None}, "name"), ({"class": None}, "class"), ({"state": "paused"}, "state")):
            answer = await salon.ask("PATCH", path, body)
            assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_an_archived_schedule_is_kept_for_its_history_and_does_not_change(salon: Any) -> None:
    with at("2026-11-27T07:00"):
        made = await add(salon)
        path = f"/v1/schedules/{made['id']}"
        for name in ("pause", "pause", "resume", "resume"):
            assert (await act(salon, made, name)).status_code == 200
        assert [(await salon.ask("DELETE", path)).status_code for _ in range(2)] == [204, 204]
        for answer in (await salon.ask("PATCH", path, {"name": "x"}), await act(salon, made, "resume")):
            assert (answer.status_code, answer.json()["code"]) == (409, "archived")
    assert (await salon.ask("GET", "/v1/schedules")).json()["items"] == []
    [kept] = (await salon.ask("GET", "/v1/schedules?state=archived")).json()["items"]
    assert (kept["id"], kept["next"]) == (made["id"], None)
    acts = [said.message.act for said in await salon.said("ActRecorded")]
    assert acts == [f"schedule.{done}" for done in ("added", "paused", "resumed", "archived")]


async def test_no_more_schedules_are_kept_than_the_limit_allows(salon: Any, settings: Any, app: Any) -> None:
    app.state.settings = settings.model_copy(update={"customer_schedules_max": 1})
    with at("2026-11-27T07:00"):
        made = await add(salon)
        refused = await salon.ask("POST", "/v1/schedules", wanted())
        assert (refused.status_code, refused.json()["code"], refused.json()["limit"]) == (409, "too_many_schedules", 1)
        await salon.ask("DELETE", f"/v1/schedules/{made['id']}")
        await add(salon)


@pytest.mark.parametrize("path", ["", "/preview", "/occurrences"])
async def test_what_was_never_kept_is_not_found(salon: Any, path: str) -> None:
    assert (await salon.ask("GET", f"/v1/schedules/{uuid4()}{path}")).status_code == 404


async def test_public_holidays_are_left_out_and_the_preview_shows_it(salon: Any) -> None:
    with at("2026-12-20T00:00"):
        when = {**DAILY, "except_holidays": ["AU-NSW"], "except_dates": ["2026-12-27"]}
        one = await add(salon, when=when)
        found = (await salon.ask("GET", f"/v1/schedules/{one['id']}/preview")).json()["starts"]
    assert one["when"]["except_holidays"] == ["AU-NSW"]
    days = [start["wall"][8:10] for start in found]
    assert days == ["21", "22", "23", "24", "29", "30", "31", "02", "03", "04"]


@pytest.mark.parametrize(
    ("calendars", "field", "code"),
    [
        (["AU", "ZZ"], "when.except_holidays.1", "holidays_not_known"),
        (["AU-QQQ"], "when.except_holidays.0", "holidays_not_known"),
        (["Australia"], "when.except_holidays.0", ""),
        (["AU", "AU"], "when.except_holidays", ""),
        (["AU", "NZ", "GB", "US"], "when.except_holidays", ""),
    ],
)
async def test_holidays_that_are_not_known_are_named(salon: Any, calendars: Any, field: str, code: str) -> None:
    answer = await salon.ask("POST", "/v1/schedules/preview", {"when": {**DAILY, "except_holidays": calendars}})
    assert answer.status_code == 422
    error = answer.json()["errors"][0]
    assert error["field"] == field
    assert error["code"] == code or not code


async def test_a_rule_of_holidays_alone_never_starts_and_is_refused(salon: Any) -> None:
    christmas = {"frequency": "yearly", "by_month": [12], "by_month_day": [25], "times": ["10:00"]}
    when = {"repeat": christmas, "except_holidays": ["AU", "NZ", "GB-ENG"], "time_zone": "UTC"}
    answer = await salon.ask("POST", "/v1/schedules/preview", {"when": when})
    assert [one["code"] for one in answer.json()["errors"]] == ["never"]
