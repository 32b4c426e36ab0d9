"""Queries as SQL: a condition on a customer `c`, with every value a parameter, and what an index can find beforehand.

An audience takes the condition (`condition_of`); the list of customers takes candidates first where a word or a number
is rare enough (`probes_of`), since row-level security keeps all but equality and prefixes from the indexes.
"""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from muster.customer.domain.query import All, AnyOf, Condition, Digits, Field, Node, Not, Op, Type, Word

_DIGITS_MAX: Final = 15
_WORD_CHARACTERS: Final = 64  # as first_key, last_key and customer_word


@dataclass(frozen=True, slots=True)
class Sql:
    """A condition on `c`, a row of customer; $1 is the tenant, its own parameters come behind those that are there."""

    text: str
    arguments: tuple[Any, ...]


def condition_of(node: Node, first: int, *, time_zone: ZoneInfo, each: bool = False, then: str = "") -> Sql:
    """A query as a condition. first: the number of its first parameter. time_zone: in which its days begin. each: few
    rows are judged, so that numbers are looked up for each of them, and not for all beforehand. then: what more must
    hold of a {member} of a list."""
    compiler = _Compiler(first, time_zone, each, then)
    text = compiler.node(node)
    return Sql(text, tuple(compiler.arguments))


class _Compiler:
    def __init__(self, first: int, time_zone: ZoneInfo, each: bool, then: str) -> None:  # noqa: FBT001
        self._then = then.format(member="f")
        self._first = first
        self._time_zone = time_zone
        self._each = each
        self.arguments: list[Any] = []

    def _value(self, value: Any, sql_type: str) -> str:
        """A parameter that holds the value."""
        self.arguments.append(value)
        return f"${self._first + len(self.arguments) - 1}::{sql_type}"

    def node(self, node: Node) -> str:
        match node:
            case Word():
                return self._word(node)
            case Digits():
                return self._numbers(_ranges(node))
            case Condition():
                return self._condition(node)
            case Not():
                return f"({self.node(node.part)}) IS NOT TRUE"
            case All():
                return f"({' AND '.join(map(self.node, node.parts))})" if node.parts else "true"
            case AnyOf():
                return f"({' OR '.join(map(self.node, node.parts))})"

    def _word(self, word: Word) -> str:
        # A query of its own is run once, and not for each customer.
        folded = f"left(ltrim(customer_fold({self._value(word.text, 'text')})), {_WORD_CHARACTERS})"
        begun = f"' ' || nullif({folded}, '')"  # of signs that fold to nothing it would be in every name
        return f"strpos(' ' || c.first_key || ' ' || c.last_key, (SELECT {begun})) > 0"

    def _numbers(self, ranges: "_Ranges") -> str:
        lookups = " UNION ALL ".join(
            f"SELECT f.customer_id FROM {table} f WHERE f.tenant_id = $1 AND ({self._ranged(ranges)})"  # noqa: S608
            + (" AND f.customer_id = c.customer_id" if self._each else "")
            for table in ("customer_number", "customer_other_number")
        )
        return f"EXISTS ({lookups})" if self._each else f"c.customer_id IN ({lookups})"

    def _ranged(self, ranges: "_Ranges") -> str:
        parts = [
            f"f.{column} BETWEEN {self._value(low, 'bigint')} AND {self._value(high, 'bigint')}"
            for column, low, high in ranges
        ]
        return " OR ".join(parts) or "false"

    def _condition(self, asked: Condition) -> str:
        field, op = asked.field, asked.op
        if op in {Op.IS_NOT, Op.NOT_BLANK}:
            opposite = Op.IS if op is Op.IS_NOT else Op.BLANK
            return f"({self._condition(Condition(field, opposite, asked.value))}) IS NOT TRUE"
        match field.type:
            case Type.TAG:
                return "c.tags = '{}'" if op is Op.BLANK else f"{self._value(asked.value, 'text')} = ANY(c.tags)"
            case Type.LIST:
                return self._list(asked)
            case Type.CHOICE:
                return self._choice(field.key, str(asked.value))
            case Type.PHONE:
                return self._phone(asked)
            case Type.DAY if not field.own:
                return self._moment(_MOMENTS[field.key], asked)
            case _:
                is_country = field.key == "country" and not field.own
                return self._country(asked) if is_country else self._typed(field, asked)

    def _list(self, asked: Condition) -> str:
        on = "SELECT {what} FROM customer_list_member f WHERE f.tenant_id = $1"
        on += self._then
        if asked.op is Op.BLANK:
            return f"NOT EXISTS ({on.format(what='')} AND f.customer_id = c.customer_id)"
        on += f" AND f.list_id = ({_LIST_ID.format(name=self._value(asked.value, 'text'))})"
        if self._each:
            return f"EXISTS ({on.format(what='')} AND f.customer_id = c.customer_id{self._kept_apart})"
        return f"c.customer_id IN ({on.format(what='f.customer_id')})"

    @property
    def _kept_apart(self) -> str:
        """Where few rows are judged, keeps a query of its own from being made a join, for which all of a long list, or
        all numbers of the business, would be read."""
        return " OFFSET 0" if self._each else ""

    def _choice(self, key: str, value: str) -> str:
        if key == "consent":
            return _CONSENT.format(kind=self._value(value, "text"))
        if key == "opted_out":
            opted_out = _OPTED_OUT_EACH if self._each else _OPTED_OUT
            return opted_out if value == "yes" else f"NOT {opted_out}"
        return _CHOICES[key, value]

    def _phone(self, asked: Condition) -> str:
        if asked.op is Op.BLANK:
            return f"NOT {self._numbers((('number', 0, 10**18),))}"
        return self._numbers(_phone_ranges(asked))

    def _country(self, asked: Condition) -> str:
        if asked.op is Op.BLANK:
            return f"NOT {self._numbers((('number', 0, 10**18),))}"
        value = f"upper({self._value(asked.value, 'text')})"
        compared = {Op.CONTAINS: f"strpos(f.country, {value}) > 0", Op.STARTS: f"f.country ^@ {value}"}
        return (
            "EXISTS (SELECT FROM customer_number f WHERE f.tenant_id = $1 AND f.customer_id = c.customer_id"
            f" AND {compared.get(asked.op, f'f.country = {value}')}{self._kept_apart})"
        )

    def _moment(self, column: str, asked: Condition) -> str:
        if asked.op is Op.BLANK:
            return f"{column} IS NULL"
        day = asked.value
        assert isinstance(day, date), "days are compared with days"
        after = day + timedelta(days=1)
        match asked.op:
            case Op.LESS | Op.AT_LEAST:
                return f"{column} {_SIGNS[asked.op]} {self._begin(day)}"
            case Op.AT_MOST:
                return f"{column} < {self._begin(after)}"
            case Op.MORE:
                return f"{column} >= {self._begin(after)}"
            case _:
                return f"({column} >= {self._begin(day)} AND {column} < {self._begin(after)})"

    def _begin(self, day: date) -> str:
        return self._value(datetime.combine(day, time(), self._time_zone).astimezone(UTC), "timestamptz")

    def _typed(self, field: Field, asked: Condition) -> str:
        own = f"c.own_fields ->> {self._value(field.key, 'text')}" if field.own else ""
        stored = f"coalesce({own or _TEXTS[field.key]}, '')"
        if asked.op is Op.BLANK:
            return f"{stored} = ''"
        if field.type is Type.DAY:
            assert isinstance(asked.value, date), "days are compared with days"
            compared = f'{stored} COLLATE "C" {_SIGNS[asked.op]} {self._value(asked.value.isoformat(), "text")}'
            # The comparison first: it mostly settles it.
            return f"({compared} AND {stored} LIKE '____-__-__')"
        if field.type is Type.NUMBER:
            number = f"CASE WHEN {stored} ~ '^-?[0-9]{{1,15}}(\\.[0-9]{{1,6}})?$' THEN ({stored})::numeric END"
            return f"({number}) {_SIGNS[asked.op]} {self._value(str(asked.value), 'text')}::numeric"
        # What folds to nothing begins every text: nobody has it.
        value = f"(SELECT nullif(customer_fold({self._value(asked.value, 'text')}), ''))"
        folded = f"customer_fold({stored})"
        compared_as = {Op.CONTAINS: f"strpos({folded}, {value}) > 0", Op.STARTS: f"{folded} ^@ {value}"}
        return compared_as.get(asked.op, f"{folded} = {value}")


_SIGNS: Final = {Op.IS: "=", Op.LESS: "<", Op.AT_MOST: "<=", Op.MORE: ">", Op.AT_LEAST: ">="}
_MOMENTS: Final = {"created": "c.created_at", "changed": "c.changed_at", "consent_date": "c.consent_at"}
_TEXTS: Final = {
    "name": "btrim(c.first_name || ' ' || c.last_name)",  # most have one of them, or both
    "first_name": "c.first_name",
    "last_name": "c.last_name",
    "language": "c.language",
    "time_zone": "c.time_zone",
}
_LIST_ID: Final = (
    "SELECT l.list_id FROM customer_list l WHERE l.tenant_id = $1 AND l.name_key = customer_list_key({name})"
)
_OPTED_OUT: Final = (
    "c.customer_id IN (SELECT n.customer_id FROM suppression s JOIN customer_number n USING (tenant_id, number_hash)"
    " WHERE s.tenant_id = $1 AND s.suppressed)"
)
# Most businesses have nobody who opted out when they begin, which is asked once.
_OPTED_OUT_EACH: Final = """((SELECT EXISTS (SELECT FROM suppression s WHERE s.tenant_id = $1 AND s.suppressed))
    AND EXISTS (SELECT FROM customer_number n WHERE n.tenant_id = $1 AND n.customer_id = c.customer_id AND EXISTS (
        SELECT FROM suppression s WHERE s.tenant_id = $1 AND s.number_hash = n.number_hash AND s.suppressed OFFSET 0)
    OFFSET 0))"""
# A word on a number goes before the one on all of a customer's (domain/consent.py): who has such words fits by any of
# their numbers. Few do, mostly nobody, which is asked once.
_CONSENT: Final = """CASE WHEN (SELECT EXISTS (SELECT FROM number_consent w WHERE w.tenant_id = $1)) AND EXISTS (
        SELECT FROM number_consent w JOIN customer_number f USING (tenant_id, customer_id, number_hash)
        WHERE w.tenant_id = $1 AND w.customer_id = c.customer_id)
    THEN EXISTS (
        SELECT FROM customer_number f LEFT JOIN number_consent w USING (tenant_id, customer_id, number_hash)
        WHERE f.tenant_id = $1 AND f.customer_id = c.customer_id AND coalesce(w.kind, c.consent) = {kind})
    ELSE c.consent = {kind} END"""
_CHOICES: Final = {
    ("allow_bulk_sms", "yes"): "c.allow_bulk_sms IS TRUE",
    ("allow_bulk_sms", "no"): "c.allow_bulk_sms IS FALSE",
    ("allow_bulk_sms", "unknown"): "c.allow_bulk_sms IS NULL",
    ("archived", "yes"): "c.archived_at IS NOT NULL",
    ("archived", "no"): "c.archived_at IS NULL",
}

_Ranges = Sequence[tuple[str, int, int]]
"""Columns of a number with the least and the greatest value, either of which will do."""


def _ranges(asked: Digits) -> _Ranges:
    begin = [one for digits in asked.starts for one in _prefixed("number", digits, 0)]
    return begin + (_prefixed("backwards", "1" + asked.ends[::-1], 1) if asked.ends else [])


def _phone_ranges(asked: Condition) -> _Ranges:
    digits = str(asked.value)
    match asked.op:
        case Op.STARTS:
            return _prefixed("number", digits, 0)
        case Op.ENDS:
            return _prefixed("backwards", "1" + digits[::-1], 1)
        case _:
            return [("number", int(digits), int(digits))]


def _prefixed(column: str, digits: str, more: int) -> list[tuple[str, int, int]]:
    """What begins with these digits, as long as numbers may be."""
    if len(digits) > _DIGITS_MAX + more or not re.fullmatch(r"[0-9]+", digits, re.ASCII):
        return []
    longer = range(_DIGITS_MAX + more - len(digits) + 1)
    return [(column, int(digits) * 10**n, (int(digits) + 1) * 10**n - 1) for n in longer]


def probes_of(node: Node) -> list[Sql]:
    """Statements that each give, by an index, ids of all customers who may fit, some perhaps twice; the last parameter
    is how many at most. None where every customer may."""
    parts = node.parts if isinstance(node, All) else (node,)
    probes = [probe for part in parts for probe in (_name_probes(part) or [_probe(part)]) if probe is not None]
    nested = [probe for part in parts if isinstance(part, All) for probe in probes_of(part)]
    return probes + nested


# Ranges and not ^@, which an index serves only where the plan knows the word: the plan of a statement that was made
# often does not. U+10FFFF is behind all that may follow.
_BEGUN: Final = "left(ltrim(customer_fold($2)), 64)"
_PROBE_WORD: Final = " UNION ALL ".join(
    f"SELECT customer_id FROM {table} WHERE tenant_id = $1 AND {column} >= {_BEGUN}"  # noqa: S608 - constants
    f" AND {column} < {_BEGUN} || chr(1114111)"
    for table, column in (("customer", "first_key"), ("customer", "last_key"), ("customer_word", "word"))
)


_NAMES: Final = frozenset(["name", "first_name", "last_name"])
_BETWEEN_WORDS: Final = "-_.,/"  # what customer_fold makes a space


def _name_probes(part: Node) -> list[Sql | None]:
    """Of a name that is said as a whole, or its begin: whoever has it has each word of it."""
    if not isinstance(part, Condition) or part.op not in {Op.IS, Op.STARTS}:
        return []
    if part.field.own or part.field.key not in _NAMES:
        return []
    words = unicodedata.normalize("NFKD", str(part.value)).split(" ")
    # Names are kept as words without what is behind so many characters, and without a word behind signs alone.
    if sum(map(len, words)) + len(words) > _WORD_CHARACTERS or any(word[:1] in _BETWEEN_WORDS for word in words):
        return []
    return [Sql(f"{_PROBE_WORD} LIMIT $3", (re.split(f"[{_BETWEEN_WORDS}]", word)[0],)) for word in words]


_PROBE_LIST: Final = (
    "SELECT customer_id FROM customer_list_member WHERE tenant_id = $1"  # noqa: S608 - constants
    # In this order an index has them: no more than are wanted are read.
    f" AND list_id = ({_LIST_ID.format(name='$2')}) ORDER BY customer_id LIMIT $3"
)


# The numbers of each suppression, and not the suppressions of each number.
_PROBE_OPTED_OUT: Final = """
SELECT f.customer_id FROM suppression s CROSS JOIN LATERAL (
    SELECT n.customer_id FROM customer_number n WHERE n.tenant_id = $1 AND n.number_hash = s.number_hash OFFSET 0) f
WHERE s.tenant_id = $1 AND s.suppressed LIMIT $2
"""


def _probe(part: Node) -> Sql | None:
    match part:
        case Word():
            return Sql(f"{_PROBE_WORD} LIMIT $3", (part.text,))
        case Digits():
            return _probe_numbers(_ranges(part))
        case Condition() if part.field.type is Type.PHONE and part.op in {Op.IS, Op.STARTS, Op.ENDS}:
            return _probe_numbers(_phone_ranges(part))
        case Condition() if part.field.type is Type.LIST and part.op is Op.IS:
            return Sql(_PROBE_LIST, (part.value,))
        case Condition() if part.field.key == "opted_out" and part.op is Op.IS and part.value == "yes":
            return Sql(_PROBE_OPTED_OUT, ())
        case _:
            return None


def _probe_numbers(ranges: _Ranges) -> Sql:
    arguments: list[int] = []
    parts = []
    for column, low, high in ranges:
        arguments += [low, high]
        between = f"{column} BETWEEN ${len(arguments)} AND ${len(arguments) + 1}"
        parts += [
            f"SELECT customer_id FROM {table} WHERE tenant_id = $1 AND {between}"  # noqa: S608 - constants
            for table in ("customer_number", "customer_other_number")
        ]
    none = "SELECT customer_id FROM customer WHERE tenant_id = $1 AND false"
    return Sql(f"{' UNION ALL '.join(parts) or none} LIMIT ${len(arguments) + 2}", tuple(arguments))
