"""The rows of a sheet as texts."""

import zipfile
from collections.abc import Iterator, Sequence
from typing import Final

from muster.customer.domain.files.plain_rows import Cell, without_plain_rows
from muster.customer.domain.files.xlsx import (
    CELL_CHARACTERS_MAX,
    UNPACKED_BYTES_MAX,
    Sheet,
    damaged,
    feed,
    local,
    parser,
    parts,
)

COLUMNS_READ_MAX: Final = 16_384  # as many as a sheet can have
ROWS_READ_MAX: Final = 1 << 20
_LETTERS_MAX: Final = 3
_ROW_DIGITS_MAX: Final = 8
_YES_NO: Final = {"1": "TRUE", "0": "FALSE"}


def rows(book: zipfile.ZipFile, sheet: Sheet) -> Iterator[tuple[int, list[str]]]:
    """Number (from 1, as the sheet counts) and cells of each row that the file has, in order. A formula comes as its
    value; one whose value is not stored comes as itself, with its sign "=" first."""
    reading = _Reading(sheet)
    reader = parser(reading.start, reading.end, reading.text)
    reader.ordered_attributes = True

    def is_between(fed: int) -> bool:
        return reading.between and reader.CurrentByteIndex == fed

    unpacked = parts(book, sheet.path, UNPACKED_BYTES_MAX)
    for _ in feed(reader, without_plain_rows(unpacked, is_between, reading.take)):
        yield from reading.rows
        reading.rows.clear()


class _Reading:
    """What the parser tells, put together."""

    def __init__(self, sheet: Sheet) -> None:
        self.rows: list[tuple[int, list[str]]] = []
        self.between = False
        self._texts = sheet.texts
        self._number = sheet.formats.number
        self._names: dict[str, str] = {}
        self._columns: dict[str, int] = {}
        self._row = self._column = self._size = 0
        self._cells: list[str] = []
        self._kind = self._style = self._formula = ""
        self._heard: list[str] = []
        self._listening = False

    def start(self, name: str, given: list[str]) -> None:
        """An element begins; `given`: names and values of its attributes by turns."""
        known = self._names.get(name) or self._names.setdefault(name, local(name))
        if known == "c":
            self._begin_cell(given)
        elif known in ("v", "t", "f"):
            self._listening = True
        elif known == "row":
            self.between = False
            self._begin_row(given)
        elif known == "sheetData":
            self.between = True

    def end(self, name: str) -> None:
        """An element ends."""
        known = self._names[name]
        if known == "c":
            self._end_cell()
        elif known in ("v", "t"):
            self._listening = False
        elif known == "row":
            self.between = True
            self.rows.append((self._row, self._cells))
        elif known == "sheetData":
            self.between = False
        elif known == "f":
            self._listening = False
            self._formula = "=" + "".join(self._heard)
            self._heard.clear()

    def text(self, piece: str) -> None:
        """Characters."""
        if self._listening:
            self._heard.append(piece)
            self._size += len(piece)
            if self._size > CELL_CHARACTERS_MAX:
                raise damaged()

    def take(self, number: int, given: Sequence[Cell]) -> None:
        """A row that the parser has not seen."""
        self._begin(number)
        cells, known, texts = self._cells, self._columns, self._texts
        for letters, style, kind, written in given:
            column = known.get(letters)
            missing = (self._index(letters) if column is None else column) - len(cells)
            if missing < 0:
                raise damaged()
            if missing:
                cells.extend([""] * missing)
            if kind == "s" and written.isdecimal():
                try:
                    cells.append(texts[int(written)])
                except (ValueError, IndexError) as error:
                    raise damaged(error) from error
            else:
                cells.append(self._shown(written, kind or "n", style) if written else "")
        self.rows.append((number, cells))

    def _begin_row(self, given: list[str]) -> None:
        number = dict(zip(given[::2], given[1::2], strict=True)).get("r", "")
        self._begin(int(number) if number.isdecimal() and len(number) < _ROW_DIGITS_MAX else self._row + 1)

    def _begin(self, following: int) -> None:
        if not self._row < following <= ROWS_READ_MAX:
            raise damaged()
        self._row, self._cells, self._column = following, [], 0

    def _begin_cell(self, given: list[str]) -> None:
        self._kind, self._style, self._formula, self._size = "n", "", "", 0
        self._heard.clear()
        for at in range(0, len(given), 2):
            name = given[at]
            if name == "r":
                letters = given[at + 1].rstrip("0123456789")
                column = self._columns.get(letters)
                self._column = self._index(letters) if column is None else column
            elif name == "t":
                self._kind = given[at + 1]
            elif name == "s":
                self._style = given[at + 1]

    def _index(self, letters: str) -> int:
        index = 0
        for letter in letters:
            if not "A" <= letter <= "Z" or len(letters) > _LETTERS_MAX:
                raise damaged()
            index = index * 26 + ord(letter) - 64
        if not 0 < index <= COLUMNS_READ_MAX:
            raise damaged()
        return self._columns.setdefault(letters, index - 1)

    def _end_cell(self) -> None:
        cells, missing = self._cells, self._column - len(self._cells)
        if missing < 0 or self._column >= COLUMNS_READ_MAX:
            raise damaged()
        if missing:
            cells.extend([""] * missing)
        written = "".join(self._heard) or self._formula
        cells.append(self._shown(written, self._kind, self._style) if written else "")
        self._column += 1

    def _shown(self, written: str, kind: str, style: str) -> str:
        if kind == "s" and not written.startswith("="):
            try:
                return self._texts[int(written)]
            except (ValueError, IndexError) as error:
                raise damaged(error) from error
        if kind == "n":
            return self._number(written, style)
        return _YES_NO.get(written, written) if kind == "b" else written
