"""The language in which customers are searched (docs/search.md), as a tree: what a query may ask, and of what.

`domain/query_reader.py` reads it, `store/query.py` makes SQL of it.
"""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import Final

from muster.customer.domain.customers import Consent, field_key
from muster.customer.domain.fields import Kind

CHARACTERS_MAX: Final = 10_000
TERMS_MAX: Final = 100
DEPTH_MAX: Final = 20


class Op(StrEnum):
    """How a field is compared, in the words of the language."""

    IS = "is"
    IS_NOT = "is not"
    BLANK = "is blank"
    NOT_BLANK = "is not blank"
    CONTAINS = "contains"
    STARTS = "starts with"
    ENDS = "ends with"
    LESS = "<"
    AT_MOST = "<="
    MORE = ">"
    AT_LEAST = ">="


class Type(StrEnum):
    """What the values of a field are, which says how it may be compared."""

    TEXT = "text"
    NUMBER = "number"
    DAY = "date"
    PHONE = "phone number"
    CHOICE = "choice"
    TAG = "tag"
    LIST = "list"


_EQUAL: Final = frozenset({Op.IS, Op.IS_NOT})
_BLANK: Final = frozenset({Op.BLANK, Op.NOT_BLANK})
_ORDER: Final = frozenset({Op.LESS, Op.AT_MOST, Op.MORE, Op.AT_LEAST})
OPS: Final[Mapping[Type, frozenset[Op]]] = {
    Type.TEXT: _EQUAL | _BLANK | {Op.CONTAINS, Op.STARTS},
    Type.NUMBER: _EQUAL | _BLANK | _ORDER,
    Type.DAY: _EQUAL | _BLANK | _ORDER,
    Type.PHONE: _EQUAL | _BLANK | {Op.STARTS, Op.ENDS},
    Type.CHOICE: _EQUAL,
    Type.TAG: _EQUAL | _BLANK,
    Type.LIST: _EQUAL | _BLANK,
}


@dataclass(frozen=True, slots=True)
class Field:
    """Something of a customer that can be compared. choices: all values that there are. own: it is an own field."""

    key: str
    type: Type
    choices: tuple[str, ...] = ()
    own: bool = False


_YES_NO: Final = ("yes", "no")
_FIELDS: Final = (
    Field("name", Type.TEXT),
    Field("first_name", Type.TEXT),
    Field("last_name", Type.TEXT),
    Field("language", Type.TEXT),
    Field("time_zone", Type.TEXT),
    Field("number", Type.PHONE),
    Field("country", Type.TEXT),
    Field("consent", Type.CHOICE, tuple(Consent)),
    Field("consent_date", Type.DAY),
    Field("allow_bulk_sms", Type.CHOICE, (*_YES_NO, "unknown")),
    Field("opted_out", Type.CHOICE, _YES_NO),
    Field("archived", Type.CHOICE, _YES_NO),
    Field("tag", Type.TAG),
    Field("list", Type.LIST),
    Field("created", Type.DAY),
    Field("changed", Type.DAY),
)
_OTHER_NAMES: Final = {"mobile": "number", "phone": "number", "tags": "tag", "lists": "list"}
_STANDARD: Final = {field.key: field for field in _FIELDS}
_KNOWN: Final = _STANDARD | {other: _STANDARD[name] for other, name in _OTHER_NAMES.items()}
_TYPES: Final = {Kind.TEXT: Type.TEXT, Kind.FREE: Type.TEXT, Kind.DATE: Type.DAY, Kind.NUMBER: Type.NUMBER}


def fields_of(own: Mapping[str, Kind]) -> dict[str, Field]:
    """Every field by the key that a query names it by, the business's own ones too (`asked_as`)."""
    return _KNOWN | {asked_as(key, own): Field(key, _TYPES[kind], own=True) for key, kind in own.items()}


def asked_as(key: str, own: Container[str]) -> str:
    """What a query names an own field by: its key; where a standard field has that name, `own_` before it: own_tag."""
    name = key
    while name in _KNOWN or (name != key and name in own):
        name = f"own_{name}"
    return name


def named(fields: Mapping[str, Field], words: str) -> Field | None:
    """The field that some words name: "Last visit" is last_visit."""
    return fields.get(field_key(words))


@dataclass(frozen=True, slots=True)
class Word:
    """A word of a name begins so."""

    text: str


@dataclass(frozen=True, slots=True)
class Digits:
    """A number begins with one of `starts`, or ends with `ends` where that is not empty; digits of E.164."""

    starts: tuple[str, ...]
    ends: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A field compared with a value, which has the form that its type has in the database."""

    field: Field
    op: Op
    value: str | date = ""


@dataclass(frozen=True, slots=True)
class Not:
    """The part does not hold."""

    part: "Node"


@dataclass(frozen=True, slots=True)
class All:
    """Every part holds; of no parts: whoever there is."""

    parts: tuple["Node", ...]


@dataclass(frozen=True, slots=True)
class AnyOf:
    """One part holds at least."""

    parts: tuple["Node", ...]


Node = Word | Digits | Condition | Not | All | AnyOf


def mentions(node: Node, key: str) -> bool:
    """Whether a query compares this standard field anywhere."""
    match node:
        case Condition():
            return node.field.key == key and not node.field.own
        case Not():
            return mentions(node.part, key)
        case All() | AnyOf():
            return any(mentions(part, key) for part in node.parts)
        case _:
            return False


def lists_in(node: Node) -> set[str]:
    """The names of lists that a query compares with, as it writes them."""
    match node:
        case Condition():
            return {str(node.value)} if node.field.type is Type.LIST and node.value else set()
        case Not():
            return lists_in(node.part)
        case All() | AnyOf():
            return set().union(*map(lists_in, node.parts))
        case _:
            return set()
