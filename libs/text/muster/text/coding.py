"""What inbound octets mean: SMPP's data_coding, and the coding groups of 3GPP TS 23.038."""

from typing import Final

from muster.text.national import NO_SHIFTS, Shifts, decode_septets

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


def decode(payload: bytes, data_coding: int, shifts: Shifts = NO_SHIFTS) -> str:
    """An inbound payload (unpacked, without user data header) as text; never raises, garbage becomes U+FFFD.

    `data_coding`: below 16 as SMPP 3.4 numbers them; from 16 the coding groups of TS 23.038, section 4, which carriers
    pass through for message classes. `shifts`: what its header says; heard where it is in the default alphabet.
    """
    codec = _SMPP_CODECS.get(data_coding) if data_coding < 0x10 else _codec_of_group(data_coding)
    if codec is None:
        return decode_septets(payload, shifts)
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
