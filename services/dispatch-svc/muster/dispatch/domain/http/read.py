"""A profile as people and tables write it (JSON), read and checked: what is wrong names its field."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from muster.dispatch.domain.http.generic import ENDS, MEANINGS, places
from muster.dispatch.domain.http.model import Adapter, Fields, Generic, Hmac, Http, Lookup, Secrets
from muster.dispatch.domain.http.wire import read_json

_URL_CHARS_MAX: Final = 500
_TEXT_CHARS_MAX: Final = 200
_SECRETS_MAX: Final = 5
_SECRET_CHARS_MIN: Final = 8
_DEPTH_MAX: Final = 8
_TIMEOUT_S: Final = (1.0, 120.0)
_STATUSES: Final = range(400, 600)


class Wrong(NamedTuple):
    """What cannot be, and where."""

    field: str
    why: str


@dataclass(frozen=True, slots=True)
class _Unfit(Exception):
    wrong: Wrong


def read_secrets(text: str) -> Secrets:
    """`{"auth": …, "callbacks": […]}`; any other text is both."""
    read = read_json(text.encode()) or {}
    auth, callbacks = read.get("auth"), read.get("callbacks")
    if isinstance(auth, str) and isinstance(callbacks, list) and len(callbacks) <= _SECRETS_MAX:
        known = tuple(one for one in callbacks if isinstance(one, str) and len(one) >= _SECRET_CHARS_MIN)
        return Secrets(auth, known)
    return Secrets(text, (text,) if len(text) >= _SECRET_CHARS_MIN else ())


def read_http(options: Mapping[str, Any], adapters: Mapping[str, Adapter]) -> Http | Wrong:
    """The profile of an HTTP account."""
    try:
        return _http(options, adapters)
    except _Unfit as unfit:
        return unfit.wrong


def _http(options: Mapping[str, Any], adapters: Mapping[str, Adapter]) -> Http:
    _only(options, Http.__slots__, "")
    adapter = _choice(options, "adapter", tuple(adapters), "")
    described = options.get("generic")
    if (adapter == "generic") != isinstance(described, dict):
        raise _Unfit(Wrong("generic", "describes a carrier of the adapter generic, and no other"))
    generic = _generic(described) if isinstance(described, dict) else None
    base_url, username, is_a = _url(options, "base_url"), _text(options, "username", ""), adapters[adapter].USERNAME
    if is_a and not username:
        raise _Unfit(Wrong("username", f"must be given: {is_a}"))
    return Http(
        adapter=adapter,
        base_url=base_url,
        username=username,
        callback_url=_url(options, "callback_url") if options.get("callback_url") else "",
        response_timeout_s=_seconds(options, "response_timeout_s", 20.0),
        idle_s=_seconds(options, "idle_s", 15.0),
        ask_status=_asks(options, adapters[adapter], generic),
        generic=generic,
    )


def _generic(options: Mapping[str, Any]) -> Generic:
    _only(options, Generic.__slots__, "generic.")
    path, body, not_sent = _path(options, "path", "generic."), options.get("body"), options.get("not_sent", [429])
    if not isinstance(body, dict) or not _is_shallow(body, _DEPTH_MAX):
        raise _Unfit(Wrong("generic.body", "is an object of what is sent, at most eight levels deep"))
    if "text" not in places(body) or not {"to", "to_digits"} & (places(body) | places(path)):
        raise _Unfit(Wrong("generic.body", "has the places {to} or {to_digits}, and {text}: nothing else is sent"))
    if not isinstance(not_sent, list) or not all(type(one) is int and one in _STATUSES for one in not_sent):
        raise _Unfit(Wrong("generic.not_sent", "is a list of HTTP statuses from 400 to 599"))
    return Generic(
        path=path,
        body=body,
        encoding=_choice(options, "encoding", ("json", "form"), "json", "generic."),
        auth=_choice(options, "auth", ("bearer", "basic", "header", "none"), "bearer", "generic."),
        auth_header=_header(options, "auth_header"),
        id=_text(options, "id", "id", "generic."),
        code=_text(options, "code", "code", "generic."),
        codes=_table(options, "codes", MEANINGS),
        not_sent=tuple(not_sent),
        states=_table(options, "states", (*ENDS, "pending")),
        receipt=_fields(options, "receipt"),
        inbound=_fields(options, "inbound"),
        signature=_signature(options.get("signature")),
        status_by_id=_lookup(options, "status_by_id", "{id}"),
        status_by_reference=_lookup(options, "status_by_reference", "{reference}"),
    )


def _asks(options: Mapping[str, Any], adapter: Adapter, generic: Generic | None) -> bool:
    value = options.get("ask_status", False)
    if not isinstance(value, bool):
        raise _Unfit(Wrong("ask_status", "is true or false"))
    if value and not adapter.STATUS:
        raise _Unfit(Wrong("ask_status", "cannot be: this carrier has no look-up of single messages"))
    if value and generic is not None and generic.status_by_id is None and generic.status_by_reference is None:
        raise _Unfit(Wrong("ask_status", "needs generic.status_by_id or generic.status_by_reference"))
    return value


def _lookup(options: Mapping[str, Any], name: str, place: str) -> Lookup | None:
    given, where = options.get(name), f"generic.{name}"
    if given is None:
        return None
    if not isinstance(given, dict):
        raise _Unfit(Wrong(where, "is an object of a path and of paths into its answer"))
    _only(given, Lookup.__slots__, f"{where}.")
    path = _path(given, "path", f"{where}.")
    if path.count(place) != 1:
        raise _Unfit(Wrong(f"{where}.path", f"has {place} once"))
    default = Lookup(path)
    return Lookup(**{slot: _text(given, slot, getattr(default, slot), f"{where}.") for slot in Lookup.__slots__})


def _path(options: Mapping[str, Any], name: str, where: str) -> str:
    path = _text(options, name, "", where)
    if not path.startswith("/") or path.startswith("//") or not path.isascii() or " " in path:
        raise _Unfit(Wrong(where + name, "begins with one slash, in ASCII without spaces"))
    return path


def _fields(options: Mapping[str, Any], name: str) -> Fields:
    given = options.get(name, {})
    if not isinstance(given, dict):
        raise _Unfit(Wrong(f"generic.{name}", "is an object of paths"))
    _only(given, Fields.__slots__, f"generic.{name}.")
    default = Fields()
    return Fields(**{slot: _text(given, slot, getattr(default, slot), f"generic.{name}.") for slot in Fields.__slots__})


def _signature(given: object) -> Hmac | None:
    if given is None:
        return None
    where = "generic.signature"
    if not isinstance(given, dict):
        raise _Unfit(Wrong(where, "is an object, or left out for Standard Webhooks"))
    _only(given, Hmac.__slots__, f"{where}.")
    signed = _text(given, "signed", "{timestamp}.{body}", f"{where}.")
    if signed.count("{body}") != 1 or "{timestamp}" not in signed:
        raise _Unfit(Wrong(f"{where}.signed", "has {timestamp}, and {body} once: what is not signed proves nothing"))
    return Hmac(
        header=_text(given, "header", "", f"{where}.", needed=True).lower(),
        timestamp_header=_text(given, "timestamp_header", "", f"{where}.", needed=True).lower(),
        signed=signed,
        algorithm=_choice(given, "algorithm", ("sha256", "sha384", "sha512"), "sha256", f"{where}."),
        encoding=_choice(given, "encoding", ("hex", "base64"), "hex", f"{where}."),
        prefix=_text(given, "prefix", "", f"{where}."),
    )


def _only(options: Mapping[str, Any], known: tuple[str, ...] | Any, where: str) -> None:
    for name in options:
        if name not in known:
            raise _Unfit(Wrong(f"{where}{name}", f"is not known; known are {', '.join(known)}"))


def _text(options: Mapping[str, Any], name: str, default: str, where: str = "", *, needed: bool = False) -> str:
    value = options.get(name, default)
    if not isinstance(value, str) or len(value) > _TEXT_CHARS_MAX or not value.isprintable() or (needed and not value):
        raise _Unfit(Wrong(where + name, f"is text of at most {_TEXT_CHARS_MAX} characters on one line"))
    return value


def _header(options: Mapping[str, Any], name: str) -> str:
    value = _text(options, name, "", "generic.").lower()
    wanted = options.get("auth") == "header"
    if wanted != bool(value) or not all(one.isascii() and (one.isalnum() or one == "-") for one in value):
        raise _Unfit(Wrong(f"generic.{name}", "is the name of a header, where auth is header"))
    return value


def _choice(options: Mapping[str, Any], name: str, choices: tuple[str, ...], default: str, where: str = "") -> str:
    value = options.get(name, default)
    if value not in choices:
        raise _Unfit(Wrong(where + name, f"is one of {', '.join(choices)}"))
    return str(value)


def _table(options: Mapping[str, Any], name: str, meanings: tuple[str, ...]) -> Mapping[str, str]:
    value = options.get(name, {})
    if not isinstance(value, dict) or not all(one in meanings for one in value.values()):
        raise _Unfit(Wrong(f"generic.{name}", f"is an object of the carrier's words and {', '.join(meanings)}"))
    return {str(word): str(meaning) for word, meaning in value.items()}


def _seconds(options: Mapping[str, Any], name: str, default: float) -> float:
    value, (least, most) = options.get(name, default), _TIMEOUT_S
    if isinstance(value, bool) or not isinstance(value, int | float) or not least <= value <= most:
        raise _Unfit(Wrong(name, f"is a number of seconds from {least:g} to {most:g}"))
    return float(value)


def _url(options: Mapping[str, Any], name: str) -> str:
    """An address with a host; a password in it would be shown wherever it is."""
    value = options.get(name)
    wrong = Wrong(name, "is an http or https address without user, query or fragment")
    if not isinstance(value, str) or len(value) > _URL_CHARS_MAX or not value.isascii() or not value.isprintable():
        raise _Unfit(wrong)
    try:
        read = urlsplit(value)
        host = read.hostname and read.port != 0
    except ValueError:
        raise _Unfit(wrong) from None
    if read.scheme not in ("http", "https") or not host or "@" in value or "?" in value or "#" in value or " " in value:
        raise _Unfit(wrong)
    return value.rstrip("/")


def _is_shallow(value: object, depth: int) -> bool:
    if not depth:
        return False
    inner = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return all(_is_shallow(one, depth - 1) for one in inner)
