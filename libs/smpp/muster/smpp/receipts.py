"""Delivery receipts, read tolerantly: TLVs first, then the text of appendix B in any order, case and completeness.

Carriers differ in everything here: dates of 10, 12 or 14 digits, `err:00A`, ids in hexadecimal in the response and
decimal in the receipt, or the reverse. Nothing in this module raises on what a carrier sends.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from typing import Final, TypeAlias

from muster.smpp.pdu import ESM_UDH, MESSAGE_ID_CHARS_MAX, Deliver, QueryResp, Tag, plain_word


class ReceiptState(Enum):
    """message_state of SMPP 3.4 (5.2.28) plus SMPP 5's SCHEDULED and SKIPPED; the value is the text form."""

    SCHEDULED = "SCHEDLD"
    ENROUTE = "ENROUTE"
    DELIVERED = "DELIVRD"
    EXPIRED = "EXPIRED"
    DELETED = "DELETED"
    UNDELIVERABLE = "UNDELIV"
    ACCEPTED = "ACCEPTD"
    UNKNOWN = "UNKNOWN"
    REJECTED = "REJECTD"
    SKIPPED = "SKIPPED"

    @property
    def is_final(self) -> bool:
        """Whether no other receipt is to be expected."""
        return self in _FINAL


_FINAL: Final = frozenset(
    {
        ReceiptState.DELIVERED,
        ReceiptState.EXPIRED,
        ReceiptState.DELETED,
        ReceiptState.UNDELIVERABLE,
        ReceiptState.REJECTED,
        ReceiptState.SKIPPED,
    }
)
_BY_NUMBER: Final = tuple(ReceiptState)
# By the first five letters, upper case: carriers cut and lengthen the words (DELIVERED, UNDELIVERABLE, ACCEPTED,
# REJECTED).
_BY_VALUE: Final = {state.value: state for state in ReceiptState}
_BY_WORD: Final = {state.value[:5]: state for state in ReceiptState} | {"FAILE": ReceiptState.UNDELIVERABLE}

# What nearly every carrier sends, in one C call; anything else takes the slow road below.
_USUAL: Final = re.compile(
    rb"id:(\S+) sub:\S* dlvrd:\S* submit date:(\d*) done date:(\d*) stat:(\w+) err:(\w*)", re.IGNORECASE
)
# All of a deliver_sm that is such a receipt (esm_class 4), in one C call, and the two TLVs that are usual beside it. Of
# text and not of octets: one conversion for all that is found, and Latin-1 has a character for each octet.
_BODY: Final = re.compile(
    r"[^\0]*\0..([^\0]*)\0..([^\0]*)\0\x04..[^\0]*\0[^\0]*\0....(.)"
    r"id:([\w.:-]{1,64}) sub:\S* dlvrd:\S* submit date:(\d*) done date:(\d*) stat:(\w+) err:(\w{0,64})",
    re.IGNORECASE | re.DOTALL | re.ASCII,
)
_TLVS: Final = re.compile(r"(?:\x00\x1e\x00(.)([\w.:-]{1,64})(\0?))?(?:\x04\x27\x00\x01(.))?", re.DOTALL | re.ASCII)
_FIELD: Final = re.compile(rb"(submit date|done date|id|sub|dlvrd|stat|err)\s*:\s*([^\s:]*)", re.IGNORECASE)
_DATE_FORMATS: Final = {10: "%y%m%d%H%M", 12: "%y%m%d%H%M%S", 14: "%Y%m%d%H%M%S"}


@dataclass(slots=True)
class Receipt:
    """What one receipt says. `id` is as the carrier wrote it, "" if there was none; dates are its digits."""

    id: str
    state: ReceiptState
    error: str = ""
    done_digits: str = ""
    submit_digits: str = ""
    number: str = field(default="", repr=False)
    reference: int | None = None

    @property
    def done_at(self) -> datetime | None:
        """`done date` as UTC (the format has no zone; treat it as approximate), None if unreadable."""
        return read_date(self.done_digits)

    @property
    def submit_at(self) -> datetime | None:
        """`submit date`, likewise."""
        return read_date(self.submit_digits)


@dataclass(slots=True)
class DeliverReceipt:
    """A deliver_sm that is a usual receipt: read at once, and nothing else is kept of it."""

    sequence: int
    source: str = field(repr=False)
    destination: str = field(repr=False)
    receipt: Receipt


Delivered: TypeAlias = Deliver | DeliverReceipt


def read_date(digits: str) -> datetime | None:
    """YYMMDDhhmm, YYMMDDhhmmss or YYYYMMDDhhmmss as UTC; None for anything else."""
    pattern = _DATE_FORMATS.get(len(digits))
    if pattern is None or not (digits.isascii() and digits.isdigit()):
        return None
    try:
        return datetime.strptime(digits, pattern).replace(tzinfo=UTC)
    except ValueError:
        return None


def read_receipt(deliver: Delivered) -> Receipt | None:
    """The receipt in a deliver_sm; None exactly when it is no receipt (then it is an inbound message).

    An unreadable receipt comes back with what could be read: `id` "" and state UNKNOWN at worst. `number` is the
    destination of the message that it is about (a receipt's own source).
    """
    if isinstance(deliver, DeliverReceipt):
        return deliver.receipt
    if not deliver.is_receipt:
        return None
    usual = _USUAL.search(deliver.payload)
    if usual is not None:
        carrier_id = plain_word(usual[1])
        submitted, done, stat, error = usual[2].decode(), usual[3].decode(), usual[4].decode(), plain_word(usual[5])
    else:
        fields = dict(_fields(_text(deliver)))
        carrier_id, stat, error = fields.get("id", ""), fields.get("stat", ""), fields.get("err", "")
        done, submitted = fields.get("done date", ""), fields.get("submit date", "")
    state = _BY_WORD.get(stat[:5].upper(), ReceiptState.UNKNOWN)
    reference = None
    if deliver.tlvs:
        carrier_id, state, error, reference = _from_tlvs(deliver.tlvs, carrier_id, state, error)
    return Receipt(carrier_id, state, error, done, submitted, deliver.source, reference)


def usual_receipt(sequence: int, body: bytes) -> DeliverReceipt | None:
    """What `read_receipt` reads from a deliver_sm with this body, in a third of the time; None if there is anything
    unusual in it."""
    text = body.decode("latin-1")
    found = _BODY.match(text)
    if found is None:
        return None
    source, destination, length, carrier_id, submitted, done, stat, error = found.groups()
    end = found.end(3) + ord(length)
    state = _BY_VALUE.get(stat)
    if state is None or found.end() > end or end > len(text):
        return None
    if end < len(text):
        tlvs = _TLVS.fullmatch(text, end)
        if tlvs is None:
            return None
        octets, named, nul, number = tlvs.groups()
        if named is not None:
            if ord(octets) != len(named) + len(nul):
                return None
            carrier_id = named
        if number is not None and ord(number) < len(_BY_NUMBER):
            state = _BY_NUMBER[ord(number)]
    receipt = Receipt(carrier_id, state, error, done, submitted, source)
    return DeliverReceipt(sequence, source, destination, receipt)


def _text(deliver: Deliver) -> bytes:
    payload = deliver.payload
    if deliver.esm_class & ESM_UDH and payload:
        payload = payload[1 + payload[0] :]
    if deliver.data_coding == 8:  # UCS-2: the fields are ASCII all the same
        payload = payload.replace(b"\0", b"")
    return payload


def _fields(text: bytes) -> Iterator[tuple[str, str]]:
    # `text:` holds what a person wrote and ends the fields. The first of a repeated field counts, so go backwards.
    head = re.split(rb"\btext\s*:", text, maxsplit=1, flags=re.IGNORECASE)[0]
    for name, value in reversed(_FIELD.findall(head)):
        yield name.decode("latin-1").lower(), plain_word(value)


def _from_tlvs(
    tlvs: dict[int, bytes], carrier_id: str, state: ReceiptState, error: str
) -> tuple[str, ReceiptState, str, int | None]:
    if named := tlvs.get(Tag.RECEIPTED_MESSAGE_ID, b"").partition(b"\0")[0]:
        carrier_id = plain_word(named).strip()
    number = tlvs.get(Tag.MESSAGE_STATE, b"")
    if len(number) == 1 and number[0] < len(_BY_NUMBER):
        state = _BY_NUMBER[number[0]]
    network_error = tlvs.get(Tag.NETWORK_ERROR_CODE, b"")
    if not error and len(network_error) == 3:
        error = f"{int.from_bytes(network_error[1:], 'big'):03d}"
    reference = tlvs.get(Tag.USER_MESSAGE_REFERENCE, b"")
    return carrier_id, state, error, int.from_bytes(reference, "big") if len(reference) == 2 else None


def answered_receipt(answer: QueryResp, message_id: str) -> Receipt | None:
    """What the answer to a query_sm about this id says, as the receipt would have; None where it says nothing that a
    receipt could: refused, of another message, or a state that there is not."""
    if answer.status or not 0 < answer.state < len(_BY_NUMBER):
        return None
    if answer.message_id and not same_id(message_id, answer.message_id):
        return None
    # Absolute time is YYMMDDhhmmsstnnp; what follows the seconds is a zone, which receipts do not have either.
    error = f"{answer.error:03d}" if answer.error else ""
    return Receipt(message_id, _BY_NUMBER[answer.state], error, answer.final_date[:12])


def normalise_id(carrier_id: str) -> str:
    """One spelling of an id: no spaces or leading zeros, lower case. Keep maps under this."""
    plain = carrier_id.strip()[:MESSAGE_ID_CHARS_MAX].lower()
    return plain.lstrip("0") or plain[-1:]


def id_candidates(receipt_id: str) -> tuple[str, ...]:
    """Under which normalised ids the message of a receipt may be kept, likeliest first: as written, decimal id read
    back to hexadecimal, hexadecimal to decimal.

    "10" written by a carrier that answers in hexadecimal and reports in decimal is also another message's
    hexadecimal id: whoever looks up more than the first candidate must check that the destination is
    `Receipt.number`.
    """
    plain = normalise_id(receipt_id)
    found = [plain]
    if plain.isascii() and plain.isdigit():
        found.append(f"{int(plain):x}")
    if is_hexadecimal(plain):
        found.append(str(int(plain, 16)))
    return tuple(dict.fromkeys(found))


def same_id(response_id: str, receipt_id: str) -> bool:
    """Whether the two may be one id in any mix of bases."""
    return normalise_id(response_id) in id_candidates(receipt_id)


def is_hexadecimal(text: str) -> bool:
    """Whether a normalised id may be a number in hexadecimal."""
    # Not int(): it accepts signs, underscores and other scripts' digits.
    return bool(text) and len(text) <= MESSAGE_ID_CHARS_MAX and not text.strip("0123456789abcdef")
