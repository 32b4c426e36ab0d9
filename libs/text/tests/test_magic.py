"""Magic numbers are read as people write them, and are nobody's number anywhere else."""

import pytest

from muster.text import NumberRefused, read_number
from muster.text.magic import FIRST, LAST, is_magic, read_magic

WRITTEN = [
    ("+447700900123", "AU", 447_700_900_123),
    ("+44 7700 900 123", "AU", 447_700_900_123),
    ("+44 (0)7700 900123", "AU", 447_700_900_123),
    ("0044 7700 900123", "DE", 447_700_900_123),
    ("447700900123", "AU", 447_700_900_123),
    ("07700 900123", "GB", 447_700_900_123),
    ("7700900123", "GB", 447_700_900_123),
    ("07700 900123", "AU", None),
    ("+447700901123", "GB", None),
    ("+4477009001234", "GB", None),
    ("+44770090012", "GB", None),
    ("+44٧700900123", "GB", None),
    ("9" * 5_000, "GB", None),
    ("", "GB", None),
]


@pytest.mark.parametrize(("written", "country", "number"), WRITTEN)
def test_a_magic_number_is_read_as_people_write_it(written: str, country: str, number: int | None) -> None:
    assert read_magic(written, country) == number


@pytest.mark.parametrize("country", ["GB", "AU", "US"])
def test_no_magic_number_can_be_texted_by_anybody_else(country: str) -> None:
    for number in (FIRST, FIRST + 123, LAST):
        assert isinstance(read_number(f"+{number}", country), NumberRefused)
        assert is_magic(number)
    assert not is_magic(FIRST - 1)
    assert not is_magic(LAST + 1)
