"""Cells of CSV files that people open in a spreadsheet, which takes a text with a sign before it for a formula."""

import csv
import io
import re
from collections.abc import Iterable
from datetime import datetime
from typing import Final

SIGNS: Final = ("=", "+", "-", "@", "\t", "\r", "\n")
"""What a text that is read as a formula begins with."""

_NUMBER: Final = re.compile(r"\+[0-9]{1,15}", re.ASCII)


def cell(value: object, *, number_as_text: bool = False) -> object:
    """A value as `csv` writes it: a text that would be a formula has a ' before it, but for +61412345678, which a
    spreadsheet shows without its plus (`number_as_text`: that too). Times are RFC 3339, None is empty."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    if isinstance(value, str) and value.startswith(SIGNS):
        return value if _NUMBER.fullmatch(value) and not number_as_text else f"'{value}"
    return value


def csv_lines(rows: Iterable[Iterable[object]]) -> str:
    """Rows as RFC 4180 has them, each value as its `cell`."""
    text = io.StringIO(newline="")
    csv.writer(text).writerows([cell(value) for value in row] for row in rows)
    return text.getvalue()
