"""docs/proof.md is made from a run that proved something."""

from typing import Any

import pytest

from simulation.page import Refused, placed, section

RUN: dict[str, Any] = {
    "commit": "abc1234", "first": 1, "seeds": 10_000, "transitions": 25_000_000, "statements": 24_000_000,
    "records": 700_000, "accepted": 90_000, "sends": 20_000, "simulated_s": 500_000, "seconds": 6_000.0, "jobs": 2,
    "faults": {"zombie": 12_000}, "checked": {"once": 400_000}, "idle": [], "failures": [],
}  # fmt: skip


def test_the_section_shows_the_figures_of_its_run() -> None:
    made = section(RUN, ["an intent is not stored"])
    for shown in (
        "`abc1234`, seeds 1 to 10000",
        "| 25,000,000 |",
        "| zombie | 12,000 |",
        "| once | 400,000 |",
        "138 h",
    ):
        assert shown in made


@pytest.mark.parametrize(
    "wrong", [{"failures": [{"seed": 3, "wrong": ["law once"]}]}, {"idle": ["zombie"]}, {"commit": "abc1234+"}]
)
def test_a_run_that_proves_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        section({**RUN, **wrong}, [])


def test_a_later_run_replaces_the_section_and_nothing_else() -> None:
    page = placed("# The proof\n\nBefore.\n", section(RUN, []))
    page += "\n## After\n"
    again = placed(page, section({**RUN, "seeds": 20_000}, []))
    assert again.startswith("# The proof\n\nBefore.\n")
    assert again.endswith("\n## After\n")
    assert again.count("## Simulation") == 1
    assert "20,000" in again
