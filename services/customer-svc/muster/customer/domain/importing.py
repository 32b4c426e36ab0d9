"""A file of customers: which column is what, and what each row says."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from muster.customer.domain.customers import (
    MOBILES_MAX,
    NAME_CHARACTERS_MAX,
    TAG_CHARACTERS_MAX,
    TAGS_MAX,
    VALUE_CHARACTERS_MAX,
    Consent,
    Customer,
    Mobile,
    NumberReader,
    field_key,
    match_key,
    read_tags,
    read_time_zone,
    settle_consent,
)
from muster.customer.domain.refusal import Refusal
from muster.text import NumberRefused
from muster.text.merge import clean_value

COLUMNS_MAX: Final = 100
ROWS_MAX: Final = 1_000_000

_SYNONYMS: Final = {
    "first_name": "first_name firstname given_name givenname forename first",
    "last_name": "last_name lastname surname family_name familyname last",
    "full_name": "name full_name fullname customer customer_name client client_name",
    "mobile": "mobile mobile_number mobile_phone mobile_no phone phone_number phone_no cell cellphone cell_phone "
    "cell_number telephone tel number msisdn sms_number",
    "allow_bulk_sms": "allow_bulk_sms allow_sms bulk_sms bulk_sms_allowed sms_allowed sms_consent allow",
    "consent": "consent consent_kind consent_type kind_of_consent",
    "language": "language lang locale",
    "tags": "tags tag lists list groups group",
    "time_zone": "time_zone timezone tz",
}
_CANONICAL: Final = {synonym: name for name, synonyms in _SYNONYMS.items() for synonym in synonyms.split()}
_YES: Final = frozenset(
    ["yes", "y", "true", "t", "1", "x", "on", "allow", "allowed", "ok", "✓", "✔", "ja", "oui", "si", "sí"]
)
_NO: Final = frozenset(["no", "n", "false", "f", "0", "off", "deny", "denied", "-", "nein", "non"])
_CONSENTS: Final = {
    **{kind.value: kind for kind in Consent},
    "explicit": Consent.EXPRESS,
    "opt-in": Consent.EXPRESS,
    "opted in": Consent.EXPRESS,
    "implied": Consent.INFERRED,
    "no": Consent.NONE,
    "opt-out": Consent.WITHDRAWN,
    "opted out": Consent.WITHDRAWN,
    "unsubscribed": Consent.WITHDRAWN,
}


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
    """A row that can be stored. `consent_given`: the file has a word on consent, so it may change what is stored."""

    customer: Customer
    match_key: bytes
    consent_given: bool


@dataclass(frozen=True, slots=True)
class Columns:
    """Index of each column by what it holds; own fields under their key."""

    header: tuple[str, ...]
    single: dict[str, int]
    mobiles: tuple[int, ...]
    own: tuple[tuple[str, int], ...]


def read_header(cells: Sequence[str] | csv.Error) -> Columns | Refusal:
    """What the columns of a file hold, or why the file cannot be read at all."""
    if isinstance(cells, csv.Error):
        return Refusal("file", "not_csv", f"The first line cannot be read as CSV: {cells}.")
    if "\x00" in "".join(cells):
        return Refusal("file", "not_text", "The first line holds NUL, which is no character of a text.")
    if len(cells) > COLUMNS_MAX:
        return Refusal(
            "file", "too_many_columns", f"A file has at most {COLUMNS_MAX} columns; this one has {len(cells)}."
        )
    single: dict[str, int] = {}
    mobiles: list[int] = []
    own: dict[str, int] = {}
    for index, cell in enumerate(cells):
        key = field_key(clean_value(cell))
        if not key:
            continue
        name = _column_name(key)
        if name == "mobile":
            mobiles.append(index)
            continue
        target = single if name in _SYNONYMS else own
        if name in target:
            return Refusal("file", "repeated_column", f"Two columns are both read as '{name}'.")
        target[name] = index
    if not mobiles:
        return Refusal(
            "file", "no_mobile_column", "No column is named Mobile, Phone or the like in the first line of the file."
        )
    return Columns(tuple(map(clean_value, cells)), single, tuple(mobiles), tuple(own.items()))


def repeated(row: int) -> RowError:
    """A row that describes the same person with the same numbers as an earlier one."""
    message = "The same person with the same number is in an earlier row."
    return RowError(row, "row", "", "duplicate_row", message)


def _column_name(key: str) -> str:
    """Canonical name of a header's key; "mobile_2" and "phone3" are mobiles too."""
    if key in _CANONICAL:
        return _CANONICAL[key]
    without_number = key.rstrip("0123456789").rstrip("_")
    return "mobile" if _CANONICAL.get(without_number) == "mobile" else key


def read_row(
    columns: Columns, reader: NumberReader, row: int, cells: Sequence[str] | csv.Error
) -> ImportRow | list[RowError]:
    """The customer that a row of a file describes, or all that is wrong with it. `cells` may be fewer than expected."""
    errors: list[RowError] = []
    width = len(columns.header)
    if isinstance(cells, csv.Error):
        return [RowError(row, "row", "", "not_csv", f"The row cannot be read as CSV: {cells}.")]
    if "\x00" in "".join(cells):
        return [RowError(row, "row", "", "not_text", "The row holds NUL, which is no character of a text.")]
    if len(cells) > width:
        if any(cells[width:]):
            return [
                RowError(row, "row", "", "too_many_cells", f"The row has {len(cells)} cells, the header has {width}.")
            ]
    elif len(cells) < width:
        cells = [*cells, *[""] * (width - len(cells))]
    mobiles = _mobiles(columns, reader, row, cells, errors)
    first_name, last_name = _names(columns, row, cells, errors)
    allow, consent, consent_given = _consent(columns, row, cells, errors)
    language = clean_value(_cell(columns, "language", cells))[:35]
    tags = _tags(columns, row, cells, errors)
    own = _own_fields(columns, row, cells, errors)
    time_zone = _time_zone(columns, row, cells, errors)
    if not (first_name or last_name or mobiles or own or errors):
        errors.append(RowError(row, "row", "", "nobody", "The row has neither a name nor a number."))
    if errors:
        return errors
    customer = Customer(first_name, last_name, mobiles, allow, consent, language, tags, own, time_zone)
    key = match_key(first_name, last_name, [mobile.number for mobile in mobiles], own)
    return ImportRow(customer, key, consent_given)


def _cell(columns: Columns, name: str, cells: Sequence[str]) -> str:
    index = columns.single.get(name)
    return "" if index is None else cells[index]


def _mobiles(
    columns: Columns, reader: NumberReader, row: int, cells: Sequence[str], errors: list[RowError]
) -> tuple[Mobile, ...]:
    mobiles: dict[int, Mobile] = {}
    for index in columns.mobiles:
        written = cells[index]
        if not written or written.isspace():
            continue
        mobile = reader.read(written)
        if isinstance(mobile, NumberRefused):
            errors.append(RowError(row, "mobile", columns.header[index], mobile.code, mobile.message))
        else:
            mobiles.setdefault(mobile.number, mobile)
    if len(mobiles) > MOBILES_MAX:
        errors.append(RowError(row, "mobile", "", "too_many", f"A customer has at most {MOBILES_MAX} numbers."))
    return tuple(mobiles.values())


def _names(columns: Columns, row: int, cells: Sequence[str], errors: list[RowError]) -> tuple[str, str]:
    first_name = clean_value(_cell(columns, "first_name", cells))
    last_name = clean_value(_cell(columns, "last_name", cells))
    if not first_name and not last_name and "full_name" in columns.single:
        first_name, _, last_name = clean_value(_cell(columns, "full_name", cells)).partition(" ")
    for field, value in (("first_name", first_name), ("last_name", last_name)):
        if len(value) > NAME_CHARACTERS_MAX:
            message = f"A name has at most {NAME_CHARACTERS_MAX} characters."
            errors.append(RowError(row, field, _header(columns, field), "too_long", message))
    return first_name, last_name


def _consent(
    columns: Columns, row: int, cells: Sequence[str], errors: list[RowError]
) -> tuple[bool | None, Consent, bool]:
    written_allow = _cell(columns, "allow_bulk_sms", cells).strip().lower()
    written_kind = _cell(columns, "consent", cells).strip().lower()
    allow: bool | None = None
    if written_allow in _YES:
        allow = True
    elif written_allow in _NO:
        allow = False
    elif written_allow:
        header = _header(columns, "allow_bulk_sms")
        errors.append(RowError(row, "allow_bulk_sms", header, "not_yes_or_no", "Write yes, no, or leave it blank."))
    kind = _CONSENTS.get(written_kind)
    if written_kind and kind is None:
        message = "Write express, inferred, none or withdrawn, or leave it blank."
        errors.append(RowError(row, "consent", _header(columns, "consent"), "unknown_consent", message))
    settled = settle_consent(allow_bulk_sms=allow, consent=kind)
    return *settled, bool(written_allow or written_kind)


def _tags(columns: Columns, row: int, cells: Sequence[str], errors: list[RowError]) -> tuple[str, ...]:
    written = _cell(columns, "tags", cells)
    if not written:
        return ()
    tags = read_tags(written.replace(",", ";").replace("|", ";").split(";"))
    if len(tags) > TAGS_MAX or any(len(tag) > TAG_CHARACTERS_MAX for tag in tags):
        message = f"A customer has at most {TAGS_MAX} tags of at most {TAG_CHARACTERS_MAX} characters."
        errors.append(RowError(row, "tags", _header(columns, "tags"), "too_long", message))
    return tags


def _time_zone(columns: Columns, row: int, cells: Sequence[str], errors: list[RowError]) -> str:
    written = _cell(columns, "time_zone", cells)
    found = read_time_zone(written) if written else ""
    if isinstance(found, Refusal):
        errors.append(RowError(row, found.field, _header(columns, "time_zone"), found.code, found.message))
        return ""
    return found


def _own_fields(columns: Columns, row: int, cells: Sequence[str], errors: list[RowError]) -> dict[str, str]:
    fields = {}
    for key, index in columns.own:
        written = cells[index]
        if not written:
            continue
        if len(written) > VALUE_CHARACTERS_MAX:
            message = f"A cell has at most {VALUE_CHARACTERS_MAX} characters."
            errors.append(RowError(row, key, columns.header[index], "too_long", message))
        elif cleaned := clean_value(written):
            fields[key] = cleaned
    return fields


def _header(columns: Columns, name: str) -> str:
    index = columns.single.get(name)
    return "" if index is None else columns.header[index]
