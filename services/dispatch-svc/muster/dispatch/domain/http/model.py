"""What an adapter of an HTTP carrier is given, and what it answers. Pure values."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import NamedTuple, Protocol, TypeAlias

from muster.dispatch.domain.receipts import Receipt

ID_CHARS_MAX = 255
TEXT_CHARS_MAX = 40_000
EVENTS_MAX = 1_000
TOLERANCE_S = 300


@dataclass(frozen=True, slots=True)
class Secrets:
    """What we show to the carrier, and what its callbacks are signed with: several while one is rotated."""

    auth: str = field(default="", repr=False)
    callbacks: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Message:
    """One text as it goes out. `number` is E.164; `reference` is ours, and names no person; `receipts_url` is where
    the carrier says what became of it."""

    number: str
    sender: str
    text: str
    parts: int
    reference: str
    valid_s: int
    valid_until: datetime
    receipts_url: str = ""


@dataclass(frozen=True, slots=True)
class Request:
    """What is written. `path` begins with a slash and follows the path of the account's base URL."""

    path: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    method: str = "POST"


@dataclass(frozen=True, slots=True)
class Reply:
    """What the carrier answered, whole; names of headers are lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Took(NamedTuple):
    """The carrier has it, under this id."""

    carrier_id: str


class Refused(NamedTuple):
    """The carrier refused it for good."""

    code: int


class Busy(NamedTuple):
    """Certainly not sent: may be tried again, after so many seconds."""

    after_s: float = 0.0


class Unsure(NamedTuple):
    """The carrier may have taken it, or not."""


Said: TypeAlias = Took | Refused | Busy | Unsure


class Sought(NamedTuple):
    """A message that the carrier is asked about: by its own id, or by our reference where it gave us none."""

    carrier_id: str = ""
    reference: str = ""


class Found(NamedTuple):
    """The carrier has it under this id; how it ended, None while it is on its way."""

    carrier_id: str
    ended: "Ended | None" = None


@dataclass(frozen=True, slots=True)
class Call:
    """A callback as it came. `url` is the whole of it, as the carrier was told; names of headers are lower case."""

    url: str
    headers: Mapping[str, str]
    body: bytes = field(repr=False)


class NotGenuine(StrEnum):
    """Why a call is not taken for one of the carrier. For our own counting: whoever calls is not told."""

    HEADERS = "headers"
    TIME = "time"
    SIGNATURE = "signature"


@dataclass(frozen=True, slots=True)
class Signed:
    """A call that is genuine if one of these keys made its signature over these octets, under one of these digests;
    `known` makes it unlike any other then."""

    keys: tuple[str, ...]
    digests: tuple[str, ...]
    signature: bytes
    octets: bytes = field(repr=False)
    known: bytes


class Malformed(NamedTuple):
    """A genuine call that cannot be read, and why; nothing of what it holds."""

    why: str


@dataclass(frozen=True, slots=True)
class Ended:
    """A final receipt. `number` is whom the message went to, `sender` who it came from, "" where the carrier does not
    say."""

    carrier_id: str
    state: Receipt
    error: str = ""
    number: str = field(default="", repr=False)
    sender: str = ""
    done_at: datetime | None = None
    submitted_at: datetime | None = None


class Torn(NamedTuple):
    """Which part of a long message this is: of `total` under `reference`, `number` counted from 1."""

    reference: int
    total: int
    number: int


@dataclass(frozen=True, slots=True)
class Written:
    """What a person wrote. `key` is the carrier's name for it, the same whenever it is told again."""

    key: str
    source: str = field(repr=False)
    destination: str
    text: str = field(repr=False)
    part: Torn | None = None


class Adapter(Protocol):
    """How one kind of HTTP carrier is spoken to. All pure; none raises on what a carrier says."""

    REFERENCE: str
    """Where its public documentation is."""

    STATUS: str
    """Where the documentation of its status look-up is; "" where it has none."""

    USERNAME: str
    """What the profile's `username` is, without which this carrier knows nobody; "" where it may be left out."""

    def request(self, http: "Http", secrets: Secrets, message: Message) -> Request:
        """A message as a request."""

    def answer(self, http: "Http", reply: Reply, parts: int) -> list[Said]:
        """What an answer means: one for the whole message, or one for each of its parts."""

    def lookup(self, http: "Http", secrets: Secrets, sought: Sought) -> Request | None:
        """The question what became of a message; None where this carrier cannot be asked so. It sends nothing."""

    def found(self, http: "Http", reply: Reply, sought: Sought) -> Found | None:
        """What a success says to such a question; None where it is not about that message alone."""

    def verify(self, http: "Http", secrets: Secrets, call: Call, now_s: float) -> bytes | NotGenuine | Signed:
        """What makes this call unlike any other (a replay has it again), or why it is not of the carrier; or what is
        left to be checked with its public keys."""

    def receipts(self, http: "Http", call: Call) -> list[Ended] | Malformed:
        """The final receipts of a call; those that are not final are left out."""

    def inbound(self, http: "Http", call: Call) -> list[Written] | Malformed:
        """What people wrote."""


@dataclass(frozen=True, slots=True)
class Hmac:
    """An HMAC over `signed` ("{timestamp}.{body}", say), in a header after `prefix`; `encoding` is hex or base64."""

    header: str
    timestamp_header: str
    signed: str = "{timestamp}.{body}"
    algorithm: str = "sha256"
    encoding: str = "hex"
    prefix: str = ""


@dataclass(frozen=True, slots=True)
class Fields:
    """Where a call says what: paths such as `data.message.id`, "" where it does not say. `events` is the path of a
    list; without one the call is about one message."""

    events: str = ""
    id: str = "id"
    state: str = "status"
    error: str = "error"
    number: str = "to"
    sender: str = "from"
    text: str = "text"
    at: str = "at"


@dataclass(frozen=True, slots=True)
class Lookup:
    """How a carrier is asked what became of a message: a path with `{id}` or `{reference}` in it, and where its answer
    says what. `events` is the path of a list, of which exactly one may be about the message."""

    path: str
    events: str = ""
    id: str = "id"
    reference: str = "reference"
    state: str = "status"
    error: str = "error"
    at: str = "at"


@dataclass(frozen=True, slots=True)
class Generic:
    """A carrier that is described, not programmed. `codes` says what a code in an answer means."""

    path: str
    body: Mapping[str, object]
    encoding: str = "json"
    auth: str = "bearer"
    auth_header: str = ""
    id: str = "id"
    code: str = "code"
    codes: Mapping[str, str] = field(default_factory=dict)
    not_sent: tuple[int, ...] = (429,)
    states: Mapping[str, str] = field(default_factory=dict)
    receipt: Fields = field(default_factory=Fields)
    inbound: Fields = field(default_factory=Fields)
    signature: Hmac | None = None
    status_by_id: Lookup | None = None
    status_by_reference: Lookup | None = None


@dataclass(frozen=True, slots=True)
class Http:
    """The profile of an HTTP account. `username` is the carrier's name of the account; `callback_url` is where this
    Muster is reached from outside, to which /v1/receipts/{account} is added. `ask_status`: whether the carrier is asked
    for messages whose receipt or answer never came."""

    adapter: str
    base_url: str
    username: str = ""
    callback_url: str = ""
    response_timeout_s: float = 20.0
    idle_s: float = 15.0
    ask_status: bool = False
    generic: Generic | None = None

    def receipts_url(self, account: str) -> str:
        """Where the carrier says what became of messages."""
        return f"{self.callback_url.rstrip('/')}/v1/receipts/{account}"
