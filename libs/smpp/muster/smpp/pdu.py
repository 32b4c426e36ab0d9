"""SMPP 3.4 protocol data units as plain values. Strings are Latin-1 of the octets on the wire, so that no octet
fails."""

from dataclasses import dataclass, field
from enum import IntEnum
from typing import Final, TypeAlias

GENERIC_NACK: Final = 0x80000000
BIND_RECEIVER: Final = 0x00000001
BIND_TRANSMITTER: Final = 0x00000002
QUERY_SM: Final = 0x00000003
QUERY_SM_RESP: Final = 0x80000003
SUBMIT_SM: Final = 0x00000004
SUBMIT_SM_RESP: Final = 0x80000004
DELIVER_SM: Final = 0x00000005
DELIVER_SM_RESP: Final = 0x80000005
UNBIND: Final = 0x00000006
UNBIND_RESP: Final = 0x80000006
BIND_TRANSCEIVER: Final = 0x00000009
ENQUIRE_LINK: Final = 0x00000015
ENQUIRE_LINK_RESP: Final = 0x80000015
RESPONSE_BIT: Final = 0x80000000

SEQUENCE_MAX: Final = 0x7FFFFFFF
HEADER_OCTETS: Final = 16
SHORT_MESSAGE_OCTETS_MAX: Final = 254
MESSAGE_ID_CHARS_MAX: Final = 64

ESM_UDH: Final = 0x40  # the payload begins with a user data header
ESM_TYPE_MASK: Final = 0x3C
ESM_RECEIPT: Final = 0x04
ESM_INTERMEDIATE: Final = 0x20


def plain_word(octets: bytes) -> str:
    """What a carrier names something with, cut to a bound and without what cannot be printed: a line feed or NUL inside
    an id would break whoever joins ids, or a database that takes no NUL."""
    word = octets[:MESSAGE_ID_CHARS_MAX].decode("latin-1")
    return word if word.isprintable() else "".join(filter(str.isprintable, word))


class Tag(IntEnum):
    """Tags of the optional parameters that Muster reads or writes."""

    RECEIPTED_MESSAGE_ID = 0x001E
    USER_MESSAGE_REFERENCE = 0x0204
    SAR_MSG_REF_NUM = 0x020C
    SAR_TOTAL_SEGMENTS = 0x020E
    SAR_SEGMENT_SEQNUM = 0x020F
    SC_INTERFACE_VERSION = 0x0210
    NETWORK_ERROR_CODE = 0x0423
    MESSAGE_PAYLOAD = 0x0424
    MESSAGE_STATE = 0x0427


class BindMode(IntEnum):
    """Which way a bind carries messages; the value is its command_id."""

    RECEIVER = BIND_RECEIVER
    TRANSMITTER = BIND_TRANSMITTER
    TRANSCEIVER = BIND_TRANSCEIVER


@dataclass(slots=True)
class Bind:
    """bind_receiver, bind_transmitter or bind_transceiver."""

    sequence: int
    mode: BindMode
    system_id: str
    password: str = field(repr=False)
    system_type: str = ""
    interface_version: int = 0x34
    address_ton: int = 0
    address_npi: int = 0
    address_range: str = ""


@dataclass(slots=True)
class BindResp:
    """The answer to a bind; `status` 0 is yes."""

    sequence: int
    mode: BindMode
    status: int = 0
    system_id: str = ""
    tlvs: dict[int, bytes] = field(default_factory=dict)


@dataclass(slots=True)
class _ShortMessage:
    """The body that submit_sm and deliver_sm share. `payload` is short_message, or message_payload where that is
    used."""

    sequence: int
    source: str = field(repr=False)
    destination: str = field(repr=False)
    payload: bytes = field(repr=False)
    data_coding: int = 0
    esm_class: int = 0
    source_ton: int = 0
    source_npi: int = 0
    destination_ton: int = 0
    destination_npi: int = 0
    registered_delivery: int = 0
    validity_period: bytes = b""
    tlvs: dict[int, bytes] = field(default_factory=dict)
    service_type: bytes = b""
    schedule_delivery_time: bytes = b""
    protocol_id: int = 0
    priority: int = 0
    replace_if_present: int = 0
    default_message_id: int = 0
    # Whether `payload` came, and is to go, as message_payload however short it is: how it travels, not what it says.
    is_tlv: bool = field(default=False, compare=False)


@dataclass(slots=True)
class Submit(_ShortMessage):
    """submit_sm: from the ESME to the carrier."""


@dataclass(slots=True)
class Deliver(_ShortMessage):
    """deliver_sm: an inbound message or a receipt, from the carrier."""

    @property
    def is_receipt(self) -> bool:
        """By esm_class or the receipted_message_id TLV, never by the text: a person could text `id:1 stat:DELIVRD`."""
        return (
            self.esm_class & ESM_TYPE_MASK in (ESM_RECEIPT, ESM_INTERMEDIATE) or Tag.RECEIPTED_MESSAGE_ID in self.tlvs
        )


@dataclass(slots=True)
class SubmitResp:
    """The answer to a submit_sm; `message_id` is the carrier's id, cut to 64 characters."""

    sequence: int
    status: int = 0
    message_id: str = ""


@dataclass(slots=True)
class DeliverResp:
    """The answer to a deliver_sm."""

    sequence: int
    status: int = 0


@dataclass(slots=True)
class Query:
    """query_sm: what has become of a message? Its source is that of its submit_sm."""

    sequence: int
    message_id: str
    source: str = field(repr=False)
    source_ton: int = 0
    source_npi: int = 0


@dataclass(slots=True)
class QueryResp:
    """The answer to a query_sm. `state` is a message_state, 0 for none; `final_date` SMPP's absolute time, "" while it
    is not final; `error` is the carrier's own."""

    sequence: int
    status: int = 0
    message_id: str = ""
    final_date: str = ""
    state: int = 0
    error: int = 0


@dataclass(slots=True)
class EnquireLink:
    """Is anybody there?"""

    sequence: int


@dataclass(slots=True)
class EnquireLinkResp:
    """Yes."""

    sequence: int


@dataclass(slots=True)
class Unbind:
    """The sender of this will send no more."""

    sequence: int


@dataclass(slots=True)
class UnbindResp:
    """The connection may be closed."""

    sequence: int
    status: int = 0


@dataclass(slots=True)
class GenericNack:
    """The request with this sequence was not understood (sequence 0: not even that could be read)."""

    sequence: int
    status: int


@dataclass(slots=True)
class UnknownPdu:
    """A command_id that Muster does not speak. Requests are to be answered by a generic_nack."""

    sequence: int
    command_id: int
    status: int

    @property
    def is_request(self) -> bool:
        return not self.command_id & RESPONSE_BIT


@dataclass(slots=True)
class Malformed:
    """A whole PDU whose body cannot be read. The stream is still in step: answer it and go on."""

    sequence: int
    command_id: int
    status: int
    reason: str


Pdu: TypeAlias = (
    Bind
    | BindResp
    | Submit
    | SubmitResp
    | Query
    | QueryResp
    | Deliver
    | DeliverResp
    | EnquireLink
    | EnquireLinkResp
    | Unbind
    | UnbindResp
    | GenericNack
    | UnknownPdu
    | Malformed
)
