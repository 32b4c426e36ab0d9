"""The simulator as a program."""

import asyncio
import json
import os
import signal
from collections.abc import Coroutine
from typing import Any

from muster.local.carrier.options import CarrierOptions, parse
from muster.local.carrier.server import Carrier


async def _serve(options: CarrierOptions) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for name in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(name, stop.set)
    async with Carrier(options) as carrier:
        ready = {"host": options.host, "port": carrier.port, "control_port": carrier.control_port, "pid": os.getpid()}
        ready["http_port"] = carrier.http_port
        ready["control_url"] = f"http://{options.host}:{carrier.control_port}"
        print(json.dumps(ready), flush=True)
        try:
            async with asyncio.timeout(options.max_seconds or None):
                await stop.wait()
        except TimeoutError:
            return


def run_carrier(options: CarrierOptions) -> None:
    """Serve until SIGTERM, SIGINT or `max_seconds`; prints one JSON line with the ports when ready. A port that is
    taken or a certificate that cannot be read ends the process with the reason."""
    try:
        _run(_serve(options))
    except OSError as error:
        raise SystemExit(f"muster carrier simulate: {error}") from error


def _run(main_task: Coroutine[Any, Any, None]) -> None:
    try:
        import uvloop
    except ImportError:
        asyncio.run(main_task)
        return
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(main_task)


def main(argv: list[str] | None = None) -> None:
    """The command line."""
    run_carrier(parse(argv))
