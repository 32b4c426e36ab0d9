"""What SMS texts are made of: parts and encodings, values, phone numbers, and the reading of opt-outs.

Pure: standard library and phonenumbers only, no input or output, no clock.
"""

from muster.text.coding import decode
from muster.text.columns import Column, read_any_column, read_column
from muster.text.dearer import Dearer, DearerGroup, by_character, dearer_characters, forcing_characters, plain
from muster.text.faults import Fault, fault_of
from muster.text.kinds import Kind, OtherNumber, read_any_number, read_asked_number
from muster.text.national import Shifts
from muster.text.numbering import calling_code, is_region
from muster.text.numbers import (
    Number,
    NumberRefused,
    country_of,
    is_textable,
    mask,
    number_hash,
    number_hasher,
    read_number,
)
from muster.text.optout import Reading, Verdict, read_reply
from muster.text.segments import (
    PARTS_MAX,
    Encoding,
    Segmentation,
    TextRefused,
    count_parts,
    encode_gsm7,
    encode_parts,
    encoding_of,
    segment,
    split,
)

__all__ = [
    "PARTS_MAX",
    "Column",
    "Dearer",
    "DearerGroup",
    "Encoding",
    "Fault",
    "Kind",
    "Number",
    "NumberRefused",
    "OtherNumber",
    "Reading",
    "Segmentation",
    "Shifts",
    "TextRefused",
    "Verdict",
    "by_character",
    "calling_code",
    "count_parts",
    "country_of",
    "dearer_characters",
    "decode",
    "encode_gsm7",
    "encode_parts",
    "encoding_of",
    "fault_of",
    "forcing_characters",
    "is_region",
    "is_textable",
    "mask",
    "number_hash",
    "number_hasher",
    "plain",
    "read_any_column",
    "read_any_number",
    "read_asked_number",
    "read_column",
    "read_number",
    "read_reply",
    "segment",
    "split",
]
