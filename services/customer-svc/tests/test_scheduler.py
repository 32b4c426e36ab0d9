"""What is due is started once, whoever dies, sleeps or looks at the same time."""

import asyncio
import time
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from gathering import LINK_URL, plain

from muster.customer.handlers import facts as handlers
from muster.customer.handlers import scheduling
from muster.customer.scheduler import Limits, Scheduler
from muster.customer.store import schedules
from muster.events import NIL_TENANT
from muster.events.v1.schedules_pb2 import START_OUTCOME_STARTED as STARTED
from muster.events.v1.suspensions_pb2 import SuspensionChanged
from muster.events.v1.tenants_pb2 import TenantChanged
from muster.kit import clock

ID = "01931f5e-7b1c-7000-8000-000000000001"
TEXT = "Hello {{first_name}}, come in. STOP to opt out"


def this_minute() -> datetime:
    return datetime.now(UTC).replace(second=0, microsecond=0)


def scheduler(salon: Any, **members: Any) -> Scheduler:
    return Scheduler(salon.db, bytes(32), LINK_URL, Limits(10, 1, 60_000), lambda: None, **members)


async def run(salon: Any) -> None:
    """Let a scheduler do all there is to do."""
    one = scheduler(salon)
    for _ in range(100):
        if not await one.turn():
            return
    raise AssertionError("it never ends")


async def add(salon: Any, minutes_ago: int = 5, *, every_minutes: int = 0, **members: Any) -> str:
    """A schedule that was kept two days ago; the id. Its start was so long ago, or every so many minutes since."""
    first = this_minute() - timedelta(minutes=minutes_ago)
    when: dict[str, Any] = {"once": f"{first:%Y-%m-%dT%H:%M}", "time_zone": "UTC"}
    if every_minutes:
        walls = [first + timedelta(minutes=every_minutes * index) for index in range(1_440 // every_minutes)]
        times = sorted(f"{wall:%H:%M}" for wall in walls)
        rule = {"frequency": "daily", "times": times}
        when = {"repeat": rule, "starts_on": f"{first:%Y-%m-%d}", "time_zone": "UTC"}
    body = {"name": "n", "when": when, "text": TEXT, "audience": {"all": True}, "credits_max": 100, **members}
    before = first - timedelta(minutes=1)
    with clock.replaced(lambda: int(before.timestamp()) * 10**9, time.monotonic):
        answer = await salon.ask("POST", "/v1/schedules", body)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


async def shown(salon: Any, schedule_id: str) -> dict[str, Any]:
    return dict((await salon.ask("GET", f"/v1/schedules/{schedule_id}")).json())


async def outcomes(salon: Any, schedule_id: str) -> list[str]:
    return [one["outcome"] for one in (await shown(salon, schedule_id))["occurrences"]]


async def test_what_is_due_is_quoted_planned_and_asks_for_credits_as_any_send_does(salon: Any) -> None:
    await salon.load("Ana,Smith,0412000001,yes\nBob,Jones,0412000002,yes\nCyd,Lee,0412000003,no\n")
    schedule_id = await add(salon, send_within_minutes=120)
    await run(salon)
    await salon.plan()
    kept = await shown(salon, schedule_id)
    [start] = kept["occurrences"]
    assert (kept["state"], kept["next"], start["outcome"], start["credits"]) == ("ended", None, "started", 2)
    bulk = await salon.bulk(start["bulk_id"])
    assert (bulk["state"], bulk["recipients"], bulk["left_out"]["no_consent"]) == ("waiting", 2, 1)
    [requested] = await salon.said("BulkSmsRequested")
    due = datetime.fromisoformat(start["at"])
    assert requested.message.send_by_unix_ms == int((due + timedelta(minutes=120)).timestamp()) * 1_000
    assert (requested.message.credits, requested.message.credits_max) == (2, 0)
    assert bulk["schedule_id"] == schedule_id
    listed = [(await salon.ask("GET", f"/v1/bulk-sms?schedule_id={one}")).json()["items"] for one in (schedule_id, ID)]
    assert [[one["id"] for one in items] for items in listed] == [[bulk["id"]], []]
    [told] = await salon.said("ScheduledStartDecided")
    assert (told.message.outcome, told.message.bulk_id, told.message.detail) == (STARTED, bulk["id"], "")
    acts = {said.message.act: said.message for said in await salon.said("ActRecorded")}
    assert (acts["bulk-sms.requested"].user_id, acts["bulk-sms.requested"].reason) == ("ada", f"schedule {schedule_id}")


async def test_the_audience_is_that_of_the_start_and_the_text_that_of_the_schedule(salon: Any) -> None:
    await salon.load("Ana,Smith,0412000001,yes\n")
    template = (await salon.ask("POST", "/v1/templates", {"name": "t", "text": "First"})).json()
    await salon.ask("PUT", "/v1/searches/regulars", {"query": "ana"})
    await add(salon, text=None, template_id=template["id"], audience={"saved_search": "regulars"})
    await salon.ask("PUT", "/v1/searches/regulars", {"query": "ana or bob"})
    await salon.ask("PUT", f"/v1/templates/{template['id']}", {"name": "t", "text": "Second"})
    await salon.load("Bob,Jones,0412000002,yes\n")
    await run(salon)
    await salon.plan()
    [chunk] = await salon.said("BulkRecipientsAttached")
    assert ([plain(one) for one in chunk.message.text], len(chunk.message.number)) == (["First"], 2)


async def test_schedulers_that_look_at_the_same_time_start_it_once(salon: Any) -> None:
    await salon.load("Ana,Smith,0412000001,yes\n")
    ids = [await add(salon) for _ in range(3)]
    for _ in range(3):
        await asyncio.gather(*(scheduler(salon).turn() for _ in range(4)))
    assert [await outcomes(salon, schedule_id) for schedule_id in ids] == [["started"]] * 3
    assert await salon.count("bulk") == 3


@pytest.mark.parametrize("where", ["add_start", "set_next"])
async def test_a_scheduler_that_dies_between_the_start_and_its_send_leaves_neither(
    salon: Any, monkeypatch: Any, where: str
) -> None:
    await salon.load("Ana,Smith,0412000001,yes\n")
    schedule_id = await add(salon)

    async def die(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as broken:
        broken.setattr(schedules, where, die)
        for _ in range(2):
            with pytest.raises(KeyboardInterrupt):
                await scheduler(salon).turn()
            assert await salon.counts("bulk", "plan", "quote", "schedule_start") == [0, 0, 0, 0]
    await run(salon)
    assert await outcomes(salon, schedule_id) == ["started"]
    assert await salon.count("bulk") == 1


async def test_a_start_that_nobody_could_make_in_time_is_missed_and_the_late_one_within_its_bound_is_made(
    salon: Any,
) -> None:
    await salon.load("Ana,Smith,0412000001,yes\n")
    schedule_id = await add(salon, 65, every_minutes=30, late_max_minutes=20)
    await run(salon)
    assert await outcomes(salon, schedule_id) == ["started", "missed", "missed"]
    kept = await shown(salon, schedule_id)
    assert datetime.fromisoformat(kept["next"]["at"]) > datetime.now(UTC)
    assert "it may be 20 minutes late" in kept["occurrences"][-1]["detail"]
    assert await salon.count("bulk") == 1


async def test_above_the_ceiling_nothing_is_sent_and_the_history_says_what_it_would_have_cost(salon: Any) -> None:
    await salon.load("Ana,Smith,0412000001,yes\nBob,Jones,0412000002,yes\n")
    schedule_id = await add(salon, credits_max=1)
    await run(salon)
    [start] = (await shown(salon, schedule_id))["occurrences"]
    assert (start["outcome"], start["code"], start["credits"]) == ("above_ceiling", "above_ceiling", 2)
    assert await salon.count("bulk") == 0


async def test_with_the_other_rule_the_ledger_is_asked_for_no_more_than_the_ceiling(salon: Any) -> None:
    await salon.load("Ana,Smith,0412000001,yes\nBob,Jones,0412000002,yes\n")
    schedule_id = await add(salon, credits_max=1, above_credits_max="first_n")
    await run(salon)
    await salon.plan()
    assert await outcomes(salon, schedule_id) == ["started"]
    [requested] = await salon.said("BulkSmsRequested")
    assert (requested.message.credits, requested.message.credits_max) == (2, 1)


@pytest.mark.parametrize(("rows", "code"), [("", "audience_empty"), ("Ana,Smith,0412000001,no\n", "audience_empty")])
async def test_a_start_that_is_not_possible_says_why_and_the_schedule_goes_on(salon: Any, rows: str, code: str) -> None:
    if rows:
        await salon.load(rows)
    schedule_id = await add(salon, every_minutes=720, text="Hello")
    await run(salon)
    kept = await shown(salon, schedule_id)
    [start] = kept["occurrences"]
    assert (start["outcome"], start["code"], kept["state"]) == ("not_possible", code, "active")


async def test_a_scheduled_send_keeps_to_the_countries_of_its_business(salon: Any) -> None:
    await salon.load("Ana,Smith,0412000001,yes\nBob,Jones,+447400123456,yes\n")
    own = TenantChanged(tenant_id=str(salon.tenant_id), version=9, country="AU", time_zone="UTC", sender="+61400000000")
    await salon.hear(handlers.on_tenant_changed, own)
    schedule_id = await add(salon)
    await run(salon)
    await salon.plan()
    [start] = (await shown(salon, schedule_id))["occurrences"]
    bulk = await salon.bulk(start["bulk_id"])
    assert (bulk["customers"], bulk["recipients"], sum(bulk["left_out"].values())) == (2, 1, 1)


async def test_a_start_on_closed_days_waits_for_the_next_and_is_left_out_where_its_time_does_not_reach_so_far(
    salon: Any,
) -> None:
    await salon.load("Ana,Smith,0412000001,yes\n")
    days = [f"{this_minute() + timedelta(days=index):%Y-%m-%d}" for index in (0, 1)]
    settings = {"version": 9, "country": "AU", "time_zone": "UTC", "sender": "+61400000000", "closed_days": days}
    await salon.hear(handlers.on_tenant_changed, TenantChanged(tenant_id=str(salon.tenant_id), **settings))
    waits, too_late = await add(salon, send_within_minutes=4 * 1_440), await add(salon)
    await run(salon)
    await salon.plan()
    [start] = (await shown(salon, waits))["occurrences"]
    bulk = await salon.bulk(start["bulk_id"])
    quote = (await salon.ask("GET", f"/v1/quotes/{bulk['quote_id']}")).json()
    assert bulk["hours"]["waiting_recipients"] == 1
    assert quote["hours"]["waiting"] == bulk["hours"]["waiting"]
    [start] = (await shown(salon, too_late))["occurrences"]
    assert (start["outcome"], start["code"], start["bulk_id"]) == ("not_possible", "outside_hours", None)
    assert "1 who would be texted" in start["detail"]


async def test_a_defect_of_ours_is_said_and_keeps_nobody_else_waiting(salon: Any, monkeypatch: Any) -> None:
    await salon.load("Ana,Smith,0412000001,yes\n")
    broken, whole = await add(salon, 9, every_minutes=720, text="Broken"), await add(salon, text="Whole")
    quoted = scheduling.quote_now

    async def quote(tx: Any, tenant: Any, asked: Any, valid: Any) -> Any:
        if asked.text.text == "Broken":
            raise ZeroDivisionError
        return await quoted(tx, tenant, asked, valid)

    monkeypatch.setattr(scheduling, "quote_now", quote)
    await run(salon)
    assert await outcomes(salon, broken) == ["failed"]
    assert (await shown(salon, broken))["state"] == "active"
    assert await outcomes(salon, whole) == ["started"]


async def test_a_change_waits_for_the_start_that_is_being_made_and_does_not_start_it_again(salon: Any) -> None:
    await salon.load("Ana,Smith,0412000001,yes\n")
    schedule_id = await add(salon, every_minutes=720)
    changed, turned = await asyncio.gather(
        salon.ask("PATCH", f"/v1/schedules/{schedule_id}", {"credits_max": 50}), scheduler(salon).turn()
    )
    assert (changed.status_code, turned in (True, False)) == (200, True)
    await run(salon)
    assert await outcomes(salon, schedule_id) == ["started"]
    same = (await shown(salon, schedule_id))["when"]
    again = await salon.ask(
        "PATCH", f"/v1/schedules/{schedule_id}", {"when": {**same, "starts_on": f"{this_minute():%Y-%m-%d}"}}
    )
    assert again.status_code == 200, again.text
    await run(salon)
    assert await outcomes(salon, schedule_id) == ["started"]
    assert await salon.count("bulk") == 1


async def test_what_is_paused_or_archived_is_not_started(salon: Any) -> None:
    await salon.load("Ana,Smith,0412000001,yes\n")
    paused, archived = await add(salon), await add(salon)
    await salon.ask("POST", f"/v1/schedules/{paused}/pause")
    await salon.ask("DELETE", f"/v1/schedules/{archived}")
    await run(salon)
    assert await salon.count("schedule_start") == 0


@pytest.mark.parametrize("everybody", [False, True])
async def test_a_start_waits_while_its_business_or_the_platform_is_stopped(salon: Any, everybody: bool) -> None:
    await salon.load("Ana,Smith,0412000001,yes\n")
    schedule_id = await add(salon)
    subject = NIL_TENANT if everybody else salon.tenant_id
    for version, stopped in ((1, True), (2, False)):
        message = SuspensionChanged(tenant_id=str(subject), version=version, suspended=stopped, reason="audit")
        await salon.hear(handlers.on_suspension_changed, message)
        await run(salon)
        assert await outcomes(salon, schedule_id) == ([] if stopped else ["started"])


async def test_nothing_is_started_for_a_business_that_is_closed(salon: Any) -> None:
    await salon.load("Ana,Smith,0412000001,yes\n")
    schedule_id = await add(salon)
    closed = TenantChanged(
        tenant_id=str(salon.tenant_id), version=9, country="AU", time_zone="UTC", sender="+61400000000", closed=True
    )
    await salon.hear(handlers.on_tenant_changed, closed)
    await run(salon)
    [start] = (await shown(salon, schedule_id))["occurrences"]
    assert (start["outcome"], start["code"]) == ("not_possible", "tenant_closed")


async def test_a_later_time_zone_database_tells_the_next_start_anew_and_an_older_one_does_not(salon: Any) -> None:
    schedule_id = await add(salon, -60)
    right = (await shown(salon, schedule_id))["next"]
    async with salon.db.request(salon.tenant_id) as tx:
        kept = await schedules.lock(tx, salon.tenant_id, UUID(schedule_id))
        assert kept is not None
        assert kept.next_at is not None
        wrong = kept.next_at + timedelta(hours=1)
        await tx.execute("UPDATE schedule SET next_at = $1, tz_version = '2020a'", wrong)
    await scheduler(salon, tz_version="2019c").turn()
    async with salon.db.request(salon.tenant_id) as tx:
        kept = await schedules.schedule_of(tx, salon.tenant_id, UUID(schedule_id))
    assert kept is not None
    assert (kept.next_at, kept.tz_version) == (wrong, "2020a")
    assert await scheduler(salon).turn()
    assert not await scheduler(salon).turn()
    async with salon.db.request(salon.tenant_id) as tx:
        kept = await schedules.schedule_of(tx, salon.tenant_id, UUID(schedule_id))
    assert kept is not None
    assert kept.next_at == datetime.fromisoformat(right["at"])


async def test_a_business_that_missed_many_starts_keeps_no_other_waiting(salon: Any) -> None:
    await salon.load("Ana,Smith,0412000001,yes\n")
    many = await add(salon, 300, every_minutes=15, late_max_minutes=15)
    other = (await salon.ask("POST", "/v1/schedules/preview", {"when": {"cron": "0 1 * * *"}}, by="other")).status_code
    assert other == 200
    first = this_minute() - timedelta(minutes=5)
    with clock.replaced(lambda: int((first - timedelta(minutes=1)).timestamp()) * 10**9, time.monotonic):
        answer = await salon.ask(
            "POST", "/v1/schedules",
            {"name": "n", "when": {"once": f"{first:%Y-%m-%dT%H:%M}", "time_zone": "UTC"}, "text": "Hi",
             "audience": {"all": True}, "credits_max": 1},
            by="other", Idempotency_Key=str(uuid4()),
        )  # fmt: skip
    assert answer.status_code == 201, answer.text
    await scheduler(salon).turn()
    found = (await salon.ask("GET", f"/v1/schedules/{answer.json()['id']}", by="other")).json()["occurrences"]
    assert [one["outcome"] for one in found] == ["not_possible"]
    assert len(await outcomes(salon, many)) == 1
