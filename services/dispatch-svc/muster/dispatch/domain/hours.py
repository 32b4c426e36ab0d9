"""When the recipients of a chunk may be texted: unix milliseconds, from each of `begin` until that of `end`."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Final

_TIMES_MAX: Final = 200  # some for each of 31 days
_UNIX_MS_MAX: Final = 253_402_300_800_000  # the year 10000


def why_unfit(begin: Sequence[int], end: Sequence[int]) -> str:
    """What is wrong with such times; "" for what can be."""
    if len(begin) != len(end) or len(begin) > _TIMES_MAX:
        return "allowed times that do not fit"
    if not all(0 < first < last < _UNIX_MS_MAX for first, last in zip(begin, end, strict=True)):
        return "an allowed time that ends before it begins"
    return ""


def multirange(begin: Sequence[int], end: Sequence[int]) -> str | None:
    """The same as PostgreSQL writes a tstzmultirange; None for at any time."""
    times = ",".join(f"[{_written(first)},{_written(last)})" for first, last in zip(begin, end, strict=True))
    return f"{{{times}}}" if times else None


def _written(unix_ms: int) -> str:
    return datetime.fromtimestamp(unix_ms / 1000, UTC).isoformat()
