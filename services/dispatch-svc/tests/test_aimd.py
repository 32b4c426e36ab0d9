"""How fast a carrier is written to: the arithmetic, and what carriers of many kinds get by it."""

from collections import deque
from collections.abc import Callable
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.dispatch.domain import aimd
from muster.dispatch.domain.aimd import Pace
from muster.dispatch.sender.rate import Rate

RATES = st.floats(1, 100_000)
SECONDS = st.floats(0, 60)
SHARES = st.floats(0, 1)


@st.composite
def paces(draw: st.DrawFn) -> Pace:
    """Whatever refusals have made of an account."""
    pace = aimd.unhindered(draw(st.integers(0, 100_000)))
    for written, share, calm_s in draw(st.lists(st.tuples(RATES, SHARES, SECONDS), max_size=5)):
        pace = aimd.risen(aimd.fallen(pace, written, share), calm_s)
    return pace


@given(paces(), RATES, SHARES, SECONDS)
def test_no_more_is_written_than_was_agreed_and_never_nothing(
    pace: Pace, written: float, share: float, calm_s: float
) -> None:
    for one in (pace, aimd.fallen(pace, written, share), aimd.risen(pace, calm_s)):
        assert one.floor <= one.current <= one.ceiling
        assert 0 < one.reach <= one.ceiling


@given(paces(), RATES, SHARES)
def test_a_fall_is_by_a_share_of_what_was_written(pace: Pace, written: float, share: float) -> None:
    after = aimd.fallen(pace, written, share)
    base = min(pace.current, max(written, pace.floor))

    assert after.current == pace.floor or 0.25 * base <= after.current <= 0.9 * base
    assert after.calm_s == 0


@given(paces(), SECONDS)
def test_a_rise_adds_as_much_to_a_small_rate_as_to_a_large_one(pace: Pace, seconds: float) -> None:
    low, high = (pace._replace(ceiling=1e9, current=share * pace.reach) for share in (0.1, 0.6))

    added = aimd.risen(low, seconds).current - low.current
    if high.current + added <= high.reach:
        assert aimd.risen(high, seconds).current - high.current == pytest.approx(added, rel=1e-6, abs=1e-3)
    else:  # the carrier was never known to take that much
        assert aimd.risen(high, seconds).current >= aimd.risen(low, seconds).current


@given(paces(), SECONDS, SECONDS)
def test_it_does_not_matter_how_often_anybody_looks(pace: Pace, first: float, second: float) -> None:
    once, twice = aimd.risen(pace, first + second), aimd.risen(aimd.risen(pace, first), second)

    assert twice.current == pytest.approx(once.current)
    assert twice.calm_s == pytest.approx(once.calm_s)


# -- carriers ---------------------------------------------------------------------------------------------------------

TICK_S = 0.02
WINDOW = 1_000
Course = Callable[[float], float]


def _played(agreed: int, most: float, limit: Course, storm: Course, seconds: int, answer_s: float) -> list[list[int]]:
    """[taken, refused] of each second: a sender that could write `most` parts a second, and gathers as senders do what
    is worth an intent; and a carrier that refuses what is above its `limit` of the time, of which it saves up a tenth
    of a second's worth, and a share of all in a `storm`. It answers after `answer_s`."""
    rate, bucket, free, on_the_way = Rate(agreed, 0.0), 0.0, 0.0, deque[tuple[float, float, int, int]]()
    seen = [[0, 0] for _ in range(seconds)]
    for tick in range(round(seconds / TICK_S)):
        now = tick * TICK_S
        while on_the_way and on_the_way[0][0] <= now:
            _, written_at, answers, refused = on_the_way.popleft()
            rate.answered(answers, refused, written_at)
        free = min(free + most * TICK_S, WINDOW)
        parts = min(rate.allowance(now), int(free))
        if parts < max(1, min(rate.at_once, WINDOW // 2)):
            parts = 0
        rate.spend(parts, now)
        free -= parts
        bucket = min(bucket + limit(now) * TICK_S, max(1.0, limit(now) / 10))
        taken = min(int(bucket), round(parts * (1 - storm(now))))
        bucket -= taken
        on_the_way.append((now + answer_s, now, parts, parts - taken))
        seen[int(now)][0] += taken
        seen[int(now)][1] += parts - taken
    return seen


def _never(_: float) -> float:
    return 0.0


def _boundless(_: float) -> float:
    return 1e9


@settings(max_examples=12)
@given(st.integers(60, 4_000), st.sampled_from([0.02, 0.3, 1.0]))
def test_a_carrier_with_a_limit_of_its_own_is_used_well_and_seldom_has_to_refuse(limit: int, answer_s: float) -> None:
    seen = _played(0, 5_000, lambda _: limit, _never, 40, answer_s)[20:]
    taken, refused = (sum(each) for each in zip(*seen, strict=True))

    assert taken > 0.8 * 20 * limit
    assert refused < 0.15 * taken


@settings(max_examples=12)
@given(st.integers(1, 10), st.floats(0.3, 1), st.sampled_from([0, 5_000]), st.sampled_from([0.02, 0.3]))
def test_after_a_storm_all_is_as_before_within_ten_seconds(
    storm_s: int, share: float, agreed: int, answer_s: float
) -> None:
    seen = _played(agreed, 3_000, _boundless, lambda now: share if 5 <= now < 5 + storm_s else 0.0, 30, answer_s)

    calm = [taken for taken, _ in seen[5 + storm_s :]]
    assert min(taken for taken, _ in seen[5 : 5 + storm_s]) < 0.8 * 3_000, "it was felt"
    recovered = next(at for at, taken in enumerate(calm) if taken >= 0.9 * 3_000)
    assert recovered <= 10
    assert all(later >= earlier - 60 for earlier, later in pairwise(calm[: recovered + 1])), "it only rises"
    assert min(one + other for one, other in pairwise(calm[recovered:])) >= 2 * 0.9 * 3_000


def test_a_carrier_that_refuses_a_few_of_all_it_gets_is_written_to_as_fast_as_ever() -> None:
    seen = _played(1_000, 3_000, _boundless, lambda _: 0.015, 20, 0.05)

    assert seen[-1][0] > 950


def test_a_carrier_that_is_slower_for_good_is_found_out() -> None:
    seen = _played(2_000, 5_000, lambda now: 200 if now > 5 else 2_000, _never, 90, 0.05)[-20:]
    taken, refused = (sum(each) for each in zip(*seen, strict=True))

    assert taken > 0.9 * 20 * 200
    assert refused < 0.1 * taken
