"""A block of rows, read for the database: the good ones as the text of two COPYs, and what is wrong with the rest.

What goes in and what comes out is bytes and JSON, since it may be done by a process of its own (child.py).
"""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import Any, Final
from uuid import UUID

import orjson

from muster.customer.domain.customers import Consent, NumberReader
from muster.customer.domain.fields import Kind
from muster.customer.domain.files.csv_text import Records
from muster.customer.domain.files.reading import is_row, rows_of
from muster.customer.domain.import_columns import Columns, read_header
from muster.customer.domain.import_dates import Order
from muster.customer.domain.import_options import ImportOptions, Mode, Statement
from muster.customer.domain.importing import ImportRow, Repair, RowError, RowReader, repeated
from muster.customer.domain.list_rows import MemberReader, MemberRow
from muster.kit import clock

_NULL: Final = "\\N"
_AT_ONCE: Final = 1_000
_FLAGS: Final = {True: "t", False: "f", None: _NULL}


@dataclass(frozen=True, slots=True)
class Plan:
    """How the rows of a file are read."""

    separator: str
    header: tuple[str, ...]
    options: ImportOptions
    numbers: NumberReader
    kinds: Mapping[str, Kind]
    today: str

    def packed(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "separator": self.separator,
            "header": self.header,
            "options": packed_options(self.options),
            "kinds": dict(self.kinds),
            "today": self.today,
            "numbers": {
                **asdict(self.numbers),
                "tenant_id": str(self.numbers.tenant_id),
                "hash_key": self.numbers.hash_key.hex(),
            },
        }

    @classmethod
    def unpacked(cls, packed: Mapping[str, Any]) -> "Plan":
        """From JSON."""
        numbers = packed["numbers"]
        keyed = {"tenant_id": UUID(numbers["tenant_id"]), "hash_key": bytes.fromhex(numbers["hash_key"])}
        reader = NumberReader(**{**numbers, **keyed})
        kinds = {key: Kind(kind) for key, kind in packed["kinds"].items()}
        options = options_of(packed["options"])
        return cls(packed["separator"], tuple(packed["header"]), options, reader, kinds, packed["today"])

    def columns(self) -> Columns:
        """What the columns hold; they were found to be readable before."""
        columns = read_header(self.header, self.options.mapping, self.options.key_field)
        assert isinstance(columns, Columns), "a header that is refused has no blocks"
        return columns


def today_at_most() -> str:
    """The latest day that is today anywhere."""
    return (clock.now() + timedelta(hours=14)).date().isoformat()


def packed_options(options: ImportOptions) -> dict[str, Any]:
    """As JSON has them."""
    return asdict(options)


def options_of(packed: Mapping[str, Any]) -> ImportOptions:
    """From JSON."""
    stated = packed["consent"]
    consent = Statement(**{**stated, "kind": Consent(stated["kind"])}) if stated else None
    given = (packed["match"], packed["list"], consent, packed["mapping"], Order(packed.get("dates", "")))
    return ImportOptions(Mode(packed["mode"]), *given)


@dataclass(slots=True)
class Parsed:
    """rows and numbers: what COPY takes (store.import_rows, of an upload store.import_members); wrong: what is wrong,
    by row; refused: the cells of those rows, as the file has them."""

    rows: bytes
    numbers: bytes
    good: int
    wrong: list[RowError]
    refused: list[tuple[int, list[str]]]
    repairs: list[Repair]


def parse(plan: Plan, first_row: int, text: bytes) -> Parsed:
    """Read a block. Of two rows with the same key the first is good."""
    how = plan.columns(), plan.numbers, plan.options, plan.kinds, plan.today
    reader = MemberReader(*how) if plan.options.mode is Mode.UPLOAD else RowReader(*how)
    rows, numbers = io.StringIO(), io.StringIO()
    seen: set[bytes] = set()
    parsed = Parsed(b"", b"", 0, [], [], [])
    for number, cells, lines in _expected(reader, rows_of(text, plan.separator), first_row):
        if not isinstance(cells, csv.Error) and not is_row(cells):
            continue
        row = reader.read(number, cells)
        if isinstance(row, ImportRow) and row.key in seen:
            row = [repeated(number)]
        if isinstance(row, ImportRow):
            seen.add(row.key)
            parsed.good += 1
            _write(rows, numbers, number, row)
        elif isinstance(row, MemberRow):
            parsed.good += 1
            key = f"\\\\x{row.key.hex()}" if row.key else _NULL
            rows.write(f"{number}\t{row.number or _NULL}\t{key}\t{row.column}\n")
        else:
            parsed.wrong += row
            parsed.refused.append((number, storable(cells, lines)))
    parsed.rows, parsed.numbers = rows.getvalue().encode(), numbers.getvalue().encode()
    parsed.repairs = list(reader.repairs.values())
    return parsed


def _expected(
    reader: RowReader | MemberReader, records: Records, first_row: int
) -> Iterator[tuple[int, list[str] | csv.Error, Sequence[str]]]:
    """Rows by their number, each with the lines of one that is none, and the reader told of them some at a time."""
    numbered = enumerate(records, first_row)
    while True:
        some = []
        for number, cells in numbered:
            some.append((number, cells, tuple(records.taken) if isinstance(cells, csv.Error) else ()))
            records.taken.clear()
            if len(some) == _AT_ONCE:
                break
        if not some:
            return
        reader.expect([cells for _, cells, _ in some if not isinstance(cells, csv.Error)])
        yield from some


def cells_of(plan: Plan, first_row: int, text: bytes, wanted: set[int]) -> list[tuple[int, list[str]]]:
    """The cells of some rows of a block, as the file has them."""
    records = rows_of(text, plan.separator)
    found = []
    for number, cells in enumerate(records, first_row):
        if number in wanted:
            found.append((number, storable(cells, records.taken)))
        records.taken.clear()
    return found


def storable(cells: Sequence[str] | csv.Error, lines: Sequence[str]) -> list[str]:
    """Cells that can be stored and shown; of a record that is none its line, as one cell."""
    if isinstance(cells, csv.Error):
        cells = [lines[0].rstrip("\r\n")] if lines else [""]
    return [cell.encode("utf-8", "replace").decode().replace("\x00", "\ufffd") for cell in cells]


def _write(rows: io.StringIO, numbers: io.StringIO, number: int, row: ImportRow) -> None:
    customer = row.customer
    own = orjson.dumps(customer.own_fields).decode() if customer.own_fields else "{}"
    tags = orjson.dumps(customer.tags).decode() if customer.tags else "[]"
    texts = f"{customer.first_name}\t{customer.last_name}\t{own}\t{tags}\t{customer.language}\t{customer.time_zone}"
    if "\\" in texts:
        texts = texts.replace("\\", "\\\\")
    rows.write(
        f"{number}\t\\\\x{row.key.hex()}\t\\\\x{row.match_key.hex()}\t{texts}\t{_FLAGS[customer.allow_bulk_sms]}\t"
        f"{customer.consent.value}\t{_FLAGS[row.consent_given]}\t{row.consent_on or _NULL}\n"
    )
    for position, one in enumerate(customer.mobiles, 1):
        numbers.write(
            f"{number}\t{position}\t{one.number}\t{one.country}\t\\\\x{one.number_hash.hex()}\t\\N\t{_typed(one.typed)}\n"
        )
    for position, other in enumerate(customer.others, 1):
        typed = _typed(other.typed or str(other.number))
        numbers.write(f"{number}\t{position}\t{other.number}\t{other.country}\t\\N\t{other.kind.value}\t{typed}\n")


def _typed(written: str) -> str:
    return (written.replace("\\", "\\\\") if "\\" in written else written) or _NULL
