"""An HTTP carrier for tests: the simulator's dialect, described as an operator would describe it."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast
from unittest.mock import AsyncMock, Mock

import dispatch_world as world
import uvicorn

from muster.dispatch.failpoint import Failpoint
from muster.dispatch.sender.http_link import HttpLink
from muster.dispatch.sender.link import Ears
from muster.dispatch.sender.rate import Rate
from muster.dispatch.sender.shared import Shared
from muster.dispatch.settings import DispatchSettings
from muster.kit import clock
from muster.kit.pg import Database
from muster.kit.server import Server
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


def plug() -> socket.socket:
    """A port of this machine, listening."""
    found = socket.socket()
    found.bind(("127.0.0.1", 0))
    found.listen()
    return found


@asynccontextmanager
async def serving(app: Any, at: socket.socket) -> AsyncIterator[str]:
    """An app at a port; its URL."""
    with at:
        server = Server(uvicorn.Config(app, log_config=None, lifespan="off"))
        running = asyncio.ensure_future(server.serve([at]))
        yield f"http://127.0.0.1:{at.getsockname()[1]}"
        await server.stop()
        await running


@asynccontextmanager
async def link(base_url: str, networks: str = "127.0.0.0/8") -> AsyncIterator[HttpLink]:
    """A link that connects, of a sender that has nothing to send."""
    given = {**profile(0), "base_url": base_url}
    conf = world.settings(carrier_http=json.dumps(given), carrier_networks=networks, carrier_window=1)
    shared = Shared(
        db=cast(Database, None),  # a link may not look at it
        settings=conf,
        account=conf.account(),
        rate=Rate(0, clock.monotonic()),
        failpoint=Failpoint(""),
    )
    found = HttpLink(shared, Ears(AsyncMock(), AsyncMock(), Mock(), Mock()))
    running = asyncio.ensure_future(found.run())
    try:
        yield found
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
