"""Starts the product, uses it and ends it: the command line of `python -m muster.local`."""

import argparse
import asyncio
import os
import select
import signal
import sys
import threading
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import httpx

from muster.local import seed
from muster.local.process import Command, PartError, die_with_parent, spawn, stop
from muster.local.programs import module
from muster.local.stack import Stack
from muster.local.var import InUseError, folder, read_json

# The account of the simulator, and one that an operator adds.
_SENDERS = 2


def say(line: str) -> None:
    """Print a line at once; nothing if whoever read our output has gone, which is no reason to end.

    A closed pipe and a closed terminal answer with different errors.
    """
    try:
        print(line, flush=True)
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


async def run(stack: Stack, use: Callable[[Stack, asyncio.Event], Awaitable[int]]) -> int:
    """Start the stack, `use` it until that returns or a signal comes, end everything; the exit code."""
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, stopping.set)
    _when_the_terminal_closes(lambda: loop.call_soon_threadsafe(stopping.set))
    work = asyncio.create_task(_start_and_use(stack, use, stopping))
    signalled = asyncio.create_task(stopping.wait())
    await asyncio.wait({work, signalled}, return_when=asyncio.FIRST_COMPLETED)
    signalled.cancel()
    if not work.done():
        say("\nending …")
        work.cancel()
    try:
        return await work
    except asyncio.CancelledError:
        return 0
    except (PartError, InUseError, httpx.HTTPError) as error:
        say(f"\n{error}")
    except OSError as error:
        say(f"\ncannot go on: {error}")
    return 1


def _when_the_terminal_closes(act: Callable[[], object]) -> None:
    """Call `act`, in a thread, once our terminal is gone; never where we have none.

    SIGHUP reaches the leader of the session alone. That is make where no shell is between (`ssh -t host make run`),
    and make waits for us without passing it on.
    """
    terminal = next((fd for fd in (0, 1, 2) if os.isatty(fd)), None)
    if terminal is None:
        return
    hangup = select.poll()
    hangup.register(terminal, 0)  # no reading: that would stop us where we are in the background

    def wait() -> None:
        hangup.poll()
        act()

    threading.Thread(target=wait, daemon=True).start()


async def _start_and_use(
    stack: Stack, use: Callable[[Stack, asyncio.Event], Awaitable[int]], stopping: asyncio.Event
) -> int:
    begun = time.monotonic()
    say(f"starting Muster in {stack.var}")
    async with stack:
        say(f"everything runs after {time.monotonic() - begun:.0f} s")
        return await use(stack, stopping)


async def leave_running(stack: Stack, stopping: asyncio.Event) -> int:
    """Print where everything is and wait."""
    say(welcome(stack.run, stack.var, seed.read(stack.var).get("first_admin_url")))
    await stopping.wait()
    return 0


async def demonstrate(stack: Stack, _: asyncio.Event) -> int:
    """Run the demo on this terminal, in a process of its own; its exit code."""
    command = Command(module("muster.local", "demo-script"), death_signal=signal.SIGTERM)
    process = spawn(command, log=None)
    try:
        return await asyncio.to_thread(process.wait)
    finally:
        stop(process, signal.SIGTERM, limit_s=1.0)


def demo_script(var: Path) -> int:
    """The demo against what runs in `var`."""
    from muster.local.demo import main as demo

    code: int = demo(read_json(var / "run.json", {}), var)
    return code


def welcome(content: dict[str, Any], var: Path, first_admin_url: str | None) -> str:
    """What a user needs to begin. `first_admin_url` is None once somebody has taken it."""
    lines = [f"  Muster    {content['url']}", f"  e-mail    {content['mail_url']}"]
    lines += [f"  carrier   {content['carrier']['control_url']}/stats"]
    lines += [
        f"  tenant    {tenant['name']}, id {tenant['id']}, client_id {tenant['client_id']}"
        for tenant in content["tenants"]
    ]
    if first_admin_url:
        lines.append(f"  begin     {first_admin_url}  (once: it makes you an admin of {content['tenants'][0]['name']})")
    lines += [f"  sign in   {user['email']}, {user['role']}" for user in content["users"]]
    lines += [f"  secrets   {var / 'run.json'}", f"  logs      {var / 'log'}", "Ctrl-C ends it."]
    return "\n".join(lines)


def main() -> int:
    """The command line; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m muster.local", description=__doc__)
    parser.add_argument("command", choices=("run", "demo", "demo-script"))
    parser.add_argument("--end-with-parent", action="store_true", help="end in order when the caller is gone (Linux)")
    arguments = parser.parse_args()
    if arguments.end_with_parent:
        die_with_parent(signal.SIGTERM)
    var = folder()
    match arguments.command:
        case "run":
            return asyncio.run(run(Stack(var, say=say, senders=_SENDERS), leave_running))
        case "demo":
            return asyncio.run(run(Stack(var, say=say), demonstrate))
        case _:
            return demo_script(var)
