"""SMPP 3.4: a codec without I/O, a windowed client session, receipts and concatenation as carriers really send them."""

from muster.smpp.codec import Decoder, ProtocolError, SubmitTemplate, encode
from muster.smpp.concat import Concat, build_sar, build_udh, read_concat, read_languages
from muster.smpp.inbound import SomeNotTaken
from muster.smpp.options import BindRefused, SessionCounts, SessionOptions
from muster.smpp.outcomes import (
    Accepted,
    Meaning,
    Message,
    NotSent,
    NotSentReason,
    Outcome,
    Rejected,
    Unknown,
    UnknownReason,
)
from muster.smpp.pdu import BindMode, Deliver, Pdu, Submit, Tag
from muster.smpp.receipts import (
    Delivered,
    DeliverReceipt,
    Receipt,
    ReceiptState,
    answered_receipt,
    id_candidates,
    is_hexadecimal,
    normalise_id,
    read_date,
    read_receipt,
    same_id,
)
from muster.smpp.session import Session
from muster.smpp.status import STATUS_NAMES, status_name
from muster.smpp.window import LateResponse

__all__ = [
    "STATUS_NAMES",
    "Accepted",
    "BindMode",
    "BindRefused",
    "Concat",
    "Decoder",
    "Deliver",
    "DeliverReceipt",
    "Delivered",
    "LateResponse",
    "Meaning",
    "Message",
    "NotSent",
    "NotSentReason",
    "Outcome",
    "Pdu",
    "ProtocolError",
    "Receipt",
    "ReceiptState",
    "Rejected",
    "Session",
    "SessionCounts",
    "SessionOptions",
    "SomeNotTaken",
    "Submit",
    "SubmitTemplate",
    "Tag",
    "Unknown",
    "UnknownReason",
    "answered_receipt",
    "build_sar",
    "build_udh",
    "encode",
    "id_candidates",
    "is_hexadecimal",
    "normalise_id",
    "read_concat",
    "read_date",
    "read_languages",
    "read_receipt",
    "same_id",
    "status_name",
]
