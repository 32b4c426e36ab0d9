"""A file of numbers or keys: which customer each row means. It changes nobody, and what else is in it is not read."""

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from muster.customer.domain.customers import NumberReader
from muster.customer.domain.fields import Kind
from muster.customer.domain.import_columns import Columns
from muster.customer.domain.import_options import ImportOptions
from muster.customer.domain.importing import KEY_BYTES, RowError, RowReader


@dataclass(frozen=True, slots=True)
class MemberRow:
    """The customer whose own field has the value behind `key`, or where that is b"" all who have the number (0: the row
    has none). column: the index of the one that they are looked up by."""

    number: int
    key: bytes
    column: int


class Unlisted(StrEnum):
    """Why a row that can be read puts nobody on the list."""

    NOT_A_CUSTOMER = "not_a_customer"
    ARCHIVED = "archived"
    SEVERAL_CUSTOMERS = "several_customers"
    NUMBER_DIFFERS = "number_differs"
    DUPLICATE_ROW = "duplicate_row"


_TOLD: Final = {
    Unlisted.NOT_A_CUSTOMER: "No customer has this. An upload adds nobody: import them, with their consent.",
    Unlisted.ARCHIVED: "The customer who has this is archived.",
    Unlisted.SEVERAL_CUSTOMERS: "Several customers have this, and the row does not say which of them it means.",
    Unlisted.NUMBER_DIFFERS: "The customer who has this does not have the number of the row.",
    Unlisted.DUPLICATE_ROW: "The same customer is in an earlier row.",
}


class MemberReader:
    """Reads the rows of one such file. repairs: what was undone in its cells so far."""

    def __init__(
        self, columns: Columns, numbers: NumberReader, options: ImportOptions, kinds: Mapping[str, Kind], _today: str
    ) -> None:
        self._key_field = options.key_field
        own = tuple((key, index) for key, index in columns.own if key == self._key_field)
        self._key_column = own[0][1] if own else 0
        self._rows = RowReader(Columns(columns.header, {}, columns.mobiles, own), numbers, options, kinds)
        self.repairs = self._rows.repairs
        self.expect = self._rows.expect

    def read(self, row: int, cells: Sequence[str] | csv.Error) -> MemberRow | list[RowError]:
        """Whom a row means, or all that is wrong with it."""
        if isinstance(cells, csv.Error):
            return [RowError(row, "row", "", "not_csv", f"The row cannot be read as CSV: {cells}.")]
        found = self._rows.read_keys(row, cells)
        if isinstance(found, list):
            return found
        value = found.own_fields.get(self._key_field, "")
        if value:
            key = hashlib.sha256(value.encode()).digest()[:KEY_BYTES]
            return MemberRow(found.number, key, self._key_column)
        if not found.number:
            message = (
                f"The row has neither a number nor {self._key_field}." if self._key_field else "Here is no number."
            )
            return [RowError(row, "mobile", "", "no_number", message)]
        return MemberRow(found.number, b"", found.column)


def unlisted(row: int, why: Unlisted, column: str) -> RowError:
    """A row that puts nobody on the list. column: the header of the one that they were looked up by."""
    return RowError(row, "row", column, why.value, _TOLD[why])
