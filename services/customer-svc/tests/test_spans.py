"""Spans of time by the clock on the wall, on days when clocks are changed and on all others."""

from datetime import UTC, date, datetime
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.customer.domain.spans import Span, Week, by_the_clock, common, merged

ZONES = ["UTC", "Australia/Sydney", "Australia/Lord_Howe", "America/New_York", "Europe/Dublin", "Asia/Kathmandu"]
BEGIN = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp())
YEAR_S = 365 * 86_400
NINE_TO_EIGHT: Week = (((9 * 60, 20 * 60),),) * 7

minutes = st.integers(0, 1440)
days = st.lists(st.tuples(minutes, minutes).filter(lambda span: span[0] < span[1]), max_size=2).map(tuple)
spans = st.lists(st.tuples(st.integers(0, 50), st.integers(0, 50)), max_size=8).map(merged)


def local(moment: int, zone: str) -> datetime:
    return datetime.fromtimestamp(moment, ZoneInfo(zone))


def contains(found: list[Span], moment: int) -> bool:
    return any(first <= moment < last for first, last in found)


@settings(max_examples=150)
@given(st.tuples(*[days] * 7), st.sampled_from(ZONES), st.integers(0, YEAR_S), st.data())
def test_a_moment_is_in_a_span_if_and_only_if_the_clock_shows_an_allowed_time(
    week: Week, zone: str, after: int, data: st.DataObject
) -> None:
    begin, end = BEGIN + after, BEGIN + after + 4 * 86_400
    closed = {local(begin + 86_400, zone).date()} if data.draw(st.booleans()) else set()
    found = by_the_clock(week, ZoneInfo(zone), begin, end, closed)
    edges = [edge for span in found for edge in (span[0] - 1, span[0], span[1] - 1, span[1])]
    for moment in (*edges, *data.draw(st.lists(st.integers(begin, end - 1), max_size=20))):
        if begin <= moment < end:
            at = local(moment, zone)
            minute = at.hour * 60 + at.minute
            allowed = any(first <= minute < last for first, last in week[at.weekday()]) and at.date() not in closed
            assert contains(found, moment) == allowed, at
    assert all(one[1] < other[0] for one, other in pairwise(found)), "in order and apart"


@pytest.mark.parametrize(
    ("zone", "day", "seconds"),
    [
        (
            "Australia/Sydney",
            date(2026, 4, 5),
            3 * 1800 + 1800 + 3600,
        ),  # 2:00 to 3:00 comes twice: so does 2:00 to 2:30
        ("Australia/Sydney", date(2026, 10, 4), 3600 + 3600),  # it does not come
        ("Australia/Lord_Howe", date(2026, 10, 4), 3600 + 3600),  # 2:00 to 2:30 does not
        ("America/New_York", date(2026, 3, 8), 3600 + 3600),
        ("America/New_York", date(2026, 11, 1), 3 * 1800 + 3600 + 3600),  # 1:00 to 2:00 comes twice
        ("America/New_York", date(2026, 11, 2), 3 * 1800 + 3600),
    ],
)
def test_on_days_when_clocks_are_changed_it_is_the_clock_that_counts(zone: str, day: date, seconds: int) -> None:
    week: Week = (((60, 150), (240, 300)),) * 7  # 1:00 to 2:30, and 4:00 to 5:00
    begin = int(datetime(day.year, day.month, day.day, tzinfo=ZoneInfo(zone)).timestamp())
    assert sum(last - first for first, last in by_the_clock(week, ZoneInfo(zone), begin, begin + 8 * 3600)) == seconds


def test_nine_in_the_morning_is_nine_in_the_morning_all_year() -> None:
    found = by_the_clock(NINE_TO_EIGHT, ZoneInfo("America/New_York"), BEGIN, BEGIN + YEAR_S)
    assert {local(first, "America/New_York").hour for first, _ in found[1:]} == {9}
    assert {local(last, "America/New_York").hour for _, last in found[:-1]} == {20}
    assert 365 <= len(found) <= 366


@given(spans, spans)
def test_what_is_common_is_in_both(one: list[Span], other: list[Span]) -> None:
    both = common(one, other)
    assert {m for m in range(51) if contains(both, m)} == {
        m for m in range(51) if contains(one, m) and contains(other, m)
    }
    assert both == merged(both) == common(other, one)
