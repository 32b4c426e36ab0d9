"""The GSM 7-bit default alphabet and its extension table (3GPP TS 23.038, 6.2.1), and what inbound octets mean.

C with cedilla is the capital one at 0x09: Unicode's own GSM0338.TXT says lower case, phones and the standard do not.
"""

import codecs
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
# The Latin-1 octets of both tables, for bytes.translate: 1 ns a character where an encoder takes 13.
BASIC_LATIN1: Final = "".join(BASIC_CHARACTERS).encode("latin-1", "ignore")
# What GSM 7-bit and ASCII write the same: nearly every text, encoded at a tenth of an encoder's price.
SAME_IN_ASCII: Final = bytes(code for code, char in enumerate(BASIC) if ord(char) == code and code != ESCAPE)
GSM7_BEYOND_LATIN1: Final = tuple(sorted(c for c in BASIC_CHARACTERS | EXTENSION_CHARACTERS if c > "\xff"))
EXTENSION_LATIN1: Final = "".join(EXTENSION_CHARACTERS).encode("latin-1", "ignore")

# One C pass encodes both tables: an extension character becomes its code with the high bit as a mark, which `pairs`
# turns
# into escape + code. U+FFFE is "no character" to charmap_build.
MARKED: Final = 0x80
_NOTHING: Final = "\ufffe"


def _decoding_table() -> str:
    table = [*BASIC, *(EXTENSION.get(code, _NOTHING) for code in range(MARKED))]
    table[ESCAPE] = _NOTHING
    return "".join(table)


ENCODER: Final = codecs.charmap_build(_decoding_table())
_PAIRS: Final = tuple((bytes((MARKED | code,)), bytes((ESCAPE, code))) for code in EXTENSION)


def pairs(marked: bytes) -> bytes:
    """Marked octets as the wire wants them: each extension character as escape and code."""
    for mark, pair in _PAIRS:
        marked = marked.replace(mark, pair)
    return marked


def decode_gsm7(data: bytes) -> str:
    """Unpacked septets as text; never raises.

    As TS 23.038 asks of a receiver: an escape before a code that the extension table lacks shows the basic
    character, a double
    escape a space. An octet above 0x7F and an escape at the end become U+FFFD.
    """
    if ESCAPE not in data:
        return "".join([BASIC[octet] if octet < MARKED else REPLACEMENT for octet in data])
    characters: list[str] = []
    escaped = False
    for octet in data:
        if escaped:
            characters.append(_escaped(octet))
            escaped = False
        elif octet == ESCAPE:
            escaped = True
        else:
            characters.append(BASIC[octet] if octet < MARKED else REPLACEMENT)
    if escaped:
        characters.append(REPLACEMENT)
    return "".join(characters)


def _escaped(octet: int) -> str:
    if octet == ESCAPE:
        return " "
    return EXTENSION.get(octet) or (BASIC[octet] if octet < MARKED else REPLACEMENT)


# SMPP 3.4, 5.2.19 for 0 to 15. 2 and 4 are "octets": read as Latin-1, which shows every octet.
_SMPP_CODECS: Final = {
    1: "ascii",
    2: "latin-1",
    3: "latin-1",
    4: "latin-1",
    5: "shift_jis",
    6: "iso8859-5",
    7: "iso8859-8",
    8: "utf-16-be",
    10: "iso2022-jp",
    13: "euc_jp",
    14: "euc_kr",
}
_UCS2_WAITING: Final = range(0xE0, 0xF0)


def decode(payload: bytes, data_coding: int) -> str:
    """An inbound payload (unpacked, without user data header) as text; never raises, garbage becomes U+FFFD.

    `data_coding`: below 16 as SMPP 3.4 numbers them; from 16 the coding groups of TS 23.038, section 4, which
    carriers pass
    through for message classes.
    """
    codec = _SMPP_CODECS.get(data_coding) if data_coding < 0x10 else _codec_of_group(data_coding)
    if codec is None:
        return decode_gsm7(payload)
    return payload.decode(codec, "replace")


def _codec_of_group(data_coding: int) -> str | None:
    """Codec of a TS 23.038 coding group; None is the default alphabet."""
    if data_coding in _UCS2_WAITING:
        return "utf-16-be"
    if data_coding >= 0xF0:
        return "latin-1" if data_coding & 0x04 else None
    if data_coding < 0x80:
        return {0x04: "latin-1", 0x08: "utf-16-be"}.get(data_coding & 0x0C)
    return None
