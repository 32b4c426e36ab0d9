"""What a carrier says that nobody asked for: PDUs that are in order and out of place, and octets that are no PDU."""

import struct
from collections.abc import Callable
from typing import Final

from muster.smpp import encode
from muster.smpp.codec import encode_submit_resp
from muster.smpp.pdu import (
    DELIVER_SM,
    SEQUENCE_MAX,
    BindMode,
    BindResp,
    DeliverResp,
    EnquireLink,
    GenericNack,
    UnbindResp,
)
from muster.smpp.status import ESME_RINVCMDLEN, ESME_RSYSERR

_VENDOR_STATUS: Final = 0x00000401
_VENDOR_COMMAND: Final = 0x00010200


def _frame(command_id: int, sequence: int, body: bytes, status: int = 0) -> bytes:
    return struct.pack(">IIII", 16 + len(body), command_id, status, sequence) + body


# Each may come beside the answer to a submit of this sequence; the session lives through all of them.
_ODD: Final[tuple[Callable[[int], bytes], ...]] = (
    lambda sequence: encode_submit_resp(sequence, 0, b"again"),
    lambda sequence: encode_submit_resp(SEQUENCE_MAX - sequence, 0, b"stray"),
    lambda sequence: encode_submit_resp(SEQUENCE_MAX - sequence, _VENDOR_STATUS, b""),
    lambda sequence: encode(GenericNack(0, ESME_RINVCMDLEN)),
    lambda sequence: encode(GenericNack(sequence, ESME_RSYSERR)),
    lambda sequence: _frame(_VENDOR_COMMAND, sequence, b"vendor"),
    lambda sequence: _frame(_VENDOR_COMMAND | 0x80000000, sequence, b"vendor"),
    lambda sequence: _frame(DELIVER_SM, sequence, b"cut off"),
    lambda sequence: encode(EnquireLink(sequence)),
    lambda sequence: encode(DeliverResp(sequence)),
    lambda sequence: encode(UnbindResp(SEQUENCE_MAX - sequence)),
    lambda sequence: encode(BindResp(sequence, BindMode.TRANSCEIVER, ESME_RSYSERR)),
)
# No session lives through one of these: where the next PDU begins is not known after it.
_GARBAGE: Final = (
    bytes(16),
    struct.pack(">IIII", 15, 0x80000004, 0, 1),
    struct.pack(">IIII", 0xFFFFFFFF, 0x80000004, 0, 1) + bytes(64),
    b"HTTP/1.1 400 Bad Request\r\n\r\n",
)


def beside(sequence: int, draw: int) -> bytes:
    """One PDU that is out of place."""
    return _ODD[draw % len(_ODD)](sequence)


def garbage(turn: int) -> bytes:
    """Octets that are no PDU: lengths of 0, 15 and 2^32-1, and another protocol, in turn."""
    return _GARBAGE[turn % len(_GARBAGE)]
