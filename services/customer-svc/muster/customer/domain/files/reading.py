"""A file from its first byte to its last: what it is, then its rows in blocks that can each be read on their own.

A block is a text of CSV in UTF-8, whatever the file was: who reads rows need not know where they come from. Nothing of
a file is used before all of it has been read.
"""

import csv
import io
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import IO, Final

from muster.customer.domain.files import xlsx
from muster.customer.domain.files.csv_text import Dialect, Records, opened, separator_of
from muster.customer.domain.files.encodings import Guess, WindowsText, encoding_of, given_encoding
from muster.customer.domain.files.kinds import HEAD_BYTES, Kind, kind_of
from muster.customer.domain.files.refused import FileRefused
from muster.customer.domain.files.sheet import COLUMNS_READ_MAX
from muster.customer.domain.files.sheet import rows as sheet_rows
from muster.customer.domain.refusal import Refusal

COLUMNS_MAX: Final = 100
BLOCK_CHARACTERS_MAX: Final = 4 << 20
_BYTES_OF_A_BLOCK: Final = "utf-8"


@dataclass(frozen=True, slots=True)
class Options:
    """What somebody says of the file ("": found out), and how much of it is read."""

    encoding: str = ""
    separator: str = ""
    rows_max: int = 1_000_000
    block_rows: int = 5_000


@dataclass(frozen=True, slots=True)
class Opened:
    """What the file is. sheet: the name of the sheet of a workbook; separator: of its blocks."""

    kind: Kind
    encoding: str
    separator: str
    sheet: str
    header: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Block:
    """Rows of the file. first_row: the number of the first, counted from 1 after the header; rows: how many of them
    are not empty."""

    first_row: int
    rows: int
    text: bytes


def read(file: IO[bytes], options: Options, guess: Guess) -> Generator[Opened | Block, None, None]:
    """What the file is, then its blocks. FileRefused, at any time, for one that is not read."""
    file.seek(0)
    head = file.read(HEAD_BYTES)
    kind = kind_of(head)
    if isinstance(kind, Refusal):
        raise FileRefused(kind)
    if not head:
        raise FileRefused.of("empty", "The file is empty.")
    yield from _workbook(file, options) if kind is Kind.XLSX else _text(file, options, guess)


def rows_of(block: bytes, separator: str) -> Records:
    """The records of a block."""
    return Records(io.StringIO(block.decode(_BYTES_OF_A_BLOCK, "surrogateescape"), newline=""), separator)


def is_row(cells: Sequence[str]) -> bool:
    """Whether anything stands in it."""
    return bool("".join(cells).strip())


def _text(file: IO[bytes], options: Options, guess: Guess) -> Iterator[Opened | Block]:
    encoding = given_encoding(options.encoding, file) if options.encoding else encoding_of(file, guess)
    separator, said = separator_of(file, encoding)
    dialect = Dialect(encoding, options.separator or separator)
    text = opened(file, encoding)
    try:
        for _ in range(said):
            text.readline()
        lines = WindowsText(text) if encoding == "cp1252" and not options.encoding else text
        records = Records(lines, dialect.separator)
        header = _header_of(_first_of(records))
        yield Opened(Kind.TEXT, encoding.removesuffix("-sig"), dialect.separator, "", header)
        yield from _blocks_of_text(records, options)
    finally:
        text.detach()


def _first_of(records: Records) -> list[str] | csv.Error:
    """The first record that holds anything, as of a workbook."""
    for cells in records:
        records.taken.clear()
        if isinstance(cells, csv.Error) or is_row(cells):
            return cells
    return []


def _blocks_of_text(records: Records, options: Options) -> Iterator[Block]:
    count = _Count(options.rows_max)
    first, taken = 1, records.taken
    for cells in records:
        count.take(isinstance(cells, csv.Error) or is_row(cells))
        if count.number - first + 1 >= options.block_rows or len(taken) > options.block_rows * 4:
            yield Block(first, count.of_block(), "".join(taken).encode(_BYTES_OF_A_BLOCK, "surrogateescape"))
            taken.clear()
            first = count.number + 1
    if taken:
        yield Block(first, count.of_block(), "".join(taken).encode(_BYTES_OF_A_BLOCK, "surrogateescape"))


def _workbook(file: IO[bytes], options: Options) -> Iterator[Opened | Block]:
    with xlsx.archive(file) as book:
        sheet = xlsx.first_sheet(book)
        rows = sheet_rows(book, sheet)
        begins, header = next(((number, cells) for number, cells in rows if is_row(cells)), (0, []))
        yield Opened(Kind.XLSX, _BYTES_OF_A_BLOCK, ",", sheet.name, _header_of(header))
        yield from _blocks_of_sheet(rows, begins, options)


def _blocks_of_sheet(rows: Iterator[tuple[int, list[str]]], begins: int, options: Options) -> Iterator[Block]:
    count = _Count(options.rows_max)
    first, text = 1, io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    for number, cells in rows:
        if not is_row(cells):
            continue
        row = number - begins
        if row - first >= options.block_rows or text.tell() > BLOCK_CHARACTERS_MAX:
            if text.tell():
                yield Block(first, count.of_block(), text.getvalue().encode(_BYTES_OF_A_BLOCK, "replace"))
            first, text = row, io.StringIO(newline="")
            writer = csv.writer(text, lineterminator="\n")
            count.number = row - 1
        while count.number < row - 1:  # rows that the sheet leaves out are counted by it, and so here
            text.write("\n")
            count.take(False)  # noqa: FBT003
        writer.writerow(cells)
        count.take(True)  # noqa: FBT003
    if text.tell():
        yield Block(first, count.of_block(), text.getvalue().encode(_BYTES_OF_A_BLOCK, "replace"))


class _Count:
    """Rows so far, and those of the block that are not empty."""

    def __init__(self, rows_max: int) -> None:
        self.number = 0
        self._rows = self._before = 0
        self._rows_max = rows_max

    def take(self, counts: bool) -> None:  # noqa: FBT001
        """One more."""
        self.number += 1
        if counts:
            self._rows += 1
            if self._rows > self._rows_max:
                raise FileRefused.of("too_many_rows", f"At most {self._rows_max} rows are read.")

    def of_block(self) -> int:
        """Those since it was asked last."""
        rows, self._before = self._rows - self._before, self._rows
        return rows


def _header_of(cells: Sequence[str] | csv.Error) -> tuple[str, ...]:
    if isinstance(cells, csv.Error):
        raise FileRefused.of("not_csv", f"The first line cannot be read as CSV: {cells}.")
    if not cells:
        message = "There is nothing in the file but blank lines. Choose the file that holds your customers."
        raise FileRefused.of("empty", message)
    if "\x00" in "".join(cells):
        raise FileRefused.of("not_text", "The first line holds NUL, which is no character of a text.")
    # Sheets have columns to the right of which nobody knows; a line of a million separators is no header.
    width = max((index for index, cell in enumerate(cells, 1) if cell.strip()), default=0)
    if width > COLUMNS_MAX or len(cells) > COLUMNS_READ_MAX:
        message = f"A file has at most {COLUMNS_MAX} columns; this one has {len(cells)}."
        raise FileRefused.of("too_many_columns", message)
    return tuple(cells[:width])
