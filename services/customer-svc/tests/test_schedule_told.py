"""What is said of a start that came to nothing: by an event, from which people are told, and by a counter."""

from datetime import UTC, datetime
from typing import Any

import pytest
from test_scheduler import add, run, shown

from muster.customer.handlers import facts as handlers
from muster.events.v1.credits_pb2 import CreditsRefused
from muster.events.v1.schedules_pb2 import StartOutcome
from muster.events.v1.suspensions_pb2 import SuspensionChanged
from muster.kit import metrics

ROWS = "Ana,Smith,0412000001,yes\nBob,Jones,0412000002,yes\n"


async def told(salon: Any) -> list[tuple[str, str]]:
    said = [fact.message for fact in await salon.said("ScheduledStartDecided")]
    return [(StartOutcome.Name(one.outcome).removeprefix("START_OUTCOME_").lower(), one.code) for one in said]


def counted(outcome: str) -> float:
    return float(metrics.schedule_starts.labels(outcome)._value.get())


@pytest.mark.parametrize(
    ("minutes_ago", "members", "expected"),
    [
        (5, {"credits_max": 1}, ("above_ceiling", "above_ceiling")),
        (5, {"audience": {"list": "nobody"}}, ("not_possible", "audience_empty")),
        (90, {"late_max_minutes": 60}, ("missed", "missed")),
    ],
)
async def test_a_start_that_comes_to_nothing_is_said_once_with_all_that_a_letter_needs(
    salon: Any, minutes_ago: int, members: Any, expected: tuple[str, str]
) -> None:
    await salon.load(ROWS)
    before = counted(expected[0])
    schedule_id = await add(salon, minutes_ago, **members)
    await run(salon)
    assert await told(salon) == [expected]
    [fact] = await salon.said("ScheduledStartDecided")
    [start] = (await shown(salon, schedule_id))["occurrences"]
    said = fact.message
    assert (said.schedule_id, said.name, said.wall, said.time_zone) == (schedule_id, "n", start["wall"], "UTC")
    assert (said.detail, said.bulk_id, said.credits) == (start["detail"], "", start["credits"] or 0)
    assert datetime.fromtimestamp(said.at_unix_ms / 1000, UTC) == datetime.fromisoformat(start["at"])
    assert counted(expected[0]) == before + 1


async def test_a_start_that_waited_for_a_suspension_until_it_was_too_late_says_why(salon: Any) -> None:
    await salon.load(ROWS)
    before = counted("suspended"), counted("missed")
    schedule_id = await add(salon, 90)
    said = {"tenant_id": str(salon.tenant_id), "version": 1, "suspended": True, "reason": "unpaid since May."}
    await salon.hear(handlers.on_suspension_changed, SuspensionChanged(**said))
    await run(salon)
    [start] = (await shown(salon, schedule_id))["occurrences"]
    assert (start["outcome"], start["code"]) == ("missed", "suspended")
    assert start["detail"].endswith("It waited: unpaid since May.")
    assert await told(salon) == [("missed", "suspended")]
    assert (counted("suspended"), counted("missed")) == (before[0] + 1, before[1])


async def test_what_a_person_skips_is_said_as_that(salon: Any) -> None:
    schedule_id = await add(salon, -60)
    following = (await shown(salon, schedule_id))["next"]["wall"]
    await salon.ask("POST", f"/v1/schedules/{schedule_id}/skip", {"wall": following})
    assert await told(salon) == [("skipped", "skipped")]


async def test_the_send_of_a_start_that_gets_no_credits_is_said_to_be_refused_and_others_are_not(salon: Any) -> None:
    await salon.load(ROWS)
    schedule_id = await add(salon)
    await run(salon)
    other = await salon.send((await salon.quote("Hi"))["id"])
    await salon.plan()
    [start] = (await shown(salon, schedule_id))["occurrences"]
    for bulk_id in (start["bulk_id"], other):
        who = {"tenant_id": str(salon.tenant_id), "bulk_id": bulk_id, "account_version": 3, "reason": "short"}
        await salon.hear(handlers.on_credits_refused, CreditsRefused(**who, asked=2, shortfall=1))
    said = [fact.message for fact in await salon.said("ScheduledStartDecided")]
    # Heard twice, said twice: the same start and outcome name the same letter.
    assert await told(salon) == [("started", ""), ("refused", "credits_short"), ("refused", "credits_short")]
    assert {one.bulk_id for one in said} == {start["bulk_id"]}
    assert (said[1].wall, said[1].credits, "needs 2 credits" in said[1].detail) == (start["wall"], 2, True)


async def test_the_send_of_a_start_whose_plan_finds_nobody_is_said_to_be_refused(salon: Any) -> None:
    await salon.load(ROWS)
    await add(salon)
    await run(salon)
    for customer in (await salon.ask("GET", "/v1/customers")).json()["items"]:
        await salon.ask("PATCH", f"/v1/customers/{customer['id']}", {"allow_bulk_sms": False})
    await salon.plan()
    assert await told(salon) == [("started", ""), ("refused", "audience_empty")]
