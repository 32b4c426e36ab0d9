"""What the report decides, over generated input."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.report.domain import CODES, ENDS, changes, deltas, gaps, gathered, name_of, progress, runs, union

ends = st.sampled_from(sorted(ENDS.values()))
offset_sets = st.sets(st.integers(0, 60))


def offsets_of(ranges: list[tuple[int, int]]) -> list[int]:
    return [offset for first, last in ranges for offset in range(first, last + 1)]


@given(st.lists(st.tuples(st.integers(1, 3), ends), max_size=40))
def test_deltas_added_up_are_the_counts_of_the_last_ends(steps: list[tuple[int, int]]) -> None:
    now: dict[int, int] = {}
    changes = []
    for message, after in steps:
        changes.append((message % 2, now.get(message), after, 1))
        now[message] = after

    found = deltas(changes)

    for bulk in (0, 1):
        last = [end for message, end in now.items() if message % 2 == bulk]
        assert found.get(bulk, [0] * CODES) == [last.count(code) for code in range(CODES)]


@given(ends, st.integers(1, 500))
def test_a_change_that_changes_no_end_is_no_delta(end: int, messages: int) -> None:
    assert deltas([(7, end, end, messages)]) == {}


def test_a_change_of_credits_alone_is_one() -> None:
    [(bulk, change)] = changes([(7, 3, 3, 5, 0, 10), (8, 3, 3, 5, 0, 0)]).items()

    assert (bulk, list(change.counts), change.parts, change.credits) == (7, [0] * CODES, 0, 10)


@given(st.lists(ends, max_size=50), st.integers(0, 20))
def test_what_is_gathered_of_a_send_sums_to_its_recipients(ended: list[int], unheard: int) -> None:
    counts = [ended.count(code) for code in range(CODES)]
    recipients = len(ended) + unheard

    found, by_end = gathered(counts, recipients), progress(recipients, counts)

    rest = sum(by_end[name] for name in ("rejected", "stopped", "suppressed"))
    assert found["sent"] + found["held"] + found["left"] + rest == recipients


@pytest.mark.parametrize("code", [-1, 7, 14, 16, 99])
def test_an_end_without_a_name_is_refused_since_no_count_would_show_it(code: int) -> None:
    with pytest.raises(ValueError, match=str(code)):
        deltas([(7, None, code, 1)])


@given(st.lists(ends, max_size=50), st.integers(0, 20))
def test_progress_counts_each_recipient_once(ended: list[int], unheard: int) -> None:
    counts = [ended.count(code) for code in range(CODES)]

    found = progress(len(ended) + unheard, counts)

    assert sum(found.values()) == len(ended) + unheard
    assert found["queued"] == unheard + counts[0]
    assert found["delivered"] == counts[11]


@given(offset_sets)
def test_runs_hold_exactly_their_offsets_and_do_not_touch(offsets: set[int]) -> None:
    found = runs(offsets)

    assert offsets_of(found) == sorted(offsets)
    assert all(later[0] > earlier[1] + 1 for earlier, later in pairwise(found))


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 9)), max_size=12))
def test_a_union_covers_what_its_ranges_cover_with_the_fewest(pairs: list[tuple[int, int]]) -> None:
    ranges = [(first, first + more) for first, more in pairs]

    assert union(ranges) == runs(offsets_of(ranges))


@given(offset_sets, st.integers(0, 40), st.integers(0, 70))
def test_gaps_are_what_is_not_covered_between_start_and_end(offsets: set[int], start: int, end: int) -> None:
    assert offsets_of(gaps(runs(offsets), start, end)) == sorted(set(range(start, end)) - offsets)


def test_a_code_has_its_name_and_an_unknown_one_has_none() -> None:
    assert [name_of(ENDS, code) for code in (0, 11, 9)] == ["queued", "delivered", ""]
