"""Public holidays, by the package `holidays` of the release: of a country (AU), or of a part of one (AU-NSW)."""

import warnings
from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Final

_DAY: Final = timedelta(days=1)
_REMEMBERED_MAX: Final = 1_000
_EPOCH: Final = date(2026, 1, 1)


def days_between(calendars: Iterable[str], begin: int, end: int) -> list[date]:
    """The public holidays that a clock anywhere may show between two moments in unix seconds."""
    first, last = (datetime.fromtimestamp(at, UTC).date() for at in (begin, end))
    return list(named_days(calendars, first - _DAY, last + _DAY))


def named_days(calendars: Iterable[str], first: date, last: date) -> dict[date, str]:
    """The public holidays from a day to another, with their names: of a day in several calendars that of the first."""
    found: dict[date, str] = {}
    for calendar in calendars:
        for year in range(first.year, last.year + 1):
            for day, name in _of_year(calendar, year):
                if first <= day <= last:
                    found.setdefault(day, name)
    return found


def is_known(calendar: str) -> bool:
    """Whether this release has the public holidays of a country (AU), or of a part of one (AU-NSW)."""
    from holidays import list_supported_countries

    country, _, part = calendar.partition("-")
    parts = list_supported_countries(include_aliases=False).get(country)
    return parts is not None and (not part or part in parts)


def warm() -> None:
    """Load what takes most of a second the first time: for a thread of a process that has just begun."""
    is_known("AU")
    named_days(("AU",), _EPOCH, _EPOCH)


@lru_cache(_REMEMBERED_MAX)
def _of_year(calendar: str, year: int) -> tuple[tuple[date, str], ...]:
    """None of a calendar that this release does not know (a later one may have let somebody choose it). Of years far
    ahead the days that go by the moon may not be known yet; the package warns of that, and a later one tells them."""
    from holidays import country_holidays  # half a second: only who asks pays for it

    country, _, part = calendar.partition("-")
    try:
        with warnings.catch_warnings(action="ignore", category=UserWarning):
            return tuple(country_holidays(country, subdiv=part or None, years=year).items())
    except NotImplementedError:
        return ()
