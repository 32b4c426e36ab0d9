"""Across an update of the time zone database: what is kept of a schedule is the time on the wall, not the moment."""

import re
from datetime import UTC, datetime, timedelta
from importlib.resources import files
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from test_hours import at
from test_scheduler import scheduler, shown

from muster.customer.api import scheduling as keeping
from muster.customer.domain import recurrence
from muster.customer.domain.wall_clock import TZ_VERSION

BERLIN = ZoneInfo("Europe/Berlin")
# A day in summer; it is 12:00 in Berlin, and 11:00 by a database that knows of no summer time there.
NOW = datetime(2027, 7, 1, 10, 0, tzinfo=UTC)
DAILY = {"repeat": {"frequency": "daily", "times": ["11:30", "15:00"]}, "time_zone": "Europe/Berlin"}


def older(_: str) -> ZoneInfo:
    """Berlin by a database of before its summer time was decided on."""
    with files("tzdata").joinpath("zoneinfo", "Etc", "GMT-1").open("rb") as file:
        return ZoneInfo.from_file(file, key="Europe/Berlin")


async def kept_with(salon: Any, monkeypatch: pytest.MonkeyPatch, when: dict[str, Any], **members: Any) -> str:
    """A schedule that a release with the older database has kept."""
    body = {"name": "n", "when": when, "text": "Hi", "audience": {"all": True}, "credits_max": 9, **members}
    with monkeypatch.context() as release, at(NOW):
        release.setattr(keeping, "zone_of", older)
        release.setattr(keeping, "TZ_VERSION", "2020a")
        answer = await salon.ask("POST", "/v1/schedules", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def next_at(salon: Any, schedule_id: str) -> datetime:
    async with salon.db.request(salon.tenant_id) as tx:
        found = await tx.fetchval("SELECT next_at FROM schedule WHERE schedule_id = $1", schedule_id)
    assert isinstance(found, datetime)
    return found


async def test_the_next_start_is_at_the_same_time_on_the_wall_and_at_another_moment(
    salon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    when = {"once": "2027-07-14T15:00", "time_zone": "Europe/Berlin"}
    schedule_id = await kept_with(salon, monkeypatch, when)
    assert await next_at(salon, schedule_id) == datetime(2027, 7, 14, 14, 0, tzinfo=UTC)
    with at(NOW):
        assert await scheduler(salon).turn()
        assert not await scheduler(salon).turn(), "it is told anew once"
    assert await next_at(salon, schedule_id) == datetime(2027, 7, 14, 13, 0, tzinfo=UTC)
    kept = await shown(salon, schedule_id)
    assert (kept["next"]["wall"], kept["when"]["once"]) == ("2027-07-14T15:00", "2027-07-14T15:00")


async def test_all_starts_to_come_are_by_the_later_database(salon: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    schedule_id = await kept_with(salon, monkeypatch, DAILY)
    with at(NOW):
        await scheduler(salon).turn()
        preview = (await salon.ask("GET", f"/v1/schedules/{schedule_id}/preview")).json()["starts"]
    walls = [datetime.fromisoformat(one["wall"]).replace(tzinfo=BERLIN) for one in preview]
    assert [datetime.fromisoformat(one["at"]) for one in preview] == walls
    assert preview[0]["wall"] == "2027-07-01T15:00", "11:30 has passed by the later one"


async def test_a_start_that_the_update_moves_into_the_past_is_due_at_once_and_made_once(
    salon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    await salon.load("Ana,Smith,0412000001,yes\n")
    today = datetime.now(UTC)
    moment = today.replace(second=0, microsecond=0) + timedelta(minutes=30)
    # By the older database in half an hour, by the later one half an hour ago: the zone's offset has grown by an hour.
    wall = moment + timedelta(hours=1)
    when = {"once": f"{wall:%Y-%m-%dT%H:%M}", "time_zone": "Etc/GMT-2"}
    body = {"name": "n", "when": when, "text": "Hi", "audience": {"all": True}, "credits_max": 9}
    with monkeypatch.context() as release:
        release.setattr(keeping, "zone_of", older)
        release.setattr(keeping, "TZ_VERSION", "2020a")
        schedule_id = (await salon.ask("POST", "/v1/schedules", body)).json()["id"]
    async with salon.db.request(salon.tenant_id) as tx:
        await tx.execute("UPDATE schedule SET time_zone = 'Etc/GMT-2' WHERE schedule_id = $1", schedule_id)
    assert await next_at(salon, schedule_id) == moment
    for _ in range(3):
        await scheduler(salon).turn()
    [start] = (await shown(salon, schedule_id))["occurrences"]
    assert (start["outcome"], datetime.fromisoformat(start["at"])) == ("started", moment - timedelta(hours=1))
    assert await salon.count("bulk") == 1


async def test_a_day_that_a_later_release_knows_to_be_a_holiday_is_left_out_too(
    salon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    christmas = {"repeat": {"frequency": "daily", "times": ["11:30"]}, "starts_on": "2027-12-25"}
    when = {**christmas, "time_zone": "Europe/Berlin", "except_holidays": ["DE"]}
    with monkeypatch.context() as release:
        release.setattr(recurrence, "named_days", lambda *_: {})
        schedule_id = await kept_with(salon, monkeypatch, when)
    assert (await shown(salon, schedule_id))["next"]["wall"] == "2027-12-25T11:30"
    with at(NOW):
        await scheduler(salon).turn()
    assert (await shown(salon, schedule_id))["next"]["wall"] == "2027-12-27T11:30"


def test_a_later_release_of_either_is_greater() -> None:
    assert TZ_VERSION > "2020a"
    assert "2026f/00000.00099" < "2026f/00000.00109" < "2026g/00000.00001"
    assert re.fullmatch(r"\d{4}[a-z]+/\d{5}(\.\d{5})+", TZ_VERSION)
