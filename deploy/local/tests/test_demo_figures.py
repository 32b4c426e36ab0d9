"""The demo ends with 1 if any figure disagrees with another."""

import copy
import csv
import io
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from muster.local.demo import story
from muster.local.demo.figures import STATES, disagreements
from muster.local.demo.people import AU, GB, customers_csv
from muster.text import Number, read_number


def send(recipients: int, delivered: int, stopped: int) -> dict[str, int]:
    states = dict.fromkeys(STATES, 0) | {"delivered": delivered, "stopped": stopped}
    credits = {
        "credits_reserved": recipients,
        "credits_used": delivered,
        "credits_released": stopped,
        "credits_held": 0,
    }
    return {"recipients": recipients, "parts": recipients} | states | credits


def tenant(sends: list[dict[str, int]]) -> dict[str, Any]:
    used = sum(one["credits_used"] for one in sends)
    return {
        "import": {"rows": 12, "imported": 11, "rejected": 1},
        "customers": 11,
        "left_out": {"no_consent": 1, "opted_out": 0, "not_textable": 0, "duplicate_number": 0},
        "quote": {"recipients": 10, "parts": 10, "credits": 10},
        "sends": sends,
        "replies": 5,
        "opt_outs": 1,
        "emails": 5,
        "report_rows": sum(one["recipients"] for one in sends),
        "ledger": {"granted": 100, "available": 100 - used, "reserved": 0, "consumed": used},
    }


RIGHT = (
    tenant([send(10, 10, 0), send(9, 4, 5), send(1, 1, 0)])
    | {"laws": {"granted": 0, "once": 0}, "laws_checked": {"granted": 2, "once": 29}}
    | {"other": tenant([send(10, 10, 0)]) | {"opt_outs": 0}}
)


def numbers(tree: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every figure that another one checks."""
    if isinstance(tree, dict):
        for name, branch in tree.items():
            yield from numbers(branch, (*path, name))
    elif isinstance(tree, list):
        for index, branch in enumerate(tree):
            yield from numbers(branch, (*path, index))
    else:
        yield path


def test_figures_that_agree_are_right() -> None:
    assert disagreements(RIGHT) == []


@pytest.mark.parametrize("path", list(numbers(RIGHT)), ids=lambda path: ".".join(map(str, path)))
def test_any_figure_that_is_altered_is_seen(path: tuple[Any, ...]) -> None:
    figures = copy.deepcopy(RIGHT)
    at: Any = figures
    for step in path[:-1]:
        at = at[step]
    at[path[-1]] = 0 if path[0] == "laws_checked" else at[path[-1]] + 1
    unchecked = path[-1] == "parts" and path[-2] in (1, 2)  # only the first send's quote is among the figures
    assert bool(disagreements(figures)) is not unchecked


def test_the_demo_ends_with_0_where_every_figure_agrees(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "_play", lambda _: copy.deepcopy(RIGHT))
    assert story.main({}, tmp_path) == 0
    written = json.loads((tmp_path / "demo.json").read_text())
    assert written.pop("seconds") >= 0
    assert written == RIGHT


def test_the_demo_ends_with_1_and_the_reason_where_a_figure_was_altered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    altered = copy.deepcopy(RIGHT)
    altered["ledger"]["consumed"] += 1
    monkeypatch.setattr(story, "_play", lambda _: altered)
    monkeypatch.setattr(story, "console", Console(width=200))
    assert story.main({}, tmp_path) == 1
    assert "first tenant: granted (100) is not available + reserved + consumed (101)" in capsys.readouterr().out


@pytest.mark.parametrize("country", [AU, GB], ids=["AU", "GB"])
def test_the_demo_customers_are_as_a_business_has_them(country: Any) -> None:
    rows = list(csv.DictReader(io.StringIO(customers_csv(country, 2000, seed=1).decode())))
    read = [read_number(row["Mobile"], country.code) for row in rows if row["Mobile"]]
    good = [number.e164 for number in read if isinstance(number, Number)]
    assert len(rows) == 2000
    assert 20 < len(read) - len(good) < 100, "some numbers are wrong"
    assert 20 < len(good) - len(set(good)) < 200, "some households share a number"
    assert {row["Allow Bulk SMS"] for row in rows} == {"yes", "no", ""}
    assert len({row["Mobile"][:3] for row in rows}) > 8, "numbers are written in many ways"
