"""When schedules start: the days of rules, and the moments of times on the wall in every zone of the world."""

from datetime import UTC, date, datetime, time, timedelta
from itertools import islice, takewhile
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from dateutil import rrule
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.customer.domain import wall_clock
from muster.customer.domain.days import DAYS, Repeat, by_day_of, days_of
from muster.customer.domain.recurrence import Rule, next_start, plain, read, starts
from muster.customer.domain.schedules import Above, Outcome, judge, judge_price, judge_start
from muster.customer.domain.wall_clock import Shift, instant_of, wall_of, zone_of

NOW = datetime(2026, 11, 27, 7, 0, tzinfo=UTC)
FREQUENCIES = {"daily": rrule.DAILY, "weekly": rrule.WEEKLY, "monthly": rrule.MONTHLY, "yearly": rrule.YEARLY}


def zone(name: str) -> ZoneInfo:
    found = zone_of(name)
    assert found is not None
    return found


SYDNEY = zone("Australia/Sydney")


def rule(**members: Any) -> Rule:
    return read({"starts_on": "2026-11-27", **members})


def repeat(frequency: str, *times: str, **members: Any) -> dict[str, Any]:
    return {"repeat": {"frequency": frequency, "interval": 1, "times": times or ("10:00",), **members}}


def shown(one: Rule, where: ZoneInfo = SYDNEY, count: int = 3, later_than: datetime = NOW) -> list[str]:
    return [f"{start.wall:%Y-%m-%d %H:%M}" for start in islice(starts(one, where, later_than=later_than), count)]


CASES: list[tuple[str, dict[str, Any], list[str]]] = [
    ("every second Tuesday", repeat("weekly", by_day=["tu"], interval=2), ["12-08 10:00", "12-22 10:00"]),
    ("the last Friday of the month", repeat("monthly", by_day=["-1fr"]), ["12-25 10:00", "2027-01-29 10:00"]),
    (
        "each weekday, twice",
        repeat("weekly", "17:00", "09:00", by_day=["mo", "tu", "we", "th", "fr"]),
        ["11-30 09:00", "11-30 17:00", "12-01 09:00"],
    ),
    (
        "the 31st: months without one have none",
        repeat("monthly", by_month_day=[31]),
        ["12-31 10:00", "2027-01-31 10:00", "2027-03-31 10:00"],
    ),
    (
        "the last day of the month",
        repeat("monthly", by_month_day=[-1]),
        ["11-30 10:00", "12-31 10:00", "2027-01-31 10:00", "2027-02-28 10:00"],
    ),
    (
        "the last working day",
        repeat("monthly", by_day=["mo", "tu", "we", "th", "fr"], by_set_position=[-1]),
        ["11-30 10:00", "12-31 10:00", "2027-01-29 10:00"],
    ),
    ("29 February", repeat("yearly", by_month=[2], by_month_day=[29]), ["2028-02-29 10:00", "2032-02-29 10:00"]),
    (
        "a rule without a day has its first day's",
        repeat("weekly") | {"starts_on": "2026-12-02"},
        ["12-02 10:00", "12-09 10:00"],
    ),
    ("cron", {"cron": "30 9 * * MON#1"}, ["12-07 09:30", "2027-01-04 09:30"]),
    ("once", {"once": "2026-12-24T18:00", "starts_on": "2026-12-24"}, ["12-24 18:00"]),
    ("until a day", repeat("daily") | {"ends_on": "2026-11-29"}, ["11-28 10:00", "11-29 10:00"]),
    ("so many times, today's too, which is over", repeat("daily") | {"count": 3}, ["11-28 10:00", "11-29 10:00"]),
    ("cron so many times", {"cron": "0 10 * * *", "count": 3}, ["11-28 10:00", "11-29 10:00"]),
    (
        "without days of its own, which count",
        repeat("daily") | {"count": 4, "except_dates": ["2026-11-29"]},
        ["11-28 10:00", "11-30 10:00"],
    ),
]  # fmt: skip


@pytest.mark.parametrize(("name", "when", "expected"), CASES, ids=[case[0] for case in CASES])
def test_a_rule_starts_when_its_words_say(name: str, when: dict[str, Any], expected: list[str]) -> None:
    one = rule(**when)
    assert list(judge(one, SYDNEY, NOW, 15)) == []
    found = shown(one, count=len(expected) + (1 if {"ends_on", "count"} & when.keys() or "once" in when else 0))
    assert [wall.removeprefix("2026-") for wall in found] == expected
    assert read(plain(one)) == one


REFUSED: list[tuple[dict[str, Any], str, str]] = [
    ({"cron": "0 10 30 2 *"}, "when.cron", "not_cron"),
    ({"cron": "61 * * * *"}, "when.cron", "not_cron"),
    ({"cron": "* * *"}, "when.cron", "not_cron"),
    ({"cron": "0 0 10 * * *"}, "when.cron", "not_cron"),
    ({"cron": "@daily"}, "when.cron", "not_cron"),
    ({"cron": "0 0 ² * *"}, "when.cron", "not_cron"),
    ({"cron": "*/5 * * * *"}, "when.cron", "too_often"),
    ({"cron": "0,50 0,23 * * *"}, "when.cron", "too_often"),
    (repeat("daily", "10:00", "10:14"), "when.repeat.times", "too_often"),
    (repeat("daily", "23:50", "00:00"), "when.repeat.times", "too_often"),
    (repeat("yearly", by_month=[2], by_month_day=[30]), "when", "never"),
    (repeat("daily", by_month=[2], by_month_day=[30]), "when", "never"),
    (repeat("daily", by_day=["mo"], interval=7), "when", "never"),
    (repeat("monthly", by_day=["tu"], by_set_position=[6]), "when", "never"),
    (repeat("daily") | {"ends_on": "2026-11-27"}, "when", "never"),
    (repeat("daily") | {"ends_on": "2026-11-26"}, "when.ends_on", "before_start"),
    (repeat("daily") | {"ends_on": "2026-11-28", "except_dates": ["2026-11-28"]}, "when", "never"),
    (repeat("daily") | {"starts_on": "2026-11-26"}, "when.starts_on", "past"),
    (repeat("daily") | {"starts_on": "2036-11-26"}, "when.starts_on", "too_far"),
    ({"once": "2026-11-27T17:59"}, "when.once", "past"),
    ({"once": "2026-11-26T10:00", "starts_on": "2026-11-26"}, "when.once", "past"),
    (repeat("weekly", by_day=["2tu"]), "when.repeat.by_day.0", "not_in_frequency"),
    (repeat("monthly", by_day=["tu", "tuesday"]), "when.repeat.by_day.1", "not_a_weekday"),
    (repeat("monthly", by_day=["54mo"]), "when.repeat.by_day.0", "not_a_weekday"),
    (repeat("weekly", by_month_day=[3]), "when.repeat.by_month_day", "not_in_frequency"),
    (repeat("monthly", by_set_position=[1]), "when.repeat.by_set_position", "nothing_to_choose_from"),
    (repeat("weekly", interval=105), "when.repeat.interval", "too_large"),
]  # fmt: skip


@pytest.mark.parametrize(("when", "field", "code"), REFUSED, ids=[str(case[0]) for case in REFUSED])
def test_a_rule_that_cannot_be_kept_is_refused_and_says_where(when: dict[str, Any], field: str, code: str) -> None:
    found = list(judge(rule(**when), SYDNEY, NOW, 15))
    assert [(one.field, one.code) for one in found] == [(field, code)]


@settings(max_examples=40)
@given(st.text(alphabet="0123456789*/,-#LWMONJAN ²", max_size=24))
def test_whatever_is_written_for_cron_is_read_or_refused(written: str) -> None:
    for expression in (written, f"0 10 {written} * *", f"0 10 * * {written}"):
        list(judge(rule(cron=expression), SYDNEY, NOW, 15))


weekdays = st.sampled_from(DAYS)
numbered = st.builds(lambda which, day: f"{which}{day}", st.sampled_from([-5, -2, -1, 1, 2, 5]), weekdays)


@st.composite
def repeats(draw: st.DrawFn) -> Repeat:
    frequency = draw(st.sampled_from(list(FREQUENCIES)))
    # Not both kinds at once: of "fr" and "1sa" dateutil takes the days that are both, and the RFC either.
    kind = weekdays if frequency in ("daily", "weekly") else draw(st.sampled_from([weekdays, numbered]))
    by_day = draw(st.lists(kind, max_size=3))
    month_days = st.lists(st.integers(-31, 31).filter(bool), max_size=3, unique=True)
    by_month_day = [] if frequency == "weekly" else draw(month_days)
    by_month = draw(st.lists(st.integers(1, 12), max_size=3, unique=True))
    positions = draw(st.lists(st.sampled_from([-3, -1, 1, 2, 6]), max_size=2, unique=True))
    chosen = positions if by_day or by_month_day or by_month else []
    lists = map(tuple, (dict.fromkeys(by_day), by_month_day, by_month, chosen))
    return Repeat(frequency, draw(st.integers(1, 4)), (time(10),), *lists)


@settings(max_examples=80)
@given(repeats(), st.dates(date(2023, 1, 1), date(2028, 12, 31)), st.integers(0, 900))
def test_the_days_of_a_rule_are_those_that_dateutil_finds(one: Repeat, begin: date, later: int) -> None:
    if one.frequency == "weekly" and one.by_set_position:
        # Where the first week is cut, dateutil counts positions from the cut on, and the RFC in the whole week.
        begin -= timedelta(days=begin.weekday())
    last, after = begin + timedelta(days=1_500), begin + timedelta(days=later)
    days = [by_day_of(written) for written in one.by_day]
    oracle = rrule.rrule(
        FREQUENCIES[one.frequency],
        dtstart=datetime.combine(begin, time()),
        interval=one.interval,
        bymonth=one.by_month or None,
        bymonthday=one.by_month_day or None,
        byweekday=[rrule.weekday(*day) for day in days if day] or None,
        bysetpos=one.by_set_position or None,
    )
    mine = list(days_of(one, begin, begin, last))
    assert [day for day in mine if day >= after] == list(days_of(one, begin, after, last))
    # No more than there are: dateutil looks for a day that never comes until the year 9999.
    assert [found.date() for found in islice(oracle, len(mine))] == mine


def test_positions_count_in_the_whole_week_also_where_a_rule_begins_in_its_middle() -> None:
    sunday = date(2023, 1, 1)
    one = Repeat("weekly", 1, (time(10),), ("mo", "su"), (), (), (1,))
    assert list(days_of(one, sunday, sunday, date(2023, 1, 16))) == [
        date(2023, 1, 2),
        date(2023, 1, 9),
        date(2023, 1, 16),
    ]


def changes(where: ZoneInfo) -> list[datetime]:
    """The moments of two years at which a clock in the zone is set."""
    found, at = [], datetime(2026, 1, 1, tzinfo=UTC)
    while at.year < 2028:
        after = at + timedelta(days=7)
        if at.astimezone(where).utcoffset() != after.astimezone(where).utcoffset():
            before, behind = at, after
            while behind - before > timedelta(minutes=1):
                middle = before + (behind - before) // 2
                same = middle.astimezone(where).utcoffset() == at.astimezone(where).utcoffset()
                before, behind = (middle, behind) if same else (before, middle)
            found.append(behind.replace(second=0, microsecond=0))
        at = after
    return found


def test_every_time_on_the_wall_is_one_moment_and_never_comes_twice_in_all_zones_of_the_world() -> None:
    quarter, looked_at = timedelta(minutes=15), 0
    every = rule(cron="*/15 * * * *", starts_on="2026-01-01")
    for where in map(zone, sorted(wall_clock._names())):
        for change in changes(where):
            looked_at += 1
            begin = wall_of(change - timedelta(hours=3), where)
            walls = [begin + index * quarter for index in range(28)]
            moments = [instant_of(wall, where) for wall in walls]
            for wall, moment in zip(walls, moments, strict=True):
                assert moment is not None
                if moment.shift is Shift.MOVED:
                    assert moment.at == change
                else:
                    assert wall_of(moment.at, where) == wall
                if moment.shift is Shift.FIRST:
                    assert moment.at < change
            ats = [moment.at for moment in moments if moment]
            assert ats == sorted(ats)
            begun = takewhile(lambda start, end=walls[-1]: start.wall < end, starts(every, where, begin - quarter))
            made = [start.at for start in begun]
            assert made == sorted(set(made))
            assert set(made) == set(ats[:-1])
    assert looked_at > 200


def test_weekdays_with_a_number_and_without_one_stand_side_by_side() -> None:
    assert shown(rule(**repeat("monthly", by_day=["1mo", "fr"])))[:3] == [
        "2026-12-04 10:00",
        "2026-12-07 10:00",
        "2026-12-11 10:00",
    ]


def test_the_hour_that_does_not_exist_is_the_first_moment_after_it_and_the_one_that_comes_twice_the_first() -> None:
    night = rule(cron="30 2 * * *", starts_on="2026-10-03")
    walls = [(f"{s.wall:%m-%d %H:%M}", f"{s.at:%m-%d %H:%M}", s.shift) for s in islice(starts(night, SYDNEY), 3)]
    assert walls == [
        ("10-03 02:30", "10-02 16:30", ""),
        ("10-04 02:30", "10-03 16:00", "moved"),
        ("10-05 02:30", "10-04 15:30", ""),
    ]
    twice = next_start(rule(once="2027-04-04T02:30", starts_on="2027-04-04"), SYDNEY)
    assert twice is not None
    assert (twice.at, twice.shift) == (datetime(2027, 4, 3, 15, 30, tzinfo=UTC), Shift.FIRST)


def test_a_day_that_a_zone_left_out_has_no_start() -> None:
    samoa = rule(cron="0 9 * * *", starts_on="2011-12-29")
    days = [start.wall.day for start in islice(starts(samoa, zone("Pacific/Apia")), 3)]
    assert days == [29, 31, 1]


@pytest.mark.parametrize("name", ["", "Sydney", "../../etc/passwd", "Australia", "UTC+10", "Australia/sydney", "zones"])
def test_what_is_no_zone_is_none(name: str) -> None:
    assert zone_of(name) is None


def test_a_start_is_made_late_within_its_bound_and_missed_beyond_it() -> None:
    hour = timedelta(hours=1)
    assert judge_start(NOW - hour, NOW, hour, closed=False) is None
    missed = judge_start(NOW - hour - timedelta(seconds=1), NOW, hour, closed=False)
    assert missed is not None
    assert missed.outcome is Outcome.MISSED
    closed = judge_start(NOW, NOW, hour, closed=True)
    assert closed is not None
    assert closed.code == "tenant_closed"


def test_above_the_ceiling_the_rule_of_the_schedule_decides() -> None:
    assert judge_price(10, 10, Above.SKIP) is None
    assert judge_price(11, 10, Above.FIRST_N) is None
    above = judge_price(11, 10, Above.SKIP)
    assert above is not None
    assert above.outcome is Outcome.ABOVE_CEILING
