"""The short selection of `make chaos`: the same rows, on one stack, with the same judgement."""

import asyncio
import json
import os
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

from chaos import rows
from chaos.page import figures
from chaos.registry import ROWS
from chaos.run import in_thread

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(1_200)]  # the first of them waits for all rows
ROOT = Path(__file__).parents[2]
SHORT = sorted(number for number, row in ROWS.items() if row.short)
assert rows.__all__, "importing the rows registers them"


@pytest.fixture(scope="module")
def outcome() -> dict[str, Any]:
    """What each row of one run came to, and what the run printed."""
    command = [sys.executable, "-m", "tests.chaos.run"]
    env = {**os.environ, "SHORT": "1", "ROW": ""}
    done = subprocess.run(command, cwd=ROOT, env=env, check=False, capture_output=True, text=True)
    last = done.stdout.rstrip().rpartition("\n")[2]
    assert last.startswith("{"), done.stdout + done.stderr
    return {row["row"]: row for row in json.loads(last)["rows"]}


@pytest.mark.parametrize("number", SHORT)
def test_every_law_holds_after_the_fault_of_a_row_has_fired(outcome: dict[str, Any], number: str) -> None:
    row = outcome[number]
    assert not row["problem"], row["problem"]
    assert sum(row["fired"].values()) >= ROWS[number].fires
    assert len(row["checked"]) == 8


def test_a_row_that_there_is_not_is_refused() -> None:
    command = [sys.executable, "-m", "tests.chaos.run"]
    env = {**os.environ, "ROW": "2 99"}
    done = subprocess.run(command, cwd=ROOT, env=env, check=False, capture_output=True, text=True)
    assert done.returncode == 2
    assert "'99' (rows: " in done.stderr


def test_the_table_of_a_run_shows_each_row_with_its_verdict() -> None:
    row = {"row": "2", "says": "a crash", "seconds": 19.5, "fired": {"a": 3}, "checked": {"once": 1_200}, "problem": ""}
    table = figures({"commit": "c", "seed": 1, "full": False, "seconds": 60, "rows": [row, {**row, "problem": "lost"}]})
    assert table.startswith("Commit c, seed 1, 2 rows")
    assert "| 2 | a crash | 3 | 20 | 1,200 | holds |" in table
    assert "| 2 | a crash | 3 | 20 | 1,200 | **broken** |" in table


def test_a_row_that_was_ended_in_the_middle_says_nothing_afterwards() -> None:
    may_end = threading.Event()
    said: list[dict[str, Any]] = []

    def row() -> list[Any]:
        may_end.wait(120)
        return []

    async def ended() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: said.append(context))
        waiting = asyncio.create_task(in_thread(row))
        await asyncio.sleep(0)
        waiting.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        may_end.set()
        for thread in [one for one in threading.enumerate() if one.name.endswith("(run)")]:
            await asyncio.to_thread(thread.join, 120)
        await asyncio.sleep(0)

    asyncio.run(ended())
    assert said == []
