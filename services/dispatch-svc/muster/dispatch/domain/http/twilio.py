"""Twilio's Programmable Messaging: a form in, JSON out; callbacks are forms signed with the auth token."""

import base64
import hmac
from typing import Final
from urllib.parse import quote, urlencode

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
    Sought,
    Took,
    Unsure,
    Written,
)
from muster.dispatch.domain.receipts import Receipt

REFERENCE: Final = "https://www.twilio.com/docs/messaging/api/message-resource"
STATUS: Final = "https://www.twilio.com/docs/messaging/api/message-resource#fetch-a-message-resource"
USERNAME: Final = "the account SID"
SIGNATURES: Final = "https://www.twilio.com/docs/usage/webhooks/webhooks-security"

# https://www.twilio.com/docs/messaging/guides/outbound-message-status-in-status-callbacks; the rest are not the end.
_ENDS: Final = {
    "delivered": Receipt.DELIVERED,
    "read": Receipt.DELIVERED,
    "undelivered": Receipt.UNDELIVERED,
    "failed": Receipt.REJECTED,
    "canceled": Receipt.REJECTED,
}
_VALID_S_MAX: Final = 36_000
_SERVICE: Final = "MG"


def request(http: Http, secrets: Secrets, message: Message) -> Request:
    """POST /2010-04-01/Accounts/{sid}/Messages.json."""
    form = {"To": message.number, "Body": message.text, "ValidityPeriod": str(min(message.valid_s, _VALID_S_MAX))}
    form["MessagingServiceSid" if message.sender.startswith(_SERVICE) else "From"] = message.sender
    if message.receipts_url:
        form["StatusCallback"] = message.receipts_url
    return Request(
        path=f"/2010-04-01/Accounts/{quote(http.username, safe='')}/Messages.json",
        headers=(
            ("content-type", "application/x-www-form-urlencoded"),
            ("authorization", wire.basic(http.username, secrets.auth)),
        ),
        body=urlencode(form).encode(),
    )


def answer(_: Http, reply: Reply, __: int) -> list[Said]:
    """A `sid` for the whole message; 429 says that nothing was processed (errors/20429)."""
    read = wire.read_json(reply.body) or {}
    if not 200 <= reply.status < 300:
        return [wire.by_status(reply, read.get("code"))]
    carrier_id = wire.id_of(read.get("sid"))
    return [Took(carrier_id) if carrier_id else Unsure()]


def lookup(http: Http, secrets: Secrets, sought: Sought) -> Request | None:
    """A message by its sid; Twilio takes no reference of ours."""
    if not sought.carrier_id:
        return None
    account, sid = quote(http.username, safe=""), quote(sought.carrier_id, safe="")
    shown = ("authorization", wire.basic(http.username, secrets.auth))
    return Request(f"/2010-04-01/Accounts/{account}/Messages/{sid}.json", (shown,), b"", "GET")


def found(_: Http, reply: Reply, sought: Sought) -> Found | None:
    """A message resource."""
    read = wire.read_json(reply.body) or {}
    if not sought.carrier_id or wire.id_of(read.get("sid")) != sought.carrier_id:
        return None
    state = _ENDS.get(wire.word(read.get("status")))
    error = wire.word(read.get("error_code"), 20)
    return Found(sought.carrier_id, Ended(sought.carrier_id, state, error) if state is not None else None)


def signature(token: str, url: str, pairs: list[tuple[str, str]]) -> str:
    """HMAC-SHA1 over the URL and the sorted form, names and values without anything between them."""
    signed = url + "".join(name + value for name, value in sorted(set(pairs)))
    return base64.b64encode(hmac.digest(token.encode(), signed.encode("utf-8", "replace"), "sha1")).decode()


def verify(_: Http, secrets: Secrets, call: Call, __: float) -> bytes | NotGenuine:
    """Twilio signs no time: what keeps a replay from having an effect is the message's own sid, and the cache."""
    pairs, given = wire.read_form(call.body), call.headers.get("x-twilio-signature", "")
    if pairs is None or not given:
        return NotGenuine.HEADERS
    if not wire.is_any(given, [signature(token, call.url, pairs) for token in secrets.callbacks]):
        return NotGenuine.SIGNATURE
    return given.encode()


def receipts(_: Http, call: Call) -> list[Ended] | Malformed:
    """One message's new status."""
    form = dict(wire.read_form(call.body) or ())
    carrier_id, status = wire.id_of(form.get("MessageSid")), form.get("MessageStatus", "")
    if not carrier_id or not status:
        return Malformed("MessageSid or MessageStatus is missing")
    state = _ENDS.get(status)
    if state is None:
        return []
    numbers = wire.word(form.get("To"), 20), wire.word(form.get("From"), 20)
    return [Ended(carrier_id, state, wire.word(form.get("ErrorCode"), 20), *numbers)]


def inbound(_: Http, call: Call) -> list[Written] | Malformed:
    """A message that came in, whole."""
    form = dict(wire.read_form(call.body) or ())
    key, source, destination = (wire.word(form.get(name)) for name in ("MessageSid", "From", "To"))
    text = wire.text_of(form.get("Body"))
    if not key or not source or not destination or text is None:
        return Malformed("MessageSid, From, To or Body is missing")
    return [Written(key, source, destination, text)]
