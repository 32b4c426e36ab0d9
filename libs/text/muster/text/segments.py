"""How many parts a text costs, and where they are cut.

Sources: 3GPP TS 23.038 (the default alphabet and its extension table) and TS 23.040 (concatenation, 8- and 16-bit
references). A part never ends between an escape and the character it escapes, nor inside a surrogate pair, so
ceil(units / size) is only a lower bound.
"""

import codecs
import enum
from dataclasses import dataclass
from typing import Final, Literal, NoReturn

from muster.text.alphabet import (
    BASIC_LATIN1,
    ENCODER,
    ESCAPE,
    EURO_IN_LATIN1,
    EXTENSION_LATIN1,
    FROM_LATIN1,
    NOT_GSM7,
    SAME_IN_ASCII,
    pairs,
)

PARTS_MAX: Final = 255
GSM7_SINGLE_SEPTETS: Final = 160
UCS2_SINGLE_UNITS: Final = 70
# One septet, or one UCS-2 unit, goes with the sixth or seventh octet of the user data header.
_GSM7_PART_SEPTETS: Final = {8: 153, 16: 152}
_UCS2_PART_UNITS: Final = {8: 67, 16: 66}

ReferenceBits = Literal[8, 16]


class Encoding(enum.IntEnum):
    """What a text is sent in."""

    GSM7 = 1
    UCS2 = 2


@dataclass(frozen=True, slots=True)
class Segmentation:
    """Encoding, total units (septets, or UTF-16 code units), and the units of each part in order."""

    encoding: Encoding
    units: int
    parts: tuple[int, ...]

    @property
    def segments(self) -> int:
        """Number of parts."""
        return len(self.parts)


class TextRefused(ValueError):
    """A text that cannot be sent; `code` is "empty", "too_long" or "unpaired_surrogate"."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


def encoding_of(text: str) -> Encoding:
    """GSM7 if every character is in the default alphabet or its extension table, else UCS2. Refuses nothing."""
    return Encoding.GSM7 if NOT_GSM7.search(text) is None else Encoding.UCS2


def segment(text: str, reference_bits: ReferenceBits = 8) -> Segmentation:
    """Units of each part, exactly as `split` cuts them.

    Raises TextRefused: empty, more than 255 parts, or half of a surrogate pair.
    """
    encoding, octets, size, width = _prepare(text, reference_bits)
    if len(octets) <= size.single * width:
        return Segmentation(encoding, len(octets) // width, (len(octets) // width,))
    ends = _ends(encoding, octets, size.part * width)
    starts = [0, *ends[:-1]]
    parts = tuple((end - start) // width for start, end in zip(starts, ends, strict=True))
    return Segmentation(encoding, len(octets) // width, parts)


def units_over(found: Segmentation, reference_bits: ReferenceBits = 8) -> int:
    """How many units fewer would make one part less of a text without pairs; 0 for a text of one part."""
    if found.segments == 1:
        return 0
    size = (_GSM7_SIZES if found.encoding is Encoding.GSM7 else _UCS2_SIZES)[reference_bits]
    fits = size.single if found.segments == 2 else size.part * (found.segments - 1)
    return max(found.units - fits, 1)


def count_parts(text: str, reference_bits: ReferenceBits = 8) -> tuple[Encoding, int]:
    """`segment` without the units of each part: what the planner asks for each distinct text. Raises TextRefused."""
    data = text.encode("latin-1", "ignore")
    dearer = data.translate(None, BASIC_LATIN1)
    if len(data) == len(text) and not dearer:
        encoding, parts = Encoding.GSM7, _parts(len(data), GSM7_SINGLE_SEPTETS, _GSM7_PART_SEPTETS[reference_bits])
    else:
        foreign = dearer.translate(None, EXTENSION_LATIN1)
        encoding, parts = _count_dearer(text, data, len(dearer), foreign, reference_bits)
    if parts > PARTS_MAX:
        _refuse_too_long()
    return encoding, parts


def _count_dearer(
    text: str, data: bytes, dearer: int, foreign: bytes, reference_bits: ReferenceBits
) -> tuple[Encoding, int]:
    """data: what of the text is Latin-1; dearer: how many of that are not basic; foreign: which neither table has."""
    beyond = len(text) - len(data)
    if foreign or (beyond and NOT_GSM7.search(text) is not None):
        return Encoding.UCS2, _count_ucs2(text, beyond, _UCS2_SIZES[reference_bits])
    pairs_in_it = dearer + (text.count("€") if beyond else 0)
    units = len(text) + pairs_in_it
    if units > GSM7_SINGLE_SEPTETS and pairs_in_it:  # an escape pair may straddle a cut
        return Encoding.GSM7, len(_ends(Encoding.GSM7, _septets(text), _GSM7_PART_SEPTETS[reference_bits]))
    return Encoding.GSM7, _parts(units, GSM7_SINGLE_SEPTETS, _GSM7_PART_SEPTETS[reference_bits])


def _count_ucs2(text: str, beyond: int, size: "_Size") -> int:
    octets = _utf16(text) if beyond else b""
    if len(octets) <= 2 * len(text):
        return _parts(len(text), size.single, size.part)
    return 1 if len(octets) <= 2 * size.single else len(_ends(Encoding.UCS2, octets, 2 * size.part))


def _parts(units: int, single: int, part: int) -> int:
    """Parts of a text in which every unit is a character."""
    if units == 0:
        _refuse_empty()
    return 1 if units <= single else -(-units // part)


def split(text: str, reference_bits: ReferenceBits = 8) -> list[bytes]:
    """Payload of each part without the user data header, cut as `segment` says. Raises TextRefused.

    GSM7: one septet per octet (unpacked), escapes as 0x1B. UCS2: UTF-16BE.
    """
    return encode_parts(text, reference_bits)[1]


def encode_parts(text: str, reference_bits: ReferenceBits = 8) -> tuple[Encoding, list[bytes]]:
    """`split`, and in which encoding its payloads are. Raises TextRefused."""
    encoding, octets, size, width = _prepare(text, reference_bits)
    if len(octets) <= size.single * width:
        return encoding, [octets]
    ends = _ends(encoding, octets, size.part * width)
    return encoding, [octets[start:end] for start, end in zip([0, *ends[:-1]], ends, strict=True)]


def encode_gsm7(text: str) -> bytes:
    """Default-alphabet octets, one septet each. Raises UnicodeEncodeError for a character outside the alphabet."""
    data, _ = codecs.charmap_encode(text, "strict", ENCODER)
    return data if data.isascii() else pairs(data)


def _septets(text: str) -> bytes:
    """`encode_gsm7` for a text that is known to be in the alphabet."""
    latin1 = text.replace("€", EURO_IN_LATIN1).encode("latin-1", "ignore")
    if len(latin1) != len(text):
        return encode_gsm7(text)  # Greek capitals
    data = latin1.translate(FROM_LATIN1)
    return data if data.isascii() else pairs(data)


@dataclass(frozen=True, slots=True)
class _Size:
    single: int
    part: int


_GSM7_SIZES: Final = {bits: _Size(GSM7_SINGLE_SEPTETS, part) for bits, part in _GSM7_PART_SEPTETS.items()}
_UCS2_SIZES: Final = {bits: _Size(UCS2_SINGLE_UNITS, part) for bits, part in _UCS2_PART_UNITS.items()}


def _prepare(text: str, reference_bits: ReferenceBits) -> tuple[Encoding, bytes, _Size, int]:
    if not text:
        _refuse_empty()
    if text.isascii():
        octets = text.encode("ascii")
        if not octets.translate(None, SAME_IN_ASCII):
            return Encoding.GSM7, octets, _GSM7_SIZES[reference_bits], 1
    if NOT_GSM7.search(text) is None:
        return Encoding.GSM7, _septets(text), _GSM7_SIZES[reference_bits], 1
    return Encoding.UCS2, _utf16(text), _UCS2_SIZES[reference_bits], 2


def _utf16(text: str) -> bytes:
    try:
        return text.encode("utf-16-be")
    except UnicodeEncodeError as error:
        message = f"Character {error.start + 1} is half of a surrogate pair, which is no character."
        raise TextRefused("unpaired_surrogate", message) from None


def _ends(encoding: Encoding, octets: bytes, size: int) -> list[int]:
    """Octet offsets where each part of at most `size` octets ends."""
    if len(octets) > PARTS_MAX * size:  # before the walk, so that a megabyte of text costs nothing
        _refuse_too_long()
    ends = _ends_gsm7(octets, size) if encoding is Encoding.GSM7 else _ends_ucs2(octets, size)
    if len(ends) > PARTS_MAX:
        _refuse_too_long()
    return ends


def _ends_gsm7(octets: bytes, size: int) -> list[int]:
    ends, end, total = [], 0, len(octets)
    while end < total:
        end += size
        if end < total and octets[end - 1] == ESCAPE:
            end -= 1
        ends.append(min(end, total))
    return ends


def _ends_ucs2(octets: bytes, size: int) -> list[int]:
    ends, end, total = [], 0, len(octets)
    while end < total:
        end += size
        if end < total and 0xD8 <= octets[end - 2] <= 0xDB:  # a high surrogate may not end a part
            end -= 2
        ends.append(min(end, total))
    return ends


def _refuse_empty() -> NoReturn:
    raise TextRefused("empty", "The text is empty.")


def _refuse_too_long() -> NoReturn:
    raise TextRefused("too_long", f"The text needs more than {PARTS_MAX} parts.")
