"""What the adapters have in common: reading JSON and forms that strangers write, codes, times and signatures."""

import base64
import binascii
import hmac
import json
import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any, Final
from urllib.parse import parse_qsl

from muster.dispatch.domain.http.model import (
    EVENTS_MAX,
    ID_CHARS_MAX,
    TEXT_CHARS_MAX,
    TOLERANCE_S,
    Busy,
    NotGenuine,
    Refused,
    Reply,
    Said,
    Unsure,
)

_FIELDS_MAX: Final = 200
# What libs/smpp tells ids apart by.
_CARRIER_ID_CHARS_MAX: Final = 64
_CODE_MAX: Final = 2**31 - 1
_UNIX_S: Final = re.compile(r"[0-9]{1,11}", re.ASCII)
_KEY_PREFIX: Final = "whsec_"
_KEY_OCTETS_MIN: Final = 8
_SIGNATURES_MAX: Final = 20
_PAUSE_S: Final = 5.0
_RETRY_AFTER_S_MAX: Final = 60.0
# The request was not understood, or whoever sent it is not known here: nothing was queued, and all that follows would
# fare the same until a person looks at it. Not the end of the message.
_NOT_OURS: Final = frozenset((401, 402, 403, 404, 405, 407))


def read_json(body: bytes) -> dict[str, Any] | None:
    """A JSON object; None for anything else."""
    try:
        read = json.loads(body)
    except (ValueError, RecursionError):
        return None
    return read if isinstance(read, dict) else None


def read_form(body: bytes) -> list[tuple[str, str]] | None:
    """The pairs of a form, empty ones too."""
    try:
        return parse_qsl(body.decode(), keep_blank_values=True, max_num_fields=_FIELDS_MAX)
    except (UnicodeDecodeError, ValueError):
        return None


def at(value: object, path: str) -> object:
    """What stands at `a.0.b`; None where there is nothing."""
    for name in path.split(".") if path else ():
        if isinstance(value, dict):
            value = value.get(name)
        elif isinstance(value, list) and name.isascii() and name.isdigit() and int(name) < len(value):
            value = value[int(name)]
        else:
            return None
    return value


def word(value: object, most: int = ID_CHARS_MAX) -> str:
    """Text or a whole number as text; "" for what is neither, or too long."""
    if isinstance(value, bool) or not isinstance(value, str | int):
        return ""
    text = str(value) if isinstance(value, str) or abs(value) < 10**18 else ""
    clean = text.replace("\0", "").encode("utf-8", "replace").decode()
    return clean if len(clean) <= most else ""


def id_of(value: object) -> str:
    """An id as carriers give them: visible ASCII, since it is stored one on a line; "" for anything else."""
    text = word(value, _CARRIER_ID_CHARS_MAX).strip()
    return text if text.isascii() and text.isprintable() and " " not in text else ""


def text_of(value: object) -> str | None:
    """What a person wrote, cut to what a phone can; None if it is no text."""
    if not isinstance(value, str):
        return None
    return value[:TEXT_CHARS_MAX].replace("\0", "").encode("utf-8", "replace").decode()


def events_of(value: object, path: str) -> list[object] | None:
    """The list at a path, or the whole as the only one; None if there are too many, or no list."""
    if not path:
        return [value]
    found = at(value, path)
    return found if isinstance(found, list) and len(found) <= EVENTS_MAX else None


def code_of(value: object, status: int) -> int:
    """The carrier's own code where it is a number, else the HTTP status."""
    text = word(value)
    number = int(text) if text.isascii() and text.isdigit() and len(text) <= 10 else 0
    return number if 0 < number <= _CODE_MAX else status


def by_status(reply: Reply, code: object, not_sent: Sequence[int] = (429,)) -> Said:
    """What an answer that is no success means, going by its HTTP status. Whatever might have come after the message
    was taken (5xx, a timeout of something in between) is unsure."""
    if reply.status in not_sent:
        return Busy(retry_after_s(reply))
    if reply.status in _NOT_OURS or 300 <= reply.status < 400:
        return Busy(_PAUSE_S)
    if 400 <= reply.status < 500 and reply.status != 408:
        return Refused(code_of(code, reply.status))
    return Unsure()


def retry_after_s(reply: Reply) -> float:
    """Retry-After in seconds, within bounds; a date is as good as none."""
    text = reply.headers.get("retry-after", "").strip()
    return min(float(text), _RETRY_AFTER_S_MAX) if _UNIX_S.fullmatch(text) else 0.0


def basic(username: str, password: str) -> str:
    """An Authorization header."""
    return "Basic " + base64.b64encode(f"{username}:{password}".encode()).decode()


def moment(value: object) -> datetime | None:
    """A time in RFC 3339, as UTC; None if unreadable or without its zone."""
    try:
        read = datetime.fromisoformat(word(value, 40))
    except ValueError:
        return None
    return read.astimezone(UTC) if read.tzinfo is not None and 1970 < read.year < 9000 else None


def is_late(timestamp: str, now_s: float) -> NotGenuine | None:
    """Whether a time in seconds since 1970 is more than five minutes from now, or none at all."""
    if not _UNIX_S.fullmatch(timestamp):
        return NotGenuine.HEADERS
    return NotGenuine.TIME if abs(now_s - int(timestamp)) > TOLERANCE_S else None


def unix_s_of(date: str) -> str:
    """The date of an HTTP header in seconds since 1970, as text; "" for what is none."""
    try:
        return str(int(parsedate_to_datetime(date).timestamp()))
    except (ValueError, OverflowError):
        return ""


def is_any(given: str, wanted: Sequence[str]) -> bool:
    """Whether it is one of them; each is compared, in constant time."""
    return sum(hmac.compare_digest(given.encode("utf-8", "replace"), one.encode()) for one in wanted) > 0


def digest(algorithm: str, key: bytes, signed: bytes, encoding: str) -> str:
    """An HMAC as text."""
    octets = hmac.digest(key, signed, algorithm)
    return octets.hex() if encoding == "hex" else base64.b64encode(octets).decode()


def standard_webhook(
    secrets: Sequence[str], headers: Mapping[str, str], body: bytes, now_s: float
) -> bytes | NotGenuine:
    """Standard Webhooks 1.0.0: HMAC-SHA256 over `id.timestamp.body`; `webhook-id` is the same in each retry."""
    call_id, timestamp, given = (headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    signatures = given.split(" ")
    if not 0 < len(call_id) <= ID_CHARS_MAX or len(signatures) > _SIGNATURES_MAX:
        return NotGenuine.HEADERS
    late = is_late(timestamp, now_s)
    if late is NotGenuine.HEADERS:
        return late
    signed = f"{call_id}.{timestamp}.".encode("utf-8", "replace") + body
    wanted = ["v1," + digest("sha256", key_of(secret), signed, "base64") for secret in secrets]
    if not sum(is_any(one, wanted) for one in signatures):
        return NotGenuine.SIGNATURE
    return late or f"{call_id}.{timestamp}".encode()


def is_a_key(secret: str) -> bool:
    """Whether a secret can be meant: one that begins as a key of Standard Webhooks does is base64, of eight octets at
    least."""
    key = key_of(secret)
    return not secret.startswith(_KEY_PREFIX) or (key != secret.encode() and len(key) >= _KEY_OCTETS_MIN)


def key_of(secret: str) -> bytes:
    """The key that `whsec_<base64>` stands for; any other secret is its own octets."""
    if secret.startswith(_KEY_PREFIX):
        try:
            return base64.b64decode(secret.removeprefix(_KEY_PREFIX), validate=True)
        except binascii.Error:
            pass
    return secret.encode()
