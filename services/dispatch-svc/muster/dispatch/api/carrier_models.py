"""Carrier accounts as JSON: what may be said of one, within which bounds."""

import copy
import re
import ssl
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr, create_model
from pydantic.fields import FieldInfo

from muster.dispatch.domain import sandbox
from muster.dispatch.domain.carriers import Long
from muster.kit.forms import Form
from muster.kit.http import Flag, Int, Model

_HOST: Final = re.compile(r"(?!-)[A-Za-z0-9-]{1,63}(?:\.(?!-)[A-Za-z0-9-]{1,63})*|[0-9A-Fa-f:.]{2,45}")
_WORD: Final = re.compile(r"[\x21-\x7e]*")
_CODE: Final = "0x[0-9a-fA-F]{1,8}"

NAME: Final = Form("[a-z0-9][a-z0-9-]{0,29}", "must be a name of at most 30 characters: a-z, 0-9 and hyphens")
SENDER: Final = Form(
    r"(\+?[0-9]{3,15}|[A-Za-z0-9][A-Za-z0-9 ._&-]{0,10})",
    "must be a number of 3 to 15 digits, or a name of at most 11 letters and digits",
)


def _a_host(given: str) -> str:
    if "@" in given or "://" in given or "/" in given:
        raise ValueError("must be a host name or an address alone: no scheme, no user, no password, no path")
    if not _HOST.fullmatch(given) or len(given) > 253:
        raise ValueError("must be a host name or an address, such as smpp.example.net or 192.0.2.1")
    return given


def _a_word(given: str) -> str:
    if not _WORD.fullmatch(given):
        raise ValueError("must be visible ASCII characters, without spaces")
    return given


def _a_secret(given: SecretStr) -> SecretStr:
    _a_word(given.get_secret_value())
    return given


def _not_the_sandbox(given: str) -> str:
    if given == sandbox.ACCOUNT:
        raise ValueError("is the account of sandboxes, which is always there; take another name")
    return given


def _a_server_name(given: str) -> str:
    return _a_host(given) if given else given


def _certificates(given: str) -> str:
    if given:
        try:
            ssl.create_default_context(cadata=given)
        except (ssl.SSLError, ValueError):
            raise ValueError("must be certificates in PEM") from None
    return given


def _a_code(given: str) -> str:
    status = int(given, 16)
    if not status:
        raise ValueError("0x0 says that a message was taken; nothing else can be meant by it")
    return f"0x{status:x}"


def _each_once(given: object) -> object:
    """One status has one meaning, however it is written."""
    if isinstance(given, dict):
        statuses = [int(code, 16) for code in given if isinstance(code, str) and re.fullmatch(_CODE, code)]
        twice = next((one for one in statuses if statuses.count(one) > 1), None)
        if twice is not None:
            raise ValueError(f"names 0x{twice:x} twice")
    return given


Word = Annotated[str, AfterValidator(_a_word)]
Code = Annotated[
    str, Form(_CODE, "must be a command_status in hexadecimal digits, such as 0x401"), AfterValidator(_a_code)
]
Octet = Annotated[Int, Field(ge=0, le=255)]
Type = Annotated[Int, Field(ge=0, le=6, description="type of number (SMPP 3.4, 5.2.5)")]
Plan = Annotated[Int, Field(ge=0, le=18, description="numbering plan (SMPP 3.4, 5.2.6)")]
Password = Annotated[SecretStr, Field(max_length=64), AfterValidator(_a_secret)]
CallbackSecret = Annotated[SecretStr, Field(min_length=8, max_length=1_000), AfterValidator(_a_secret)]
PartsWindow = Annotated[Int, Field(ge=1, le=10_000, description="parts without an answer at once, for each connection")]
PartsPerSecond = Annotated[Int, Field(ge=0, le=100_000, description="0: as fast as the carrier answers")]
ReferenceBits = Annotated[
    Literal[8, 16], Field(description="of the reference by which parts of a long message find each other")
]


class SmppIn(Model):
    """How an SMPP carrier is spoken to.

    `long_messages`: `header` puts a user data header into each part, `sar` sends sar_* TLVs beside it, `payload` gives
    the carrier the whole text as message_payload. `number_*` is for senders that are numbers, `name_*` for names.
    """

    host: Annotated[str, AfterValidator(_a_host)]
    port: Annotated[Int, Field(ge=1, le=65_535)] = 2775
    system_id: Annotated[Word, Field(min_length=1, max_length=64)]
    system_type: Annotated[Word, Field(max_length=12)] = ""
    binds: Annotated[Int, Field(ge=1, le=16, description="transceiver sessions, all in one process")] = 1
    tls: Annotated[Flag, Field(description="with verification, always")] = False
    tls_server_name: Annotated[str, Field(max_length=253), AfterValidator(_a_server_name)] = ""
    tls_ca: Annotated[str, Field(max_length=20_000), AfterValidator(_certificates)] = ""
    number_ton: Type = 1
    number_npi: Plan = 1
    name_ton: Type = 5
    name_npi: Plan = 0
    destination_ton: Type = 1
    destination_npi: Plan = 1
    gsm7_data_coding: Octet = 0
    ucs2_data_coding: Octet = 8
    registered_delivery: Annotated[Int, Field(ge=0, le=31, description="1: a receipt of every end")] = 1
    service_type: Annotated[Word, Field(max_length=5)] = ""
    long_messages: Long = Long.HEADER
    response_timeout_s: Annotated[float, Field(ge=0.1, le=40)] = 20.0
    enquire_link_s: Annotated[float, Field(ge=1, le=3_600)] = 30.0
    codes: Annotated[dict[Code, Literal["not_sent", "rejected", "unknown"]], BeforeValidator(_each_once)] = Field(
        default={},
        max_length=100,
        description="what the carrier means by a command_status, such as 0x401, where it is not what SMPP says",
    )
    query_sm: Annotated[Flag, Field(description="ask for messages whose receipt is overdue")] = False


def _optional(field: FieldInfo) -> Any:
    """The same field, which may be left out."""
    changed = copy.copy(field)
    changed.default = None
    return (field.annotation, changed)


SmppChange: Any = create_model(
    "SmppChange",
    __base__=Model,
    __doc__="What is to be different; what is left out stays.",
    **{name: _optional(field) for name, field in SmppIn.model_fields.items()},
)


class HttpSecrets(Model):
    """What is shown to the carrier, and what its calls may be signed with: two or more while one is rotated."""

    auth: Annotated[SecretStr, Field(max_length=2_000), AfterValidator(_a_secret)] = SecretStr("")
    callbacks: list[CallbackSecret] = Field(default_factory=list, max_length=5)


class HttpIn(Model):
    """How an HTTP carrier is spoken to: its profile as docs/carriers-http.md describes it, and its secrets."""

    profile: Annotated[dict[str, Any], Field(max_length=20)]
    secrets: HttpSecrets = HttpSecrets()


class HttpChange(Model):
    """What is to be different: the whole of it."""

    profile: Annotated[dict[str, Any], Field(max_length=20)] | None = None
    secrets: HttpSecrets | None = None


class HttpOut(Model):
    """An HTTP account without its secrets."""

    profile: dict[str, Any]


class CarrierIn(Model):
    """A new account, of SMPP or HTTP. It is `draining` where nothing is to be sent by it yet: it connects, and can be
    tried."""

    account: Annotated[
        str,
        NAME,
        Field(description="its name for good: a-z, 0-9 and hyphens"),
        AfterValidator(_not_the_sandbox),
    ]
    smpp: SmppIn | None = None
    http: HttpIn | None = None
    password: Annotated[Password, Field(description="of SMPP")] = SecretStr("")
    state: Literal["open", "draining"] = "open"
    parts_window: PartsWindow = 1000
    parts_per_second: PartsPerSecond = 0
    reference_bits: ReferenceBits = 8


class CarrierChange(Model):
    """What is to be different about an account; what is left out stays, the password too."""

    smpp: SmppChange | None = None
    http: HttpChange | None = None
    password: Password | None = None
    parts_window: PartsWindow | None = None
    parts_per_second: PartsPerSecond | None = None
    reference_bits: ReferenceBits | None = None


class Standing(Model):
    """What the sender of an account last said of it. `adopted`: a sender has it; `applied`: it goes by the settings as
    they are now; `in_flight`: parts without an answer; `parts_per_second_now`: what is written at most by now, less
    than the account's own for a while after the carrier has refused some for their rate (0: as much as it answers);
    `why`: why a connection is missing."""

    adopted: bool
    applied: bool
    connections: int
    in_flight: int
    parts_per_second_now: int
    why: str
    said_at: datetime | None


class Health(Model):
    """How its carrier fares. `share`: percent of what routes mean for it that it gets; `why` not all of it: `down`, or
    `errors`; `since` when. Of all parts ever: those that were answered or lost (`answered`), of these those that failed
    by the carrier's fault, and those that it did not take, which are tried again."""

    share: int
    why: Literal["", "down", "errors"]
    since: datetime | None
    answered: int
    failed: int
    not_taken: int


class CarrierOut(Model):
    """An account, without its password, and how it stands. `routes` lead to it. `binds_as`: other accounts of the same
    host, port and system_id, to which its carrier may bring receipts and replies of this one, where they find no
    message: give one account more binds instead."""

    account: str
    kind: str
    state: Literal["open", "draining", "closed"]
    version: int
    parts_window: int
    parts_per_second: int
    reference_bits: int
    smpp: SmppIn | None
    http: HttpOut | None
    has_password: bool
    routes: list[str]
    binds_as: list[str]
    standing: Standing
    health: Health
    created_at: datetime
    changed_at: datetime


class ActIn(Model):
    """Why; kept in the audit log."""

    reason: Annotated[str, Field(max_length=200)] = ""


class TestIn(Model):
    """One real message, outside all sends and at the operator's own cost."""

    to: Annotated[str, Field(max_length=30, description="a number with its +")]
    sender: Annotated[str, SENDER]
    text: Annotated[str, Field(min_length=1, max_length=1_000)]


class TestOut(Model):
    """What became of it. `unknown`: it may have been sent; it is not sent again. `receipts`: of each part, as they
    come."""

    id: UUID
    account: str
    outcome: Literal["queued", "submitting", "accepted", "rejected", "unknown", "not_sent"]
    error: str
    receipts: list[str]
    created_at: datetime
    answered_at: datetime | None
