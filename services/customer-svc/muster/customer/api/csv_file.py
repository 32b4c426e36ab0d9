"""A CSV as it came: its characters, its separator, and its records, each of which may turn out to be none."""

import csv
import io
from collections.abc import Iterator
from itertools import chain
from typing import IO, Final

from muster.customer.domain.refusal import Refusal

_SEPARATORS: Final = (",", ";", "\t", "|")
_LOOKED_AT_BYTES: Final = 64
_READ_CHARACTERS: Final = 1 << 16


def records_of(file: IO[bytes]) -> "Iterator[list[str] | csv.Error] | Refusal":
    """The records of the file, the header first; csv.Error in the place of one that cannot be read."""
    encoding = _encoding_of(file)
    if encoding is None:
        return Refusal("file", "not_text", "The file is neither UTF-8 nor UTF-16 nor Windows-1252.")
    file.seek(0)
    lines: Iterator[str] = io.TextIOWrapper(file, encoding, newline="", errors="replace")
    first = next(lines, "")
    return _Records(chain([first], lines), max(_SEPARATORS, key=first.count))


def _encoding_of(file: IO[bytes]) -> str | None:
    """UTF-8 or UTF-16, each with or without its mark, else the code page of Western Windows; None if none fits."""
    file.seek(0)
    head = file.read(_LOOKED_AT_BYTES)
    if head[:2] in (b"\xff\xfe", b"\xfe\xff"):
        return "utf-16" if _decodes(file, "utf-16") else None
    for encoding, zeros in (("utf-16-le", head[1::2]), ("utf-16-be", head[0::2])):
        if zeros.count(0) > len(head) // 4:  # every other byte of what people write in Latin letters
            return encoding if _decodes(file, encoding) else None
    return "utf-8-sig" if _decodes(file, "utf-8-sig") else "cp1252"


def _decodes(file: IO[bytes], encoding: str) -> bool:
    file.seek(0)
    looked_at = io.TextIOWrapper(file, encoding, newline="")
    try:
        while looked_at.read(_READ_CHARACTERS):
            pass
    except UnicodeDecodeError:
        return False
    finally:
        looked_at.detach()
    return True


class _Lines:
    """Lines, of which the last ones taken can be given back."""

    def __init__(self, lines: Iterator[str]) -> None:
        self.taken: list[str] = []
        self._lines = lines
        self._again: list[str] = []

    def __iter__(self) -> "_Lines":
        return self

    def __next__(self) -> str:
        line = self._again.pop() if self._again else next(self._lines)
        self.taken.append(line)
        return line

    def give_back_all_but_one(self) -> None:
        """What was taken comes again, but for its first line."""
        self._again.extend(reversed(self.taken[1:]))


class _Records:
    """A record that cannot be read costs its first line only: a quote that is never closed would take all the rest."""

    def __init__(self, lines: Iterator[str], separator: str) -> None:
        self._lines = _Lines(lines)
        self._reader = csv.reader(self._lines, delimiter=separator, strict=True)

    def __iter__(self) -> "_Records":
        return self

    def __next__(self) -> list[str] | csv.Error:
        self._lines.taken.clear()
        try:
            return next(self._reader)
        except csv.Error as error:
            self._lines.give_back_all_but_one()
            return error
