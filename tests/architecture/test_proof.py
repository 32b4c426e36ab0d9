"""docs/proof.md is written in its places, each by the level of the proof that it is about."""

import pytest
from chaos import page as chaos
from exploration import page as exploration
from proof import PAGE, between
from simulation import page as simulation

LEVELS = (exploration, simulation, chaos)


def test_what_stands_around_the_figures_stays() -> None:
    page = "before\n<begin>\nold\n<end>\nafter\n"
    assert between(page, "<begin>", "<end>", "new\n") == "before\n<begin>\nnew\n<end>\nafter\n"


@pytest.mark.parametrize("page", ["nothing", "<begin>\nno end", "<end>\n<begin>\n"])
def test_a_page_without_its_place_is_refused(page: str) -> None:
    with pytest.raises(ValueError, match="no place between <begin> and <end>"):
        between(page, "<begin>", "<end>", "new")


@pytest.mark.parametrize("level", LEVELS)
def test_the_page_has_a_place_for_each_level(level: object) -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert between(page, level.BEGIN, level.END, "made here").count("made here") == 1  # type: ignore[attr-defined]
