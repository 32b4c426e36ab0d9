"""Own fields: what a business keeps of its customers beside names and numbers, and what kind of value each holds."""

import re
from collections.abc import Mapping
from datetime import date
from enum import StrEnum
from typing import Final

from muster.customer.domain.refusal import Refusal
from muster.text.merge import clean_value

DEFINED_MAX: Final = 100
NAME_CHARACTERS_MAX: Final = 100
KNOWN_MAX: Final = 500  # with those that customers were given values of
_NUMBER: Final = re.compile(r"[-+]?[0-9]{1,15}(\.[0-9]{1,6})?", re.ASCII)
_DATE: Final = re.compile(r"([0-9]{4})-([0-9]{1,2})-([0-9]{1,2})", re.ASCII)


class Kind(StrEnum):
    """What the values of an own field are; one that nobody defined is a text. FREE: a text that keeps its line breaks
    and signs of markup, also in a message."""

    TEXT = "text"
    FREE = "free"
    DATE = "date"
    NUMBER = "number"


def read_date(written: str) -> str | None:
    """A day as it is stored, 2026-05-01; None for what is not written so, but for zeros in front of month and day."""
    found = _DATE.fullmatch(clean_value(written))
    if found is None:
        return None
    try:
        return date(*map(int, found.groups())).isoformat()
    except ValueError:
        return None


def read_number(written: str) -> str | None:
    """A decimal number as it is stored, with at most 15 digits before and 6 behind the point: 12.5; None for anything
    else. The same number is always stored as the same text."""
    text = clean_value(written)
    if not _NUMBER.fullmatch(text):
        return None
    whole, _, fraction = text.lstrip("+-").partition(".")
    plain = (whole.lstrip("0") or "0") + (f".{fraction.rstrip('0')}" if fraction.rstrip("0") else "")
    return f"-{plain}" if text.startswith("-") and plain != "0" else plain


def read_value(kind: Kind, written: str) -> str | None:
    """A value as it is stored; None where it is none of its kind. A blank one is a text, a date and a number."""
    if not clean_value(written):
        return ""
    if kind is Kind.DATE:
        return read_date(written)
    if kind is Kind.FREE:
        return clean_lines(written)
    return read_number(written) if kind is Kind.NUMBER else clean_value(written)


def clean_lines(written: str) -> str:
    """A text with its line breaks, each of them "\n"; cleaned as values are otherwise."""
    return "\n".join(map(clean_value, written.splitlines())).strip()


def judge_values(kinds: Mapping[str, Kind], values: Mapping[str, str]) -> dict[str, str] | list[Refusal]:
    """Values by key as they are stored; or each one that is not of its field's kind, named `own_fields.key`."""
    stored: dict[str, str] = {}
    refusals = []
    for key, value in values.items():
        kind = kinds.get(key, Kind.TEXT)
        read = read_value(kind, value)
        if read is None:
            refusals.append(Refusal(f"own_fields.{key}", f"not_a_{kind.value}", _WRONG[kind]))
        else:
            stored[key] = read
    return refusals or stored


def wrong_value(kind: Kind) -> str:
    """What to write where a value is not of this kind."""
    return _WRONG[kind]


_WRONG: Final = {
    Kind.TEXT: "",
    Kind.FREE: "",
    Kind.DATE: "Write a day as 2026-05-01.",
    Kind.NUMBER: "Write a number such as 12 or 12.5, with at most 15 digits before and 6 behind the point.",
}
