"""Which characters make a text dearer, and what could stand in their place."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final, Literal

from muster.text.alphabet import BASIC_CHARACTERS, EXTENSION_CHARACTERS

_GSM7: Final = BASIC_CHARACTERS | EXTENSION_CHARACTERS

# What keyboards, word processors and web pages put in, and what people meant.
_REPLACEMENTS: Final = {
    **dict.fromkeys("‘’‚‛′´`ʼʹ＇", "'"),
    **dict.fromkeys("“”„‟″«»❝❞〝〞", '"'),
    **dict.fromkeys("‐‑‒–—―−﹣－", "-"),
    **dict.fromkeys("•·‣▪●◦∙", "-"),
    **dict.fromkeys(
        "\t\u00a0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a\u202f\u205f\u3000", " "
    ),
    **dict.fromkeys("\u0085\u2028\u2029\v", "\n"),
    **dict.fromkeys("\u00ad\u200b\u2060\ufeff\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069", ""),
    "…": "...",
    "‹": "<",
    "›": ">",
    "×": "x",
    "÷": "/",
    "⁄": "/",
    "™": "(TM)",
    "©": "(C)",
    "®": "(R)",
    "°": " deg",
    "½": "1/2",
    "¼": "1/4",
    "¾": "3/4",
    "ł": "l",
    "Ł": "L",
    "đ": "d",
    "Đ": "D",
    "ı": "i",
    "œ": "oe",
    "Œ": "OE",
    # Capitals that look like Latin ones: TS 23.038 itself has Greek capitals share the Latin codes.
    **dict(zip("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX", strict=True)),
}
# A base character with the combining marks that follow it is one character to whoever reads the warning.
_CHARACTER: Final = re.compile("[^\u0300-\u036f][\u0300-\u036f]*|[\u0300-\u036f]+", re.DOTALL)
_CONTROL_NAMES: Final[dict[str, str]] = {
    "\t": "TAB",
    "\v": "LINE TABULATION",
    "\f": "FORM FEED",
    "\x00": "NULL",
    "\x1b": "ESCAPE",
}


@dataclass(frozen=True, slots=True)
class Dearer:
    """One character that costs more than one septet.

    position: 0-based, in code points. text: the character with its combining marks. reason: "ucs2" if it turns
    the whole message
    into UCS-2, "two_septets" if it needs an escape. replacement: GSM 7-bit text to put in its place, "" to drop
    it, None if
    nothing says the same.
    """

    position: int
    text: str
    name: str
    reason: Literal["ucs2", "two_septets"]
    replacement: str | None


def dearer_characters(text: str) -> tuple[Dearer, ...]:
    """Every occurrence, in order. Extension characters count even in a text that is UCS-2 for other reasons."""
    return tuple(
        _dearer(match.start(), match.group())
        for match in _CHARACTER.finditer(text)
        if match.group() not in BASIC_CHARACTERS
    )


def _dearer(position: int, character: str) -> Dearer:
    if character in EXTENSION_CHARACTERS:
        return Dearer(position, character, _name(character), "two_septets", " " if character == "\f" else None)
    return Dearer(position, character, _name(character), "ucs2", _replacement(character))


def _name(character: str) -> str:
    if len(character) == 1:
        return _name_of_one(character)  # not composed: NFC calls the ohm sign an omega
    composed = unicodedata.normalize("NFC", character)
    return " WITH ".join(map(_name_of_one, composed))


def _name_of_one(character: str) -> str:
    if character in _CONTROL_NAMES:
        return _CONTROL_NAMES[character]
    return unicodedata.name(character, f"U+{ord(character):04X}")


def _replacement(character: str) -> str | None:
    if character in _REPLACEMENTS:
        return _REPLACEMENTS[character]
    for form in ("NFC", "NFKC"):
        candidate = unicodedata.normalize(form, character)
        if _GSM7.issuperset(candidate):
            return candidate
    without_marks = "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c))
    return without_marks if without_marks and _GSM7.issuperset(without_marks) else None
