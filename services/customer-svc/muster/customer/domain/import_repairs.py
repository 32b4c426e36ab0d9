"""What a spreadsheet has done to a cell, undone where that is certain, and what else is told of a column."""

import re
from datetime import date, timedelta
from typing import Final

from muster.text.cells import SIGNS

_FORMULA_TEXT: Final = re.compile(r'="((?:[^"]|"")*)"')
_EXPONENT: Final = re.compile(r"\d(?:[.,]\d+)?[eE]\+?\d{1,2}")
_ERRORS: Final = frozenset(
    ["#REF!", "#N/A", "#NAME?", "#VALUE!", "#DIV/0!", "#NUM!", "#NULL!", "#SPILL!", "#CALC!", "#GETTING_DATA"]
)
_DATE_WORDS: Final = frozenset(
    [
        *("date", "dates", "day", "birthday", "birthdate", "dob", "born", "visit", "visited", "appointment", "expiry"),
        *("expires", "joined", "since", "until", "seen"),
    ]
)
_DAY_ONE: Final = date(1899, 12, 30)
_DAYS: Final = range(10_959, 73_051)  # 1930 to 2099: a number of five digits that is a date, if its column is of dates

# What stands behind a comma and is no first name.
_BEHIND_NAMES: Final = frozenset(
    [
        *(
            "jr",
            "jnr",
            "sr",
            "snr",
            "ii",
            "iii",
            "iv",
            "phd",
            "md",
            "dds",
            "dvm",
            "esq",
            "mba",
            "cpa",
            "rn",
            "jp",
            "am",
            "ao",
        ),
        *("inc", "ltd", "llc", "llp", "plc", "pty", "co", "corp", "gmbh", "ag", "kg", "bv"),
    ]
)

ZERO_RESTORED: Final = "leading_zero_restored"
EXPONENT_EXPANDED: Final = "exponent_expanded"
DECIMALS_REMOVED: Final = "decimals_removed"
DATE_RESTORED: Final = "date_restored"
DATE_READ: Final = "date_read"
TIME_LEFT_OUT: Final = "time_left_out"
NAME_TURNED: Final = "name_turned"
CONSENT_NOT_STATED: Final = "consent_not_stated"
TOLD: Final = {
    ZERO_RESTORED: "Numbers had lost their leading zero.",
    EXPONENT_EXPANDED: "Numbers were written as 6.1412345678E+10; all their digits were there.",
    DECIMALS_REMOVED: "Numbers were written with decimals, as 412345678.0.",
    DATE_RESTORED: "Dates were written as the number of their day, as 46023.",
    DATE_READ: "Dates were written as 13/4/2026 or 1.4.2026; they are kept as 2026-04-13 and 2026-04-01.",
    TIME_LEFT_OUT: "A time of day stood behind the day, as 2026-04-01 10:00; the day alone is kept.",
    NAME_TURNED: "Names were written with the last name first, as Smith, Ana; Ana is kept as the first name.",
    CONSENT_NOT_STATED: (
        "Express consent is kept with its wording and source. Neither was stated for the file, so that it is kept as "
        "inferred: import the file again with consent=express, consent_wording and consent_source."
    ),
}


def plain(cell: str) -> str:
    """A cell that begins with = or ': `="0412"` and `'+61` are how a spreadsheet is kept from changing a text."""
    if cell[0] == "'":
        return cell[1:] if cell[1:].startswith(SIGNS) else cell
    found = _FORMULA_TEXT.fullmatch(cell)
    return found[1].replace('""', '"') if found else cell


def is_formula(cell: str) -> bool:
    """Whether a cell holds a formula in place of its value, or the error that one ended with."""
    return (cell[:1] == "=" and len(cell) > 1) or cell in _ERRORS


def repaired_number(written: str, number: int, *, trunk_zero: bool) -> str:
    """What was undone in a number that was read all the same; "" for nothing. trunk_zero: numbers of its country are
    dialled with a zero first."""
    if written.isdigit():
        lost = trunk_zero and written[0] != "0" and len(written) < len(str(number)) and str(number).endswith(written)
        return ZERO_RESTORED if lost else ""
    if "." not in written and "E" not in written and "e" not in written:
        return ""
    if _EXPONENT.fullmatch(written.strip()):
        return EXPONENT_EXPANDED
    head, point, decimals = written.strip().rpartition(".")
    return DECIMALS_REMOVED if point and head.isdigit() and decimals and not decimals.strip("0") else ""


def read_full_name(written: str) -> tuple[str, str, bool]:
    """First and last name of a name that was written as one, and whether the last one stood first: "Smith, Ana"."""
    before, _, behind = (part.strip() for part in written.partition(","))
    if before and behind and "," not in behind and behind.lower().replace(".", "").split(" ")[0] not in _BEHIND_NAMES:
        return behind, before, True
    first, _, last = written.rstrip(", ").partition(" ")
    return first.rstrip(","), last, False


def holds_dates(key: str) -> bool:
    """Whether the own field of this key is one of dates, by its name."""
    return not _DATE_WORDS.isdisjoint(key.split("_"))


def repaired_date(written: str) -> str:
    """The date of a number that is a day as spreadsheets count; "" for what is none."""
    if len(written) == 5 and written.isdecimal() and written.isascii() and int(written) in _DAYS:
        return (_DAY_ONE + timedelta(days=int(written))).isoformat()
    return ""
