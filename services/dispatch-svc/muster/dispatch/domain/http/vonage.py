"""Vonage's SMS API: JSON, an id for each part, and callbacks with a signature among their own fields."""

import json
from datetime import UTC, datetime
from typing import Final

from muster.dispatch.domain.http import wire
from muster.dispatch.domain.http.model import (
    Busy,
    Call,
    Ended,
    Found,
    Http,
    Malformed,
    Message,
    NotGenuine,
    Refused,
    Reply,
    Request,
    Said,
    Secrets,
    Sought,
    Took,
    Torn,
    Unsure,
    Written,
)
from muster.dispatch.domain.receipts import Receipt

REFERENCE: Final = "https://developer.vonage.com/en/api/sms"
# https://developer.vonage.com/en/api/reports finds messages, at another host and for money: not asked.
STATUS: Final = ""
USERNAME: Final = "the API key"
SIGNATURES: Final = "https://developer.vonage.com/en/getting-started/concepts/signing-messages"

# https://developer.vonage.com/en/messaging/sms/guides/delivery-receipts; the rest are not the end.
_ENDS: Final = {
    "delivered": Receipt.DELIVERED,
    "expired": Receipt.EXPIRED,
    "failed": Receipt.UNDELIVERED,
    "rejected": Receipt.REJECTED,
}
# https://developer.vonage.com/en/messaging/sms/guides/troubleshooting-sms: 1 is throttled; 5 is an error while it was
# processed, of which nobody says how far that went; 4, 8, 9 and 14 are about the account and not about the message.
_OK, _THROTTLED, _INTERNAL = "0", "1", "5"
_ACCOUNT: Final = frozenset(("4", "8", "9", "14"))
_PAUSE_S: Final = 5.0
_TTL_MS: Final = (20_000, 604_800_000)
_PARTS_MAX: Final = 255


def request(http: Http, secrets: Secrets, message: Message) -> Request:
    """POST /sms/json."""
    body: dict[str, object] = {
        "from": message.sender.removeprefix("+"),
        "to": message.number.removeprefix("+"),
        "text": message.text,
        "type": "text" if message.text.isascii() else "unicode",
        "ttl": min(max(message.valid_s * 1000, _TTL_MS[0]), _TTL_MS[1]),
        "status-report-req": 1,
        "client-ref": message.reference,
    }
    if message.receipts_url:
        body["callback"] = message.receipts_url
    return Request(
        path="/sms/json",
        headers=(("content-type", "application/json"), ("authorization", wire.basic(http.username, secrets.auth))),
        body=json.dumps(body).encode(),
    )


def answer(_: Http, reply: Reply, parts: int) -> list[Said]:
    """`messages` has one for each part; all but the status of the whole is in there, also when HTTP says 200."""
    read = wire.read_json(reply.body) or {}
    if not 200 <= reply.status < 300:
        return [wire.by_status(reply, None)]
    messages = read.get("messages")
    if not isinstance(messages, list) or not messages or len(messages) > _PARTS_MAX:
        return [Unsure()]
    said = [_one(one) for one in messages]
    if len(said) > 1 and len({type(one) for one in said}) > 1:
        # A part cannot go out by itself: one that was not sent while another was is refused.
        said = [Refused(int(_THROTTLED)) if isinstance(one, Busy) else one for one in said]
    if len(said) in (1, parts):
        return said
    # As many as it pleases the carrier: the message is as its first part is, unless they differ in kind.
    return [said[0] if len({type(one) for one in said}) == 1 else Unsure()]


def _one(message: object) -> Said:
    status, carrier_id = wire.word(wire.at(message, "status")), wire.id_of(wire.at(message, "message-id"))
    if status == _OK:
        return Took(carrier_id) if carrier_id else Unsure()
    if status == _THROTTLED:
        return Busy()
    if status in _ACCOUNT:
        return Busy(_PAUSE_S)
    return Unsure() if status in ("", _INTERNAL) else Refused(wire.code_of(status, 0))


def lookup(_: Http, __: Secrets, ___: Sought) -> Request | None:
    """Cannot be asked."""
    return None


def found(_: Http, __: Reply, ___: Sought) -> Found | None:
    """Nothing was asked."""
    return None


def signature(secret: str, fields: dict[str, str], algorithm: str = "sha256") -> str:
    """HMAC over `&name=value` of all fields but `sig`, sorted, with & and = in values written as underscores."""
    pairs = ((name, fields[name]) for name in sorted(fields) if name != "sig")
    signed = "".join(f"&{name}={value.replace('&', '_').replace('=', '_')}" for name, value in pairs)
    return wire.digest(algorithm, secret.encode(), signed.encode("utf-8", "replace"), "hex")


def verify(_: Http, secrets: Secrets, call: Call, now_s: float) -> bytes | NotGenuine:
    """SHA-256 HMAC, which the account's settings must name; `timestamp` and `nonce` are signed too."""
    fields = _fields(call)
    given = fields.get("sig", "").lower()
    if not given:
        return NotGenuine.HEADERS
    if not wire.is_any(given, [signature(secret, fields) for secret in secrets.callbacks]):
        return NotGenuine.SIGNATURE
    return wire.is_late(fields.get("timestamp", ""), now_s) or f"{fields.get('nonce', '')}.{given}".encode()


def _fields(call: Call) -> dict[str, str]:
    """The fields of a callback, JSON or form, as text."""
    if "json" in call.headers.get("content-type", ""):
        read = wire.read_json(call.body) or {}
        return {name: value if isinstance(value, str) else wire.word(value) for name, value in read.items()}
    return dict(wire.read_form(call.body) or ())


def receipts(_: Http, call: Call) -> list[Ended] | Malformed:
    """The end of one part. `to` is the sender of the message here, and `msisdn` whom it went to."""
    fields = _fields(call)
    carrier_id, status = wire.id_of(fields.get("messageId")), fields.get("status", "")
    if not carrier_id or not status:
        return Malformed("messageId or status is missing")
    state = _ENDS.get(status)
    if state is None:
        return []
    error = wire.word(fields.get("err-code"), 20)
    number, sender = wire.word(fields.get("msisdn"), 20), wire.word(fields.get("to"), 20)
    return [Ended(carrier_id, state, "" if error == "0" else error, number, sender, _date(fields.get("scts", "")))]


def _date(digits: str) -> datetime | None:
    """YYMMDDHHMM."""
    try:
        return datetime.strptime(digits, "%y%m%d%H%M").replace(tzinfo=UTC)
    except ValueError:
        return None


def inbound(_: Http, call: Call) -> list[Written] | Malformed:
    """A message, or one part of a long one."""
    fields = _fields(call)
    key, source, destination = (wire.word(fields.get(name)) for name in ("messageId", "msisdn", "to"))
    text = wire.text_of(fields.get("text"))
    if not key or not source or not destination or text is None:
        return Malformed("messageId, msisdn, to or text is missing")
    if fields.get("concat", "") != "true":
        return [Written(key, source, destination, text)]
    numbers = [fields.get(f"concat-{name}", "") for name in ("ref", "total", "part")]
    if not all(one.isascii() and one.isdigit() and len(one) <= 5 for one in numbers):
        return Malformed("concat-ref, concat-total or concat-part is not a number")
    part = Torn(*map(int, numbers))
    if part.reference > 65_535 or not 1 <= part.number <= part.total <= _PARTS_MAX:
        return Malformed("concat-part is not within concat-total")
    return [Written(key, source, destination, text, part)]
