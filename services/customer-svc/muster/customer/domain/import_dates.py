"""Days as people and spreadsheets write them in files: 1/4/2026, 1.4.2026, 46023. Never guessed where two are meant."""

import re
from datetime import date
from enum import StrEnum
from typing import Final

from muster.customer.domain.import_repairs import repaired_date

_PARTS: Final = re.compile(r"([0-9]{1,4})([-/.])([0-9]{1,2})\2([0-9]{1,4})", re.ASCII)
_TIMED: Final = re.compile(
    r"([0-9./-]{8,10})(?:T| |, )[0-9]{1,2}:[0-9]{2}(?::[0-9]{2}(?:[.,][0-9]+)?)?(?: ?[ap]\.?m\.?)?",
    re.ASCII | re.IGNORECASE,
)
_TIMED_SERIAL: Final = re.compile(r"([0-9]{5})\.[0-9]+", re.ASCII)
_YEAR_DIGITS: Final = 4
_MONTHS: Final = 12


class Order(StrEnum):
    """Which comes first in the file's dates; unstated: whatever can only be one day is read, and nothing else."""

    UNSTATED = ""
    DAY_FIRST = "dmy"
    MONTH_FIRST = "mdy"


class Unclear(StrEnum):
    """Why something is no day: it is none, or could be two."""

    NO_DATE = "not_a_date"
    TWO_DATES = "date_unclear"


TOLD: Final = {
    Unclear.NO_DATE: "Write a day as 2026-05-01.",
    Unclear.TWO_DATES: (
        "This is one day where the day stands first, and another one where the month does. Import the file again with"
        " dates=dmy or dates=mdy, or write days as 2026-05-01."
    ),
}


def read_day(written: str, order: Order) -> str | Unclear:
    """The day that is meant, as 2026-04-01. With points the day stands first, as wherever they are written."""
    found = _PARTS.fullmatch(written)
    if found is None:
        return repaired_date(written) or Unclear.NO_DATE
    first, sign, second, third = found[1], found[2], int(found[3]), found[4]
    if len(first) == _YEAR_DIGITS:
        return _day(int(first), second, int(third)) if len(third) <= 2 else Unclear.NO_DATE
    if len(third) != _YEAR_DIGITS or len(first) > 2:
        return Unclear.NO_DATE
    one, year = int(first), int(third)
    if order is Order.UNSTATED and sign == ".":
        order = Order.DAY_FIRST
    if order is Order.UNSTATED and one <= _MONTHS and second <= _MONTHS and one != second:
        return Unclear.TWO_DATES
    month_first = order is Order.MONTH_FIRST or (order is Order.UNSTATED and second > _MONTHS)
    return _day(year, one, second) if month_first else _day(year, second, one)


def without_time(written: str) -> str:
    """The day of a day and a time of no zone: 2026-04-01 of 2026-04-01 10:00:00, 46023 of 46023.5; else as written.
    A time with a zone stays, since its day may be another one where the business is.
    """
    found = _TIMED.fullmatch(written) or _TIMED_SERIAL.fullmatch(written)
    return found[1] if found else written


def _day(year: int, month: int, day: int) -> str | Unclear:
    try:
        return date(year, month, day).isoformat()
    except ValueError:
        return Unclear.NO_DATE
