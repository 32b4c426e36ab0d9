"""A file of customers: what each row says, and what of it a spreadsheet had spoiled."""

import csv
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from muster.customer.domain.customers import (
    MOBILES_MAX,
    NAME_CHARACTERS_MAX,
    NUMBERS_MAX,
    TAG_CHARACTERS_MAX,
    TAGS_MAX,
    TYPED_CHARACTERS_MAX,
    VALUE_CHARACTERS_MAX,
    Consent,
    Customer,
    Mobile,
    NumberReader,
    OtherNumber,
    key_of,
    read_tags,
    read_time_zone,
)
from muster.customer.domain.fields import Kind, clean_lines, read_value, wrong_value
from muster.customer.domain.files.encodings import SLIPS
from muster.customer.domain.import_columns import Columns
from muster.customer.domain.import_consent import Said, read_consent
from muster.customer.domain.import_dates import TOLD, Order, Unclear, read_day, without_time
from muster.customer.domain.import_options import BY_NUMBER, BY_PERSON, ImportOptions
from muster.customer.domain.import_repairs import (
    CONSENT_NOT_STATED,
    DATE_READ,
    DATE_RESTORED,
    NAME_TURNED,
    TIME_LEFT_OUT,
    holds_dates,
    is_formula,
    plain,
    read_full_name,
    repaired_number,
)
from muster.customer.domain.refusal import Refusal
from muster.text import NumberRefused
from muster.text.merge import clean_value
from muster.text.numbers import is_dialled_with_zero

KEY_BYTES: Final = 16
_LANGUAGE_CHARACTERS_MAX: Final = 35
_SIGNS: Final = ("=", "'")
_TYPED: Final = range(1, TYPED_CHARACTERS_MAX + 1)
# What is written again in most rows of a block is judged once.
_KNOWN_MAX: Final = 1_000
_KNOWN_CHARACTERS_MAX: Final = 200


@dataclass(frozen=True, slots=True)
class RowError:
    """Why a row was left out. row: from 1, the first after the header. column: the header as the file writes it."""

    row: int
    field: str
    column: str
    code: str
    message: str


@dataclass(frozen=True, slots=True)
class ImportRow:
    """A row that can be stored. `consent_given`: the file has a word on consent, so it may change what is stored.
    key: equal for rows that are the same customer, by what the import goes by; consent_on: the day on which it was
    given, "" where that is not known."""

    customer: Customer
    match_key: bytes
    consent_given: bool
    key: bytes
    consent_on: str = ""


@dataclass(frozen=True, slots=True)
class RowKeys:
    """Own fields of a row and its first number (0: none), with the index of its column."""

    own_fields: Mapping[str, str]
    number: int
    column: int


@dataclass(slots=True)
class Repair:
    """What was undone in the cells of one column: how often, and the first row of it."""

    column: str
    code: str
    count: int
    first_row: int


class RowReader:
    """Reads the rows of one file. kinds: of the own fields that are defined; today: no consent was given after it;
    repairs: what was undone so far."""

    def __init__(
        self,
        columns: Columns,
        numbers: NumberReader,
        options: ImportOptions | None = None,
        kinds: Mapping[str, Kind] | None = None,
        today: str = "",
    ) -> None:
        self._today = today
        self.repairs: dict[tuple[str, str], Repair] = {}
        self._columns = columns
        self._numbers = numbers
        self._expected: dict[str, Mobile | OtherNumber | NumberRefused] = {}
        self._options = options or ImportOptions()
        self._trunk_zero = is_dialled_with_zero(numbers.country)
        self._kinds = {key: kind for key, kind in (kinds or {}).items() if kind is not Kind.TEXT}
        self._dates = frozenset(
            key
            for key, _ in columns.own
            if self._kinds.get(key) is Kind.DATE or (holds_dates(key) and key not in self._kinds)
        )
        # All other own fields hold whatever is written.
        self._judged = self._dates | self._kinds.keys()
        self._says_consent = not {"allow_bulk_sms", "consent"}.isdisjoint(columns.single)
        self._consents: dict[tuple[str, str], Said] = {}
        self._tags_read: dict[str, tuple[str, ...]] = {}

    def expect(self, rows: Sequence[Sequence[str]]) -> None:
        """Read the numbers of rows that are to be read next: so many at once take a fraction of what each takes."""
        self._expected = {}
        for index in self._columns.mobiles:
            written = [cells[index] for cells in rows if len(cells) > index and len(cells[index]) in _TYPED]
            self._expected.update(zip(written, self._numbers.read_any_column(written), strict=True))

    def read(self, row: int, cells: Sequence[str] | csv.Error) -> ImportRow | list[RowError]:
        """The customer that a row describes, or all that is wrong with it. `cells` may be fewer than expected."""
        if isinstance(cells, csv.Error):
            return [RowError(row, "row", "", "not_csv", f"The row cannot be read as CSV: {cells}.")]
        errors: list[RowError] = []
        cells = self._settled(row, cells, errors)
        if errors:
            return errors
        mobiles, others = self._numbers_of(row, cells, errors)
        first_name, last_name = self._names(row, cells, errors)
        allow, consent, consent_given = self._consent(row, cells, errors)
        consent_on = self._consent_on(row, cells, errors)
        language = clean_value(self._cell("language", cells))[:_LANGUAGE_CHARACTERS_MAX]
        tags = self._tags(row, cells, errors)
        own = self._own_fields(row, cells, errors)
        time_zone = self._time_zone(row, cells, errors)
        if not (first_name or last_name or mobiles or others or own or errors):
            errors.append(RowError(row, "row", "", "nobody", "The row has neither a name nor a number."))
        if errors:
            return errors
        customer = Customer(first_name, last_name, mobiles, allow, consent, language, tags, own, time_zone, others)
        keyed = self._keyed(row, customer, consent_given)
        return replace(keyed, consent_on=consent_on) if consent_on and isinstance(keyed, ImportRow) else keyed

    def read_keys(self, row: int, cells: Sequence[str]) -> RowKeys | list[RowError]:
        """By what a customer is found, and nothing else of a row; or all that is wrong with it."""
        errors: list[RowError] = []
        cells = self._settled(row, cells, errors)
        if errors:
            return errors
        own = self._own_fields(row, cells, errors)
        number, column = 0, 0
        for index in self._columns.mobiles:
            found = self._number(row, index, cells, errors)
            if found is not None and not number:
                number, column = found.number, index
        return errors or RowKeys(own, number, column)

    def _settled(self, row: int, cells: Sequence[str], errors: list[RowError]) -> Sequence[str]:
        """As many cells as the header has, each a text."""
        width, written = len(self._columns.header), "".join(cells)
        if "\x00" in written:
            errors.append(RowError(row, "row", "", "not_text", "The row holds NUL, which is no character of a text."))
        elif not written.isascii() and SLIPS.search(written):
            message = "The row has characters in another encoding than the rest of the file, or than `encoding` says."
            errors.append(RowError(row, "row", "", "mixed_encoding", message))
        if len(cells) > width and any(cells[width:]):
            message = f"The row has {len(cells)} cells, the header has {width}."
            errors.append(RowError(row, "row", "", "too_many_cells", message))
        if len(cells) < width:
            cells = [*cells, *[""] * (width - len(cells))]
        return self._plain(row, cells, errors) if "=" in written or "'" in written or "#" in written else cells

    def _plain(self, row: int, cells: Sequence[str], errors: list[RowError]) -> list[str]:
        """Cells without what keeps a spreadsheet from changing them; formulas are named and never worked out."""
        settled = [plain(cell) if cell.startswith(_SIGNS) else cell for cell in cells]
        used = {*self._columns.single.values(), *self._columns.mobiles, *(index for _, index in self._columns.own)}
        for index in sorted(used):
            if is_formula(settled[index]):
                message = "This is a formula or its error, not a value. Save the file with values."
                errors.append(RowError(row, "row", self._columns.header[index], "formula", message))
        return settled

    def _keyed(self, row: int, customer: Customer, consent_given: bool) -> ImportRow | list[RowError]:  # noqa: FBT001
        person = key_of(customer)
        if self._options.match == BY_PERSON:
            return ImportRow(customer, person, consent_given, person)
        if self._options.match == BY_NUMBER:
            if not customer.mobiles:
                message = "Customers are told apart by mobile number; here is none."
                return [RowError(row, "mobile", "", "no_number", message)]
            return ImportRow(customer, person, consent_given, customer.mobiles[0].number_hash)
        value = customer.own_fields.get(self._options.key_field, "")
        if not value:
            message = f"Customers are told apart by {self._options.key_field}; here is none."
            return [RowError(row, self._options.key_field, "", "no_key", message)]
        return ImportRow(customer, person, consent_given, hashlib.sha256(value.encode()).digest()[:KEY_BYTES])

    def _repaired(self, row: int, index: int, code: str) -> None:
        header = self._columns.header[index]
        found = self.repairs.setdefault((header, code), Repair(header, code, 0, row))
        found.count += 1

    def _cell(self, name: str, cells: Sequence[str]) -> str:
        index = self._columns.single.get(name)
        return "" if index is None else cells[index]

    def _header(self, name: str) -> str:
        index = self._columns.single.get(name)
        return "" if index is None else self._columns.header[index]

    def _numbers_of(
        self, row: int, cells: Sequence[str], errors: list[RowError]
    ) -> tuple[tuple[Mobile, ...], tuple[OtherNumber, ...]]:
        mobiles: dict[int, Mobile] = {}
        others: dict[int, OtherNumber] = {}
        for index in self._columns.mobiles:
            number = self._number(row, index, cells, errors)
            if isinstance(number, Mobile):
                mobiles.setdefault(number.number, number)
            elif number is not None:
                others.setdefault(number.number, number)
        if len(mobiles) > MOBILES_MAX or len(others) > NUMBERS_MAX - MOBILES_MAX:
            message = f"A customer has at most {MOBILES_MAX} mobile numbers and {NUMBERS_MAX - MOBILES_MAX} others."
            errors.append(RowError(row, "mobile", "", "too_many", message))
        return tuple(mobiles.values()), tuple(others.values())

    def _number(
        self, row: int, index: int, cells: Sequence[str], errors: list[RowError]
    ) -> Mobile | OtherNumber | None:
        """What a cell of numbers holds; None for nothing, or for what is told to be none."""
        written = cells[index]
        if not written or written.isspace():
            return None
        number = self._expected.get(written) or self._numbers.read_any(written)
        if isinstance(number, NumberRefused):
            errors.append(RowError(row, "mobile", self._columns.header[index], number.code, number.message))
            return None
        repaired = repaired_number(written, number.number, trunk_zero=self._trunk_zero)
        if repaired:
            self._repaired(row, index, repaired)
        return number

    def _names(self, row: int, cells: Sequence[str], errors: list[RowError]) -> tuple[str, str]:
        first_name = clean_value(self._cell("first_name", cells))
        last_name = clean_value(self._cell("last_name", cells))
        if not first_name and not last_name and "full_name" in self._columns.single:
            first_name, last_name, turned = read_full_name(clean_value(self._cell("full_name", cells)))
            if turned:
                self._repaired(row, self._columns.single["full_name"], NAME_TURNED)
        if len(first_name) > NAME_CHARACTERS_MAX or len(last_name) > NAME_CHARACTERS_MAX:
            field = "first_name" if len(first_name) > NAME_CHARACTERS_MAX else "last_name"
            message = f"A name has at most {NAME_CHARACTERS_MAX} characters."
            errors.append(RowError(row, field, self._header(field), "too_long", message))
        return first_name, last_name

    def _consent(self, row: int, cells: Sequence[str], errors: list[RowError]) -> tuple[bool | None, Consent, bool]:
        """What the row says, and where the importer has stated of what kind it is, of that kind: for those who allow
        it, or for all where the file has no word on it."""
        stated = self._options.consent
        if not self._says_consent:
            return (None, Consent.NONE, False) if stated is None else (True, stated.kind, True)
        cells_of_it = self._cell("allow_bulk_sms", cells), self._cell("consent", cells)
        said = self._consents.get(cells_of_it)
        if said is None:
            said = read_consent(*cells_of_it, stated)
            if len(self._consents) < _KNOWN_MAX and sum(map(len, cells_of_it)) <= _KNOWN_CHARACTERS_MAX:
                self._consents[cells_of_it] = said
        for field, code, message in said.wrong:
            errors.append(RowError(row, field, self._header(field), code, message))
        if said.weaker:
            self._repaired(row, self._columns.single["consent"], CONSENT_NOT_STATED)
        return said.allow, said.consent, said.given

    def _consent_on(self, row: int, cells: Sequence[str], errors: list[RowError]) -> str:
        """The day on which what the row says of consent was said; "" where nobody knows."""
        written = clean_value(self._cell("consent_date", cells))
        if not written:
            return self._options.consent.given_on if self._options.consent else ""
        index = self._columns.single["consent_date"]
        day = self._day(row, index, written, timed=True)
        if isinstance(day, Unclear):
            errors.append(RowError(row, "consent_date", self._columns.header[index], day, TOLD[day]))
            return ""
        if self._today and day > self._today:
            message = "This day is still to come: nobody has consented on it."
            errors.append(RowError(row, "consent_date", self._columns.header[index], "in_the_future", message))
        return day

    def _day(self, row: int, index: int, written: str, *, timed: bool) -> str | Unclear:
        """timed: a time of day behind it may go."""
        alone = without_time(written) if timed else written
        day = read_day(alone, self._options.dates)
        if not isinstance(day, Unclear):
            if alone != written:
                self._repaired(row, index, TIME_LEFT_OUT)
            if day != alone:
                self._repaired(row, index, DATE_RESTORED if alone.isdigit() else DATE_READ)
        return day

    def _tags(self, row: int, cells: Sequence[str], errors: list[RowError]) -> tuple[str, ...]:
        written = self._cell("tags", cells)
        if not written:
            return ()
        if (known := self._tags_read.get(written)) is not None:
            return known
        tags = read_tags(written.replace(",", ";").replace("|", ";").split(";"))
        if len(tags) > TAGS_MAX or any(len(tag) > TAG_CHARACTERS_MAX for tag in tags):
            message = f"A customer has at most {TAGS_MAX} tags of at most {TAG_CHARACTERS_MAX} characters."
            errors.append(RowError(row, "tags", self._header("tags"), "too_long", message))
        elif len(self._tags_read) < _KNOWN_MAX and len(written) <= _KNOWN_CHARACTERS_MAX:
            self._tags_read[written] = tags
        return tags

    def _time_zone(self, row: int, cells: Sequence[str], errors: list[RowError]) -> str:
        written = self._cell("time_zone", cells)
        found = read_time_zone(written) if written else ""
        if isinstance(found, Refusal):
            errors.append(RowError(row, found.field, self._header("time_zone"), found.code, found.message))
            return ""
        return found

    def _own_fields(self, row: int, cells: Sequence[str], errors: list[RowError]) -> dict[str, str]:
        fields: dict[str, str] = {}
        for key, index in self._columns.own:
            written = cells[index]
            if not written:
                continue
            if len(written) > VALUE_CHARACTERS_MAX:
                message = f"A cell has at most {VALUE_CHARACTERS_MAX} characters."
                errors.append(RowError(row, key, self._columns.header[index], "too_long", message))
            elif self._kinds.get(key) is Kind.FREE:
                fields |= {key: free} if (free := clean_lines(written)) else {}
            elif cleaned := clean_value(written):
                value = self._own_value(row, key, index, cleaned) if key in self._judged else cleaned
                if isinstance(value, RowError):
                    errors.append(value)
                else:
                    fields[key] = value
        return fields

    def _own_value(self, row: int, key: str, index: int, written: str) -> str | RowError:
        kind = self._kinds.get(key)
        if key in self._dates:
            # What is called a date and was never said to be one stays as it is written, where it is not clear.
            sure = kind is Kind.DATE or self._options.dates is not Order.UNSTATED or written.isdigit()
            day = self._day(row, index, written, timed=kind is Kind.DATE) if sure else Unclear.NO_DATE
            if not isinstance(day, Unclear):
                return day
            if kind is Kind.DATE:
                return RowError(row, key, self._columns.header[index], day, TOLD[day])
        value = read_value(kind, written) if kind else written
        if value is None:
            return RowError(row, key, self._columns.header[index], f"not_a_{kind}", wrong_value(kind or Kind.TEXT))
        return value


def read_row(
    columns: Columns, numbers: NumberReader, row: int, cells: Sequence[str] | csv.Error
) -> ImportRow | list[RowError]:
    """One row on its own."""
    return RowReader(columns, numbers).read(row, cells)


def repeated(row: int) -> RowError:
    """A row that describes the same customer as an earlier one."""
    message = "The same customer is in an earlier row."
    return RowError(row, "row", "", "duplicate_row", message)


def unknown(row: int) -> RowError:
    """A row of a customer who is not known, where only those who are known are to be changed."""
    return RowError(row, "row", "", "not_known", "No customer is this one, and nobody is added by this import.")
