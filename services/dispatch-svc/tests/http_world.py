"""An HTTP carrier for tests: the simulator's dialect, described as an operator would describe it."""

import json
from typing import Any

import dispatch_world as world

from muster.dispatch.settings import DispatchSettings
from muster.local.carrier.server import Carrier

CALLBACK_SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"

SIMULATOR: dict[str, Any] = {
    "path": "/v1/messages",
    "body": {
        "to": "{to}",
        "from": "{from}",
        "text": "{text}",
        "reference": "{reference}",
        "receipts_url": "{receipts_url}",
    },
}


def profile(port: int, **members: Any) -> dict[str, Any]:
    """A profile of the carrier at this port of this machine."""
    given = {"adapter": "generic", "base_url": f"http://127.0.0.1:{port}", "generic": SIMULATOR, "idle_s": 5}
    return {name: value for name, value in {**given, **members}.items() if value is not None}


def settings(carrier: Carrier, *, callback_url: str = "", window: int = 50, **members: Any) -> DispatchSettings:
    """Settings of a sender and of an API for it."""
    http = profile(carrier.http_port, callback_url=callback_url, **members.pop("profile", {}))
    return world.settings(
        carrier_http=json.dumps(http),
        carrier_networks="127.0.0.0/8",
        carrier_window=window,
        carrier_password=json.dumps({"auth": carrier.options.password, "callbacks": [CALLBACK_SECRET]}),
        **members,
    )
