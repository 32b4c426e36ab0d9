"""Days in files: read where they can only be one, and never guessed; and the day on which consent was given."""

from typing import Any

import pytest
from test_import_choices import load, people

from muster.customer.domain.import_dates import Order, Unclear, read_day, without_time

NONE, TWO = Unclear


@pytest.mark.parametrize(
    ("written", "by_order"),
    [
        ("2026-04-01", ("2026-04-01", "2026-04-01", "2026-04-01")),
        ("2026-4-1", ("2026-04-01", "2026-04-01", "2026-04-01")),
        ("2026/4/1", ("2026-04-01", "2026-04-01", "2026-04-01")),
        ("46023", ("2026-01-01", "2026-01-01", "2026-01-01")),
        ("1/4/2026", (TWO, "2026-04-01", "2026-01-04")),
        ("01-04-2026", (TWO, "2026-04-01", "2026-01-04")),
        ("13/4/2026", ("2026-04-13", "2026-04-13", NONE)),
        ("4/13/2026", ("2026-04-13", NONE, "2026-04-13")),
        ("4/4/2026", ("2026-04-04", "2026-04-04", "2026-04-04")),
        ("1.4.2026", ("2026-04-01", "2026-04-01", "2026-01-04")),
        ("31/2/2026", (NONE, NONE, NONE)),
        ("1/4/26", (NONE, NONE, NONE)),
        ("1/4.2026", (NONE, NONE, NONE)),
        ("20260401", (NONE, NONE, NONE)),
        ("tomorrow", (NONE, NONE, NONE)),
    ],
)
def test_a_day_is_read_where_it_can_only_be_one(written: str, by_order: tuple[str, str, str]) -> None:
    assert tuple(read_day(written, order) for order in Order) == by_order


@pytest.mark.parametrize(
    ("written", "day"),
    [
        ("2026-04-01 00:00:00", "2026-04-01"),
        ("2026-04-01T10:00", "2026-04-01"),
        ("2026-04-01 10:00:00.123", "2026-04-01"),
        ("1/4/2026 9:05 pm", "1/4/2026"),
        ("1.4.2026, 21:05", "1.4.2026"),
        ("46023.5", "46023"),
        ("2026-04-01", "2026-04-01"),
        ("2026-04-01T23:00:00Z", "2026-04-01T23:00:00Z"),
        ("2026-04-01 23:00 +02:00", "2026-04-01 23:00 +02:00"),
        ("10:00", "10:00"),
        ("2026-04-01 noon", "2026-04-01 noon"),
    ],
)
def test_a_time_of_day_behind_a_day_is_left_out_unless_a_zone_makes_it_another_day(written: str, day: str) -> None:
    assert without_time(written) == day


async def errors_of(salon: Any, done: dict[str, Any]) -> list[tuple[int, str, str]]:
    items = (await salon.ask("GET", f"/v1/customers/imports/{done['id']}/errors")).json()["items"]
    return [(one["row"], one["column"], one["code"]) for one in items]


async def test_a_date_that_could_be_two_is_left_out_until_somebody_says_which(salon: Any) -> None:
    await salon.ask("PUT", "/v1/own-fields/last_visit", {"name": "Last visit", "kind": "date"})
    header = "First name,Mobile,Last visit,Joined"
    rows = "A,0412000001,1/4/2026,1/4/26\nB,0412000002,13/4/2026,x\n"
    done = await load(salon, rows, header)
    assert await errors_of(salon, done) == [(1, "Last visit", "date_unclear")]
    assert [(one["column"], one["code"], one["count"]) for one in done["repairs"]] == [("Last visit", "date_read", 1)]
    done = await load(salon, rows, header, dates="mdy")
    assert await errors_of(salon, done) == [(2, "Last visit", "not_a_date")]
    assert {one["first_name"]: one["own_fields"] for one in await people(salon)} == {
        "A": {"last_visit": "2026-01-04", "joined": "1/4/26"},
        "B": {"last_visit": "2026-04-13", "joined": "x"},
    }


async def test_a_day_with_its_time_is_taken_where_a_day_is_asked_for_and_told_and_stays_whole_elsewhere(
    salon: Any,
) -> None:
    await salon.ask("PUT", "/v1/own-fields/last_visit", {"name": "Last visit", "kind": "date"})
    header = "First name,Mobile,Last visit,Appointment"
    done = await load(
        salon, "A,0412000001,2026-04-01 10:00:00,1/4/2026 10:30\nB,0412000002,46023.5,\n", header, dates="dmy"
    )
    told = {(one["column"], one["code"]): one["count"] for one in done["repairs"]}
    assert (done["imported"], told) == (2, {("Last visit", "time_left_out"): 2, ("Last visit", "date_restored"): 1})
    assert {one["first_name"]: one["own_fields"] for one in await people(salon)} == {
        "A": {"last_visit": "2026-04-01", "appointment": "1/4/2026 10:30"},
        "B": {"last_visit": "2026-01-01"},
    }


async def test_consent_is_as_of_the_day_that_the_file_says_else_as_of_the_import(salon: Any) -> None:
    stated = {"consent": "express", "consent_source": "till", "consent_wording": "Text me"}
    rows = "A,0412000001,yes,2026-04-01\nB,0412000002,yes,\nC,0412000003,yes,2999-01-01\nD,0412000004,yes,1/4/2026\n"
    done = await load(salon, rows, "First name,Mobile,Allow Bulk SMS,Consent date", **stated)
    assert await errors_of(salon, done) == [(3, "Consent date", "in_the_future"), (4, "Consent date", "date_unclear")]
    await load(salon, "E,0412000005,yes\n", "First name,Mobile,Allow Bulk SMS", **stated, consent_date="2026-05-01")
    words = {}
    for one in await people(salon):
        file = await salon.ask("GET", f"/v1/customers/{one['id']}/consents/evidence")
        [word] = file.json()["consents"]
        assert (word["at"] == word["recorded_at"]) == (word["at_is"] == "recorded")
        words[one["first_name"]] = word["at_is"] if word["at_is"] == "recorded" else word["at"][:10]
    assert words == {"A": "2026-04-01", "B": "recorded", "E": "2026-05-01"}


@pytest.mark.parametrize(
    ("options", "field", "code"),
    [
        ({"consent_date": "2026-05-01"}, "consent", "missing"),
        ({"consent": "inferred", "consent_source": "a", "consent_date": "1/4/2026"}, "consent_date", "not_a_date"),
        ({"consent": "inferred", "consent_source": "a", "consent_date": "2999-01-01"}, "consent_date", "in_the_future"),
        ({"dates": "ymd"}, "dates", "literal_error"),
    ],
)
async def test_a_day_of_consent_that_cannot_be_is_refused(salon: Any, options: Any, field: str, code: str) -> None:
    answer = await load(salon, "A,0412000001,\n", "First name,Mobile,Allow Bulk SMS", **options)
    assert [(one["field"], one["code"]) for one in answer["errors"]] == [(field, code)]
