"""A file of numbers that want nothing, as other programs export it."""

import csv
import io
from collections.abc import Iterator

from muster.customer.domain.files.csv_text import Records, opened, separator_of
from muster.customer.domain.files.encodings import encoding_of
from muster.customer.domain.files.kinds import HEAD_BYTES, Kind, kind_of
from muster.customer.domain.files.reading import is_row
from muster.customer.domain.files.refused import FileRefused
from muster.customer.domain.import_columns import target_of
from muster.customer.domain.refusal import Refusal
from muster.text.merge import clean_value


def numbers_in(body: bytes) -> Iterator[tuple[int, str | csv.Error]]:
    """The number of each row: of the columns that the first line calls so, the first that holds something; without such
    a line the first column. csv.Error for a row that is none; FileRefused for what is no CSV."""
    kind = kind_of(body[:HEAD_BYTES])
    if isinstance(kind, Refusal):
        raise FileRefused(kind)
    if kind is not Kind.TEXT:
        raise FileRefused.of("not_csv", "This is a workbook. Save it as CSV.")
    file = io.BytesIO(body)
    encoding = encoding_of(file, lambda _: None)  # digits are the same in all that is guessed
    separator, said = separator_of(file, encoding)
    records = Records(opened(file, encoding), separator)
    places: list[int] = []
    for row, cells in enumerate(records, 1):
        if isinstance(cells, csv.Error):
            yield row, cells
        elif row > said and is_row(cells):
            begins, places = not places, places or _places(cells)
            if not begins or target_of(clean_value(cells[places[0]]), {}) != "mobile":
                yield row, next((cells[at] for at in places if at < len(cells) and cells[at].strip()), "")


def _places(header: list[str]) -> list[int]:
    return [at for at, cell in enumerate(header) if target_of(clean_value(cell), {}) == "mobile"] or [0]
