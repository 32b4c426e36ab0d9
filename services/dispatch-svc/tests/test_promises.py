"""The finish that is promised is kept, by traces of real sends (tests/bench/finish.py)."""

from uuid import UUID

import pytest
from promises import TRACES, played

from muster.dispatch.domain.meter import Meter
from muster.dispatch.domain.pace import Course, Piece, Work, error_ratio, finishes, follow, outlook

_TOLERANCE = 0.10


@pytest.mark.parametrize("name", sorted(path.stem for path in TRACES.glob("*.json")))
def test_the_finish_that_is_promised_after_five_seconds_or_once_all_is_here_is_kept_within_a_tenth(name: str) -> None:
    promises = played(TRACES / f"{name}.json")

    assert promises, "something was promised"
    assert [promise for promise in promises if promise.missed > _TOLERANCE] == []
    assert all(promise.promised - promise.began >= 5.0 for promise in promises)
    assert all(promise.promised - max(promise.began, promise.here) < 10.0 for promise in promises)


def test_a_giant_that_leaves_faster_once_all_of_it_has_arrived_is_promised_then_and_within_a_tenth() -> None:
    number, meter, left, at = UUID(int=1), Meter(), 1_000_000, 0
    course: Course | None = None
    while left > 0:
        at += 1
        arriving = at <= 25
        meter.parts, meter.arriving = min(left, 8_000 if arriving else 20_000), arriving
        left -= meter.parts
        rate, doubt = meter.take(float(at), 0)
        work = Work((Piece(number, number, "smpp", left, 0, (True, 2, number)),), 1, 0, 0, begun=True, coming=arriving)
        ahead = outlook(work, finishes(work.pieces, {"smpp": rate})[number], {"smpp": doubt})
        course = follow(course, work, ahead, float(at))

    assert course is not None
    assert course.promised is not None
    assert course.promised_finish is not None
    assert 25 < course.promised < 30
    assert error_ratio(1.0, course.promised_finish, float(at)) < _TOLERANCE
