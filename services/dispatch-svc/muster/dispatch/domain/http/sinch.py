"""Sinch's SMS REST API: batches of one recipient, JSON both ways, callbacks signed with a nonce and a time."""

import json
from datetime import UTC
from typing import Final
from urllib.parse import quote

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

REFERENCE: Final = "https://developers.sinch.com/docs/sms/api-reference/sms/batches"
# By id: the delivery report of the batch; by our reference: batches/listbatches, of the last day.
STATUS: Final = "https://developers.sinch.com/docs/sms/api-reference/sms/delivery-reports"
USERNAME: Final = "the service plan id"
# The SMS API's callbacks are signed when the account manager turns it on; the SDKs verify them as those of the
# Conversation API.
SIGNATURES: Final = "https://developers.sinch.com/docs/conversation/callbacks"

# https://developers.sinch.com/docs/sms/api-reference/sms/delivery-reports; Queued and Dispatched are not the end, and
# Unknown says that no receipt came.
_ENDS: Final = {
    "delivered": Receipt.DELIVERED,
    "aborted": Receipt.REJECTED,
    "cancelled": Receipt.REJECTED,
    "rejected": Receipt.REJECTED,
    "deleted": Receipt.UNDELIVERED,
    "failed": Receipt.UNDELIVERED,
    "expired": Receipt.EXPIRED,
}
_SIGNATURE: Final = "x-sinch-webhook-signature"
_ALGORITHMS: Final = {"HmacSHA256": "sha256", "HmacSHA512": "sha512"}
_TYPES: Final = frozenset(("recipient_delivery_report_sms", "recipient_delivery_report_mms"))


def request(http: Http, secrets: Secrets, message: Message) -> Request:
    """POST /xms/v1/{service plan}/batches."""
    body: dict[str, object] = {
        "from": message.sender.removeprefix("+"),
        "to": [message.number.removeprefix("+")],
        "body": message.text,
        "delivery_report": "per_recipient",
        "client_reference": message.reference,
        "expire_at": message.valid_until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
    }
    if message.receipts_url:
        body["callback_url"] = message.receipts_url
    return Request(
        path=_batches(http),
        headers=(("content-type", "application/json"), ("authorization", f"Bearer {secrets.auth}")),
        body=json.dumps(body).encode(),
    )


def _batches(http: Http) -> str:
    return f"/xms/v1/{quote(http.username, safe='')}/batches"


def answer(_: Http, reply: Reply, __: int) -> list[Said]:
    """The id of the batch stands for its one message."""
    read = wire.read_json(reply.body) or {}
    if not 200 <= reply.status < 300:
        return [wire.by_status(reply, read.get("code"))]
    carrier_id = wire.id_of(read.get("id"))
    return [Took(carrier_id) if carrier_id else Unsure()]


def lookup(http: Http, secrets: Secrets, sought: Sought) -> Request | None:
    """The summary of a batch; or the batches with our reference, of which there should be one."""
    path = f"{_batches(http)}/{quote(sought.carrier_id, safe='')}/delivery_report?type=summary"
    if not sought.carrier_id:
        path = f"{_batches(http)}?client_reference={quote(sought.reference, safe='')}&page_size=2"
    return Request(path, (("authorization", f"Bearer {secrets.auth}"),), b"", "GET")


def found(_: Http, reply: Reply, sought: Sought) -> Found | None:
    """A batch has one message, hence one status."""
    read = wire.read_json(reply.body) or {}
    if not sought.carrier_id:
        batches = wire.events_of(read, "batches") or []
        ours = [one for one in batches if wire.at(one, "client_reference") == sought.reference]
        carrier_id = wire.id_of(wire.at(ours[0], "id")) if len(ours) == 1 else ""
        return Found(carrier_id) if carrier_id else None
    statuses = wire.events_of(read, "statuses") or []
    if wire.id_of(read.get("batch_id")) != sought.carrier_id or len(statuses) != 1:
        return None
    state = _ENDS.get(wire.word(wire.at(statuses[0], "status")).lower())
    code = wire.word(wire.at(statuses[0], "code"), 20)
    ended = Ended(sought.carrier_id, state, "" if code == "0" else code) if state is not None else None
    return Found(sought.carrier_id, ended)


def verify(_: Http, secrets: Secrets, call: Call, now_s: float) -> bytes | NotGenuine:
    """HMAC over `body.nonce.timestamp`."""
    given, nonce, timestamp = (call.headers.get(_SIGNATURE + name, "") for name in ("", "-nonce", "-timestamp"))
    algorithm = _ALGORITHMS.get(call.headers.get(f"{_SIGNATURE}-algorithm", "HmacSHA256"))
    if not given or not nonce or algorithm is None:
        return NotGenuine.HEADERS
    signed = call.body + f".{nonce}.{timestamp}".encode("utf-8", "replace")
    wanted = [wire.digest(algorithm, secret.encode(), signed, "base64") for secret in secrets.callbacks]
    if not wire.is_any(given, wanted):
        return NotGenuine.SIGNATURE
    return wire.is_late(timestamp, now_s) or f"{nonce}.{timestamp}".encode("utf-8", "replace")


def receipts(_: Http, call: Call) -> list[Ended] | Malformed:
    """The end of one recipient of a batch, hence of a message."""
    read = wire.read_json(call.body)
    if read is None:
        return Malformed("the body is not a JSON object")
    if wire.word(read.get("type")) not in _TYPES:
        return []
    carrier_id, status = wire.id_of(read.get("batch_id")), wire.word(read.get("status"))
    if not carrier_id or not status:
        return Malformed("batch_id or status is missing")
    state = _ENDS.get(status.lower())
    if state is None:
        return []
    code = wire.word(read.get("code"), 20)
    done_at = wire.moment(read.get("operator_status_at")) or wire.moment(read.get("at"))
    number = wire.word(read.get("recipient"), 20)
    return [Ended(carrier_id, state, "" if code == "0" else code, number, done_at=done_at)]


def inbound(_: Http, call: Call) -> list[Written] | Malformed:
    """A text, whole."""
    read = wire.read_json(call.body)
    if read is None:
        return Malformed("the body is not a JSON object")
    if read.get("type") != "mo_text":
        return []
    key, source, destination = (wire.word(read.get(name)) for name in ("id", "from", "to"))
    text = wire.text_of(read.get("body"))
    if not key or not source or not destination or text is None:
        return Malformed("id, from, to or body is missing")
    return [Written(key, source, destination, text)]
