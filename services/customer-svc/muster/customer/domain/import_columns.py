"""What the columns of a file of customers hold: by their headers, or as somebody says."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from muster.customer.domain.customers import field_key
from muster.customer.domain.refusal import Refusal
from muster.text.merge import clean_value

LEFT_OUT: Final = ""
ROW_HEADER: Final = "Import row"
COLUMN_HEADER: Final = "Import column"
REASON_HEADER: Final = "Import reason"
"""The columns that the file of rejected rows has behind those of the file: imported again, they say nothing."""

_SYNONYMS: Final = {
    "first_name": "first_name firstname given_name givenname forename first",
    "last_name": "last_name lastname surname family_name familyname last",
    "full_name": "name full_name fullname customer customer_name client client_name",
    "mobile": "mobile mobile_number mobile_phone mobile_no phone phone_number phone_no cell cellphone cell_phone "
    "cell_number telephone tel number msisdn sms_number",
    "allow_bulk_sms": "allow_bulk_sms allow_sms bulk_sms bulk_sms_allowed sms_allowed sms_consent allow",
    "consent": "consent consent_kind consent_type kind_of_consent",
    "consent_date": "consent_date date_of_consent consent_given consented_at consented_on",
    "language": "language lang locale",
    "tags": "tags tag lists list groups group",
    "time_zone": "time_zone timezone tz",
}
TARGETS: Final = tuple(_SYNONYMS)
_CANONICAL: Final = {synonym: name for name, synonyms in _SYNONYMS.items() for synonym in synonyms.split()}
_OURS: Final = frozenset(map(field_key, (ROW_HEADER, COLUMN_HEADER, REASON_HEADER)))


@dataclass(frozen=True, slots=True)
class Columns:
    """Index of each column by what it holds; own fields under their key."""

    header: tuple[str, ...]
    single: dict[str, int]
    mobiles: tuple[int, ...]
    own: tuple[tuple[str, int], ...]


def read_header(
    cells: Sequence[str], mapping: Mapping[str, str] | None = None, key_field: str = ""
) -> Columns | Refusal:
    """What the columns of a file hold, or why the file cannot be read at all. mapping: what somebody says of columns,
    by header as it is written: one of TARGETS, the name of an own field, or "" for one to leave out. key_field: the own
    field that says who somebody is; then no column of numbers is needed, and one of this field is."""
    header = tuple(map(clean_value, cells))
    said = {clean_value(name): target for name, target in (mapping or {}).items()}
    unknown = sorted(set(said) - set(header))
    if unknown:
        return Refusal("mapping", "unknown_column", f"The file has no column '{unknown[0][:64]}'.")
    single: dict[str, int] = {}
    mobiles: list[int] = []
    own: dict[str, int] = {}
    for index, name in enumerate([target_of(one, said) for one in header]):
        if name == LEFT_OUT:
            continue
        if name == "mobile":
            mobiles.append(index)
            continue
        targets = single if name in _SYNONYMS else own
        if name in targets:
            return Refusal("file", "repeated_column", f"Two columns are both read as '{name}'.")
        targets[name] = index
    if key_field and key_field not in own:
        return Refusal("match", "no_key_column", f"No column of the file is read as '{key_field}'.")
    if not mobiles and not key_field:
        return Refusal(
            "file", "no_mobile_column", "No column is named Mobile, Phone or the like in the first line of the file."
        )
    return Columns(header, single, tuple(mobiles), tuple(own.items()))


def target_of(header: str, said: Mapping[str, str]) -> str:
    """What a column holds: one of TARGETS, the key of an own field, or "" for one that is left out."""
    if header in said:
        target = field_key(said[header])
        return target if target in _SYNONYMS else _guess(target)
    return _guess(field_key(header))


def _guess(key: str) -> str:
    """Canonical name of a header's key; "mobile_2" and "phone3" are mobiles too."""
    if not key or key in _OURS:
        return LEFT_OUT
    if key in _CANONICAL:
        return _CANONICAL[key]
    without_number = key.rstrip("0123456789").rstrip("_")
    return "mobile" if _CANONICAL.get(without_number) == "mobile" else key
