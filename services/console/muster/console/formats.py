"""Numbers, dates and times as people of a country write them, in the time zone of their business."""

import re
from datetime import UTC, date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from babel import Locale, UnknownLocaleError
from babel.dates import format_date, format_datetime, format_time
from babel.numbers import format_decimal, format_percent

from muster.kit import clock

_DAY_LENGTH = len("2026-11-28")
_ASKED = re.compile(r"en[-_]([A-Za-z]{2})\b")


class Formats:
    """How one reader sees figures and moments."""

    def __init__(self, locale: Locale, zone: ZoneInfo) -> None:
        self.locale = locale
        self.zone = zone

    def number(self, value: float) -> str:
        """1234.5 as 1,234.5."""
        return str(format_decimal(value, locale=self.locale))

    def percent(self, part: float, whole: float) -> str:
        """A share of a whole, rounded down: 100 % is all. "0%" of nothing."""
        share = int(part * 100 / whole) / 100 if whole else 0.0
        return str(format_percent(share, locale=self.locale))

    def moment(self, value: str | datetime) -> str:
        """A day and a time: "28 Nov 2026, 5:51 pm"."""
        return str(format_datetime(_moment(value), "medium", tzinfo=self.zone, locale=self.locale)).replace(" ", " ")

    def when(self, value: str | datetime) -> str:
        """As short as may be: the time alone where it is today, else day and time without seconds."""
        moment = _moment(value).astimezone(self.zone)
        time = format_time(moment, "short", tzinfo=self.zone, locale=self.locale)
        if moment.date() == self.today:
            return str(time).replace(" ", " ")
        return f"{self.day(moment)}, {time}".replace(" ", " ")

    def day(self, value: Any) -> str:
        """A date: "28 Nov 2026". A moment's is that of the business; "2026-11-28" is that day on every clock."""
        if isinstance(value, str) and len(value) == _DAY_LENGTH:
            value = date.fromisoformat(value)
        day = value if not isinstance(value, (str, datetime)) else _moment(value).astimezone(self.zone).date()
        return str(format_date(day, "medium", locale=self.locale))

    def country(self, code: str) -> str:
        """The name of a country: "Australia" of "AU"; what is none as it is."""
        return str(self.locale.territories.get(code.upper(), code))

    @property
    def today(self) -> Any:
        """The day that it is for the business."""
        return clock.now().astimezone(self.zone).date()

    def plural(self, count: float) -> str:
        """ "one", "other" …: which words go with a number."""
        return str(self.locale.plural_form(count))


def formats(accepted: str, country: str, zone: str) -> Formats:
    """Of a browser's Accept-Language and a business: the country that the reader asks for comes first."""
    asked = _ASKED.search(accepted)
    return _formats((asked.group(1) if asked else country).upper(), zone)


@lru_cache(maxsize=1_000)
def _formats(country: str, zone: str) -> Formats:
    try:
        locale = Locale("en", country or None)
    except UnknownLocaleError:
        locale = Locale("en")
    try:
        return Formats(locale, ZoneInfo(zone))
    except (ZoneInfoNotFoundError, ValueError):
        return Formats(locale, ZoneInfo("UTC"))


def _moment(value: str | datetime) -> datetime:
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
