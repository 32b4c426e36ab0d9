"""docs/proof.md shows explorations that proved something."""

from typing import Any

import pytest

from exploration.faults import Fault
from exploration.page import Refused, figures

FAULTS = [Fault("a stop releases twice", "muster.credit.domain.reservations:settle", (), "reserved", "send", seed=7)]


def found(name: str, problem: str = "", **more: Any) -> dict[str, Any]:
    """One group with one world in it."""
    world = {
        "world": "both", "bounds": {"sends": 2}, "states": 1_000, "transitions": 2_000, "withheld": 3, "ends": 4,
        "depth": 5, "stands_for": 6_000_000, "cpu_seconds": 7.0, "problem": problem, "story": ["start", "step"], **more,
    }  # fmt: skip
    return {"group": name, "peak_mib": 80, "worlds": [world]}


def run(problem: str = "", commit: str = "abc1234", fault: str = "reserved: 3 of 2") -> dict[str, Any]:
    """Both parts."""
    return {
        "whole": {"commit": commit, "cpus": 2, "seconds": 90.0, "found": [found("in flight", problem)]},
        "faults": {"commit": "abc1234", "cpus": 2, "found": [found("a stop releases twice", fault)]},
    }


def test_the_tables_show_the_figures_of_their_runs() -> None:
    made = figures(run(), FAULTS)
    for shown in (
        "1,000 states and 2,000 transitions in 7 s of CPU, 90 s by the clock on 2 cores",
        "| in flight | `both` | 1,000 | 2,000 | 4 | 5 | 3 | 7 |",
        "sends 2. Stands for 6,000,000 states of two sends at most.",
        "| a stop releases twice (`credit.domain.reservations:settle`) | reserved | 1 | 1,000 | 7 |",
    ):
        assert shown in made


@pytest.mark.parametrize(
    "wrong",
    [run(problem="once: twice"), run(commit="abc1234+"), run(fault=""), run(fault="once: twice"), {}],
    ids=["a broken law", "changed files", "a fault that was missed", "another law", "nothing"],
)
def test_explorations_that_prove_nothing_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        figures(wrong, FAULTS)
