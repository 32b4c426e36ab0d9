"""Level 2 of the proof: the real services under seeded faults, replayed exactly, and faults that must be found."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from random import Random

import pytest
from exploration.faults import FaultDoesNotApply, without

from muster.dispatch.store import queue
from simulation.chapter_mutants import CHAPTER_FAULTS
from simulation.chapters import CHAPTERS, EVERY, chapters_of, first_seeds_with
from simulation.mutants import EXPLORED, FAULTS, _function, finds, seeds_of
from simulation.run import ALL_KINDS_FROM, Result, databases, run_all, share, workers
from simulation.worker import Worker

# Nothing here is about how long it takes, and what else runs may have most of the machine.
pytestmark = pytest.mark.timeout(3_600)
Places = list[tuple[str, str]]


@pytest.fixture(scope="module")
def places() -> Iterator[Places]:
    with databases(max(2, min(os.cpu_count() or 1, 4))) as found:
        yield found


def test_a_seed_replays_exactly(places: Places) -> None:
    # In another worker, with other databases, and after other seeds: nothing of that may show.
    with workers(places[:2]) as (one, other):
        first = [one.simulate(seed) for seed in (5, 6)]
        second = [other.simulate(seed) for seed in (7, 6, 5)][1:]
    for again, before in zip(reversed(second), first, strict=True):
        assert (before["wrong"], before["transitions"] > 500) == ([], True)
        assert (again["digest"], again["transitions"]) == (before["digest"], before["transitions"])
    assert first[0]["digest"] != first[1]["digest"]


def test_a_history_is_the_same_where_the_database_is_asked_each_time(places: Places) -> None:
    asks_each_time = (
        "import sys, tests.simulation; from simulation import memory, worker;"
        "memory.Memory.find = lambda *_: None; worker.main(*sys.argv[1:])"
    )
    with workers(places[:1]) as (remembers,), closing(Worker(*places[1], program=("-c", asks_each_time))) as asks:
        histories = [(remembers.simulate(seed), asks.simulate(seed)) for seed in (EVERY, EVERY + 1)]
    for remembered, asked in histories:
        assert asked["digest"] == remembered["digest"]


@pytest.mark.timeout(3_600)
def test_three_hundred_seeds_keep_every_law_and_every_kind_of_fault_happens(places: Places) -> None:
    result = Result(1)
    run_all(result, 1 + ALL_KINDS_FROM, places)
    assert [(one["seed"], one["wrong"]) for one in result.failures] == []
    assert result.idle == []


@pytest.mark.timeout(3_600)
def test_each_deliberate_fault_in_the_real_code_is_found(places: Places) -> None:
    assert len([one for one in EXPLORED if one.name in FAULTS]) >= 10, "as many of the explorer's"
    found: dict[str, int] = {}

    def hunt(worker: Worker, fault: str) -> bool:
        for seed in seeds_of(fault):
            if finds(fault, worker.simulate(seed, fault)["wrong"]):
                found[fault] = seed
                break
        return True

    with workers(places) as hunting:
        share(list(FAULTS), hunting, hunt)
    assert sorted(FAULTS) == sorted(found)


def test_one_seed_can_be_looked_at_again() -> None:
    command = [sys.executable, "-m", "tests.simulation", "--help"]
    assert "--seed" in subprocess.run(command, capture_output=True, text=True, check=True, timeout=120).stdout


@pytest.mark.parametrize("clause", ["text that is not there", "tenant_id"], ids=["gone", "there more than once"])
def test_a_clause_that_is_not_there_once_does_not_apply(clause: str) -> None:
    with pytest.raises(FaultDoesNotApply):
        without(queue, "_INTEND", clause, "")


def test_chapters_are_in_each_tenth_seed_and_nowhere_else() -> None:
    assert not any(chapters_of(seed) for seed in range(1, 500) if seed % EVERY)
    assert {chapter for seed in range(EVERY, 50, EVERY) for chapter in chapters_of(seed)} >= set(CHAPTERS)
    assert all(
        (seed in fault.seeds()) is fault.turns(Random(f"{seed}/turn"))
        for fault in CHAPTER_FAULTS
        for seed in first_seeds_with(fault.chapter, 9)
    )


def test_a_function_that_does_not_do_any_more_what_a_fault_undoes_does_not_apply() -> None:
    with pytest.raises(FaultDoesNotApply):
        _function(queue, "intend", "_LOCK_DEAD", lambda sound: sound)
