"""What no text may hold, since no phone shows it as it was meant, and where in the text it stands."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Final

# Line breaks and tabs are what people type and paste; a form feed is in the extension table, and no phone has pages.
_TYPED: Final = "\t\n\r"
_CONTROLS: Final = "".join(chr(code) for code in (*range(0x20), *range(0x7F, 0xA0)) if chr(code) not in _TYPED)
# They turn what follows round, so that a reader sees another text than the one that was checked and priced. Marks and
# isolates, which Arabic and Hebrew need between other scripts, do not.
_OVERRIDES: Final = "\u202d\u202e"
_MARKS_MAX: Final = 30
"""Unicode's own measure of what text is written with (UAX 15, stream-safe text): no word of any language has more."""
_MARKS: Final = re.compile(
    f"[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]{{{_MARKS_MAX + 1}}}"
)
_SUSPECT: Final = re.compile(f"[{re.escape(_CONTROLS + _OVERRIDES)}\ud800-\udfff]")
# Where code points are kept for emoji and Chinese characters to come: phones may know them before this machine does.
_TO_COME: Final = (range(0x1F000, 0x1FB00), range(0x1FC00, 0x1FFFE), range(0x20000, 0x2FFFE), range(0x30000, 0x3FFFE))


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with a text, and where. position: 0-based, in code points. code: "control_character",
    "direction_override", "unpaired_surrogate", "unassigned_character" or "too_many_marks"."""

    position: int
    code: str
    message: str


def fault_of(text: str) -> Fault | None:
    """The first character that may not be sent; None for a text that may. Length and parts are counted elsewhere."""
    if text.isprintable():
        return _storm(text)  # neither controls, overrides, surrogates nor unassigned ones are
    found = [fault for fault in (_suspect(text), _unassigned(text), _storm(text)) if fault is not None]
    return min(found, key=lambda fault: fault.position, default=None)


def _suspect(text: str) -> Fault | None:
    found = _SUSPECT.search(text)
    if found is None:
        return None
    at, character = found.start(), found[0]
    if character in _OVERRIDES:
        return Fault(at, "direction_override", f"{_who(at, character)} turns the text after it round; take it out.")
    if character in _CONTROLS:
        return Fault(at, "control_character", f"{_who(at, character)} is a control character; take it out.")
    return Fault(at, "unpaired_surrogate", f"{_who(at, character)} is half of a surrogate pair, which is no character.")


def _unassigned(text: str) -> Fault | None:
    if text.isascii():
        return None
    at = min((text.index(character) for character in set(text) if _is_unassigned(character)), default=None)
    if at is None:
        return None
    return Fault(at, "unassigned_character", f"{_who(at, text[at])} is no character of Unicode; take it out.")


def _is_unassigned(character: str) -> bool:
    if character.isprintable() or unicodedata.category(character) != "Cn":
        return False
    return not any(ord(character) in kept for kept in _TO_COME)


def _storm(text: str) -> Fault | None:
    found = _MARKS.search(text) if not text.isascii() else None
    if found is None:
        return None
    message = f"More than {_MARKS_MAX} accents stand on one character from character {found.start() + 1} on."
    return Fault(found.start(), "too_many_marks", message)


def _who(at: int, character: str) -> str:
    return f"Character {at + 1} (U+{ord(character):04X})"
