"""A process of the kit for tests: what it does is its first argument. Prints its ports when it is ready."""

import asyncio
import sys
import threading
import time
from contextlib import suppress

from muster.kit import process as kit_process
from muster.kit.process import Process, run, serve_http
from muster.kit.settings import ServiceSettings, load


def say(*words: object) -> None:
    sys.stdout.write(" ".join(map(str, words)) + "\n")
    sys.stdout.flush()


async def forever(name: str) -> None:
    try:
        await asyncio.Event().wait()
    finally:
        say("ended", name)


async def until(process: Process[ServiceSettings]) -> None:
    process.ready()
    say("ready", process.health_port)
    await process.stopped()


async def parts(process: Process[ServiceSettings]) -> None:
    async def close(name: str) -> None:
        say("closed", name)

    process.on_stop(lambda: close("database"))
    process.supervise("relay", forever("relay"))
    process.on_stop(lambda: close("consumer"))
    await until(process)


async def unwinding(process: Process[ServiceSettings]) -> None:
    """Ends what it began last, and lives on."""

    async def close(name: str) -> None:
        say("closed", name)

    process.on_stop(lambda: close("database"))
    mark = process.mark
    process.on_stop(lambda: close("account"))
    process.supervise("relay", forever("relay"))
    process.ready()
    await asyncio.sleep(0)
    await process.unwind(mark)
    say("lives" if process.is_ready else "ends")
    process.supervise("relay", forever("the next relay"))
    await until(process)


async def gentle(process: Process[ServiceSettings]) -> None:
    """One part that ends when it is asked to, and one that does not listen."""
    asked = asyncio.Event()

    async def batches() -> None:
        await asked.wait()
        await asyncio.sleep(0.05)
        say("ended after the batch in hand")

    async def ask() -> None:
        asked.set()

    async def in_vain() -> None:
        say("asked in vain")

    kit_process._GRACE_S = 2.0
    process.supervise("deaf", forever("deaf"), stop=in_vain)
    process.supervise("batches", batches(), stop=ask)
    await until(process)


async def dying(process: Process[ServiceSettings]) -> None:
    async def die() -> None:
        await asyncio.to_thread(sys.stdin.readline)
        raise RuntimeError("+61400000000")

    process.supervise("consumer", die())
    await until(process)


async def returning(process: Process[ServiceSettings]) -> None:
    async def end() -> None:
        await asyncio.to_thread(sys.stdin.readline)

    process.supervise("consumer", end())
    await until(process)


async def hanging(process: Process[ServiceSettings]) -> None:
    async def hang() -> None:
        time.sleep(600)  # noqa: ASYNC251 - a part that blocks the loop for good

    process.on_stop(hang)
    await until(process)


async def leaving(process: Process[ServiceSettings]) -> None:
    """A thread and a task of a library that never end."""

    async def stay() -> None:
        while True:
            with suppress(asyncio.CancelledError):
                await asyncio.sleep(600)

    threading.Thread(target=threading.Event().wait).start()
    theirs = asyncio.ensure_future(stay())
    await until(process)
    assert not theirs.done()


async def stalling(process: Process[ServiceSettings]) -> None:
    """Blocks the loop from one line of standard input to the next."""

    async def stall() -> None:
        await asyncio.to_thread(sys.stdin.readline)
        say("stalled")
        sys.stdin.readline()  # on the loop itself
        await asyncio.Event().wait()

    process.supervise("consumer", stall())
    await until(process)


async def broken(process: Process[ServiceSettings]) -> None:
    raise RuntimeError("cannot start")


async def done(process: Process[ServiceSettings]) -> None:
    say("done")


async def http(process: Process[ServiceSettings]) -> None:
    from fastapi import APIRouter

    from muster.kit.auth import public
    from muster.kit.http import create_app

    router = APIRouter()

    @router.get("/endless")
    @public
    async def endless() -> None:
        say("asked")
        await asyncio.Event().wait()

    @router.get("/slow")
    @public
    async def slow() -> str:
        say("asked")
        await asyncio.sleep(0.5)
        return "whole"

    app = create_app("kit", routers=[router], state={"settings": process.settings})
    say("http", serve_http(process, app, load(ServiceSettings)))
    await until(process)


if __name__ == "__main__":
    run(globals()[sys.argv[1]], load(ServiceSettings))
