"""How much a business may send before somebody looks: to strangers, in its first days, to one range at once."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from gathering import KEY, LINK_URL, LINKS, SECRETS
from hypothesis import given
from hypothesis import strategies as st

from muster.customer.domain.limits import Asked, Key, Limits, Scope, daily_limit, judge, keys, maxima, until
from muster.customer.handlers import facts, guarding, messages, scheduling
from muster.customer.handlers.asks import Limited, Said
from muster.customer.planner import Limits as Steps
from muster.customer.planner import Planner
from muster.customer.settings import CustomerSettings
from muster.customer.store import schedules
from muster.events.v1.bulk_pb2 import CONTROL_PAUSE, BulkSmsControlled
from muster.events.v1.suspensions_pb2 import SuspensionChanged
from muster.kit import clock, metrics
from muster.kit.outbox import Lane

NOW = datetime(2026, 11, 27, 10, 40, tzinfo=UTC)
DAY = timedelta(days=1)
NEW = Limits(start_daily=100, start_days=4)
SYDNEY = ZoneInfo("Australia/Sydney")
ROWS = "".join(f"P{n},X,04120000{n:02d},yes\n" for n in range(6))
EVERYBODY = {"text": "Hello", "audience": {"all": True}}


# -- what is too much -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("days", "limit"), [(-1, 100), (0, 100), (0.9, 100), (1, 200), (3.5, 800), (4, None)])
def test_a_new_business_may_send_twice_as_much_each_day_until_it_is_new_no_more(days: float, limit: int | None) -> None:
    assert daily_limit(NEW, NOW - days * DAY, NOW) == limit


@pytest.mark.parametrize(("own", "limit"), [({}, 100), ({"daily": None}, 100), ({"daily": 7}, 7), ({"daily": 0}, None)])
def test_what_an_operator_has_set_goes_before_the_rule_of_the_first_days(own: Any, limit: int | None) -> None:
    assert daily_limit(NEW.with_own(own), NOW, NOW) == limit
    assert NEW.with_own({"range_hourly": 0, **own}).range_hourly is None


def test_counters_are_of_the_hour_and_of_the_day_on_the_businesss_own_clock() -> None:
    scopes = maxima(Limits(5, 50, start_daily=100, start_days=4), NOW, NOW)
    found = keys(scopes, 61_412_345_678, SYDNEY, NOW)
    hour, midnight = NOW.replace(minute=0), datetime(2026, 11, 26, 13, tzinfo=UTC)
    assert found == [Key(Scope.RANGE, hour, 61_412_345), Key(Scope.PREFIX, hour, 61_412), Key(Scope.DAY, midnight)]
    assert [until(key, SYDNEY) for key in found] == [hour + timedelta(hours=1)] * 2 + [midnight + DAY]
    assert keys(scopes, None, SYDNEY, NOW) == found[2:], "who is a customer counts for the day alone"
    assert keys({}, 61_412_345_678, SYDNEY, NOW) == []


def test_a_day_on_which_clocks_are_changed_ends_at_midnight() -> None:
    [key] = keys({Scope.DAY: 1}, None, SYDNEY, datetime(2026, 10, 4, 3, tzinfo=UTC))
    assert until(key, SYDNEY) - key.since == timedelta(hours=23)


_KEYS = [Key(scope, NOW, digits) for scope in (Scope.RANGE, Scope.PREFIX) for digits in (1, 2)]


@given(
    st.lists(st.tuples(st.lists(st.sampled_from(_KEYS), max_size=3, unique=True), st.integers(1, 3)), max_size=20),
    st.dictionaries(st.sampled_from(_KEYS), st.integers(0, 5)),
    st.integers(0, 6),
)
def test_as_many_go_as_fit_in_the_order_in_which_they_came(
    asked: Sequence[tuple[list[Key], int]], before: dict[Key, int], limit: int
) -> None:
    found = judge([Asked(*one) for one in asked], before, {Scope.RANGE: limit, Scope.PREFIX: limit})
    counts = dict(before)
    for (some, count), full in zip(asked, found, strict=True):
        fits = all(counts.get(key, 0) + count <= limit for key in some)
        assert (full is None) is fits
        assert full is None or full in some
        for key in some if fits else ():
            counts[key] = counts.get(key, 0) + count


# -- single messages --------------------------------------------------------------------------------------------------


async def taken(salon: Any, numbers: Sequence[str], limits: Limits) -> list[Any]:
    async with salon.db.worker() as tx:
        return await messages.take(tx, [salon.asked(number) for number in numbers], SECRETS, limits)


def outcome(answers: Sequence[Any]) -> str:
    return "".join("." if isinstance(one, Said) else "L" if isinstance(one, Limited) else "?" for one in answers)


async def test_a_burst_over_a_range_of_strangers_is_stopped_not_charged_and_counted(salon: Any) -> None:
    before = metrics.pumping_refused.labels("range")._value.get()
    burst = [f"04123456{n:02d}" for n in range(7)]

    first = await taken(salon, burst[:4], Limits(range_hourly=5))
    second = await taken(salon, [*burst[4:], "0412999999"], Limits(range_hourly=5))

    assert (outcome(first), outcome(second)) == ("....", ".LL.")
    refused = second[1].refusal
    assert (refused.field, refused.code) == ("to", "pumping_suspected")
    assert second[1].until > clock.now()
    said = [one.message for one in await salon.said("BulkRecipientsAttached")]
    assert sum(len(one.number) for one in said) == 6
    assert metrics.pumping_refused.labels("range")._value.get() == before + 2


async def test_who_is_a_customer_is_not_a_stranger_and_another_business_is_not_its_neighbour(salon: Any) -> None:
    await salon.load("Ada,X,0412345600,yes\nBob,X,0412345601,yes\n")
    limits = Limits(range_hourly=1, prefix_hourly=2)

    own = await taken(salon, ["0412345600", "0412345601", "0412345602", "0412345603"], limits)
    async with salon.db.worker() as tx:
        asks = [salon.asked("+61412345602", by="other")]
        others = await messages.take(tx, asks, SECRETS, limits)
    prefix = await taken(salon, ["0412999998", "0412999998"], Limits(prefix_hourly=2))

    assert (outcome(own), outcome(others), outcome(prefix)) == ("...L", ".", ".L")


async def test_the_refusal_of_a_message_says_when_to_come_again(salon: Any) -> None:
    await taken(salon, ["0412345600"], Limits(range_hourly=1))
    limited = (await taken(salon, ["0412345601"], Limits(range_hourly=1)))[0]

    class Full:
        async def ask(self, _: Any) -> Any:
            return limited

    salon.http._transport.app.state.gatherer = Full()
    answer = await salon.ask("POST", "/v1/messages", {"to": "0412345601", "text": "Hi"})

    assert (answer.status_code, answer.json()["code"]) == (429, "pumping_suspected")
    assert 1 <= int(answer.headers["Retry-After"]) <= 3_600
    assert answer.json()["errors"][0]["field"] == "to"


# -- the first days ---------------------------------------------------------------------------------------------------


@pytest.fixture
def settings() -> CustomerSettings:
    limits: dict[str, Any] = {"customer_start_daily_max": 10, "customer_start_days": 3, "customer_plan_range_max": 0}
    return CustomerSettings(hash_key=KEY, bulk_id_key=KEY, customer_tenant_wait_ms=60, **limits)


async def confirm(salon: Any) -> Any:
    quote = await salon.ask("POST", "/v1/quotes", EVERYBODY)
    body = {"quote_id": quote.json()["id"]}
    return quote.json(), await salon.ask("POST", "/v1/bulk-sms", body, Idempotency_Key=str(uuid4()))


async def put(salon: Any, **limits: Any) -> Any:
    path = f"/v1/ops/customer/tenants/{salon.tenant_id}/limits"
    return await salon.ask("PUT", path, {"reason": "known to us", **limits}, by="operator")


async def test_a_new_business_is_told_its_limit_and_an_operator_lifts_it(salon: Any) -> None:
    await salon.load(ROWS)
    quote, first = await confirm(salon)
    again, refused = await confirm(salon)

    assert (quote["warnings"], first.status_code) == ([], 202)
    [warning] = again["warnings"]
    assert (warning["code"], "4 are left" in warning["message"]) == ("start_limit", True)
    error = refused.json()["errors"][0]
    assert (refused.status_code, error["field"], error["code"]) == (422, "quote_id", "start_limit")
    assert "at most 10 recipients today" in error["message"]
    assert (await put(salon, daily=0)).json()["left_today"] is None
    assert (await confirm(salon))[1].status_code == 202


async def test_what_was_refused_is_not_counted(salon: Any) -> None:
    await salon.load(ROWS)
    await confirm(salon)
    for _ in range(2):
        assert (await confirm(salon))[1].status_code == 422
    limits = Limits(start_daily=10, start_days=3)
    assert outcome(await taken(salon, [f"041200000{n}" for n in range(6)], limits)) == "....LL"


async def clean_since(salon: Any) -> datetime:
    async with salon.db.worker() as tx:
        return await tx.fetchval("SELECT clean_since FROM tenant WHERE tenant_id = $1", salon.tenant_id)


@pytest.mark.parametrize("what", ["suspension", "error_rate"])
async def test_something_bad_makes_a_new_business_begin_anew_and_an_old_one_not(salon: Any, what: str) -> None:
    start = await clean_since(salon)
    hear = facts.handlers(bytes(32), 3)

    async def bad(days: float, version: int) -> None:
        about = {"tenant_id": str(salon.tenant_id), "at_unix_ms": int((start + days * DAY).timestamp() * 1000)}
        if what == "suspension":
            await salon.hear(hear["SuspensionChanged"], SuspensionChanged(version=version, suspended=True, **about))
            return
        paused = BulkSmsControlled(
            bulk_id=str(uuid4()), control_version=1, control=CONTROL_PAUSE, reason="error_rate", **about
        )
        await salon.hear(hear["BulkSmsControlled"], paused)

    await bad(2, 1)
    assert await clean_since(salon) == pytest.approx(start + 2 * DAY, abs=timedelta(seconds=1))
    begun = await clean_since(salon)
    await bad(1, 2)
    assert await clean_since(salon) == begun, "what came late is older"
    await bad(9, 3)
    assert await clean_since(salon) == begun


async def test_a_scheduled_start_above_the_days_limit_is_not_made(salon: Any) -> None:
    await salon.load(ROWS)
    when = {"once": f"{clock.now() + timedelta(hours=1):%Y-%m-%dT%H:%M}", "time_zone": "UTC"}
    body = {"name": "x", "text": "Hi", "audience": {"all": True}, "credits_max": 9, "when": when}
    added = await salon.ask("POST", "/v1/schedules", body)
    assert added.status_code == 201, added.text
    async with salon.db.worker() as tx:
        schedule_id = await tx.fetchval("SELECT schedule_id FROM schedule WHERE tenant_id = $1", salon.tenant_id)
    later = clock.now() + timedelta(hours=1, minutes=1)
    async with salon.db.request(salon.tenant_id) as tx:
        schedule = await schedules.take(tx, salon.tenant_id, schedule_id)
        limits = Limits(start_daily=5, start_days=3)
        started = await scheduling.start(tx, salon.tenant_id, schedule, bytes(32), later, LINK_URL, limits)

    assert (started.verdict.code, started.bulk_id, started.credits) == ("start_limit", None, 6)


# -- a send whose numbers are made up ---------------------------------------------------------------------------------


async def test_a_send_to_a_range_of_numbers_is_refused_when_it_is_planned_and_an_operator_allows_it(salon: Any) -> None:
    await salon.load(ROWS)
    limits = Limits(plan_range=5)

    async def planned() -> dict[str, Any]:
        bulk_id = await salon.send((await salon.quote("Hello"))["id"])
        for lane in Lane:
            planner = Planner(salon.db, lane, Steps(200, 40, 1, 60_000), lambda: None, limits, links=LINKS)
            while await planner.turn():
                pass
        return dict(await salon.bulk(bulk_id))

    await put(salon, daily=0)
    refused = await planned()
    said = await salon.said("BulkSmsRequested")
    await put(salon, daily=0, plan_range=6)
    allowed = await planned()

    assert (refused["state"], refused["problem"]["code"], said) == ("refused", "pumping_suspected", [])
    assert allowed["state"] == "waiting"


# -- what operators see -----------------------------------------------------------------------------------------------


async def test_an_operator_sees_the_limits_and_where_messages_went_and_nobody_else_does(salon: Any) -> None:
    await taken(salon, ["0412345600", "0412345601"], Limits(range_hourly=5, start_daily=100, start_days=3))
    path = f"/v1/ops/customer/tenants/{salon.tenant_id}/limits"

    seen = (await salon.ask("GET", path, by="operator")).json()
    await put(salon, range_hourly=7)
    changed = (await salon.ask("GET", path, by="operator")).json()

    assert [(one["scope"], one["begins"], one["messages"]) for one in seen["busiest"]] == [
        ("range", "+61412345", 2),
        ("day", "", 2),
    ]
    assert (seen["now"]["range_hourly"], seen["now"]["daily"], seen["left_today"]) == (20, 10, 8)
    assert (changed["now"]["range_hourly"], changed["own"]["range_hourly"], changed["user_id"]) == (7, 7, "op")
    *_, act = await salon.said("ActRecorded")
    assert (act.message.act, act.message.reason) == ("tenant.limited", "known to us")
    assert (await salon.ask("GET", path, by="admin")).status_code == 403
    wrong = await put(salon, daily=-1)
    nobody = await salon.ask("GET", path.replace(str(salon.tenant_id), str(uuid4())), by="operator")
    assert (wrong.status_code, wrong.json()["errors"][0]["field"], nobody.status_code) == (422, "daily", 404)


async def test_counters_are_forgotten_when_they_count_no_more(salon: Any) -> None:
    await taken(salon, ["0412345600"], Limits(range_hourly=5))
    assert await guarding.forget(salon.db) is False
    assert await salon.count("velocity") == 1
    async with salon.db.worker() as tx:
        await tx.execute("UPDATE velocity SET since = since - interval '51 hours'")
    await guarding.forget(salon.db)
    assert await salon.count("velocity") == 0
