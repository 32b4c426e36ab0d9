"""`make sim` is asked for in numbers and goes on where it was ended; docs/proof.md is made from a run that proved
something."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

import simulation.run as runs
from simulation.page import Refused, section
from simulation.run import main

RUN: dict[str, Any] = {
    "commit": "abc1234", "first": 1, "seeds": 10_000, "transitions": 25_000_000, "statements": 24_000_000,
    "records": 700_000, "accepted": 90_000, "sends": 20_000, "simulated_s": 500_000, "seconds": 6_000.0, "jobs": 2,
    "faults": {"zombie": 12_000}, "stories": {"an account was away": 70}, "checked": {"once": 400_000}, "idle": [],
    "failures": [],
}  # fmt: skip


def test_the_section_shows_the_figures_of_its_run() -> None:
    made = section(RUN, ["an intent is not stored"])
    for shown in (
        "`abc1234`, seeds 1 to 10000",
        "| 25,000,000 |",
        "| zombie | 12,000 |",
        "| an account was away | 70 |",
        "| once | 400,000 |",
        "138 h",
    ):
        assert shown in made


def test_a_seed_that_failed_is_shown_where_a_test_names_it() -> None:
    made = section({**RUN, "failures": [{"seed": 12714, "wrong": ["law submit"]}]}, [])
    assert "| broke one; mended since, with a test that names the seed | 12714 |" in made
    assert "| of these kept every law | 9,999 |" in made


@pytest.mark.parametrize(
    "wrong", [{"failures": [{"seed": 3, "wrong": ["law once"]}]}, {"idle": ["zombie"]}, {"commit": "abc1234+"}]
)
def test_a_run_that_proves_nothing_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(Refused):
        section({**RUN, **wrong}, [])


@pytest.mark.parametrize("asked", [{"SEEDS": "abc"}, {"SEEDS": "0"}, {"FIRST": "-1"}, {"JOBS": "17"}, {"JOBS": "two"}])
def test_what_is_no_number_of_seeds_is_refused_in_a_line(
    asked: dict[str, str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, text in asked.items():
        monkeypatch.setenv(name, text)
    assert main() == 2
    assert capsys.readouterr().err == (
        "sim: SEEDS must be a number of at least 1, FIRST of at least 0, JOBS of 1 to 16\n"
    )


class Quick:
    """A worker whose seeds cost nothing; every seventh breaks something."""

    def simulate(self, seed: int) -> dict[str, Any]:
        sums = dict.fromkeys(("transitions", "statements", "records", "accepted", "sends", "simulated_s"), seed)
        wrong = ["law once"] if seed % 7 == 0 else []
        fired, checked = {"zombie": 1}, {"once": seed}
        return {
            "seed": seed,
            "wrong": wrong,
            "last": [],
            "digest": "",
            "fired": fired,
            "told": {},
            "checked": checked,
            **sums,
        }


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    @contextmanager
    def workers(places: Any) -> Iterator[list[Quick]]:
        yield [Quick() for _ in places]

    monkeypatch.setattr(runs, "workers", workers)
    monkeypatch.setattr(runs, "commit", lambda: "abc1234")


@pytest.mark.usefixtures("quick")
def test_a_run_that_was_ended_goes_on_and_comes_to_the_same(tmp_path: Path) -> None:
    file, places = tmp_path / "var" / "sim.json", [("", "0"), ("", "1")]
    whole, part = runs.Result(5), runs.Result(5)
    runs.run_all(whole, 45, places)

    runs.run_all(part, 25, places)
    runs.write(part, file)
    going_on = runs.begun(5, file, resume=True)
    runs.run_all(going_on, 45, places)

    one, other = whole.document(), going_on.document()
    assert {**other, "seconds": 0} == {**one, "seconds": 0}
    assert [failure["seed"] for failure in one["failures"]] == [7, 14, 21, 28, 35, 42]


@pytest.mark.usefixtures("quick")
def test_what_is_of_another_commit_or_not_there_is_not_gone_on_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "sim.json"
    with pytest.raises(ValueError, match="there is no"):
        runs.begun(5, file, resume=True)
    runs.write(runs.Result(5), file)
    monkeypatch.setattr(runs, "commit", lambda: "def5678")
    with pytest.raises(ValueError, match="of commit abc1234 from seed 5"):
        runs.begun(5, file, resume=True)
