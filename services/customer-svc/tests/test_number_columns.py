"""Numbers of many rows, which are read at once."""

from dataclasses import astuple
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.customer.domain.customers import NumberReader
from muster.customer.domain.import_options import ImportOptions, Mode
from muster.customer.importer import blocks
from muster.customer.importer.blocks import Plan, parse

READERS = [NumberReader(UUID(int=7), "AU", b"k" * 32, 1, sandbox) for sandbox in (False, True)]
WRITTEN = [
    *(
        "0412 345 678",
        "+61412345678",
        "+61412345679",
        "(0412) 345-678",
        "0412345678\n",
        " 0412\u00a0345 678",
        "٠٤١٢٣٤٥٦٧٨",
    ),
    *("(03) 9876 5432", "1234", "000", "1900 123 456", "0412 345 67", "Jo", "", "412345678.0", "6.14E+10"),
    *("+447700900123", "+44 7400 123456", "0412345678 / 0413345678"),
]
HEADER = ("first name", "mobile", "mobile 2")


@given(
    st.lists(st.sampled_from(WRITTEN) | st.text("0123456789+ -x", max_size=14), max_size=12), st.sampled_from(READERS)
)
def test_a_cell_says_the_same_in_a_column_as_on_its_own(written: list[str], reader: NumberReader) -> None:
    assert [astuple(one) for one in reader.read_column(written)] == [astuple(reader.read(one)) for one in written]
    found = reader.read_any_column(written)
    assert [astuple(one) for one in found] == [astuple(reader.read_any(one)) for one in written]


@pytest.mark.parametrize("mode", [Mode.ADD_AND_UPDATE, Mode.UPLOAD])
def test_what_a_row_is_read_as_does_not_depend_on_how_many_are_read_at_once(
    mode: Mode, monkeypatch: pytest.MonkeyPatch
) -> None:
    cells = [one.replace("\n", "") for one in WRITTEN]
    rows = [f'Ana{n},"{one}","{cells[-n]}"' for n, one in enumerate(cells)]
    rows[3:3] = ["", 'Ole,"unclosed', "Ole,,,,1", "Ole", "'=,'0412345678,'+61412345678", f"Ole,{'1' * 70}"]
    text = "\n".join(rows).encode()
    plan = Plan(",", HEADER, ImportOptions(mode), READERS[0], {}, "2026-11-28")
    found = []
    for at_once in (1, 2, 1_000):
        monkeypatch.setattr(blocks, "_AT_ONCE", at_once)
        found.append(parse(plan, 1, text))
    assert found[0].good > 2
    assert found[0].refused
    assert found[0] == found[1] == found[2]
