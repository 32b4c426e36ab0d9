"""When outcomes are recorded: at once where nothing else is under way, else together with what others finish."""

from dataclasses import dataclass
from typing import Any
from unittest.mock import MagicMock

import pytest

from muster.dispatch.failpoint import Failpoint
from muster.dispatch.sender.job import Job
from muster.dispatch.sender.recorder import Recorder
from muster.dispatch.settings import DispatchSettings
from muster.kit import clock

RECORD_S = DispatchSettings().dispatch_record_s


@dataclass
class FakeJob:
    """What the recorder asks of a job to choose it."""

    name: str
    finished: bool = True
    dirty_at: float | None = 0.0
    leaving: str = ""
    waits = Job.waits


@pytest.fixture
def recorded(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Who is recorded, `now` seconds after time 0."""

    async def recorded(*jobs: FakeJob, now: float = 0.0, closing: bool = False) -> str:
        monkeypatch.setattr(clock, "monotonic", lambda: now)
        shared = MagicMock(jobs=dict(enumerate(jobs)), closing=closing, settings=DispatchSettings())
        shared.failpoint = Failpoint("")
        recorder, chosen = Recorder(shared, MagicMock()), []

        async def record(due: list[FakeJob]) -> None:
            chosen.extend(due)

        monkeypatch.setattr(recorder, "_record", record)
        await recorder.record_due()
        return "".join(job.name for job in chosen)

    return recorded


async def test_what_is_finished_is_recorded_at_once_where_nothing_else_is_under_way(recorded: Any) -> None:
    assert await recorded(FakeJob("a"), FakeJob("b")) == "ab"


async def test_what_is_finished_waits_for_what_is_under_way_but_no_longer_than_outcomes_may(recorded: Any) -> None:
    under_way = FakeJob("u", finished=False, dirty_at=None)
    assert await recorded(FakeJob("a"), under_way) == ""
    assert await recorded(FakeJob("a"), under_way, FakeJob("c", dirty_at=RECORD_S / 2), now=RECORD_S) == "a"


async def test_what_is_to_be_given_back_is_recorded_at_once(recorded: Any) -> None:
    under_way = FakeJob("u", finished=False)
    assert await recorded(FakeJob("a", leaving="paused"), FakeJob("b", dirty_at=None), under_way) == "ab"
    assert await recorded(FakeJob("a"), under_way, closing=True) == "a"


async def test_what_is_under_way_is_recorded_when_its_outcomes_have_waited_long_enough(recorded: Any) -> None:
    assert await recorded(FakeJob("u", finished=False), FakeJob("v", finished=False, dirty_at=1.0), now=1.0) == "u"
