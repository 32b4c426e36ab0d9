"""What a cell of a workbook says, as a text: numbers as they are written, dates as dates."""

import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from typing import Final

_DATE_FORMATS: Final = frozenset([*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)])
_QUOTED: Final = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]')
_ELAPSED: Final = re.compile(r"\[[hms]+\]", re.IGNORECASE)
_DAY_ONE: Final = datetime(1899, 12, 30)  # noqa: DTZ001 -- of no zone
_DAY_ONE_1904: Final = datetime(1904, 1, 1)  # noqa: DTZ001
_LAST_DAY: Final = 2_958_466  # the first of the year 10000
_WHOLE_MAX: Final = 1e17
_EXACT_DIGITS: Final = 15


@dataclass(frozen=True, slots=True)
class Style:
    """How numbers are shown: as dates, or filled up with zeros to so many digits."""

    date: bool = False
    digits: int = 0

    @classmethod
    def of(cls, number: int, codes: dict[int, str]) -> "Style":
        """That of a number format, by its id and, if it is the workbook's own, its code."""
        code = codes.get(number)
        if code is None:
            return cls(date=number in _DATE_FORMATS)
        plain = _QUOTED.sub("", code).partition(";")[0].lower()
        if plain and not plain.strip("0"):
            return cls(digits=len(plain))
        return cls(date=bool(_ELAPSED.search(code)) or (bool(set(plain) & set("dmyhs")) and "general" not in plain))


@dataclass(frozen=True, slots=True)
class Formats:
    """The styles of a workbook, by their index."""

    styles: tuple[Style, ...]
    dates_from_1904: bool = False

    def style(self, index: str) -> Style:
        """That which a cell names; "" for none."""
        at = int(index) if index.isdecimal() else 0
        return self.styles[at] if at < len(self.styles) else _PLAIN

    def number(self, written: str, index: str) -> str:
        """A number as people would write it; what is none stays as it is."""
        if written.isdecimal() and not index:
            return written
        try:
            value = float(written)
        except ValueError:
            return written
        style = self.style(index)
        if style.date and 0 <= value < _LAST_DAY:
            return date_of(value, dates_from_1904=self.dates_from_1904)
        if value != value or abs(value) >= _WHOLE_MAX:
            return written
        shown = str(int(value)) if value == int(value) else f"{value:.{_EXACT_DIGITS}g}"
        return shown.zfill(style.digits) if style.digits else shown


_PLAIN: Final = Style()


@lru_cache(maxsize=4_096)
def date_of(serial: float, *, dates_from_1904: bool = False) -> str:
    """The date or time of a serial number; times to the second."""
    if 0 < serial < 1:
        return _clock(serial)
    first = _DAY_ONE_1904 if dates_from_1904 else _DAY_ONE if serial >= 61 else _DAY_ONE + timedelta(days=1)
    moment = first + timedelta(seconds=round(serial * 86_400))
    return moment.date().isoformat() if moment.time() == moment.min.time() else moment.isoformat(" ")


def _clock(serial: float) -> str:
    seconds = round(serial * 86_400)
    return f"{seconds // 3600:02d}:{seconds // 60 % 60:02d}:{seconds % 60:02d}"
