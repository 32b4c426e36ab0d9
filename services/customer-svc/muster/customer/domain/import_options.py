"""What somebody wants done with a file of customers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from muster.customer.domain.customers import STANDARD_FIELDS, Consent, field_key
from muster.customer.domain.fields import read_date
from muster.customer.domain.import_dates import Order
from muster.customer.domain.lists import read_name
from muster.customer.domain.refusal import Refusal
from muster.text.merge import clean_value

WORDING_CHARACTERS_MAX: Final = 2_000
SOURCE_CHARACTERS_MAX: Final = 190  # kept behind a word in a field of 200
BY_PERSON: Final = "person"
BY_NUMBER: Final = "number"
BY_FIELD: Final = "field:"


Consented = tuple[str, str, str, str]
"""What is said of consent as it is written: kind, wording, source and day."""


class Mode(StrEnum):
    """Whom it may change; upload: nobody, its customers make a list of their own."""

    ADD_AND_UPDATE = "add_and_update"
    ADD = "add"
    UPDATE = "update"
    REPLACE_LIST = "replace_list"
    UPLOAD = "upload"


@dataclass(frozen=True, slots=True)
class Statement:
    """What the importer says of the consent of those in the file: its kind, in which words it was given, where, and on
    which day ("" where that is not known), which a column may say of each."""

    kind: Consent
    wording: str
    source: str
    given_on: str = ""


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """match: by what a row is a customer who is known: names and numbers (`person`), the first number (`number`), or an
    own field (`field:customer_no`). list: the name of the list that everybody in the file comes onto;
    mapping: what a column is, by its header; dates: which comes first in them, day or month."""

    mode: Mode = Mode.ADD_AND_UPDATE
    match: str = BY_PERSON
    list: str = ""
    consent: Statement | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)
    dates: Order = Order.UNSTATED

    @property
    def key_field(self) -> str:
        """The own field that says who somebody is; "" where it is not by one."""
        return self.match.removeprefix(BY_FIELD) if self.match.startswith(BY_FIELD) else ""


def read_options(
    mode: str, match: str, list_name: str, consent: Consented, mapping: Mapping[str, str], dates: str
) -> ImportOptions | Refusal:
    """The options that are meant, or the first that is none. consent: kind, wording, source and day."""
    name = read_name(list_name, "list") if clean_value(list_name) else ""
    if isinstance(name, Refusal):
        return name
    if mode == Mode.REPLACE_LIST and not name:
        return Refusal("list", "missing", "Say which list the file replaces.")
    if match not in (BY_PERSON, BY_NUMBER):
        key = field_key(match.removeprefix(BY_FIELD)) if match.startswith(BY_FIELD) else ""
        if not key or key in STANDARD_FIELDS:
            return Refusal("match", "not_valid", "Write person, number, or field: and the name of an own field.")
        match = BY_FIELD + key
    statement = _read_statement(*consent)
    if isinstance(statement, Refusal):
        return statement
    return ImportOptions(Mode(mode), match, name, statement, mapping, Order(dates))


def _read_statement(kind: str, wording: str, source: str, given_on: str) -> Statement | Refusal | None:
    wording, source, given_on = clean_value(wording), clean_value(source), clean_value(given_on)
    if not kind:
        if wording or source or given_on:
            return Refusal("consent", "missing", "Say which kind of consent it is: express or inferred.")
        return None
    if not source:
        message = "Say where this consent was given: a form, a counter, a web page. It is kept as evidence."
        return Refusal("consent_source", "missing", message)
    if kind == Consent.EXPRESS and not wording:
        message = "Express consent needs the words that people agreed to. They are kept as evidence."
        return Refusal("consent_wording", "missing", message)
    for field_name, value, most in (
        ("consent_wording", wording, WORDING_CHARACTERS_MAX),
        ("consent_source", source, SOURCE_CHARACTERS_MAX),
    ):
        if len(value) > most:
            return Refusal(field_name, "too_long", f"At most {most} characters are kept.")
    day = read_date(given_on) if given_on else ""
    if day is None:
        return Refusal("consent_date", "not_a_date", "Write the day on which consent was given as 2026-05-01.")
    return Statement(Consent(kind), wording, source, day)
