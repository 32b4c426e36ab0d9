"""What the carrier has to deliver to an account: receipts and inbound messages, each with its deliver_sm."""

import asyncio
import time
from struct import Struct
from typing import Final, TypeAlias

from muster.local.carrier.options import CarrierOptions
from muster.smpp import Deliver, ReceiptState, Submit, Tag, encode
from muster.smpp.codec import encode_tlv
from muster.smpp.pdu import DELIVER_SM

_HEADER: Final = Struct(">IIII")
_DATE_FORMATS: Final = {10: "%y%m%d%H%M", 12: "%y%m%d%H%M%S", 14: "%Y%m%d%H%M%S"}
# esm_class 4 (receipt), then protocol, priority, two empty times, registered, replace, data_coding, default
# message: all 0.
_RECEIPT_FIELDS: Final = b"\x04" + bytes(8)
STATE_NUMBERS: Final = {state: bytes((number,)) for number, state in enumerate(ReceiptState)}
_ERRORS: Final = {ReceiptState.DELIVERED: b"000", ReceiptState.UNDELIVERABLE: b"00A", ReceiptState.EXPIRED: b"027"}


class ReceiptStyle:
    """How receipts are written under the present options. Dates are laid out once a second."""

    def __init__(self, options: CarrierOptions) -> None:
        self._date_format = _DATE_FORMATS[options.date_digits]
        self._hexadecimal = (options.receipt_id_format, options.id_format) in {
            ("hex", "hex"),
            ("hex", "dec"),
            ("same", "hex"),
        }
        self._text = options.receipt_format != "tlv"
        self._tlv = options.receipt_format != "text"
        self._second = 0
        self._date = b""

    def _now(self) -> bytes:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._date = time.strftime(self._date_format, time.gmtime(second)).encode()
        return self._date

    def encode(self, sequence: int, receipt: "Receipt") -> bytes:
        """One deliver_sm. By hand rather than by `encode`: half of the simulator's time in a benchmark."""
        submit, state = receipt.submit, receipt.state
        carrier_id = b"%x" % receipt.number if self._hexadecimal else b"%d" % receipt.number
        text = tlvs = b""
        if self._text:
            date = self._now()
            text = b"id:%b sub:001 dlvrd:001 submit date:%b done date:%b stat:%b err:%b text:-" % (
                carrier_id,
                date,
                date,
                state.value.encode(),
                _ERRORS[state],
            )
        if self._tlv:
            tlvs = b"\0\x1e%b%b\0\x04\x27\0\x01%b" % (
                (len(carrier_id) + 1).to_bytes(2, "big"),
                carrier_id,
                STATE_NUMBERS[state],
            )
        if submit.tlvs and Tag.USER_MESSAGE_REFERENCE in submit.tlvs:
            tlvs += encode_tlv(Tag.USER_MESSAGE_REFERENCE, submit.tlvs[Tag.USER_MESSAGE_REFERENCE])
        body = b"\0%c%c%b\0%c%c%b\0%b%c%b%b" % (
            submit.destination_ton,
            submit.destination_npi,
            submit.destination.encode("latin-1"),
            submit.source_ton,
            submit.source_npi,
            submit.source.encode("latin-1"),
            _RECEIPT_FIELDS,
            len(text),
            text,
            tlvs,
        )
        return _HEADER.pack(16 + len(body), DELIVER_SM, 0, sequence) + body


class Receipt:
    """The end of one message, to be told."""

    __slots__ = ("attempts", "number", "state", "submit")

    def __init__(self, submit: Submit, number: int, state: ReceiptState) -> None:
        self.submit = submit
        self.number = number
        self.state = state
        self.attempts = 0

    def encode(self, sequence: int, style: ReceiptStyle) -> bytes:
        """As deliver_sm."""
        return style.encode(sequence, self)


class Inbound:
    """A message from a phone; `answer` becomes the command_status of its deliver_sm_resp."""

    __slots__ = ("answer", "attempts", "deliver")

    def __init__(self, deliver: Deliver) -> None:
        self.deliver = deliver
        self.answer: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self.attempts = 0

    def encode(self, sequence: int, _style: ReceiptStyle) -> bytes:
        """As deliver_sm."""
        self.deliver.sequence = sequence
        return encode(self.deliver)


Delivery: TypeAlias = Receipt | Inbound
