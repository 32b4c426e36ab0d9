"""Dates of receipts: most of a burst have the same digits, which are read once."""

from datetime import datetime
from typing import Final, NamedTuple

from muster.kit import clock
from muster.smpp import read_date

_KEPT_MAX: Final = 5_000


class _Read(NamedTuple):
    """A date as a time and as unix ms."""

    time: datetime
    unix_ms: int


class Dates:
    """What digits mean, as `read_date` reads them."""

    def __init__(self) -> None:
        self._read: dict[str, _Read | None] = {}

    def time(self, digits: str) -> datetime | None:
        """The time; None where they are none."""
        found = self._find(digits)
        return None if found is None else found.time

    def unix_ms(self, digits: str) -> int:
        """The time in unix ms; now where they are none."""
        found = self._find(digits)
        return clock.unix_ms() if found is None else found.unix_ms

    def _find(self, digits: str) -> _Read | None:
        if digits not in self._read:
            if len(self._read) >= _KEPT_MAX:
                self._read.clear()
            time = read_date(digits)
            self._read[digits] = None if time is None else _Read(time, round(time.timestamp() * 1000))
        return self._read[digits]
