"""What a value may bring into a message: names, own fields, and whatever else somebody typed.

Line breaks and tabs become a space, other control characters, direction overrides, zero-width spaces and halves of
surrogate pairs go. Joiners stay, since emoji and several scripts need them.
"""

import unicodedata
from typing import Final

_JOINERS: Final = frozenset("\u200c\u200d")
_TAGS: Final = range(0xE0020, 0xE0080)  # flags of England, Scotland and Wales are spelled with these


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
