"""MessageMedia's Messages API (Sinch Engage): JSON both ways, receipts and replies at one address, signed by RSA."""

import base64
import binascii
import json
from datetime import UTC
from typing import Final
from urllib.parse import quote, urlsplit

from muster.dispatch.domain.http import wire
from muster.dispatch.domain.http.model import (
    Call,
    Ended,
    Found,
    Http,
    Malformed,
    Message,
    NotGenuine,
    Reply,
    Request,
    Said,
    Secrets,
    Signed,
    Sought,
    Took,
    Unsure,
    Written,
)
from muster.dispatch.domain.receipts import Receipt

REFERENCE: Final = "https://github.com/messagemedia/documentation"
STATUS: Final = "https://github.com/messagemedia/documentation/blob/master/spec/openapi.yaml"
USERNAME: Final = "the API key"
SIGNATURES: Final = "https://support.messagemedia.com/articles/49982-enterprise-webhooks"

# Statuses of delivery reports and of messages; the rest are not the end.
_ENDS: Final = {
    "delivered": Receipt.DELIVERED,
    "read": Receipt.DELIVERED,
    "expired": Receipt.EXPIRED,
    "failed": Receipt.UNDELIVERED,
    "undeliverable": Receipt.UNDELIVERED,
    "rejected": Receipt.REJECTED,
    "cancelled": Receipt.REJECTED,
}
_HEADER: Final = "x-messagemedia-"
_DIGESTS: Final = ("SHA224", "SHA256", "SHA512")
_SIGNATURE_CHARS_MAX: Final = 2_000
_SHORT_DIGITS_MAX: Final = 8


def request(http: Http, secrets: Secrets, message: Message) -> Request:
    """POST /v1/messages, of one."""
    one: dict[str, object] = {
        "content": message.text,
        "destination_number": message.number,
        "source_number": message.sender,
        "source_number_type": _kind_of(message.sender),
        "format": "SMS",
        "delivery_report": True,
        "message_expiry_timestamp": message.valid_until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.000Z"),
        "metadata": {"reference": message.reference},
    }
    if message.receipts_url:
        one["callback_url"] = message.receipts_url
    return Request(
        path="/v1/messages",
        headers=(("content-type", "application/json"), _shown(http, secrets)),
        body=json.dumps({"messages": [one]}).encode(),
    )


def _shown(http: Http, secrets: Secrets) -> tuple[str, str]:
    return ("authorization", wire.basic(http.username, secrets.auth))


def _kind_of(sender: str) -> str:
    digits = sender.removeprefix("+")
    if not digits.isdigit():
        return "ALPHANUMERIC"
    return "SHORTCODE" if digits == sender and len(digits) <= _SHORT_DIGITS_MAX else "INTERNATIONAL"


def answer(_: Http, reply: Reply, __: int) -> list[Said]:
    """202 with the message and its id."""
    read = wire.read_json(reply.body) or {}
    if not 200 <= reply.status < 300:
        return [wire.by_status(reply, None)]
    carrier_id = wire.id_of(wire.at(read, "messages.0.message_id"))
    return [Took(carrier_id) if carrier_id else Unsure()]


def lookup(http: Http, secrets: Secrets, sought: Sought) -> Request | None:
    """GET /v1/messages/{id}, for 45 days; there is no question by metadata."""
    if not sought.carrier_id:
        return None
    return Request(f"/v1/messages/{quote(sought.carrier_id, safe='')}", (_shown(http, secrets),), b"", "GET")


def found(_: Http, reply: Reply, sought: Sought) -> Found | None:
    """The message as it stands."""
    read = wire.read_json(reply.body) or {}
    if not sought.carrier_id or wire.id_of(read.get("message_id")) != sought.carrier_id:
        return None
    state = _ENDS.get(wire.word(read.get("status")).lower())
    return Found(sought.carrier_id, Ended(sought.carrier_id, state) if state is not None else None)


def verify(_: Http, secrets: Secrets, call: Call, now_s: float) -> Signed | NotGenuine:
    """RSA over the request line, the Date and the body. Which key of ours is meant is not asked: there are few."""
    given, date = call.headers.get(f"{_HEADER}signature", ""), call.headers.get("date", "")
    digest = call.headers.get(f"{_HEADER}digest-type", "").upper().replace("-", "")
    late = wire.is_late(wire.unix_s_of(date), now_s)
    if not given or len(given) > _SIGNATURE_CHARS_MAX or (digest and digest not in _DIGESTS):
        return NotGenuine.HEADERS
    if late is not None:
        return late
    try:
        signature = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        return NotGenuine.HEADERS
    url = urlsplit(call.url)
    line = f"POST {url.path}{'?' + url.query if url.query else ''} HTTP/1.1"
    octets = f"{line}{date}".encode("utf-8", "replace") + call.body
    return Signed(secrets.callbacks, (digest,) if digest else _DIGESTS, signature, octets, f"{date}.{given}".encode())


def receipts(_: Http, call: Call) -> list[Ended] | Malformed:
    """One message's new status. `source_number` is the phone that it is about."""
    read = wire.read_json(call.body)
    if read is None:
        return Malformed("the body is not a JSON object")
    if "reply_id" in read:
        return []
    carrier_id, status = wire.id_of(read.get("message_id")), wire.word(read.get("status"))
    if not carrier_id or not status:
        return Malformed("message_id or status is missing")
    state = _ENDS.get(status.lower())
    if state is None:
        return []
    error = wire.word(read.get("error_code"), 20) if state is not Receipt.DELIVERED else ""
    number = wire.word(read.get("source_number"), 20)
    return [Ended(carrier_id, state, error, number, done_at=wire.moment(read.get("submitted_date")))]


def inbound(_: Http, call: Call) -> list[Written] | Malformed:
    """A reply, whole; or what was written to a number of the account's own."""
    read = wire.read_json(call.body)
    if read is None:
        return Malformed("the body is not a JSON object")
    if "delivery_report_id" in read:
        return []
    names = ("reply_id", "source_number", "destination_number")
    key, source, destination = (wire.word(read.get(name)) for name in names)
    text = wire.text_of(read.get("content"))
    if not key or not source or not destination or text is None:
        return Malformed(f"{', '.join(names)} or content is missing")
    return [Written(key, source, destination, text)]
