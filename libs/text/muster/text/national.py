"""The national language tables that phones in Türkiye, Spain and Portugal write with (3GPP TS 23.038, annex A).

A message says by its user data header which of them it uses: a locking table takes the place of the default alphabet, a
single shift table that of its extension table. Muster reads them and never writes them: many phones do not know them.
"""

from typing import Final, NamedTuple

from muster.text.alphabet import BASIC, ESCAPE, EXTENSION, MARKED, REPLACEMENT

TURKISH: Final = 1
SPANISH: Final = 2
PORTUGUESE: Final = 3


class Shifts(NamedTuple):
    """National language identifiers of a message's header, as they came; 0 is the default table, and so is one that
    nobody here knows."""

    locking: int = 0
    single: int = 0


NO_SHIFTS: Final = Shifts()


def _with(table: str, changes: dict[int, str]) -> str:
    characters = list(table)
    for code, character in changes.items():
        characters[code] = character
    return "".join(characters)


# A.3.1 and A.3.3; there is none for Spanish.
_LOCKING: Final = {
    TURKISH: _with(BASIC, {0x04: "€", 0x07: "ı", 0x0B: "Ğ", 0x0C: "ğ", 0x1C: "Ş", 0x1D: "ş", 0x40: "İ", 0x60: "ç"}),
    PORTUGUESE: (
        "@£$¥êéúíóç\nÔô\rÁáΔ_ªÇÀ∞^\\€Ó|\x1bÂâÊÉ"
        " !\"#º%&'()*+,-./0123456789:;<=>?"
        "ÍABCDEFGHIJKLMNOPQRSTUVWXYZÃÕÚÜ§"
        "~abcdefghijklmnopqrstuvwxyzãõ`üà"
    ),
}
# A.2.1 to A.2.3: all of them hold the extension table too.
_SINGLE: Final = {
    TURKISH: EXTENSION | dict(zip(b"GIScgis", "ĞİŞçğış", strict=True)),
    SPANISH: EXTENSION | {0x09: "ç"} | dict(zip(b"AIOUaiou", "ÁÍÓÚáíóú", strict=True)),
    PORTUGUESE: EXTENSION
    | dict(zip(b"\x05\x09\x0b\x0c\x0e\x0f\x12\x13\x15\x16\x17\x18\x19\x1f", "êçÔôÁáΦΓΩΠΨΣΘÊ", strict=True))
    | dict(zip(b"AIOU[\\aiou{|\x7f", "ÀÍÓÚÃÕÂíóúãõâ", strict=True)),
}


def decode_septets(data: bytes, shifts: Shifts = NO_SHIFTS) -> str:
    """Unpacked septets as text; never raises.

    As TS 23.038 asks of a receiver: an escape before a code that the shift table lacks shows the character of the
    other table, a double escape a space. An octet above 0x7F and an escape at the end become U+FFFD.
    """
    locking, single = _LOCKING.get(shifts.locking, BASIC), _SINGLE.get(shifts.single, EXTENSION)
    if ESCAPE not in data:
        return "".join([locking[octet] if octet < MARKED else REPLACEMENT for octet in data])
    characters: list[str] = []
    escaped = False
    for octet in data:
        if escaped:
            characters.append(_escaped(octet, locking, single))
            escaped = False
        elif octet == ESCAPE:
            escaped = True
        else:
            characters.append(locking[octet] if octet < MARKED else REPLACEMENT)
    if escaped:
        characters.append(REPLACEMENT)
    return "".join(characters)


def _escaped(octet: int, locking: str, single: dict[int, str]) -> str:
    if octet == ESCAPE:
        return " "
    return single.get(octet) or (locking[octet] if octet < MARKED else REPLACEMENT)
