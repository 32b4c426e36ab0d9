"""In which time zones the holder of a number may be, by IANA names.

A number says where its holder is only where mobile numbers are given out by area; then phonenumbers' own prefixes say
it. Elsewhere all zones of its country are possible, as the time zone database lists them.
"""

from functools import cache
from importlib.resources import files
from typing import Final

_DIGITS: Final = 15  # of the longest number
# Calling codes whose mobile numbers have area codes, as phonenumbers' is_number_geographical judges them.
_BY_AREA: Final = ("1", "52", "54", "55", "62")
SEPARATOR: Final = "|"
"""Between the names of zones that are all possible."""


@cache
def zones_of_country(country: str) -> tuple[str, ...]:
    """All zones of a country (ISO 3166 alpha-2), as the time zone database lists them; none for what is no country."""
    return _by_country().get(country, ())


def zones_of_number(number: int, country: str) -> tuple[str, ...]:
    """The zones that are possible for a number, given by its digits, of this country."""
    digits = str(number)
    by_area = _by_prefix(digits) if digits.startswith(_BY_AREA) else ()
    return by_area or zones_of_country(country)


@cache
def prefix_zones(countries: frozenset[str] | None) -> tuple[list[int], list[str]]:
    """The same for all numbers of these countries (None: of all), for a binary search: bounds and names.

    A number whose digits are filled up with zeros to 15 has the names at the index of how many bounds are not above it;
    several names are joined by SEPARATOR, and "" stands for the zones of its country.
    """
    codes = tuple(code for code in _BY_AREA if countries is None or countries & _regions(code))
    prefixes = [prefix for prefix in _table() if codes and prefix.startswith(codes)]
    ends = {int(prefix.ljust(_DIGITS, "0")) + 10 ** (_DIGITS - len(prefix)) for prefix in prefixes}
    bounds, names = [], [""]
    for bound in sorted(ends | {int(prefix.ljust(_DIGITS, "0")) for prefix in prefixes}):
        digits = str(bound).zfill(_DIGITS)
        name = SEPARATOR.join(_by_prefix(digits)) if digits.startswith(codes) else ""
        if name != names[-1]:
            bounds.append(bound)
            names.append(name)
    return bounds, names


def _by_prefix(digits: str) -> tuple[str, ...]:
    """By the longest known prefix, unless that is a calling code alone: it names all zones of several countries."""
    table = _table()
    for length in range(min(len(digits), 9), 1, -1):
        prefix = digits[:length]
        if prefix in table:
            return () if prefix in _BY_AREA else table[prefix]
    return ()


@cache
def _table() -> dict[str, tuple[str, ...]]:
    from phonenumbers.tzdata import TIMEZONE_DATA  # half a second: only who asks pays for it

    return dict(TIMEZONE_DATA)


def _regions(calling_code: str) -> set[str]:
    from phonenumbers import COUNTRY_CODE_TO_REGION_CODE

    return set(COUNTRY_CODE_TO_REGION_CODE[int(calling_code)])


@cache
def _by_country() -> dict[str, tuple[str, ...]]:
    zones: dict[str, tuple[str, ...]] = {}
    for line in files("tzdata").joinpath("zoneinfo", "zone.tab").read_text(encoding="utf-8").splitlines():
        if line and not line.startswith("#"):
            country, _, zone = line.split("\t")[:3]
            zones[country] = (*zones.get(country, ()), zone)
    return zones
