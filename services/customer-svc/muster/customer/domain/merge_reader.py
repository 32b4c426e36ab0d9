r"""Reads a text with merge fields: their one grammar, with the place of every mistake and what was expected there.

    text   = any characters, with fields between them; a brace that is meant as one is written \{ or \}
    field  = "{" inside "}", or "{{" inside "}}"
    inside = name [":" form] ["|" fallback]

A name is a letter, then letters, digits and "_". Nothing is calculated, looked into or included: there are names alone.
Whatever is in a value is not read again.
"""

import difflib
import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Final, NoReturn

from muster.customer.domain.refusal import Refusal
from muster.text.merge import clean_value

FORMS: Final = ("short", "medium", "long", "full", "plain")
"""How a date is written out, and "plain": a date or a number as it is stored."""
FIELDS_MAX: Final = 20
WRITTEN_MAX: Final = 100
"""How often a text may have fields: each may bring a value of 2,000 characters with it."""
_EXCERPT: Final = 20
_NEAR_SHOWN: Final = 3

_MARK: Final = re.compile(r"\\[{}]|\{\{?|\}")
_BRACE: Final = re.compile(r"[{}]")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}", re.ASCII)
# As several template languages write that another text is put in.
_INCLUDES: Final = re.compile(r"[%#>&!/]|(includes?|template|import|extends|partial|block)(?=[\s:(\"'])", re.I)


@dataclass(frozen=True, slots=True)
class Field:
    """A merge field. fallback: text for a missing or blank value, "" included; None if such a person is left out. form:
    one of FORMS, None for the usual one. position: of its brace, from 0."""

    name: str
    fallback: str | None = None
    form: str | None = None
    position: int = field(default=0, compare=False)

    @property
    def key(self) -> str:
        """The name as own fields are stored under it."""
        return self.name.lower()


Pieces = tuple[str | Field, ...]
"""A text that was read: what everybody gets, and fields, in order."""


class _Refused(Exception):
    def __init__(self, refusal: Refusal) -> None:
        super().__init__(refusal.code)
        self.refusal = refusal


def read_pieces(text: str, named: str = "text") -> Pieces | Refusal:
    """What a text is made of; or where it is wrong first, of the input that is called `named`."""
    try:
        return tuple(_Reader(text, named).read())
    except _Refused as refused:
        return refused.refusal


def mistake(text: str, named: str, position: int, code: str, why: str, expected: Iterable[str] = ()) -> Refusal:
    """What is wrong at a place of a text (from 0), with the words around it."""
    one_of = list(expected)
    message = f"At character {position + 1:,} ({excerpt(text, position)}): {why}."
    message += f" Expected: {', '.join(one_of)}." if one_of else ""
    return Refusal(named, code, message, {"position": position, "excerpt": excerpt(text, position), "expected": one_of})


def excerpt(text: str, position: int) -> str:
    """The words around a place of a text (from 0), on one line, with "…" where more is."""
    start, end = max(position - _EXCERPT // 2, 0), position + _EXCERPT
    shown = " ".join(clean_value(text[start:end]).split())
    return f"{'…' if start else ''}{shown}{'…' if end < len(text) else ''}"


def near(name: str, known: Iterable[str]) -> list[str]:
    """Those of the known names that may be meant, the likeliest first."""
    return difflib.get_close_matches(name.lower(), sorted(set(known)), _NEAR_SHOWN, 0.6)


class _Reader:
    def __init__(self, text: str, named: str) -> None:
        self._text = text
        self._named = named

    def read(self) -> list[str | Field]:
        pieces: list[str | Field] = []
        literal, written, end = "", 0, 0
        while (mark := _MARK.search(self._text, end)) is not None:
            literal, end = literal + self._text[end : mark.start()], mark.end()
            if mark[0][0] == "\\":
                literal += mark[0][1]
                continue
            if mark[0] == "}":
                self._refuse(mark.start(), r"a '}' that closes nothing; one that is meant is written \}")
            inside, end = self._inside(mark)
            written += 1
            if written > WRITTEN_MAX:
                why = f"a text has fields at {WRITTEN_MAX} places at most"
                self._refuse(mark.start(), why, code="too_many_fields")
            pieces += [literal, self._field(inside, mark.start())] if literal else [self._field(inside, mark.start())]
            literal = ""
        literal += self._text[end:]
        return [*pieces, literal] if literal else pieces

    def _inside(self, opening: re.Match[str]) -> tuple[str, int]:
        """What is between the braces of a field, and where it ends."""
        closing = "}" * len(opening[0])
        brace = _BRACE.search(self._text, opening.end())
        if brace is None:
            meant = "" if len(opening[0]) > 1 else r"; one that is meant is written \{"
            self._refuse(opening.start(), f"a '{opening[0]}' that is not closed{meant}", [closing])
        if brace[0] == "{":
            self._refuse(opening.start(), f"a '{{' before the '{opening[0]}' here is closed", [closing])
        if not self._text.startswith(closing, brace.start()):
            self._refuse(opening.start(), f"this '{opening[0]}' is closed by '}}'", [closing])
        return self._text[opening.end() : brace.start()], brace.start() + len(closing)

    def _field(self, inside: str, start: int) -> Field:
        before, bar, fallback = inside.partition("|")
        name, colon, form = (part.strip() for part in before.partition(":"))
        if bar and "|" in fallback:
            self._refuse(start, "a field has one fallback, without '|' in it", ["{name|fallback}"])
        if _INCLUDES.match(inside.strip()):
            why = "a text includes no other text, nor itself: there are merge fields alone"
            self._refuse(start, why, ["{name}", "{name|fallback}"])
        if not name:
            self._refuse(start, "a merge field without a name", ["{name}", "{name|fallback}"])
        if "(" in name or "[" in name or "." in name:
            why = f"'{_short(name)}' is no name of a field: nothing is calculated or looked into here"
            self._refuse(start, why, ["{name}", "{name|fallback}"])
        if _NAME.fullmatch(name) is None:
            why = f"'{_short(name)}' is no name of a field, which is a letter, then letters, digits and _ (64 at most)"
            self._refuse(start, why, ["{name}", "{name|fallback}"])
        if colon and form not in FORMS:
            self._refuse(start, f"there is no form '{_short(form)}'", [f"{{{name}:{one}}}" for one in FORMS])
        return Field(name, clean_value(fallback) if bar else None, form if colon else None, start)

    def _refuse(self, start: int, why: str, expected: Iterable[str] = (), code: str = "merge_syntax") -> NoReturn:
        raise _Refused(mistake(self._text, self._named, start, code, why, expected))


def _short(name: str) -> str:
    """Of somebody's input, as much as fits into a message."""
    shown = clean_value(name)
    return shown if len(shown) <= 32 else f"{shown[:31]}…"
