"""Concatenated messages: user data headers with 8- and 16-bit references (3GPP TS 23.040, 9.2.3.24.1 and .8), sar_*
TLVs."""

from collections.abc import Iterator
from typing import Final, NamedTuple

from muster.smpp.pdu import ESM_UDH, Deliver, Submit, Tag

IE_8_BIT: Final = 0x00
IE_16_BIT: Final = 0x08
IE_SINGLE_SHIFT: Final = 0x24
IE_LOCKING_SHIFT: Final = 0x25


class Concat(NamedTuple):
    """Which part of which message this is; `number` counts from 1."""

    reference: int
    total: int
    number: int


def build_udh(concat: Concat, reference_bits: int = 16) -> bytes:
    """The user data header of one part: 6 octets for an 8-bit reference, 7 for 16. ValueError out of range."""
    reference, total, number = concat
    if not 1 <= number <= total <= 255:
        raise ValueError(f"part {number} of {total}")
    if reference_bits == 8:
        return bytes((5, IE_8_BIT, 3, reference, total, number))
    if reference_bits == 16:
        return bytes((6, IE_16_BIT, 4)) + reference.to_bytes(2, "big") + bytes((total, number))
    raise ValueError("reference_bits is 8 or 16")


def build_sar(concat: Concat) -> dict[int, bytes]:
    """The same as sar_* TLVs, for carriers that want no header in the payload."""
    return {
        Tag.SAR_MSG_REF_NUM: concat.reference.to_bytes(2, "big"),
        Tag.SAR_TOTAL_SEGMENTS: bytes((concat.total,)),
        Tag.SAR_SEGMENT_SEQNUM: bytes((concat.number,)),
    }


def split_udh(payload: bytes) -> tuple[bytes, bytes]:
    """(header with its length octet, text) of a payload that begins with a header. A header that lies about its
    length is given back whole as text, so that nothing a person wrote is lost."""
    end = 1 + payload[0] if payload else 0
    if end > len(payload):
        return b"", payload
    return payload[:end], payload[end:]


def _elements(header: bytes) -> Iterator[tuple[int, bytes]]:
    """Identifier and value of each element of a header; a last one that is cut off is none."""
    offset = 1
    while offset + 2 <= len(header):
        end = offset + 2 + header[offset + 1]
        if end <= len(header):
            yield header[offset], header[offset + 2 : end]
        offset = end


def _from_udh(header: bytes) -> Concat | None:
    for element, value in _elements(header):
        if (element, len(value)) == (IE_8_BIT, 3):
            return Concat(value[0], value[1], value[2])
        if (element, len(value)) == (IE_16_BIT, 4):
            return Concat(int.from_bytes(value[:2], "big"), value[2], value[3])
    return None


def _from_sar(tlvs: dict[int, bytes]) -> Concat | None:
    reference = tlvs.get(Tag.SAR_MSG_REF_NUM, b"")
    total = tlvs.get(Tag.SAR_TOTAL_SEGMENTS, b"")
    number = tlvs.get(Tag.SAR_SEGMENT_SEQNUM, b"")
    if not (reference and total and number):
        return None
    return Concat(int.from_bytes(reference, "big"), int.from_bytes(total, "big"), int.from_bytes(number, "big"))


def read_concat(message: Submit | Deliver) -> tuple[Concat | None, bytes]:
    """(which part, the text's octets without header). None where the message is whole, or its header makes no sense
    (part 0, part 4 of 3): such a message is read as a whole one rather than waiting for ever for its parts."""
    header, text = split_udh(message.payload) if message.esm_class & ESM_UDH else (b"", message.payload)
    concat = (_from_udh(header) if header else None) or (_from_sar(message.tlvs) if message.tlvs else None)
    if concat is None or not 1 <= concat.number <= concat.total or concat.total == 1:
        return None, text
    return concat, text


def read_languages(message: Submit | Deliver) -> tuple[int, int]:
    """The national language identifiers (3GPP TS 23.038, 6.2.1.2.4) of its locking and its single shift table; 0 where
    its header names none."""
    if not message.esm_class & ESM_UDH:
        return 0, 0
    named = {element: value[0] for element, value in _elements(split_udh(message.payload)[0]) if len(value) == 1}
    return named.get(IE_LOCKING_SHIFT, 0), named.get(IE_SINGLE_SHIFT, 0)
