"""Merge fields: "{{first_name}}", and with a fallback "{{first_name|there}}".

A field's name is matched exactly. A value is data: braces in it are never read as a field. What a value may not bring
into a
message is taken out of it: line breaks and tabs become a space, other control characters, direction overrides, zero-
width
spaces and halves of surrogate pairs go. Joiners stay, since emoji and several scripts need them.
"""

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

_DELIMITER: Final = re.compile(r"\{\{|\}\}")
_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_JOINERS: Final = frozenset("\u200c\u200d")
_TAGS: Final = range(0xE0020, 0xE0080)  # flags of England, Scotland and Wales are spelled with these


class TemplateError(ValueError):
    """A template that cannot be read. `position`: 0-based code point where the fault begins."""

    def __init__(self, position: int, message: str) -> None:
        super().__init__(f"{message} (at character {position + 1})")
        self.position = position


@dataclass(frozen=True, slots=True)
class Field:
    """A merge field. fallback: text for a missing or blank value, "" included; None if such a row must stop."""

    name: str
    fallback: str | None


@dataclass(frozen=True, slots=True)
class MissingField:
    """Why a row was not rendered: no value and no fallback for this field."""

    name: str


@dataclass(frozen=True, slots=True)
class Template:
    """A parsed text: `pieces` alternates literal text and fields in order."""

    pieces: tuple[str | Field, ...]

    @classmethod
    def parse(cls, text: str) -> "Template":
        """Raises TemplateError: unbalanced braces, or a field that is not `name` or `name|fallback`."""
        pieces: list[str | Field] = []
        end = 0
        while (opening := _DELIMITER.search(text, end)) is not None:
            start = opening.start()
            if opening.group() == "}}":
                raise TemplateError(start, "'}}' without '{{' before it")
            closing = _DELIMITER.search(text, opening.end())
            if closing is None or closing.group() == "{{":
                raise TemplateError(start, "'{{' without '}}' after it")
            pieces += [text[end:start], _field(text[opening.end() : closing.start()], start)]
            end = closing.end()
        pieces.append(text[end:])
        return cls(tuple(piece for piece in pieces if piece != ""))

    @property
    def fields(self) -> tuple[Field, ...]:
        """The fields in order, each as often as it is written."""
        return tuple(piece for piece in self.pieces if isinstance(piece, Field))

    @property
    def literal(self) -> str:
        """The text that every recipient gets, fields left out."""
        return "".join(piece for piece in self.pieces if isinstance(piece, str))

    def render(self, values: Mapping[str, str | None]) -> str | MissingField:
        """The text for one row, or the first field that stops it."""
        parts: list[str] = []
        for piece in self.pieces:
            if isinstance(piece, str):
                parts.append(piece)
                continue
            value = clean_value(values.get(piece.name) or "") or piece.fallback
            if value is None:
                return MissingField(piece.name)
            parts.append(value)
        return "".join(parts)


def clean_value(value: str) -> str:
    """A value as it may stand in a message, without surrounding white space (module docstring)."""
    if value.isprintable():  # no control, format, surrogate or odd space character: the usual name
        return value.strip()
    return "".join(map(_clean_character, value)).strip()


def _clean_character(character: str) -> str:
    if character.isspace():
        return character if unicodedata.category(character) == "Zs" else " "
    if character in _JOINERS or ord(character) in _TAGS:
        return character
    return "" if unicodedata.category(character) in {"Cc", "Cf", "Cs"} else character


def _field(inside: str, position: int) -> Field:
    name, bar, fallback = inside.partition("|")
    name = name.strip()
    if not name:
        raise TemplateError(position, "a merge field without a name")
    if _NAME.fullmatch(name) is None:
        raise TemplateError(position, f"'{name}' is not the name of a merge field")
    if "{" in fallback or "}" in fallback or "|" in fallback:
        raise TemplateError(position, f"the fallback of '{name}' may not contain '{{', '}}' or '|'")
    return Field(name, clean_value(fallback) if bar else None)
