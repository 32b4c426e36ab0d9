"""What people wrote, in a file that a spreadsheet opens."""

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from muster.text.cells import SIGNS, cell, csv_lines

TEXTS = st.lists(st.text(max_size=9) | st.from_regex(r"\A[=+@\t\r\n-][0-9.]{0,9}\Z"), min_size=1, max_size=5)


@given(st.lists(TEXTS, min_size=1, max_size=5))
def test_every_text_comes_back_whole_and_none_as_a_formula(rows: list[list[str]]) -> None:
    read = list(csv.reader(io.StringIO(csv_lines(rows), newline="")))

    assert [len(row) for row in read] == [len(row) for row in rows]
    for row, shown in zip(rows, read, strict=True):
        for text, found in zip(row, shown, strict=True):
            assert found == text or found == f"'{text}"
            assert not found.startswith(SIGNS) or (found[0] == "+" and found[1:].isascii() and found[1:].isdecimal())
            assert not str(cell(text, number_as_text=True)).startswith(SIGNS)
