"""Everything the simulator can be told, at its start or (what is `live`) while it runs."""

import argparse
import dataclasses
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

_MOST: Final = 10**9


class OptionError(ValueError):
    """A value that an option cannot have; `field` names the option."""

    def __init__(self, name: str, wrong: str) -> None:
        super().__init__(f"{name} {wrong}")
        self.field = name


def _option(
    default: Any,
    text: str,
    *,
    live: bool = False,
    choices: tuple[Any, ...] = (),
    least: float = 0,
    most: float = _MOST,
    secret: bool = False,
) -> Any:
    known = {"help": text, "live": live, "choices": choices, "least": least, "most": most}
    return field(default=default, metadata=known, repr=not secret)


def _ratio(text: str) -> Any:
    return _option(0.0, f"share (0 to 1) of {text}", live=True, most=1)


@dataclass(frozen=True, slots=True)
class CarrierOptions:
    """Ports are 0 for "any free one". Ratios are 0 to 1, decided by seed and number, so that a run can be repeated."""

    host: str = _option("127.0.0.1", "address to listen on, SMPP and control alike")
    port: int = _option(0, "SMPP port; 0 is any free one", most=65535)
    control_port: int = _option(0, "HTTP control port; 0 is any free one", most=65535)
    http_port: int = _option(-1, "HTTP port for messages; 0 is any free one, -1 serves none", least=-1, most=65535)
    system_id: str = _option("muster", "account that may bind; empty admits every account")
    password: str = _option("secret", "its password (better given as MUSTER_CARRIER_PASSWORD)", secret=True)
    callback_secret: str = _option(
        "", "what HTTP callbacks are signed with, whsec_… or any text; the password if empty", secret=True
    )
    seed: int = _option(
        1, "what decides all chances: the same seed, the same fate of each message", least=-(2**63), most=2**63 - 1
    )
    first_id: int = _option(
        0, "first message id; 0 takes one from the clock, so that a restart repeats none", most=2**63
    )
    tls_certificate: str = _option("", "PEM file; with it, SMPP is served over TLS")
    tls_key: str = _option("", "PEM file of its key")
    max_seconds: float = _option(0.0, "end by itself after so long; 0 is never")
    deliver_window: int = _option(2000, "unanswered deliver_sm for each bind", least=1)
    inbound_url: str = _option("", "where POST /inbound is told by HTTP; by SMPP if empty", live=True)
    response_delay_ms: float = _option(0.0, "from submit_sm to its response", live=True)
    receipt_delay_ms: float = _option(0.0, "from submit_sm to its receipt; below the response's is early", live=True)
    response_loss: float = _ratio("accepted messages that get no response")
    receipt_loss: float = _ratio("receipts that are never sent")
    receipt_duplicate: float = _ratio("receipts that are sent twice")
    receipt_reorder: float = _ratio("receipts that come up to a second later than in their turn")
    receipt_alien: float = _ratio("messages beside whose receipt comes one of somebody else's")
    id_repeat: float = _ratio("messages that get the id of the one before")
    odd_ratio: float = _ratio("answers beside which something comes that nobody asked for")
    garbage_every: int = _option(0, "say what is no PDU after so many accepted messages; 0 is never", live=True)
    query_loss: float = _ratio("query_sm that get no answer")
    throttle_ratio: float = _ratio("submits answered as throttle_status says")
    throttle_status: str = _option(
        "throttled",
        "ESME_RTHROTTLED or ESME_RMSGQFUL, above the rate too",
        live=True,
        choices=("throttled", "queue_full"),
    )
    reject_ratio: float = _ratio("numbers whose messages are refused")
    reject_status: str = _option(
        "number", "why: the number, or a failure of the carrier (SMPP)", live=True, choices=("number", "system")
    )
    undelivered_ratio: float = _ratio("numbers whose messages end UNDELIV")
    expired_ratio: float = _ratio("numbers whose messages end EXPIRED")
    bind_refused: float = _ratio("binds that are refused")
    disconnect_every: int = _option(0, "reset the connection after so many accepted messages; 0 is never", live=True)
    rate_limit: float = _option(0.0, "messages a second, throttled above it; 0 is none", live=True)
    enquire_link_s: float = _option(
        0.0, "ask silent binds with enquire_link so often, drop them after two; 0 is never", live=True
    )
    id_format: str = _option("dec", "message ids in responses", live=True, choices=("dec", "hex"))
    receipt_id_format: str = _option("same", "message ids in receipts", live=True, choices=("same", "dec", "hex"))
    receipt_format: str = _option("both", "where a receipt says what", live=True, choices=("tlv", "text", "both"))
    receipt_bind: str = _option(
        "newest", "which bind of the account gets receipts", live=True, choices=("newest", "oldest", "random")
    )
    date_digits: int = _option(10, "digits of the dates in receipts", live=True, choices=(10, 12, 14))


_FIELDS: Final = {item.name: item for item in dataclasses.fields(CarrierOptions)}
LIVE: Final = tuple(name for name, item in _FIELDS.items() if item.metadata["live"])
# A number has one of these fates.
_FATES: Final = ("reject_ratio", "undelivered_ratio", "expired_ratio")


def live_options(options: CarrierOptions) -> dict[str, Any]:
    """What GET /faults shows."""
    return {name: getattr(options, name) for name in LIVE}


def changed(options: CarrierOptions, changes: Mapping[str, Any]) -> CarrierOptions:
    """The options with some live ones replaced; OptionError names the first that is unknown or out of range."""
    for name in changes:
        if name not in LIVE:
            raise OptionError(name, f"is not an option that can be changed; those are {', '.join(LIVE)}")
    return checked(dataclasses.replace(options, **changes))


def checked(options: CarrierOptions) -> CarrierOptions:
    """The options with each value of the right kind; OptionError names the first that is not."""
    right = {name: _checked(name, getattr(options, name)) for name in _FIELDS}
    if sum(right[name] for name in _FATES) > 1:
        raise OptionError(_FATES[0], f"and {' and '.join(_FATES[1:])} are more than 1 together")
    return CarrierOptions(**right)


def _checked(name: str, value: Any) -> Any:
    default: Any = _FIELDS[name].default
    known = _FIELDS[name].metadata
    if known["choices"]:
        if isinstance(value, bool) or value not in known["choices"]:
            raise OptionError(name, f"is one of {', '.join(map(str, known['choices']))}")
        return type(default)(value)
    if isinstance(default, str):
        if not isinstance(value, str):
            raise OptionError(name, "is text")
        return value
    whole = isinstance(default, int)
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not number or not known["least"] <= value <= known["most"] or (whole and value != int(value)):
        kind = "whole number" if whole else "number"
        raise OptionError(name, f"is a {kind} from {known['least']} to {known['most']}")
    return type(default)(value)


_EPILOG: Final = """\
When it serves, it prints one line of JSON: host, port, http_port, control_port, control_url, pid.

The HTTP port takes messages as JSON: POST /v1/messages, authorization: Bearer <password>,
  {"to": "+614…", "from": "+614…", "text": "Hi", "reference": "…", "receipts_url": "https://…"}
  answers 202 {"id", "parts"}, 400 {"code": "invalid_number"} or 429 {"code": "throttled"}; receipts are POSTed to
  receipts_url as {"id", "status", "error", "to", "from", "at"}, signed as Standard Webhooks ask.

The control port speaks HTTP and JSON:
  GET  /stats       what was counted, with accepted_by_destination (?destinations=0 leaves it out)
  GET  /messages    the last accepted texts, parts joined, and the octets of each (?destination=+614…, ?limit=100)
  GET  /faults      the options marked * as they are now
  PUT  /faults      change some of them: {"throttle_ratio": 0.2, "response_delay_ms": 50}
  POST /inbound     a text from a phone: {"from": "+614…", "to": "+614…", "text": "STOP"}
  POST /disconnect  reset every connection
  POST /pause       take submits, answer nothing; POST /resume sends what was held
  POST /reset       count from zero, forget messages

A message's fate follows from seed, number and attempt alone (and from rate_limit, if there is one): the same seed gives
the same run, whatever the timing.
"""


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Shows defaults, and the epilog as it is written."""


def parse(argv: list[str] | None) -> CarrierOptions:
    """Options from command-line words; ends the process with usage on a wrong one."""
    parser = argparse.ArgumentParser(
        prog="muster carrier simulate",
        description="An SMPP 3.4 carrier to test against: seeded faults, and an HTTP control port.",
        epilog=_EPILOG,
        formatter_class=_Help,
    )
    start = parser.add_argument_group("at the start")
    live = parser.add_argument_group("faults and habits (* can be changed while it runs)")
    for name, item in _FIELDS.items():
        group = live if item.metadata["live"] else start
        group.add_argument(
            "--" + name.replace("_", "-"),
            type=type(item.default),
            default=argparse.SUPPRESS if name == "password" else item.default,
            choices=item.metadata["choices"] or None,
            metavar=None if item.metadata["choices"] else type(item.default).__name__.upper(),
            help=("* " if item.metadata["live"] else "") + item.metadata["help"],
        )
    words = vars(parser.parse_args(argv))
    words.setdefault("password", os.environ.get("MUSTER_CARRIER_PASSWORD", CarrierOptions().password))
    try:
        return checked(CarrierOptions(**words))
    except OptionError as wrong:
        parser.error(f"--{wrong}".replace(wrong.field, wrong.field.replace("_", "-"), 1))
