"""A text as a spreadsheet writes it: its separator, and its records, each of which may turn out to be none."""

import csv
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO, Final, Protocol

from muster.customer.domain.files.refused import FileRefused

SEPARATORS: Final = (",", ";", "\t", "|")
LINE_CHARACTERS_MAX: Final = 1 << 20
BROKEN_MAX: Final = 10_000
_SAMPLE_CHARACTERS: Final = 64 << 10
_SAMPLE_LINES: Final = 20
_SAYS_SEPARATOR: Final = re.compile(r"sep=(.)\r?\n?")


@dataclass(frozen=True, slots=True)
class Dialect:
    """How the characters of a text are written, and what is between its cells."""

    encoding: str
    separator: str


class Readable(Protocol):
    """What gives lines."""

    def readline(self, size: int = -1, /) -> str:
        """The next line, or as much of it; "" at the end."""
        ...


def opened(file: IO[bytes], encoding: str) -> io.TextIOWrapper:
    """The text from its first character on. Bytes that are none come as halves of surrogate pairs: their rows are
    refused by name (encodings.SLIPS)."""
    file.seek(0)
    return io.TextIOWrapper(
        file, encoding, newline="", errors="surrogateescape" if encoding[:3] == "utf" else "replace"
    )


def separator_of(file: IO[bytes], encoding: str) -> tuple[str, int]:
    """What is between the cells, and how many lines at the start only say so (`sep=;`, which is Excel's)."""
    text = opened(file, encoding)
    sample = text.read(_SAMPLE_CHARACTERS)
    whole = not text.read(1)
    text.detach()
    said = _SAYS_SEPARATOR.match(sample)
    if said:
        return said[1], 1
    lines = sample.splitlines(keepends=True)
    kept = lines if whole or len(lines) < 2 else lines[:-1]
    return max(SEPARATORS, key=lambda separator: _fits(kept[:_SAMPLE_LINES], separator)), 0


def _fits(lines: list[str], separator: str) -> tuple[bool, float, int]:
    """How well: whether the first line has it outside of quotes, in how many lines it comes as often, and how often."""
    try:
        rows = [row for row in csv.reader(lines, delimiter=separator) if row]
    except csv.Error:
        rows = [line.split(separator) for line in lines]
    width = len(rows[0]) if rows else 0
    return width > 1, sum(len(row) == width for row in rows) / max(1, len(rows)), width


class _Lines:
    """Lines, of which the last ones taken can be given back."""

    def __init__(self, text: Readable) -> None:
        self.taken: list[str] = []
        self._readline = text.readline
        self._again: list[str] = []

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._again.pop() if self._again else self._readline(LINE_CHARACTERS_MAX)
        if not line:
            raise StopIteration
        if len(line) == LINE_CHARACTERS_MAX and line[-1] not in "\r\n":
            message = f"A line has at most {LINE_CHARACTERS_MAX} characters; is this a table at all?"
            raise FileRefused.of("line_too_long", message)
        self.taken.append(line)
        return line

    def give_back(self, begun: int) -> None:
        """What was taken from there on comes again, but for its first line."""
        self._again.extend(reversed(self.taken[begun + 1 :]))
        del self.taken[begun + 1 :]


class Records:
    """The records of a text. One that cannot be read costs its first line only: a quote that is never closed would take
    all the rest. `taken`: the lines that were read and not given back; who reads on may clear it between records.
    """

    def __init__(self, text: Readable, separator: str) -> None:
        self._lines = _Lines(text)
        self.taken = self._lines.taken
        self._broken = 0
        self._reader = csv.reader(self._lines, delimiter=separator, strict=True)

    def __iter__(self) -> "Iterator[list[str] | csv.Error]":
        return self

    def __next__(self) -> list[str] | csv.Error:
        begun = len(self.taken)
        try:
            return next(self._reader)
        except csv.Error as error:
            self._broken += 1
            if self._broken > BROKEN_MAX:
                message = f"More than {BROKEN_MAX} records cannot be read as CSV: its quotes or separators are others."
                raise FileRefused.of("not_csv", message) from error
            self._lines.give_back(begun)
            return error
