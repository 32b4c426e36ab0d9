"""Level 2 of the proof: the real services under seeded faults, and the seeds that once found something."""

import os

import pytest

from tests.simulation.run import ALL_KINDS_FROM, run_all, workers

JOBS = min(os.cpu_count() or 1, 4)


def test_a_seed_replays_exactly() -> None:
    # In another worker, with other databases, and after other seeds: nothing of that may show.
    with workers(2) as (one, other):
        first = [one.simulate(seed) for seed in (5, 6)]
        second = [other.simulate(seed) for seed in (7, 6, 5)][1:]
    for again, before in zip(reversed(second), first, strict=True):
        assert before["transitions"] > 500
        assert (again["digest"], again["transitions"]) == (before["digest"], before["transitions"])
    assert first[0]["digest"] != first[1]["digest"]


@pytest.mark.timeout(1_500)
def test_three_hundred_seeds_keep_every_law_and_every_kind_of_fault_happens() -> None:
    result = run_all(1, ALL_KINDS_FROM, JOBS, lambda _: None)
    assert [(one["seed"], one["wrong"]) for one in result.failures] == []
    assert result.idle == []
