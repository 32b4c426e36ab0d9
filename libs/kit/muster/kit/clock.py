"""The one clock of Python code. SQL has its own: `kit_now()`. A simulation replaces both."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime

_wall_ns: Callable[[], int] = time.time_ns
_monotonic_s: Callable[[], float] = time.monotonic


def now() -> datetime:
    """The time of day, in UTC."""
    return datetime.fromtimestamp(_wall_ns() / 1e9, UTC)


def unix_ms() -> int:
    """The time of day in milliseconds since 1970, as it is written in events."""
    return _wall_ns() // 1_000_000


def monotonic() -> float:
    """Seconds on a clock that never goes back: for durations and deadlines within one process."""
    return _monotonic_s()


def rfc3339(unix_milliseconds: int) -> str:
    """A time as CloudEvents write it: RFC 3339 in UTC with milliseconds."""
    moment = datetime.fromtimestamp(unix_milliseconds / 1000, UTC)
    return moment.strftime("%Y-%m-%dT%H:%M:%S.") + f"{unix_milliseconds % 1000:03d}Z"


def parse_rfc3339(text: str) -> int:
    """Milliseconds since 1970 of a time in RFC 3339; ValueError for anything else."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


@contextmanager
def replaced(wall_ns: Callable[[], int], monotonic_s: Callable[[], float]) -> Iterator[None]:
    """Let all of this process read these clocks: nanoseconds since 1970, and monotonic seconds."""
    global _wall_ns, _monotonic_s
    before = _wall_ns, _monotonic_s
    _wall_ns, _monotonic_s = wall_ns, monotonic_s
    try:
        yield
    finally:
        _wall_ns, _monotonic_s = before
