"""The finish that is promised is kept, by traces of real sends (tests/bench/finish.py)."""

import pytest
from promises import TRACES, played

_TOLERANCE = 0.10


@pytest.mark.parametrize("name", sorted(path.stem for path in TRACES.glob("*.json")))
def test_the_finish_that_is_promised_after_five_seconds_or_once_all_is_here_is_kept_within_a_tenth(name: str) -> None:
    promises = played(TRACES / f"{name}.json")

    assert promises, "something was promised"
    assert [promise for promise in promises if promise.missed > _TOLERANCE] == []
    assert all(promise.promised - promise.began >= 5.0 for promise in promises)
    assert all(promise.promised - max(promise.began, promise.here) < 10.0 for promise in promises)
