"""Sends that reach each recipient at a time of the day in their own time zone."""

import time
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from conftest import EXPRESS
from test_hours import HEADER, LOS_ANGELES, SYDNEY, at, quiet
from test_scheduler import run, scheduler, shown

from muster.customer.domain.hours import Business, Hours, LocalTime, classify, first_moment
from muster.customer.handlers import facts
from muster.events import NIL_TENANT
from muster.events.v1.platform_pb2 import RatesChanged
from muster.kit import clock

TEN = datetime(2026, 6, 4, 10, 0)  # noqa: DTZ001 - on a wall
# Wednesday the 3rd, 20:00 in Sydney, 18:00 in Perth, 6:00 in New York, 3:00 in Los Angeles.
NOW = datetime(2026, 6, 3, 10, 0, tzinfo=UTC)
ROWS = (
    "Ann,East,+1 212 555 0101,yes,express\nCas,West,+1 213 555 0103,yes,express\n"
    "Dee,Home,0412 345 678,yes,express\nEve,Away,0412 345 679,yes,express"
)


def hours(business: Business, local: LocalTime, begin: datetime = NOW, *, marketing: bool = True) -> Hours:
    return Hours(business, int(begin.timestamp()), int((begin + timedelta(days=7)).timestamp()), marketing, local)


def begins(found: list[tuple[int, int]], zone: str) -> str:
    return f"{datetime.fromtimestamp(found[0][0], ZoneInfo(zone)):%a %H:%M}"


def test_each_is_texted_when_their_own_clock_shows_the_time_and_by_law_not_before_its_hours() -> None:
    own = Business("Australia/Sydney")
    for zone in ("America/New_York", "America/Los_Angeles", "Pacific/Guam"):
        assert begins(hours(own, LocalTime(TEN)).allowed("US", zone), zone) == "Thu 10:00"
        early = LocalTime(TEN.replace(hour=6))
        assert begins(hours(own, early).allowed("US", zone), zone) == "Thu 08:00"
        assert begins(hours(own, early, marketing=False).allowed("US", zone), zone) == "Thu 06:00"


def test_who_may_be_in_several_zones_goes_by_the_business_if_it_is_in_one_of_them_and_else_by_the_last() -> None:
    sydney, london = Business("Australia/ACT"), Business("Europe/London")
    assert begins(hours(sydney, LocalTime(TEN)).allowed("AU", ""), "Australia/Sydney") == "Thu 10:00"
    assert begins(hours(london, LocalTime(TEN)).allowed("AU", ""), "Australia/Perth") == "Thu 10:00"
    assert begins(hours(sydney, LocalTime(TEN)).allowed("ZZ", ""), "Australia/Sydney") == "Thu 10:00"


def test_where_it_is_past_already_they_are_texted_at_once_unless_it_is_too_late() -> None:
    own = Business("Australia/Sydney")
    past = datetime(2026, 6, 3, 19, 0)  # noqa: DTZ001 - on a wall; an hour ago in Sydney, in an hour in Perth
    assert hours(own, LocalTime(past)).allowed("AU", "Australia/Sydney")[0][0] == int(NOW.timestamp())
    assert begins(hours(own, LocalTime(past)).allowed("AU", "Australia/Perth"), "Australia/Perth") == "Wed 19:00"
    assert hours(own, LocalTime(past, 60)).allowed("AU", "Australia/Sydney") == []
    [(first, last)] = hours(own, LocalTime(past, 60)).allowed("AU", "Australia/Perth")
    assert last - first == 3600


@pytest.mark.parametrize(
    ("wall", "zone", "moment"),
    [
        # The hour that does not exist is the first moment after it; of the hour that comes twice it is the first.
        ("2026-10-04T02:30", "Australia/Sydney", "2026-10-03T16:00"),
        ("2026-04-05T02:30", "Australia/Sydney", "2026-04-04T15:30"),
        ("2011-12-30T10:00", "Pacific/Apia", "2011-12-30T20:00"),
    ],
)
def test_days_on_which_clocks_are_changed_have_their_local_time_too(wall: str, zone: str, moment: str) -> None:
    found = LocalTime(datetime.fromisoformat(wall)).moment(zone)
    assert f"{datetime.fromtimestamp(found, UTC):%Y-%m-%dT%H:%M}" == moment


def test_who_is_of_a_country_that_nobody_was_of_a_moment_ago_goes_by_the_business() -> None:
    kept = hours(Business("Australia/Sydney"), LocalTime(TEN))
    classes = classify(kept, [("US", "America/New_York")])
    assert begins(list(classes.spans[classes.other]), "Australia/Sydney") == "Thu 10:00"
    assert first_moment(LocalTime(TEN), [("US", "America/New_York"), ("AU", "")], "Australia/Sydney") == int(
        datetime(2026, 6, 4, 0, 0, tzinfo=UTC).timestamp()
    )
    assert first_moment(LocalTime(TEN), [], "Australia/Sydney") is None


@pytest.fixture
async def abroad(salon: Any) -> Any:
    await salon.hear(
        facts.on_rates_changed, RatesChanged(tenant_id=str(NIL_TENANT), country="US", version=1, credits_per_part=1)
    )
    await salon.hear(facts.on_tenant_changed, quiet(salon, 0, 0))
    await salon.load(ROWS, HEADER, **EXPRESS)
    [eve] = (await salon.ask("GET", "/v1/customers?search=Eve")).json()["items"]
    await salon.ask("PATCH", f"/v1/customers/{eve['id']}", {"time_zone": "Australia/Perth"})
    return salon


WAITING = ["2026-06-04T00:00:00Z", "2026-06-04T02:00:00Z", "2026-06-04T14:00:00Z", "2026-06-04T17:00:00Z"]


@pytest.mark.parametrize("message_class", ["marketing", "factual"])
async def test_a_quote_says_who_waits_for_their_time_and_the_plan_gives_each_zone_its_own(
    abroad: Any, message_class: str
) -> None:
    with at(NOW):
        quote = await abroad.quote("Hi", local_time="2026-06-04T10:00", **{"class": message_class})
        bulk_id = await abroad.send(quote["id"])
        await abroad.plan()
    assert (quote["local_time"], quote["recipients"]) == ("2026-06-04T10:00", 4)
    assert [one["until"] for one in quote["hours"]["waiting"]] == WAITING
    bulk = await abroad.bulk(bulk_id)
    assert (bulk["hours"], bulk["local_time"]) == (quote["hours"], "2026-06-04T10:00")
    assert bulk["send_by"] == "2026-06-05T17:00:00Z", "a day after the last"
    chunks = [fact.message for fact in await abroad.said("BulkRecipientsAttached")]
    due = sorted(datetime.fromtimestamp(chunk.due_at_unix_ms / 1000, UTC).isoformat() for chunk in chunks)
    assert due == [until.replace("Z", "+00:00") for until in WAITING]
    assert all(chunk.allowed_from_unix_ms[0] == chunk.due_at_unix_ms for chunk in chunks)


async def test_who_is_not_at_that_time_before_send_by_is_left_out_and_a_send_by_before_all_is_refused(
    abroad: Any,
) -> None:
    with at(NOW):
        quote = await abroad.quote("Hi", local_time="2026-06-04T10:00")
        early = {"quote_id": quote["id"], "send_by": "2026-06-04T00:00:00Z"}
        refused = await abroad.ask("POST", "/v1/bulk-sms", early, Idempotency_Key="k")
        bulk_id = await abroad.send(quote["id"], send_by="2026-06-04T12:00:00Z")
        await abroad.plan()
    assert [one["code"] for one in refused.json()["errors"]] == ["outside_hours"]
    bulk = await abroad.bulk(bulk_id)
    assert (bulk["recipients"], bulk["credits"], bulk["left_out"]["outside_hours"]) == (2, 2, 2)


@pytest.mark.parametrize(
    ("wall", "code"),
    [
        ("2026-06-03T20:00", "past"),
        ("2026-07-01T20:01", "too_far"),
        ("2026-02-30T10:00", ""),
        ("2026-06-04T10:00Z", ""),
        ("10:00", ""),
    ],
)
async def test_a_local_time_that_cannot_be_kept_is_refused_by_name(abroad: Any, wall: str, code: str) -> None:
    with at(NOW):
        body = {"text": "Hi", "audience": {"all": True}, "local_time": wall}
        answer = await abroad.ask("POST", "/v1/quotes", body)
    assert answer.status_code == 422
    [error] = answer.json()["errors"]
    assert error["field"] == "local_time"
    assert error["code"] == code or not code


async def test_a_quote_is_not_sent_after_the_time_that_it_was_for(abroad: Any) -> None:
    with at(NOW):
        quote = await abroad.quote("Hi", local_time="2026-06-03T21:00")
    with at(NOW + timedelta(hours=1)):
        late = await abroad.ask("POST", "/v1/bulk-sms", {"quote_id": quote["id"]}, Idempotency_Key="k")
    assert (late.status_code, late.json()["code"]) == (409, "local_time_past")


async def scheduled(salon: Any, before: datetime, when: dict[str, Any], **members: Any) -> str:
    """A schedule at local times that was kept then; the id."""
    body = {"name": "n", "when": when, "text": "Hi", "audience": {"all": True}, "credits_max": 100, "local_time": True}
    with clock.replaced(lambda: int(before.timestamp()) * 10**9, time.monotonic):
        answer = await salon.ask("POST", "/v1/schedules", {**body, **members})
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def begin_of(salon: Any, schedule_id: str) -> datetime:
    async with salon.db.request(salon.tenant_id) as tx:
        found = await tx.fetchval("SELECT next_at FROM schedule WHERE schedule_id = $1", schedule_id)
    assert isinstance(found, datetime)
    return found


def noon(days: int) -> datetime:
    """Noon on a wall, so many days from today in UTC."""
    return datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0, tzinfo=None) + timedelta(days=days)


async def test_a_start_is_made_when_the_first_customers_are_at_its_time_and_texts_all_at_theirs(abroad: Any) -> None:
    wall = noon(-1)
    before = wall.replace(tzinfo=UTC) - timedelta(days=2)
    times = {"frequency": "daily", "times": ["12:00"]}
    when = {"repeat": times, "starts_on": f"{wall:%Y-%m-%d}", "time_zone": "America/New_York"}
    members = {"late_max_minutes": 3 * 1_440, "send_within_minutes": 7 * 1_440}
    schedule_id = await scheduled(abroad, before, when, **members)
    sydney, los_angeles = wall.replace(tzinfo=SYDNEY), wall.replace(tzinfo=LOS_ANGELES)
    kept = await shown(abroad, schedule_id)
    assert await begin_of(abroad, schedule_id) == sydney
    assert (kept["local_time"], kept["next"]["wall"]) == (True, f"{wall:%Y-%m-%dT%H:%M}")
    assert datetime.fromisoformat(kept["next"]["at"]) == wall.replace(tzinfo=ZoneInfo("America/New_York"))

    with clock.replaced(lambda: int(sydney.timestamp()) * 10**9, time.monotonic):
        assert await scheduler(abroad).turn()
        await abroad.plan()
    kept = await shown(abroad, schedule_id)
    assert [one["outcome"] for one in kept["occurrences"]] == ["started"]
    assert kept["next"]["wall"] == f"{wall + timedelta(days=1):%Y-%m-%dT%H:%M}"
    assert await begin_of(abroad, schedule_id) == sydney + timedelta(days=1)
    chunks = [fact.message for fact in await abroad.said("BulkRecipientsAttached")]
    due = sorted(chunk.due_at_unix_ms // 1000 for chunk in chunks)
    assert (len(due), due[0], due[-1]) == (4, int(sydney.timestamp()), int(los_angeles.timestamp()))
    last = max(max(chunk.allowed_until_unix_ms) for chunk in chunks) // 1000
    assert last == int(los_angeles.timestamp()) + 7 * 86_400


async def test_a_schedule_can_be_changed_to_local_times_and_back_and_begins_anew(abroad: Any) -> None:
    when = {"once": f"{noon(3):%Y-%m-%dT%H:%M}", "time_zone": "America/New_York"}
    schedule_id = await scheduled(abroad, datetime.now(UTC), when, local_time=False)
    same = noon(3).replace(tzinfo=ZoneInfo("America/New_York"))
    assert await begin_of(abroad, schedule_id) == same
    await abroad.ask("PATCH", f"/v1/schedules/{schedule_id}", {"local_time": True})
    assert await begin_of(abroad, schedule_id) == noon(3).replace(tzinfo=SYDNEY)
    await abroad.ask("PATCH", f"/v1/schedules/{schedule_id}", {"local_time": False})
    assert await begin_of(abroad, schedule_id) == same


async def test_a_start_that_the_schedules_own_clock_has_yet_to_show_is_not_missed(abroad: Any) -> None:
    """Sydney was there 14 hours ago; the business's own clock shows it in some minutes."""
    own = datetime.now(UTC) + timedelta(minutes=10)
    wall = own.astimezone(ZoneInfo("America/Panama")).replace(tzinfo=None, second=0, microsecond=0)
    when = {"once": f"{wall:%Y-%m-%dT%H:%M}", "time_zone": "America/Panama"}
    # Factual, since for marketing the United States have a night, and this test runs at any hour.
    members = {"late_max_minutes": 60, "send_within_minutes": 120, "class": "factual"}
    schedule_id = await scheduled(abroad, own - timedelta(days=2), when, **members)
    await run(abroad)
    await abroad.plan()
    [start] = (await shown(abroad, schedule_id))["occurrences"]
    assert start["outcome"] == "started", start
    bulk = await abroad.bulk(start["bulk_id"])
    assert (bulk["recipients"], bulk["left_out"]["outside_hours"]) == (2, 2), "in Australia it is too late for it"
