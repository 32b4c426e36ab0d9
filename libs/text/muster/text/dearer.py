"""Which characters make a text dearer, and what could stand in their place."""

import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final, Literal

from muster.text.alphabet import BASIC_CHARACTERS, EXTENSION_CHARACTERS, GSM7_CHARACTERS, NOT_GSM7

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
# A base character with the combining marks that follow it is one character to whoever reads the warning. Written so
# that what is basic and without marks, nearly all of a text, is passed over in one pass.
_MARK: Final = "\u0300-\u036f"
_DEARER: Final = re.compile(f"[^{_MARK}][{_MARK}]+|[{_MARK}]+|[^{re.escape(''.join(sorted(BASIC_CHARACTERS)))}{_MARK}]")
# The same without those that only take the room of two: a text may be full of these.
_FORCING: Final = re.compile(f"[^{_MARK}][{_MARK}]+|[{_MARK}]+|[^{re.escape(''.join(sorted(GSM7_CHARACTERS)))}{_MARK}]")
_CONTROL_NAMES: Final[dict[str, str]] = {
    "\t": "TAB",
    "\v": "LINE TABULATION",
    "\f": "FORM FEED",
    "\x00": "NULL",
    "\x1b": "ESCAPE",
}


Reason = Literal["ucs2", "two_septets"]


@dataclass(frozen=True, slots=True)
class Dearer:
    """One character that costs more than one septet.

    position: 0-based, in code points. text: the character with its combining marks. reason: "ucs2" if it turns the
    whole message into UCS-2, "two_septets" if it needs an escape. replacement: GSM 7-bit text to put in its place, ""
    to drop it, None if nothing says the same.
    """

    position: int
    text: str
    name: str
    reason: Reason
    replacement: str | None


@dataclass(frozen=True, slots=True)
class DearerGroup:
    """The occurrences of one such character in a text; positions in order."""

    text: str
    name: str
    reason: Reason
    replacement: str | None
    positions: tuple[int, ...]


def dearer_characters(text: str) -> tuple[Dearer, ...]:
    """Every occurrence, in order. Extension characters count even in a text that is UCS-2 for other reasons."""
    return tuple(Dearer(found.start(), found[0], *_about(found[0])) for found in _DEARER.finditer(text))


def forcing_characters(text: str) -> tuple[Dearer, ...]:
    """Those of them that turn the message into UCS-2."""
    return tuple(Dearer(found.start(), found[0], *_about(found[0])) for found in _FORCING.finditer(text))


def by_character(found: Iterable[Dearer]) -> tuple[DearerGroup, ...]:
    """The same, each character once, in the order in which they first stand."""
    positions: dict[str, list[int]] = {}
    for one in found:
        positions.setdefault(one.text, []).append(one.position)
    return tuple(DearerGroup(text, *_about(text), tuple(at)) for text, at in positions.items())


def plain(text: str, *, leave_out: bool = False) -> str:
    """The text with GSM 7-bit in place of every character that forces UCS-2. What nothing says the same as stays, or is
    left out with `leave_out`."""
    if NOT_GSM7.search(text) is None:
        return text
    return _FORCING.sub(lambda found: _plain(found[0], leave_out=leave_out), text)


def _plain(character: str, *, leave_out: bool) -> str:
    _, _, replacement = _about(character)
    return ("" if leave_out else character) if replacement is None else replacement


@lru_cache(maxsize=32_768)  # more than a text has characters: each is asked about several times
def _about(character: str) -> tuple[str, Reason, str | None]:
    """Name, reason and replacement."""
    if character in EXTENSION_CHARACTERS:
        return _name(character), "two_septets", " " if character == "\f" else None
    return _name(character), "ucs2", _replacement(character)


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
        if GSM7_CHARACTERS.issuperset(candidate):
            return candidate
    without_marks = "".join(c for c in unicodedata.normalize("NFKD", character) if not unicodedata.combining(c))
    return without_marks if without_marks and GSM7_CHARACTERS.issuperset(without_marks) else None
