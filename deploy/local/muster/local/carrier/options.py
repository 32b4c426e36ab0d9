"""Everything the simulator can be told, at its start or (what is `live`) while it runs."""

import argparse
import dataclasses
import os
from dataclasses import dataclass, field
from typing import Any, Final


def _option(default: Any, text: str, *, live: bool = False, choices: tuple[Any, ...] = ()) -> Any:
    return field(default=default, metadata={"help": text, "live": live, "choices": choices})


def _ratio(text: str) -> Any:
    return _option(0.0, f"share (0 to 1) of {text}", live=True)


@dataclass(frozen=True, slots=True)
class CarrierOptions:
    """Ports are 0 for "any free one". Ratios are 0 to 1, decided by seed and number, so that a run can be repeated."""

    host: str = _option("127.0.0.1", "address to listen on, SMPP and control alike")
    port: int = _option(0, "SMPP port; 0 is any free one")
    control_port: int = _option(0, "HTTP control port; 0 is any free one")
    system_id: str = _option("muster", "account that may bind; empty admits every account")
    password: str = field(
        default="secret",
        repr=False,
        metadata={"help": "its password (better given as MUSTER_CARRIER_PASSWORD)", "live": False, "choices": ()},
    )
    seed: int = _option(1, "what decides all chances")
    first_id: int = _option(0, "first message id; 0 takes one from the clock, so that a restart repeats none")
    tls_certificate: str = _option("", "PEM file; with it, SMPP is served over TLS")
    tls_key: str = _option("", "PEM file of its key")
    max_seconds: float = _option(0.0, "end by itself after so long; 0 is never")
    deliver_window: int = _option(2000, "unanswered deliver_sm for each bind")
    response_delay_ms: float = _option(0.0, "from submit_sm to its response", live=True)
    receipt_delay_ms: float = _option(0.0, "from submit_sm to its receipt; below the response's is early", live=True)
    response_loss: float = _ratio("accepted messages that get no response")
    receipt_loss: float = _ratio("receipts that are never sent")
    receipt_duplicate: float = _ratio("receipts that are sent twice")
    receipt_reorder: float = _ratio("receipts that come up to a second later than in their turn")
    throttle_ratio: float = _ratio("submits answered ESME_RTHROTTLED")
    reject_ratio: float = _ratio("numbers whose messages are refused")
    undelivered_ratio: float = _ratio("numbers whose messages end UNDELIV")
    expired_ratio: float = _ratio("numbers whose messages end EXPIRED")
    disconnect_every: int = _option(0, "reset the connection after so many accepted messages; 0 is never", live=True)
    rate_limit: float = _option(0.0, "messages a second, ESME_RTHROTTLED above it; 0 is none", live=True)
    id_format: str = _option("dec", "message ids in responses", live=True, choices=("dec", "hex"))
    receipt_id_format: str = _option("same", "message ids in receipts", live=True, choices=("same", "dec", "hex"))
    receipt_format: str = _option("both", "where a receipt says what", live=True, choices=("tlv", "text", "both"))
    receipt_bind: str = _option(
        "newest", "which bind of the account gets receipts", live=True, choices=("newest", "oldest", "random")
    )
    date_digits: int = _option(10, "digits of the dates in receipts", live=True, choices=(10, 12, 14))


_FIELDS: Final = {item.name: item for item in dataclasses.fields(CarrierOptions)}
LIVE: Final = tuple(name for name, item in _FIELDS.items() if item.metadata["live"])


def live_options(options: CarrierOptions) -> dict[str, Any]:
    """What GET /faults shows."""
    return {name: getattr(options, name) for name in LIVE}


def changed(options: CarrierOptions, changes: dict[str, Any]) -> CarrierOptions:
    """The options with some live ones replaced; ValueError names the first that is unknown or out of range."""
    checked = {name: _checked(name, value) for name, value in changes.items()}
    return dataclasses.replace(options, **checked)


def _checked(name: str, value: Any) -> Any:
    if name not in LIVE:
        raise ValueError(f"{name} is not an option that can be changed; those are {', '.join(LIVE)}")
    default, choices = _FIELDS[name].default, _FIELDS[name].metadata["choices"]
    if choices and value not in choices:
        raise ValueError(f"{name} is one of {', '.join(map(str, choices))}")
    if isinstance(default, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e9:
        raise ValueError(f"{name} is a number from 0")
    if "ratio" in name or "share" in _FIELDS[name].metadata["help"]:
        _check_ratio(name, value)
    return int(value) if isinstance(default, int) else float(value)


def _check_ratio(name: str, value: float) -> None:
    if value > 1:
        raise ValueError(f"{name} is a share from 0 to 1")


def parse(argv: list[str] | None) -> CarrierOptions:
    """Options from command-line words; ends the process with usage on a wrong one."""
    parser = argparse.ArgumentParser(
        prog="muster carrier simulate", description="An SMPP 3.4 carrier with seeded faults and an HTTP control port."
    )
    for name, item in _FIELDS.items():
        parser.add_argument(
            "--" + name.replace("_", "-"),
            type=type(item.default),
            default=os.environ.get("MUSTER_CARRIER_PASSWORD", item.default) if name == "password" else item.default,
            choices=item.metadata["choices"] or None,
            help=item.metadata["help"],
        )
    options = CarrierOptions(**vars(parser.parse_args(argv)))
    try:
        return changed(options, live_options(options))
    except ValueError as wrong:
        parser.error(str(wrong))
