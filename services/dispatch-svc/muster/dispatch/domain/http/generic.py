"""A carrier that is described by configuration: JSON or a form in, JSON out, callbacks in JSON.

Signatures are those of Standard Webhooks, unless the profile describes an HMAC of the carrier's own.
"""

import json
import re
from datetime import UTC
from typing import Final
from urllib.parse import quote, urlencode

from muster.dispatch.domain.http import wire
from muster.dispatch.domain.http.model import (
    Busy,
    Call,
    Ended,
    Fields,
    Found,
    Generic,
    Hmac,
    Http,
    Lookup,
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
    Unsure,
    Written,
)
from muster.dispatch.domain.receipts import Receipt

REFERENCE: Final = "https://github.com/standard-webhooks/standard-webhooks/blob/main/spec/standard-webhooks.md"
STATUS: Final = "the profile's own status_by_id and status_by_reference"
USERNAME: Final = ""

MEANINGS: Final = ("accepted", "rejected", "not_sent", "unknown")
ENDS: Final = {
    "delivered": Receipt.DELIVERED,
    "undelivered": Receipt.UNDELIVERED,
    "expired": Receipt.EXPIRED,
    "rejected": Receipt.REJECTED,
}
PLACES: Final = (
    *("to", "to_digits", "from", "text", "parts", "reference", "valid_s", "valid_until", "receipts_url", "username"),
)
_PLACE: Final = re.compile(r"\{(" + "|".join(PLACES) + r")\}")


def profile(http: Http) -> Generic:
    """The description; an account without one is a bug of whoever made it."""
    assert http.generic is not None
    return http.generic


def request(http: Http, secrets: Secrets, message: Message) -> Request:
    """The profile's template with the message in its places."""
    generic = profile(http)
    values: dict[str, object] = {
        "to": message.number,
        "to_digits": message.number.removeprefix("+"),
        "from": message.sender,
        "text": message.text,
        "parts": message.parts,
        "reference": message.reference,
        "valid_s": message.valid_s,
        "valid_until": message.valid_until.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ"),
        "receipts_url": message.receipts_url,
        "username": http.username,
    }
    body = filled(generic.body, values)
    if generic.encoding == "form":
        assert isinstance(body, dict)
        kind, octets = "application/x-www-form-urlencoded", urlencode(body).encode()
    else:
        kind, octets = "application/json", json.dumps(body).encode()
    headers = (("content-type", kind), *_authorization(generic, http.username, secrets.auth))
    in_path: dict[str, object] = {name: quote(str(value), safe="") for name, value in {**values, "text": ""}.items()}
    return Request(str(filled(generic.path, in_path)), headers, octets)


def filled(template: object, values: dict[str, object]) -> object:
    """The template with its places filled, each once: what is put in is not looked at again. A place that is a whole
    value keeps its kind, so that `{parts}` is a number."""
    if isinstance(template, str):
        whole = _PLACE.fullmatch(template)
        return values[whole[1]] if whole else _PLACE.sub(lambda found: str(values[found[1]]), template)
    if isinstance(template, dict):
        return {name: filled(value, values) for name, value in template.items()}
    return [filled(value, values) for value in template] if isinstance(template, list) else template


def places(template: object) -> frozenset[str]:
    """The places that are in a template."""
    if isinstance(template, str):
        return frozenset(_PLACE.findall(template))
    inner = template.values() if isinstance(template, dict) else template if isinstance(template, list) else ()
    return frozenset[str]().union(*map(places, inner))


def _authorization(generic: Generic, username: str, secret: str) -> tuple[tuple[str, str], ...]:
    match generic.auth:
        case "basic":
            return (("authorization", wire.basic(username, secret)),)
        case "bearer":
            return (("authorization", f"Bearer {secret}"),)
        case "header":
            return ((generic.auth_header, secret),)
        case _:
            return ()


def answer(http: Http, reply: Reply, _: int) -> list[Said]:
    """By the profile's table of codes, else by the HTTP status."""
    generic, read = profile(http), wire.read_json(reply.body)
    code = wire.word(wire.at(read, generic.code)) if generic.code else ""
    carrier_id = wire.id_of(wire.at(read, generic.id))
    fine = 200 <= reply.status < 300
    match generic.codes.get(code, "accepted" if fine else ""):
        case "accepted":
            return [Took(carrier_id) if fine and carrier_id else Unsure()]
        case "rejected":
            return [Refused(wire.code_of(code, reply.status))]
        case "not_sent":
            return [Busy(wire.retry_after_s(reply))]
        case "unknown":
            return [Unsure()]
        case _:
            return [wire.by_status(reply, code, generic.not_sent)]


def lookup(http: Http, secrets: Secrets, sought: Sought) -> Request | None:
    """GET, as the profile describes it."""
    generic = profile(http)
    described = _lookup_of(generic, sought)
    if described is None:
        return None
    words = {"{id}": sought.carrier_id, "{reference}": sought.reference}
    path = described.path
    for place, word in words.items():
        path = path.replace(place, quote(word, safe=""))
    return Request(path, _authorization(generic, http.username, secrets.auth), b"", "GET")


def _lookup_of(generic: Generic, sought: Sought) -> Lookup | None:
    return generic.status_by_id if sought.carrier_id else generic.status_by_reference


def found(http: Http, reply: Reply, sought: Sought) -> Found | None:
    """The one event that is about this message: an answer that names another is no answer."""
    generic = profile(http)
    described = _lookup_of(generic, sought)
    if described is None:
        return None
    events = wire.events_of(wire.read_json(reply.body), described.events) or []
    about = [event for event in events if _is_about(described, event, sought)]
    if len(about) != 1:
        return None
    carrier_id = wire.id_of(wire.at(about[0], described.id))
    state = wire.word(wire.at(about[0], described.state))
    end = ENDS.get(generic.states.get(state, state))
    if not carrier_id or end is None:
        return Found(carrier_id) if carrier_id else None
    error = wire.word(_at(about[0], described.error), 20)
    return Found(carrier_id, Ended(carrier_id, end, error, done_at=wire.moment(_at(about[0], described.at))))


def _is_about(described: Lookup, event: object, sought: Sought) -> bool:
    if sought.carrier_id:
        return wire.id_of(wire.at(event, described.id)) == sought.carrier_id
    return wire.word(wire.at(event, described.reference)) == sought.reference


def verify(http: Http, secrets: Secrets, call: Call, now_s: float) -> bytes | NotGenuine:
    """Standard Webhooks, or the profile's HMAC."""
    described = profile(http).signature
    if described is None:
        return wire.standard_webhook(secrets.callbacks, call.headers, call.body, now_s)
    return _verify_hmac(described, secrets, call, now_s)


def _verify_hmac(described: Hmac, secrets: Secrets, call: Call, now_s: float) -> bytes | NotGenuine:
    timestamp, given = call.headers.get(described.timestamp_header, ""), call.headers.get(described.header, "")
    late = wire.is_late(timestamp, now_s)
    if late is NotGenuine.HEADERS or not given:
        return NotGenuine.HEADERS
    before, _, after = described.signed.replace("{timestamp}", timestamp).partition("{body}")
    signed = before.encode() + call.body + after.encode()
    wanted = [
        described.prefix + wire.digest(described.algorithm, wire.key_of(secret), signed, described.encoding)
        for secret in secrets.callbacks
    ]
    if not wire.is_any(given, wanted):
        return NotGenuine.SIGNATURE
    return late or f"{timestamp}.{given}".encode()


def receipts(http: Http, call: Call) -> list[Ended] | Malformed:
    """One event, or each of a list; one that cannot be read makes the whole call unreadable."""
    generic = profile(http)
    events = wire.events_of(wire.read_json(call.body), generic.receipt.events)
    if events is None:
        return Malformed(f"{generic.receipt.events} is no list, or too long")
    found = []
    for event in events:
        read = _ended(generic, event)
        if isinstance(read, Malformed):
            return read
        if read is not None:
            found.append(read)
    return found


def _ended(generic: Generic, event: object) -> Ended | Malformed | None:
    fields = generic.receipt
    carrier_id, state = wire.id_of(wire.at(event, fields.id)), wire.word(wire.at(event, fields.state))
    if not carrier_id or not state:
        return Malformed(f"{fields.id} or {fields.state} is missing")
    end = ENDS.get(generic.states.get(state, state))
    if end is None:
        return None
    error, number, sender = (wire.word(_at(event, path), 20) for path in (fields.error, fields.number, fields.sender))
    return Ended(carrier_id, end, error, number, sender, wire.moment(_at(event, fields.at)))


def _at(event: object, path: str) -> object:
    return wire.at(event, path) if path else None


def inbound(http: Http, call: Call) -> list[Written] | Malformed:
    """One event, or each of a list."""
    fields = profile(http).inbound
    events = wire.events_of(wire.read_json(call.body), fields.events)
    if events is None:
        return Malformed(f"{fields.events} is no list, or too long")
    read = [_written(fields, event) for event in events]
    wrong = next((one for one in read if isinstance(one, Malformed)), None)
    return wrong or [one for one in read if isinstance(one, Written)]


def _written(fields: Fields, event: object) -> Written | Malformed:
    paths = (fields.id, fields.sender, fields.number)
    key, source, destination = (wire.word(wire.at(event, path)) for path in paths)
    text = wire.text_of(wire.at(event, fields.text))
    if not key or not source or not destination or text is None:
        return Malformed(f"{', '.join(paths)} or {fields.text} is missing")
    return Written(key, source, destination, text)
