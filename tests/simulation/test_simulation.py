"""Level 2 of the proof: the real services under seeded faults, and the seeds that once found something."""

from simulation.run import workers


def test_a_seed_replays_exactly() -> None:
    # In another worker, with other databases, and after other seeds: nothing of that may show.
    with workers(2) as (one, other):
        first = [one.simulate(seed) for seed in (5, 6)]
        second = [other.simulate(seed) for seed in (7, 6, 5)][1:]
    for again, before in zip(reversed(second), first, strict=True):
        assert before["transitions"] > 500
        assert (again["digest"], again["transitions"]) == (before["digest"], before["transitions"])
    assert first[0]["digest"] != first[1]["digest"]
