"""The GSM 7-bit default alphabet and its extension table (3GPP TS 23.038, 6.2.1).

C with cedilla is the capital one at 0x09: Unicode's own GSM0338.TXT says lower case, phones and the standard do not.
"""

import codecs
import re
from typing import Final

ESCAPE: Final = 0x1B
REPLACEMENT: Final = "\ufffd"

# Index = code; the escape itself stands for no character, hence NUL's absence and the marker at 0x1B.
BASIC: Final = (
    "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞ\x1bÆæßÉ"
    " !\"#¤%&'()*+,-./0123456789:;<=>?"
    "¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§"
    "¿abcdefghijklmnopqrstuvwxyzäöñüà"
)
EXTENSION: Final = {
    0x0A: "\f",
    0x14: "^",
    0x28: "{",
    0x29: "}",
    0x2F: "\\",
    0x3C: "[",
    0x3D: "~",
    0x3E: "]",
    0x40: "|",
    0x65: "€",
}
EXTENSION_CHARACTERS: Final = frozenset(EXTENSION.values())
BASIC_CHARACTERS: Final = frozenset(BASIC) - {"\x1b"}
GSM7_CHARACTERS: Final = BASIC_CHARACTERS | EXTENSION_CHARACTERS
# The Latin-1 octets of both tables, for bytes.translate: 1 ns a character where an encoder takes 13.
BASIC_LATIN1: Final = "".join(BASIC_CHARACTERS).encode("latin-1", "ignore")
EXTENSION_LATIN1: Final = "".join(EXTENSION_CHARACTERS).encode("latin-1", "ignore")
# What GSM 7-bit and ASCII write the same: nearly every text, encoded at a tenth of an encoder's price.
SAME_IN_ASCII: Final = bytes(code for code, char in enumerate(BASIC) if ord(char) == code and code != ESCAPE)
NOT_GSM7: Final = re.compile(f"[^{re.escape(''.join(sorted(GSM7_CHARACTERS)))}]")
"""Finds the first character that neither table has."""

# One C pass encodes both tables: an extension character becomes its code with the high bit as a mark, which `pairs`
# turns into escape + code. U+FFFE is "no character" to charmap_build.
MARKED: Final = 0x80
_UNMARKED: Final = bytes(range(MARKED))
_NOTHING: Final = "\ufffe"


def _decoding_table() -> str:
    table = [*BASIC, *(EXTENSION.get(code, _NOTHING) for code in range(MARKED))]
    table[ESCAPE] = _NOTHING
    return "".join(table)


ENCODER: Final = codecs.charmap_build(_decoding_table())
# The one character beyond Latin-1 that is usual stands for a control character there, which neither table has.
EURO_IN_LATIN1: Final = "\x80"
_LATIN1: Final = "".join(map(chr, range(256))).replace(EURO_IN_LATIN1, "€")
FROM_LATIN1: Final = bytes((codecs.charmap_encode(one, "ignore", ENCODER)[0] or b"\0")[0] for one in _LATIN1)
"""What `ENCODER` makes of Latin-1, for bytes.translate; of use where both tables have all of it."""


def pairs(marked: bytes) -> bytes:
    """Marked octets as the wire wants them: each extension character as escape and code."""
    for mark in set(marked.translate(None, _UNMARKED)):
        marked = marked.replace(bytes((mark,)), bytes((ESCAPE, mark & ~MARKED)))
    return marked
