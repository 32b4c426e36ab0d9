"""Reads a query: recursive descent over its tokens, with the place of every mistake and what was expected there."""

import re
import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Final, NoReturn

from muster.customer.domain.fields import read_date, read_number
from muster.customer.domain.query import (
    CHARACTERS_MAX,
    DEPTH_MAX,
    OPS,
    TERMS_MAX,
    All,
    AnyOf,
    Condition,
    Digits,
    Field,
    Node,
    Not,
    Op,
    Type,
    Word,
    named,
)
from muster.customer.domain.refusal import Refusal
from muster.text import NumberRefused, calling_code, read_any_number
from muster.text.merge import clean_value

_TOKEN: Final = re.compile(
    r'\s*(?:(?P<quoted>["“”](?P<inside>[^"“”]*)["“”])|(?P<sign><=|>=|<>|!=|[=<>:()])|(?P<word>[^\s()"“”=<>!:]+|.))'
)
_PHONE: Final = re.compile(r"\+?[0-9][0-9.()/\-]*|\([0-9+]+\)[0-9.()/\-]*", re.ASCII)
_DAYS_AGO: Final = re.compile(r"([0-9]{1,5}) days? ago", re.ASCII)
_YEARS: Final = 1000, 9000  # with room for a day or a time zone more
_LIMITS: Final = f"A query has at most {CHARACTERS_MAX:,} characters, {TERMS_MAX} terms and {DEPTH_MAX} levels."

# Longer ones first: "is not blank" is no "is" of "not blank".
_OPS: Final[tuple[tuple[tuple[str, ...], Op], ...]] = tuple(
    sorted(
        (
            (tuple(words.split()), op)
            for op, all_words in {
                Op.NOT_BLANK: "is not blank|is not empty|is set",
                Op.BLANK: "is blank|is empty|is not set",
                Op.IS_NOT: "is not|!=|<>",
                Op.IS: "is|=|:|on",
                Op.CONTAINS: "contains",
                Op.STARTS: "starts with",
                Op.ENDS: "ends with",
                Op.LESS: "before|below|less than|<|is before|is below|is less than",
                Op.AT_MOST: "until|at most|on or before|<=|is at most|is on or before",
                Op.MORE: "after|above|more than|>|is after|is above|is more than",
                Op.AT_LEAST: "since|at least|on or after|>=|is at least|is on or after",
            }.items()
            for words in all_words.split("|")
        ),
        key=lambda each: -len(each[0]),
    )
)
_OPS_BY_WORD: Final[Mapping[str, Sequence[tuple[tuple[str, ...], Op]]]] = {
    first: tuple(one for one in _OPS if one[0][0] == first) for first in {words[0] for words, _ in _OPS}
}
_FIELD_WORDS_MAX: Final = 64  # a key has no more characters
# As customer_fold of the database has it: what is between words, and what is left out of them.
_BETWEEN_WORDS: Final = str.maketrans(dict.fromkeys("-_.,/", " "))
_LEFT_OUT: Final = re.compile("['’\u0300-\u036f]")
_JOINS: Final = frozenset({"and", "or", "not"})
_NOTHING: Final = All(())
_NO_WORD: Final = "here are signs, and no word"
_WORD: Final = "a word, in quotation marks if it is one of these"


@dataclass(frozen=True, slots=True)
class _Token:
    text: str
    position: int  # from 1
    kind: str  # word, quoted, sign or end

    @property
    def start(self) -> int:
        return self.position - 1

    @property
    def end(self) -> int:
        return self.start + len(self.text) + (2 if self.kind == "quoted" else 0)

    @property
    def keyword(self) -> str:
        return "" if self.kind == "quoted" else self.text.lower()


class _Refused(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


def read_query(written: str, fields: Mapping[str, Field], *, country: str, today: date) -> Node | Refusal:
    """The query that somebody in `country` wrote on a day; or where it is wrong, and what was expected there."""
    if len(written) > CHARACTERS_MAX:
        return Refusal("query", "query_too_long", _LIMITS, {"limit": CHARACTERS_MAX})
    try:
        return _Reader(_tokens(written), fields, country, today).read()
    except _Refused as refused:
        return refused.refusal


@dataclass(frozen=True, slots=True)
class WrittenList:
    """Where a query has the name of a list: from start up to end."""

    name: str
    start: int
    end: int


def lists_written(written: str, fields: Mapping[str, Field], *, country: str, today: date) -> list[WrittenList]:
    """The names of lists in a query, in their order; none where it cannot be read."""
    try:
        reader = _Reader(_tokens(written), fields, country, today)
        reader.read()
    except _Refused:
        return []
    return reader.lists


def with_list_renamed(written: str, places: Sequence[WrittenList], name: str) -> str:
    """A query in which a list has another name at these places, in quotation marks."""
    for place in sorted(places, key=lambda one: -one.start):
        written = f'{written[: place.start]}"{name}"{written[place.end :]}'
    return written


def _tokens(written: str) -> list[_Token]:
    plain = "".join(" " if unicodedata.category(c)[0] == "C" else c for c in written)
    tokens = []
    for found in _TOKEN.finditer(plain.rstrip()):
        kind = found.lastgroup or "word"
        kind = "quoted" if found["quoted"] is not None else kind
        text = found["inside"] if kind == "quoted" else found[kind]
        position = found.end() - len(found[kind]) + 1
        if kind == "word" and text in {'"', "“", "”"}:
            raise _Refused(_mistake(position, "a quotation mark is not closed", ['"']))
        tokens.append(_Token(text, position, kind))
    return [*tokens, _Token("", len(plain.rstrip()) + 1, "end")]


def _dialled(text: str) -> str:
    """With the digits of any script, and what looks like a plus sign, as they are dialled."""
    if text.isascii():
        return text
    return "".join(str(unicodedata.decimal(c, "")) or unicodedata.normalize("NFKC", c) for c in text)


def _folds_to_something(text: str) -> bool:
    return _LEFT_OUT.sub("", unicodedata.normalize("NFKD", text)).strip() != ""


class _Reader:
    def __init__(self, tokens: Sequence[_Token], fields: Mapping[str, Field], country: str, today: date) -> None:
        self._tokens = tokens
        self._fields = fields
        self._country = country
        self._today = today
        self._at = 0
        self._end = 0
        self._named: tuple[int, Field] | None = None
        self._terms = 0
        self.lists: list[WrittenList] = []

    @property
    def _next(self) -> _Token:
        return self._tokens[self._at]

    def read(self) -> Node:
        if self._next.kind == "end":
            return All(())
        node = self._any_of(1)
        if self._next.kind != "end":
            self._refuse("this is one parenthesis too many", ["and", "or", "the end"])
        return node

    def _any_of(self, depth: int) -> Node:
        if depth > DEPTH_MAX:
            raise _Refused(Refusal("query", "query_too_deep", _LIMITS, {"limit": DEPTH_MAX}))
        parts = [self._all(depth)]
        while self._next.keyword == "or":
            self._at += 1
            parts.append(self._all(depth))
        return parts[0] if len(parts) == 1 else AnyOf(tuple(parts))

    def _all(self, depth: int) -> Node:
        """Parts with "and" or nothing between them; signs between words are passed over."""
        start = self._at
        parts = [self._part(depth)]
        while self._next.kind != "end" and self._next.keyword not in {"or", ")"}:
            if self._next.keyword == "and":
                self._at += 1
            parts.append(self._part(depth))
        asked = [part for part in parts if part != _NOTHING]
        if not asked:  # or it would be fitted by everybody, who would all be texted
            self._at = start
            self._refuse(_NO_WORD, [_WORD])
        return asked[0] if len(asked) == 1 else All(tuple(asked))

    def _part(self, depth: int) -> Node:
        token = self._next
        if token.keyword == "not":
            self._at += 1
            if depth >= DEPTH_MAX:
                raise _Refused(Refusal("query", "query_too_deep", _LIMITS, {"limit": DEPTH_MAX}))
            start = self._at
            part = self._part(depth + 1)
            if part == _NOTHING:
                self._at = start
                self._refuse(_NO_WORD, [_WORD])
            return Not(part)
        if token.kind == "sign" and token.text == "(" and not self._phone_at(self._at):
            self._at += 1
            node = self._any_of(depth + 1)
            if self._next.keyword != ")":
                self._refuse("a parenthesis is not closed", [")"])
            self._at += 1
            return node
        odd = token.kind in {"end", "sign"} and not self._phone_at(self._at)
        if odd or token.keyword in _JOINS or self._op_at(self._at) is not None:
            what = "the query ends here" if token.kind == "end" else f"this is no place for '{token.text}'"
            self._refuse(what, [_WORD, "a number", "a field", "(", "not"])
        return self._term()

    def _term(self) -> Node:
        self._terms += 1
        if self._terms > TERMS_MAX:
            raise _Refused(Refusal("query", "query_too_many_terms", _LIMITS, {"limit": TERMS_MAX}))
        end = self._words_end()
        if self._op_at(end) is None:
            return self._free()
        if self._named is None or self._named[0] < self._at:
            self._named = self._named_before(end)
        if self._named is not None:
            start, field = self._named
            return self._free() if start > self._at else self._condition(field, end)
        words = " ".join(token.text for token in self._tokens[self._at : end])[:64]
        return self._refuse(f"there is no field '{words}'", sorted(self._fields), code="query_unknown_field")

    def _named_before(self, end: int) -> tuple[int, Field] | None:
        """The field that is named by the words up to an operator, as many of them as there are, and where it begins."""
        for start in range(max(self._at, end - _FIELD_WORDS_MAX), end):
            field = named(self._fields, " ".join(token.text for token in self._tokens[start:end]))
            if field is not None:
                return start, field
        return None

    def _words_end(self) -> int:
        """Behind the words from here up to an operator, a sign, or a word that joins. It is the same for each of these
        words, and looked for once."""
        if self._at < self._end:
            return self._end
        end = self._at + 1
        while self._tokens[end].kind in {"word", "quoted"} and self._tokens[end].keyword not in _JOINS:
            if self._op_at(end) is not None:
                break
            end += 1
        self._end = end
        return end

    def _op_at(self, at: int) -> tuple[Op, int] | None:
        """The operator that begins at a token, and where it ends."""
        for words, op in _OPS_BY_WORD.get(self._tokens[at].keyword, ()):
            if tuple(token.keyword for token in self._tokens[at : at + len(words)]) == words:
                return op, at + len(words)
        return None

    def _free(self) -> Node:
        written = self._phone_text()
        if written:
            return self._digits(written)
        words = clean_value(self._next.text).translate(_BETWEEN_WORDS).split()
        parts = tuple(Word(word) for word in words if _folds_to_something(word))
        self._at += 1
        return parts[0] if len(parts) == 1 else All(parts)

    def _phone_at(self, at: int) -> int:
        """How many tokens from here are a piece of a phone number: a word of digits, or one in parentheses."""
        if self._tokens[at].kind == "word" and _PHONE.fullmatch(_dialled(self._tokens[at].text)):
            return 1
        inside = [_dialled(token.text) for token in self._tokens[at : at + 3]]
        return 3 if len(inside) == 3 and inside[0] == "(" and inside[2] == ")" and _PHONE.fullmatch(inside[1]) else 0

    def _phone_text(self) -> str:
        """What is written from here on that makes one phone number, if there is some."""
        start = self._at
        while pieces := self._phone_at(self._at):
            self._at += pieces
        return "".join(_dialled(token.text) for token in self._tokens[start : self._at])

    def _digits(self, written: str) -> Digits:
        digits = "".join(c for c in written.replace("(0)", "" if written[0] == "+" else "0") if c.isdigit())
        national = digits.lstrip("0")
        if written[0] == "+" or digits.startswith("00"):
            return Digits((national,), "") if national else Digits((), digits)
        here = f"{calling_code(self._country)}{national}"
        return Digits(((here,) if national != digits else (here, digits)) if national else (), digits)

    def _condition(self, field: Field, end: int) -> Condition:
        found = self._op_at(end)
        assert found is not None, "an operator is here"
        op, self._at = found
        if op not in OPS[field.type]:
            self._at = end
            self._refuse(f"'{field.key}' is a {field.type.value}, which is not compared so", sorted(OPS[field.type]))
        if op in {Op.BLANK, Op.NOT_BLANK}:
            return Condition(field, op)
        start = self._at
        value = self._value(field, op)
        if field.type is Type.LIST:
            self.lists.append(WrittenList(str(value), self._tokens[start].start, self._tokens[self._at - 1].end))
        return Condition(field, op, value)

    def _value(self, field: Field, op: Op) -> str | date:
        start = self._at
        written = self._phone_text() if field.type is Type.PHONE else self._words()
        value = self._typed(field, op, written)
        if value is None:
            self._at = start
            self._refuse(f"this is no value of '{field.key}'", _EXPECTED.get(field.type) or list(field.choices))
        return value

    def _words(self) -> str:
        """A quoted text, or the words up to one that joins; an operator among them tells that "and" is missing."""
        words: list[str] = []
        while self._next.kind in {"word", "quoted"} and self._next.keyword not in _JOINS:
            if self._op_at(self._at) is not None and words:
                self._refuse("'and' is missing before this condition", ["and", "or", "quotation marks around a value"])
            words.append(self._next.text)
            self._at += 1
            if self._tokens[self._at - 1].kind == "quoted":
                break
        return " ".join(words)

    def _typed(self, field: Field, op: Op, written: str) -> str | date | None:
        text = clean_value(written)
        match field.type:
            case Type.DAY:
                return self._day(text)
            case Type.NUMBER:
                return read_number(text)
            case Type.CHOICE:
                return text.lower() if text.lower() in field.choices else None
            case Type.PHONE:
                return self._phone(op, text)
            case Type.TEXT:
                # Nobody would have what is nothing when it is folded, and everybody something else.
                return text if _folds_to_something(text) else None
            case _:
                return text or None

    def _day(self, text: str) -> date | None:
        words = text.lower()
        ago = _DAYS_AGO.fullmatch(words)
        days = {"today": 0, "yesterday": 1}.get(words, int(ago[1]) if ago else None)
        if days is not None:
            return self._today - timedelta(days=days)
        day = read_date(text)
        return None if day is None or not _YEARS[0] <= int(day[:4]) <= _YEARS[1] else date.fromisoformat(day)

    def _phone(self, op: Op, text: str) -> str | None:
        if op in {Op.IS, Op.IS_NOT}:
            read = read_any_number(text, self._country)
            return None if isinstance(read, NumberRefused) else str(read.value)
        if not text:
            return None
        asked = self._digits(text)
        return asked.ends or None if op is Op.ENDS else next(iter(asked.starts), None)

    def _refuse(self, why: str, expected: Sequence[str], code: str = "query_syntax") -> NoReturn:
        raise _Refused(_mistake(self._next.position, why, expected, code))


def _mistake(position: int, why: str, expected: Sequence[str], code: str = "query_syntax") -> Refusal:
    one_of = ", ".join(expected[:12]) + (" …" if len(expected) > 12 else "")
    message = f"At character {position}: {why}. Expected: {one_of}."
    return Refusal("query", code, message, {"position": position, "expected": list(expected)})


_EXPECTED: Final = {
    Type.DAY: ["a day such as 2026-05-01", "today", "yesterday", "30 days ago"],
    Type.NUMBER: ["a number such as 12.5"],
    Type.PHONE: ["a phone number"],
    Type.TEXT: ["a text"],
    Type.TAG: ["a tag"],
    Type.LIST: ["the name of a list"],
}
