"""By when a withdrawal that somebody has to apply must be applied: business days by the law of a country.

The laws are data, a file for each country (withdrawals/), with the day from which each rule holds.
"""

import tomllib
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from datetime import date, timedelta
from functools import cache
from importlib.resources import files
from typing import Final

_DAY: Final = timedelta(days=1)
_SATURDAY: Final = 5
_LAWS: Final = "withdrawals"


@dataclass(frozen=True, slots=True)
class Rule:
    """How many business days there are, and whether the day of the request is one of them. law: "" where none names
    days."""

    business_days: int
    first_day_counts: bool
    law: str = ""


# Where no law names days a withdrawal holds at once; the shortest time that a law names is counted.
ELSEWHERE: Final = Rule(5, first_day_counts=True)


def rule_of(country: str, day: date) -> Rule:
    """The rule of a country for a request that came on this day."""
    found = [rule for since, rule in _rules(country) if since <= day]
    return found[-1] if found else ELSEWHERE


@cache
def _rules(country: str) -> tuple[tuple[date, Rule], ...]:
    file = files(__package__).joinpath(_LAWS, f"{country}.toml")
    if not country.isalpha() or not file.is_file():
        return ()
    rules = tomllib.loads(file.read_text(encoding="utf-8"))["rule"]
    made = [(rule.pop("from"), Rule(**rule)) for rule in rules]
    return tuple(sorted(made, key=lambda one: one[0]))


def calendars_of(country: str, chosen: Iterable[str]) -> tuple[str, ...]:
    """The calendars of public holidays that count: those of a country's parts that a business has chosen (AU-NSW), else
    the country's own."""
    parts = tuple(one for one in chosen if one.partition("-")[0] == country)
    return parts or (country,)


def due_on(day: date, rule: Rule, holidays: Callable[[date, date], Collection[date]]) -> date:
    """The last day on which a request that came on `day` may be applied. holidays: those between two days."""
    # Twice the days and two weeks hold any run of holidays of any country.
    closed = holidays(day, day + (2 * rule.business_days + 14) * _DAY)
    left, at = rule.business_days, day if rule.first_day_counts else day + _DAY
    while True:
        if at.weekday() < _SATURDAY and at not in closed:
            left -= 1
            if left == 0:
                return at
        at += _DAY
