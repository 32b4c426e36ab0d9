"""ARCHITECTURE.md draws the saga that runs."""

import re

from contract import saga

from muster.dispatch.domain.matrix import Heard, Situation, cell_of


def test_the_matrix_in_the_document_is_the_one_in_the_code():
    committed = saga.FILE.read_text(encoding="utf-8")
    assert committed == saga.drawn(committed), "python tests/contract/saga.py draws it anew"


def test_a_change_of_one_cell_changes_the_drawing(monkeypatch):
    before = saga.section()
    monkeypatch.setattr(saga, "cell_of", lambda at, heard: None if heard is Heard.STOP else cell_of(at, heard))
    assert saga.section() != before


def test_every_way_from_one_situation_to_another_is_an_arrow():
    arrows = {tuple(found) for found in re.findall(r"^  (\w+) --> (\w+): ", saga.diagram(), re.M)}
    ways = {
        (at.name, cell.to.name)
        for at in Situation
        for heard in Heard
        if (cell := cell_of(at, heard)) and cell.to not in (None, at)
    }
    assert arrows == ways
