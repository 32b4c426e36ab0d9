"""The numbers of a whole column: what can be done to all of its text at once is not done for each number.

Says the same of each as `read_number` and `read_any_number` do.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Final, Generic, TypeVar

from muster.text.kinds import OtherNumber, read_any_number
from muster.text.learned import FREE_DIGITS, ranges_of
from muster.text.numbers import Number, NumberRefused, read_number

_DIGITS: Final = b"0123456789"
_SEPARATORS: Final = b" \t-()"  # no dot: a spreadsheet's 412345678.0 has a zero that is no digit of the number
_LEFT_OUT: Final = "?"  # in the place of what is no digit, so that it is read on its own
_UNKNOWN: Final = ("", "")

Other = TypeVar("Other")


@dataclass(frozen=True, slots=True)
class Column(Generic[Other]):
    """By row from 0: e164 and country (ISO 3166 alpha-2, or "001") of each number that can be texted, "" of other rows;
    what these hold is in `others`."""

    e164: list[str]
    countries: list[str]
    others: dict[int, Other]


def read_column(written: Sequence[str], country: str) -> Column[NumberRefused]:
    """What `read_number` says of each; ValueError for an unknown country."""
    return _column(written, country, read_number)


def read_any_column(written: Sequence[str], country: str) -> Column[OtherNumber | NumberRefused]:
    """What `read_any_number` says of each; ValueError for an unknown country."""
    return _column(written, country, read_any_number)


def _column(written: Sequence[str], country: str, read: Callable[[str, str], Number | Other]) -> Column[Other]:
    known = ranges_of(country)
    text = _as_rows(written)
    bare = text.translate(None, _SEPARATORS)
    digits = written if len(bare) == len(text) else bare.decode("ascii").split("\n")[1:]
    unsigned = bare.replace(b"\n+", b"\n")
    ranges = list(map(known.get, [one[:-FREE_DIGITS] for one in digits], repeat(_UNKNOWN)))
    countries = [of for _, of in ranges]
    if len(bare) - len(unsigned) == len(written) and all(countries):
        e164 = list(digits)  # each with a plus sign
    else:
        e164 = [start + one[-FREE_DIGITS:] for (start, _), one in zip(ranges, digits, strict=True)]
    others: dict[int, Other] = {}
    for row in _to_be_read(countries, unsigned.translate(None, _DIGITS)):
        found = read(written[row], country)
        if isinstance(found, Number):
            e164[row], countries[row] = found
        else:
            e164[row], countries[row], others[row] = "", "", found
    return Column(e164, countries, others)


def _as_rows(written: Sequence[str]) -> bytes:
    """A line break and a row, for each row, in as many bytes as it has characters."""
    text = "".join(("\n", "\n".join(written))) if written else ""
    if text.count("\n") > len(written):
        text = "".join("\n" + one.replace("\n", _LEFT_OUT) for one in written)
    return text.encode("ascii", "replace")


def _to_be_read(countries: Sequence[str], left: bytes) -> Sequence[int]:
    """Rows of ranges that are not known, and those of which something is left that is no digit."""
    if len(left) == len(countries):
        return () if all(countries) else [row for row, of in enumerate(countries) if not of]
    return [row for row, (of, more) in enumerate(zip(countries, left.split(b"\n")[1:], strict=True)) if more or not of]
