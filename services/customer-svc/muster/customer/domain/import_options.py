"""What somebody wants done with a file of customers."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

from muster.customer.domain.customers import STANDARD_FIELDS, Consent, field_key
from muster.customer.domain.lists import read_name
from muster.customer.domain.refusal import Refusal
from muster.text.merge import clean_value

WORDING_CHARACTERS_MAX: Final = 2_000
SOURCE_CHARACTERS_MAX: Final = 190  # kept behind a word in a field of 200
BY_PERSON: Final = "person"
BY_NUMBER: Final = "number"
BY_FIELD: Final = "field:"


class Mode(StrEnum):
    """Whom it may change; upload: nobody, its customers make a list of their own."""

    ADD_AND_UPDATE = "add_and_update"
    ADD = "add"
    UPDATE = "update"
    REPLACE_LIST = "replace_list"
    UPLOAD = "upload"


@dataclass(frozen=True, slots=True)
class Statement:
    """What the importer says of the consent of those in the file: its kind, in which words it was given, and where."""

    kind: Consent
    wording: str
    source: str


@dataclass(frozen=True, slots=True)
class ImportOptions:
    """match: by what a row is a customer who is known: names and numbers (`person`), the first number (`number`), or an
    own field (`field:customer_no`). list: the name of the list that everybody in the file comes onto;
    mapping: what a column is, by its header."""

    mode: Mode = Mode.ADD_AND_UPDATE
    match: str = BY_PERSON
    list: str = ""
    consent: Statement | None = None
    mapping: Mapping[str, str] = field(default_factory=dict)

    @property
    def key_field(self) -> str:
        """The own field that says who somebody is; "" where it is not by one."""
        return self.match.removeprefix(BY_FIELD) if self.match.startswith(BY_FIELD) else ""


def read_options(
    mode: str, match: str, list_name: str, consent: tuple[str, str, str], mapping: Mapping[str, str]
) -> ImportOptions | Refusal:
    """The options that are meant, or the first that is none. consent: kind, wording and source."""
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
    return ImportOptions(Mode(mode), match, name, statement, mapping)


def _read_statement(kind: str, wording: str, source: str) -> Statement | Refusal | None:
    wording, source = clean_value(wording), clean_value(source)
    if not kind:
        if wording or source:
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
    return Statement(Consent(kind), wording, source)
