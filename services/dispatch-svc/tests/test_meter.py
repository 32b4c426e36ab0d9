"""What a carrier takes, told from what it took lately."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.dispatch.domain.meter import NOTHING, Meter, Sample, Taken, rate_of

samples = st.lists(st.tuples(st.integers(0, 50_000), st.floats(0.5, 3.0), st.booleans()), min_size=1, max_size=15).map(
    lambda found: [Sample(float(at), parts, seconds, odd=odd) for at, (parts, seconds, odd) in enumerate(found)]
)


def taken(meter: Meter, parts: list[int], *, limit: int = 0, start: int = 0) -> list[float]:
    """What the meter says after each second in which so many were taken; a negative number is of a queue that ran empty
    after those."""
    found = []
    for at, some in enumerate(parts, start + 1):
        meter.parts, meter.hungry = abs(some), some <= 0
        found.append(meter.take(float(at), limit).parts_per_second)
    return found


def test_times_in_which_the_queue_ran_empty_count_only_while_there_is_no_other() -> None:
    trickle = [Sample(at, 10, 1.0, odd=True) for at in range(5)]
    full = [Sample(at, 900, 1.0, odd=False) for at in (6, 7)]
    assert rate_of(trickle, 0).parts_per_second == pytest.approx(10)
    assert 10 < rate_of([*trickle, full[0]], 0).parts_per_second < 900
    assert rate_of([*trickle, *full], 0).parts_per_second == pytest.approx(900)


def test_nothing_is_said_of_a_carrier_from_a_moment_alone() -> None:
    first, second = Sample(1, 30, 1.0, odd=True), Sample(2, 900, 1.0, odd=False)
    assert [rate_of(seen, 0) for seen in ([], [first], [first, second])] == [NOTHING] * 3


def test_a_meter_forgets_all_at_rest() -> None:
    found = taken(Meter(), [100, 100, 100, 100, 0, 900, 900, 900, 900])
    assert found == pytest.approx([0, 0, 100, 100, 0, 0, 900, 900, 900])


def test_a_meter_forgets_what_was_long_ago() -> None:
    assert taken(Meter(), [1_000] * 20 + [100] * 20)[-1] == pytest.approx(100)


def test_the_first_second_after_a_rest_in_which_all_that_was_saved_up_is_written_says_little() -> None:
    found = taken(Meter(), [0, 9_000, 4_000, 4_000, 4_000])
    assert 4_000 < found[-2] < 4_700
    assert found[-1] == pytest.approx(4_000)


def arriving_and_then_not(seconds: int) -> Taken:
    """What is said so many seconds after four in which messages were arriving."""
    meter, found = Meter(), NOTHING
    for at in range(5 + seconds):
        meter.parts, meter.arriving = (5_000 if at < 5 else 15_000) if at else 0, at < 5
        found = meter.take(float(at + 1), 0)
    return found


def test_seconds_in_which_messages_were_arriving_count_only_until_there_are_a_few_others() -> None:
    assert arriving_and_then_not(0).parts_per_second == pytest.approx(5_000)
    assert 5_000 < arriving_and_then_not(2).parts_per_second < 15_000
    assert arriving_and_then_not(3) == Taken(pytest.approx(15_000), 0)


def test_what_is_told_from_seconds_in_which_messages_were_arriving_is_in_doubt() -> None:
    assert [arriving_and_then_not(seconds).doubt >= 0.5 for seconds in range(4)] == [True, True, True, False]


def test_a_rate_is_as_doubtful_as_it_is_uneven() -> None:
    def doubt(*parts: int) -> float:
        return rate_of([Sample(float(at), some, 1.0, odd=False) for at, some in enumerate(parts)], 0).doubt

    assert doubt(400, 400, 400, 400) == 0
    assert doubt(100, 100, 400, 400) == doubt(400, 400, 100, 100) == 0.75
    assert doubt(400, 300, 400, 300) == 0, "what comes in windows is even on the whole"


def test_what_an_account_may_take_is_not_in_doubt_while_messages_are_arriving() -> None:
    seen = [Sample(float(at), 400, 1.0, odd=False, doubtful=True) for at in range(5)]
    assert rate_of(seen, 400) == Taken(400, 0)
    assert rate_of(seen, 0).doubt >= 0.5


def test_what_a_carrier_takes_now_counts_more_than_what_it_took_before_its_receipts_came() -> None:
    found = taken(Meter(), [0, 36_000, 30_000, 20_000, 20_000, 20_000, 20_000])[-1]
    assert 20_000 < found < 22_000


@pytest.mark.parametrize("parts", [[500, 300, 500, 300], [300, 500, 300, 300], [501, 501, 400, 400]])
def test_an_account_that_takes_what_it_may_is_promised_by_that_and_not_by_what_a_second_happened_to_hold(
    parts: list[int],
) -> None:
    assert taken(Meter(), [0, 600, *parts], limit=400)[-1] == 400


def test_an_account_that_takes_less_than_it_may_is_promised_by_what_it_takes() -> None:
    assert taken(Meter(), [0, *[300] * 5], limit=400)[-1] == pytest.approx(300)
    assert taken(Meter(), [0, *[390] * 16], limit=400)[-1] == 400, "as nearly as can be told"
    assert taken(Meter(), [0, *[380] * 16], limit=400)[-1] == pytest.approx(380)


@given(samples, st.integers(0, 60_000))
def test_the_rate_is_among_those_that_were_seen_or_what_the_account_may_take(seen: list[Sample], limit: int) -> None:
    found, doubt = rate_of(seen, limit)
    assert 0 <= doubt <= 1
    rates = [one.parts / one.seconds for one in seen]
    assert found == 0 or found == limit or min(rates) - 1e-6 <= found <= max(rates) + 1e-6
    if found == limit:
        assert limit <= 2 * max(rates) + 1e-6 or not found


@given(samples, st.floats(1.1, 10))
def test_a_carrier_that_takes_more_of_everything_is_no_slower(seen: list[Sample], times: float) -> None:
    more = [one._replace(parts=int(one.parts * times) + 1) for one in seen]
    assert rate_of(more, 0).parts_per_second >= rate_of(seen, 0).parts_per_second
