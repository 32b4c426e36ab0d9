"""Hours of countries and businesses: what the rules say, and what becomes of a quote, a send and a message then."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from conftest import EXPRESS

from muster.customer.domain.calendars import named_days
from muster.customer.domain.hours import Business, Hours, classify, rules, suits_all, summary
from muster.customer.domain.refusal import Refusal
from muster.customer.domain.sends import judge_send_by
from muster.customer.domain.spans import Span
from muster.customer.handlers import facts
from muster.events import NIL_TENANT
from muster.events.v1.platform_pb2 import RatesChanged
from muster.events.v1.tenants_pb2 import TenantChanged
from muster.kit import clock
from muster.kit.consumer import Poison

# A Wednesday, 2 in the morning in New York, 23:00 in Los Angeles, 16:00 in Sydney.
NIGHT = datetime(2026, 6, 3, 6, 0, tzinfo=UTC)
NEW_YORK, LOS_ANGELES, SYDNEY = (
    ZoneInfo("America/New_York"),
    ZoneInfo("America/Los_Angeles"),
    ZoneInfo("Australia/Sydney"),
)
HEADER = "first name,last name,mobile,allow bulk sms,consent"


def hours(business: Business, at: datetime = NIGHT, days: int = 7) -> Hours:
    return Hours(business, int(at.timestamp()), int((at + timedelta(days=days)).timestamp()))


def first(spans: list[Span], zone: ZoneInfo) -> str:
    begin, end = (datetime.fromtimestamp(moment, zone) for moment in spans[0])
    return f"{begin:%a %H:%M}-{end:%H:%M}"


@contextmanager
def at(moment: datetime) -> Iterator[None]:
    """The clock of Python stands still."""
    with clock.replaced(lambda: round(moment.timestamp() * 1e9), time.monotonic):
        yield


def test_each_rule_says_what_it_is_from_and_since_when_it_is_known() -> None:
    every = rules()
    assert every["US"] is every["GU"]
    assert (every["US"].binding, every["AU"].binding, every["*"].binding) == (True, False, False)
    for rule in every.values():
        assert len(rule.source) > 40
        assert date(2026, 1, 1) <= rule.as_of
        assert any(rule.week)


def test_the_law_of_a_country_goes_by_the_recipients_clock_and_a_preset_only_by_choice() -> None:
    own = Business("Australia/Sydney")
    assert first(hours(own).allowed("US", "America/New_York"), NEW_YORK) == "Wed 08:00-21:00"
    assert first(hours(own).allowed("US", "America/Los_Angeles"), LOS_ANGELES) == "Wed 08:00-21:00"
    assert hours(own).allowed("AU", "") == [(hours(own).begin, hours(own).end)]
    customary = Business("Australia/Sydney", customary=True)
    assert first(hours(customary).allowed("AU", "Australia/Sydney"), SYDNEY) == "Wed 16:00-20:00"
    saturday = NIGHT + timedelta(days=3, hours=2)
    assert first(hours(customary, saturday).allowed("AU", "Australia/Sydney"), SYDNEY) == "Mon 09:00-20:00"


def test_who_may_be_in_several_zones_gets_the_hours_that_are_allowed_in_all_of_them() -> None:
    own = Business("Australia/Sydney", customary=True)
    # 9:00 in Perth is 11:00 in Sydney in winter; in Lord Howe 20:00 comes half an hour earlier.
    assert first(hours(own, NIGHT + timedelta(hours=5)).allowed("AU", ""), SYDNEY) == "Thu 11:00-19:30"
    both = hours(own).allowed("US", "America/New_York|America/Los_Angeles")
    assert first(both, NEW_YORK) == "Wed 11:00-21:00"


def test_a_business_is_quiet_by_its_own_clock_over_midnight_too() -> None:
    night = Business("Australia/Sydney", quiet=(20 * 60, 9 * 60))
    assert first(hours(night, NIGHT + timedelta(hours=5)).allowed("AU", ""), SYDNEY) == "Thu 09:00-20:00"
    noon = Business("Australia/Sydney", quiet=(12 * 60, 13 * 60))
    assert first(hours(noon).allowed("AU", ""), SYDNEY) == "Wed 16:00-12:00"
    closed = Business("Australia/Sydney", closed=frozenset({date(2026, 6, 3), date(2026, 6, 4)}))
    assert first(hours(closed).allowed("AU", ""), SYDNEY) == "Fri 00:00-16:00"


def test_the_public_holidays_that_a_business_keeps_are_quiet_by_its_own_clock() -> None:
    christmas = datetime(2026, 12, 24, 12, 0, tzinfo=UTC)  # 23:00 in Sydney
    keeps = Business("Australia/Sydney", calendars=("AU-NSW",))
    assert first(hours(keeps, christmas).allowed("AU", ""), SYDNEY) == "Thu 23:00-00:00"
    # The 25th, Boxing Day on Saturday the 26th, and the Monday on which that is kept.
    spans = hours(keeps, christmas).allowed("AU", "")
    assert first(spans[1:], SYDNEY) == "Sun 00:00-00:00"
    assert first(spans[2:], SYDNEY).startswith("Tue 00:00")
    victoria = Business("Australia/Sydney", calendars=("AU-VIC", "NZ"))
    cup = datetime(2026, 11, 2, 12, 0, tzinfo=UTC)
    assert first(hours(victoria, cup).allowed("AU", "")[1:], SYDNEY).startswith("Wed 00:00")
    # Of years that far ahead the package knows less, and warns of it, which is an error here.
    assert (
        0
        < len(named_days(["IN"], date(2066, 1, 1), date(2066, 12, 31)))
        < len(named_days(["IN"], date(2030, 1, 1), date(2030, 12, 31)))
    )
    unknown = Business("Australia/Sydney", calendars=("ZZ-TOP",))
    assert hours(unknown).allowed("AU", "") == [(hours(unknown).begin, hours(unknown).end)]


def test_what_is_usual_leaves_out_the_national_holidays_of_the_recipients_country() -> None:
    anzac_eve = datetime(2025, 4, 24, 11, 0, tzinfo=UTC)  # a Thursday, 21:00 in Sydney
    customary = Business("Australia/Sydney", customary=True)
    assert first(hours(customary, anzac_eve).allowed("AU", "Australia/Sydney"), SYDNEY) == "Sat 09:00-17:00"
    auckland = ZoneInfo("Pacific/Auckland")
    waitangi = datetime(2026, 2, 5, 11, 0, tzinfo=UTC)  # midnight before the 6th, a Friday, in Auckland
    assert first(hours(customary, waitangi).allowed("NZ", ""), auckland).startswith("Sat")


def test_zones_whose_hours_never_meet_leave_nobody_to_text() -> None:
    night = Business("Europe/London", quiet=(22 * 60, 8 * 60))
    assert hours(night).allowed("US", "Pacific/Guam|America/New_York") == []
    classes = classify(hours(night), [("US", "Pacific/Guam|America/New_York"), ("US", "America/New_York")])
    assert classes.class_of["US", "Pacific/Guam|America/New_York"] == -1
    assert classes.class_of["US", "America/New_York"] >= 0


def test_a_summary_counts_who_waits_until_when() -> None:
    assert summary(100, [(100, 5)]) is None
    told = summary(100, [(100, 5), (7300, 2), (7300, 1), (3700, 4)])
    assert told is not None
    assert (told["starts_at"], told["last_starts_at"]) == ("1970-01-01T00:01:40Z", "1970-01-01T02:01:40Z")
    assert [(one["until"], one["recipients"]) for one in told["waiting"]] == [
        ("1970-01-01T01:01:40Z", 4),
        ("1970-01-01T02:01:40Z", 3),
    ]
    assert told["waiting_recipients"] == 7


def test_without_a_word_a_send_has_a_day_from_when_the_last_may_be_texted_and_a_word_before_the_first_is_refused() -> (
    None
):
    starts = NIGHT + timedelta(hours=6), NIGHT + timedelta(hours=60)
    assert judge_send_by(NIGHT, None, starts) == NIGHT + timedelta(hours=84)
    assert judge_send_by(NIGHT, None, (starts[0], NIGHT + timedelta(days=30))) == NIGHT + timedelta(days=30)
    refusal = judge_send_by(NIGHT, starts[0], starts)
    assert isinstance(refusal, Refusal)
    assert (refusal.field, refusal.code) == ("send_by", "outside_hours")
    assert judge_send_by(NIGHT, starts[0] + timedelta(minutes=1), starts) == starts[0] + timedelta(minutes=1)


ROWS = (
    "Ann,East,+1 212 555 0101,yes,express\nBob,East,+1 212 555 0102,yes,express\n"
    "Cas,West,+1 213 555 0103,yes,express\nDee,Home,0412 345 678,yes,express"
)


@pytest.fixture
async def abroad(salon: Any) -> Any:
    await salon.hear(
        facts.on_rates_changed,
        RatesChanged(tenant_id=str(NIL_TENANT), country="US", version=1, credits_per_part=1),
    )
    await salon.load(ROWS, HEADER, **EXPRESS)
    return salon


async def test_the_later_hour_that_is_advised_suits_also_those_who_need_not_wait_now(abroad: Any) -> None:
    with at(NIGHT - timedelta(hours=3)):  # 23:00 in New York, 20:00 in Los Angeles
        quote = await abroad.quote("Sale")
    assert (quote["hours"]["waiting_recipients"], quote["hours"]["last_starts_at"]) == (2, "2026-06-03T12:00:00Z")
    [later] = [one for one in quote["advice"]["what_if"] if one["change"] == "later"]
    assert later["at"] == "2026-06-03T15:00:00Z", "at 12:00 it is five in the morning in Los Angeles"


def test_where_no_moment_suits_all_none_is_advised() -> None:
    assert suits_all([[(0, 10), (20, 30)], [(8, 25)], [(21, 40)]]) == "1970-01-01T00:00:21Z"
    assert suits_all([[(0, 10)], [(10, 20)]]) is None


async def test_a_quote_says_how_many_wait_until_when_and_the_plan_gives_each_chunk_its_hours(abroad: Any) -> None:
    with at(NIGHT):
        quote = await abroad.quote("Sale")
        assert quote["recipients"] == 4
        assert quote["hours"] == {
            "starts_at": "2026-06-03T06:00:00Z",
            "last_starts_at": "2026-06-03T15:00:00Z",
            "waiting": [
                {"until": "2026-06-03T12:00:00Z", "recipients": 2},
                {"until": "2026-06-03T15:00:00Z", "recipients": 1},
            ],
            "waiting_recipients": 3,
        }
        bulk_id = await abroad.send(quote["id"])
        await abroad.plan()
    bulk = await abroad.bulk(bulk_id)
    assert (bulk["hours"], bulk["recipients"], bulk["state"]) == (quote["hours"], 4, "waiting")
    chunks = [fact.message for fact in await abroad.said("BulkRecipientsAttached")]
    assert [(len(chunk.seq), chunk.due_at_unix_ms) for chunk in chunks] == [
        (1, _ms(NIGHT)),
        (2, _ms(NIGHT + timedelta(hours=6))),
        (1, _ms(NIGHT + timedelta(hours=9))),
    ]
    day = timedelta(days=1)
    east = [(_ms(NIGHT + timedelta(hours=6)), _ms(NIGHT + timedelta(hours=19)))]
    east += [(_ms(NIGHT + day + timedelta(hours=6)), _ms(NIGHT + day + timedelta(hours=9)))]  # send_by
    assert list(zip(chunks[1].allowed_from_unix_ms, chunks[1].allowed_until_unix_ms, strict=True)) == east
    assert chunks[1].send_by_unix_ms == _ms(NIGHT + day + timedelta(hours=9)), "a day from when the last may be texted"
    assert chunks[0].allowed_from_unix_ms[0] == _ms(NIGHT)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


async def test_who_has_no_hours_before_send_by_is_left_out_and_not_paid_for(abroad: Any) -> None:
    with at(NIGHT):
        quote = await abroad.quote("Sale")
        bulk_id = await abroad.send(quote["id"], send_by=(NIGHT + timedelta(hours=7)).isoformat())
        await abroad.plan()
    bulk = await abroad.bulk(bulk_id)
    assert (bulk["recipients"], bulk["credits"], bulk["left_out"]["outside_hours"]) == (3, 3, 1)


async def test_a_send_by_before_anybodys_hours_is_refused_by_name(abroad: Any) -> None:
    with at(NIGHT):
        await abroad.hear(facts.on_tenant_changed, quiet(abroad, 16 * 60, 23 * 60))  # until 13:00 UTC
        quote = await abroad.quote("Sale")
        assert quote["hours"]["starts_at"] == "2026-06-03T13:00:00Z"
        body = {"quote_id": quote["id"], "send_by": (NIGHT + timedelta(hours=5)).isoformat()}
        answer = await abroad.ask("POST", "/v1/bulk-sms", body, Idempotency_Key="k")
    assert answer.status_code == 422
    assert [(one["field"], one["code"]) for one in answer.json()["errors"]] == [("send_by", "outside_hours")]


def quiet(salon: Any, first: int, last: int, zone: str = "Australia/Sydney") -> TenantChanged:
    return TenantChanged(
        **{"tenant_id": str(salon.tenant_id), "version": 2, "name": "Salon", "country": "AU", "sender": "+61400000000"},
        **{"time_zone": zone, "quiet_from_minute": first, "quiet_to_minute": last, "countries": ["*"]},
    )


def keeping(salon: Any, version: int = 2, **members: Any) -> TenantChanged:
    """The salon's settings with more of them."""
    changed = quiet(salon, 0, 0)
    changed.MergeFrom(TenantChanged(version=version, **members))
    return changed


async def test_a_quote_and_its_send_keep_to_customary_hours_holidays_and_closed_days_once_they_are_heard(
    abroad: Any,
) -> None:
    new_year = datetime(2026, 12, 31, 20, 0, tzinfo=UTC)  # 7:00 on New Year's Day, a Friday, in Sydney
    with at(new_year):
        assert (await abroad.quote("Sale", {"search": "Dee"}))["hours"] is None
        await abroad.hear(facts.on_tenant_changed, keeping(abroad, customary_hours=True))
        usual = await abroad.quote("Sale", {"search": "Dee"})
        assert usual["hours"]["starts_at"] == "2027-01-02T01:00:00Z", "12:00 in Sydney is 9:00 in Perth"
        await abroad.hear(facts.on_tenant_changed, keeping(abroad, 3, holidays=["AU"], closed_days=["2027-01-02"]))
        closed = await abroad.quote("Sale", {"search": "Dee"})
        assert closed["hours"]["starts_at"] == "2027-01-02T13:00:00Z", "midnight in Sydney, after the second day"
        bulk_id = await abroad.send(closed["id"])
        await abroad.plan()
    [chunk] = [fact.message for fact in await abroad.said("BulkRecipientsAttached")]
    assert chunk.allowed_from_unix_ms[0] == _ms(datetime(2027, 1, 2, 13, 0, tzinfo=UTC))
    assert (await abroad.bulk(bulk_id))["hours"] == closed["hours"]


async def test_a_closed_day_that_is_none_is_poison(abroad: Any) -> None:
    with pytest.raises(Poison):
        await abroad.hear(facts.on_tenant_changed, keeping(abroad, closed_days=["2026-02-30"]))


async def test_the_days_without_marketing_are_listed_with_their_names(abroad: Any) -> None:
    own = {"holidays": ["AU-NSW"], "closed_days": ["2026-12-24", "2026-12-25"]}
    await abroad.hear(facts.on_tenant_changed, keeping(abroad, **own))
    listed = await abroad.ask("GET", "/v1/closed-days?from=2026-12-01&until=2026-12-31", by="staff")
    assert listed.json() == {
        "time_zone": "Australia/Sydney",
        "holidays": ["AU-NSW"],
        "items": [
            {"day": "2026-12-24", "name": None},
            {"day": "2026-12-25", "name": "Christmas Day"},
            {"day": "2026-12-26", "name": "Boxing Day"},
            {"day": "2026-12-28", "name": "Boxing Day (observed)"},
        ],
    }
    other = await abroad.ask("GET", "/v1/closed-days?from=2026-11-01&until=2026-11-30&holidays=AU-VIC")
    assert [one["name"] for one in other.json()["items"]] == ["Melbourne Cup Day"]
    with at(NIGHT):
        year = (await abroad.ask("GET", "/v1/closed-days")).json()["items"]
    assert (year[0]["day"], year[-1]["day"] <= "2027-06-03") == ("2026-06-08", True)


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("from=2026-02-30", "from"),
        ("from=2026-01-02&until=2026-01-01", "until"),
        ("from=2026-01-01&until=2029-01-01", "until"),
        ("from=0001-01-01&until=9999-12-31", "until"),
        ("holidays=Australia", "holidays.0"),
    ],
)
async def test_a_span_of_days_that_cannot_be_is_refused_by_name(abroad: Any, query: str, field: str) -> None:
    answer = await abroad.ask("GET", f"/v1/closed-days?{query}")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, field)


async def test_what_is_factual_keeps_no_hours(abroad: Any) -> None:
    with at(NIGHT):
        await abroad.hear(facts.on_tenant_changed, quiet(abroad, 16 * 60, 23 * 60))
        quote = await abroad.quote("Your appointment is at 9", **{"class": "factual"})
        assert quote["hours"] is None
        await abroad.send(quote["id"])
        await abroad.plan()
    chunks = [fact.message for fact in await abroad.said("BulkRecipientsAttached")]
    assert [len(chunk.allowed_from_unix_ms) for chunk in chunks] == [0, 0]


async def test_a_send_to_people_without_hours_says_nothing_of_any(abroad: Any) -> None:
    with at(NIGHT):
        quote = await abroad.quote("Sale", {"search": "Dee"})
        assert quote["hours"] is None
        await abroad.send(quote["id"])


@pytest.mark.parametrize(
    ("to", "message_class", "hours"),
    [("+12125550101", "marketing", 6), ("+12135550103", "marketing", 9), ("+12125550101", "factual", 0)],
)
async def test_a_single_message_of_marketing_waits_for_its_hours_and_a_factual_one_leaves(
    abroad: Any, to: str, message_class: str, hours: int
) -> None:
    with at(NIGHT):
        body = {"to": to, "text": "Hi", "class": message_class}
        answer = await abroad.ask("POST", "/v1/messages", body, Idempotency_Key="k")
        assert answer.status_code == 202, answer.text
    [chunk] = [fact.message for fact in await abroad.said("BulkRecipientsAttached")]
    assert chunk.due_at_unix_ms == _ms(NIGHT + timedelta(hours=hours))
    assert bool(chunk.allowed_from_unix_ms) == (message_class == "marketing")


async def test_a_single_message_without_an_hour_before_its_send_by_is_refused(abroad: Any) -> None:
    with at(NIGHT):
        send_by = (NIGHT + timedelta(hours=3)).isoformat()
        body = {"to": "+12125550101", "text": "Hi", "class": "marketing", "send_by": send_by}
        answer = await abroad.ask("POST", "/v1/messages", body, Idempotency_Key="k")
    assert answer.status_code == 422
    assert [(one["field"], one["code"]) for one in answer.json()["errors"]] == [("send_by", "outside_hours")]


async def test_a_customer_with_a_time_zone_of_their_own_has_the_hours_of_that(abroad: Any) -> None:
    [ann] = (await abroad.ask("GET", "/v1/customers?search=Ann")).json()["items"]
    assert ann["time_zone"] == ""
    changed = await abroad.ask("PATCH", f"/v1/customers/{ann['id']}", {"time_zone": "America/Los_Angeles"})
    assert (changed.status_code, changed.json()["time_zone"]) == (200, "America/Los_Angeles")
    unmoved = await abroad.ask("PATCH", f"/v1/customers/{ann['id']}", {"last_name": "West"})
    assert unmoved.json()["time_zone"] == "America/Los_Angeles"
    with at(NIGHT):
        quote = await abroad.quote("Sale")
    assert [one["recipients"] for one in quote["hours"]["waiting"]] == [1, 2]


async def test_a_time_zone_that_is_none_is_refused_by_its_name(abroad: Any) -> None:
    for wrong in ("Sydney", "UTC+10", "localtime", "../etc/passwd"):
        answer = await abroad.ask("POST", "/v1/customers", {"first_name": "Eve", "time_zone": wrong})
        assert answer.status_code == 422, wrong
        assert [(one["field"], one["code"]) for one in answer.json()["errors"]] == [
            ("time_zone", "time_zone_not_known")
        ]


async def test_a_file_brings_time_zones_and_never_takes_them_away(abroad: Any) -> None:
    header = "first name,last name,mobile,allow bulk sms,Time Zone"
    rows = "Fay,North,+1 212 555 0104,yes,America/Denver\nGus,South,+1 212 555 0105,yes,Nowhere/City"
    first_time = await abroad.load(rows, header)
    assert (first_time["created"], first_time["rejected"]) == (1, 1)
    errors = (await abroad.ask("GET", first_time["errors_url"])).json()["items"]
    assert [(one["row"], one["field"], one["column"]) for one in errors] == [(2, "time_zone", "Time Zone")]
    again = await abroad.load("Fay,North,+1 212 555 0104,yes,", header)
    assert (again["unchanged"], await zone_of(abroad, "Fay")) == (1, "America/Denver")
    moved = await abroad.load("Fay,North,+1 212 555 0104,yes,America/Chicago", header)
    assert (moved["updated"], await zone_of(abroad, "Fay")) == (1, "America/Chicago")


async def zone_of(salon: Any, name: str) -> str:
    [found] = (await salon.ask("GET", f"/v1/customers?search={name}")).json()["items"]
    return str(found["time_zone"])
