"""Languages, and how days and numbers are written in them (Unicode's CLDR, through Babel).

What an SMS pays double for is left out where it says nothing more: the odd spaces, minus signs, apostrophes and marks
of direction that CLDR writes between digits become the plain ones. All is total: what is no day or number stays as it
is.
"""

import re
import unicodedata
from datetime import date
from functools import lru_cache
from typing import Final, Literal

from babel import Locale, UnknownLocaleError
from babel.core import get_global
from babel.dates import format_date
from babel.languages import get_official_languages
from babel.numbers import format_decimal, get_decimal_symbol, get_group_symbol

Length = Literal["short", "medium", "long", "full"]

_TAG: Final = re.compile(
    r"(?P<language>[A-Za-z]{2,3})([-_](?P<script>[A-Za-z]{4}))?([-_](?P<region>[A-Za-z]{2}|[0-9]{3}))?", re.ASCII
)
_NUMBER: Final = re.compile(r"(?P<minus>-?)(?P<whole>[0-9]{1,15})(\.(?P<fraction>[0-9]{1,6}))?", re.ASCII)
_NO_LANGUAGE: Final = frozenset({"und", "mul", "zxx"})
_ENGLISH: Final = "en"
_PLAIN: Final = str.maketrans({"\u2212": "-", "\u2019": "'", "\u2018": "'", "\u066c": ","})


@lru_cache(maxsize=1_000)
def read_language(written: str) -> str | None:
    """The tag of a language that is known, as it is written in full: "pt_br" is "pt-BR"; None for anything else."""
    parts = _TAG.fullmatch(written)
    if parts is None:
        return None
    language, script = parts["language"].lower(), (parts["script"] or "").title()
    if language in _NO_LANGUAGE or _known("_".join(filter(None, (language, script)))) is None:
        return None
    return "-".join(filter(None, (language, script, (parts["region"] or "").upper())))


@lru_cache(maxsize=1_000)
def language_of(country: str) -> str:
    """The language in which a business of this country writes unless it says so: English where that is official, else
    what most speak there."""
    if _ENGLISH in get_official_languages(country, de_facto=True):
        return _ENGLISH
    likely = get_global("likely_subtags").get(f"und_{country}", _ENGLISH)
    return str(likely).split("_", 1)[0]


@lru_cache(maxsize=1_000)
def locale_of(language: str, country: str) -> Locale:
    """How a language is written in a country; as it is anywhere, where it has no ways of its own there; English where
    it is not known at all."""
    tag = language.replace("-", "_")
    whole = re.search(r"_([A-Z]{2}|[0-9]{3})$", tag) is not None
    tries = [tag, tag.rsplit("_", 1)[0]] if whole else [f"{tag}_{country}", tag]
    return next((known for one in tries if (known := _known(one)) is not None), Locale(_ENGLISH))


def _known(tag: str) -> Locale | None:
    try:
        return Locale.parse(tag)
    except (UnknownLocaleError, ValueError):
        return None


@lru_cache(maxsize=50_000)
def day_written(stored: str, locale: Locale, length: Length) -> str:
    """A day such as 2026-05-01 as people of a locale write it."""
    try:
        return _plain(format_date(date.fromisoformat(stored), length, locale=locale))
    except ValueError:
        return stored


def number_written(stored: str, locale: Locale) -> str:
    """A number such as 1234.5 as people of a locale write it, with all its digits."""
    read = _NUMBER.fullmatch(stored)
    if read is None:
        return stored
    before, behind, group, point, first, more = _marks(locale)
    whole, fraction = read["whole"], read["fraction"]
    if len(whole) > first:
        head, tail = whole[:-first], whole[-first:]
        starts = range(len(head) % more or more, len(head), more)
        pieces = [head[: len(head) % more or more], *(head[start : start + more] for start in starts), tail]
        whole = group.join(pieces)
    written = f"{whole}{point}{fraction}" if fraction else whole
    return f"{before}{written}{behind}" if read["minus"] else written


@lru_cache(maxsize=1_000)
def _marks(locale: Locale) -> tuple[str, str, str, str, int, int]:
    """What stands before and behind a number below 0, between groups of digits, and before a fraction; how many digits
    are in the first group from the right, and in all others. (Babel takes 20 us for a number, and a send may have a
    million.)"""
    before, _, behind = _plain(format_decimal(-1, locale=locale)).partition("1")
    group, point = _plain_sign(get_group_symbol(locale)), _plain_sign(get_decimal_symbol(locale))
    first, more = locale.decimal_formats[None].grouping
    return before, behind, group, point, first, more


def _plain(written: str) -> str:
    return _plain_sign(written).strip()


def _plain_sign(written: str) -> str:
    return "".join(" " if c.isspace() else c for c in written.translate(_PLAIN) if unicodedata.category(c) != "Cf")
