"""Processes: alive means that the loop turns, ready that all parts are, and the end is ordered and bounded."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from muster.kit.testing import eventually

PROGRAM = Path(__file__).with_name("program.py")


class Child:
    """A process of the kit, and what it said so far."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        assert process.stdout
        assert process.stderr
        self.out, self._err = process.stdout, process.stderr

    async def line(self) -> list[str]:
        return (await asyncio.wait_for(self.out.readline(), 120)).decode().split()

    async def ready(self) -> str:
        """The address of health and metrics."""
        word, port = await self.line()
        assert word == "ready"
        return f"http://127.0.0.1:{port}"

    async def end(self, number: signal.Signals | None = None) -> tuple[int, list[str], str]:
        """(exit code, what it said, its log), after a signal."""
        if number is not None:
            self.process.send_signal(number)
        out, err = await asyncio.wait_for(asyncio.gather(self.out.read(), self._err.read()), 120)
        return await self.process.wait(), out.decode().splitlines(), err.decode()

    def type_return(self) -> None:
        assert self.process.stdin
        self.process.stdin.write(b"\n")


@pytest.fixture
async def start() -> AsyncIterator[Callable[..., Any]]:
    children: list[Child] = []

    async def make(kind: str, **env: str) -> Child:
        settings = {"MUSTER_METRICS_PORT": "0", "MUSTER_HTTP_PORT": "0", **env}
        pipe = asyncio.subprocess.PIPE
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, str(PROGRAM), kind),
            env={**os.environ, **settings},
            stdin=pipe,
            stdout=pipe,
            stderr=pipe,
        )
        children.append(Child(process))
        return children[-1]

    yield make
    for child in children:
        if child.process.returncode is None:
            child.process.kill()
            await child.process.wait()
        assert child.process.stdin
        child.process.stdin.close()


async def get(url: str) -> tuple[int, str]:
    async with httpx.AsyncClient(trust_env=False, timeout=120) as client:
        answer = await client.get(url)
        return answer.status_code, answer.text


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_a_signal_ends_the_parts_last_started_first(start: Any, number: signal.Signals) -> None:
    child = await start("parts")
    await child.ready()
    code, said, _ = await child.end(number)
    assert (code, said) == (0, ["closed consumer", "ended relay", "closed database"])


async def test_what_was_begun_last_can_be_ended_while_the_process_lives_on(start: Any) -> None:
    child = await start("unwinding")
    assert [await child.line() for _ in range(3)] == [["ended", "relay"], ["closed", "account"], ["lives"]]
    await child.ready()
    code, said, _ = await child.end(signal.SIGTERM)
    assert (code, said) == (0, ["ended the next relay", "closed database"])


async def test_a_part_that_is_asked_to_end_does_so_and_one_that_does_not_listen_is_cut_short(start: Any) -> None:
    child = await start("gentle")
    await child.ready()
    code, said, log = await child.end(signal.SIGTERM)
    assert (code, said) == (0, ["ended after the batch in hand", "asked in vain", "ended deaf"])
    assert '"process.part_cut_short"' in log


async def test_health_and_metrics_are_served_and_nothing_else(start: Any) -> None:
    child = await start("parts")
    url = await child.ready()
    assert await get(f"{url}/health/live") == (200, "alive\n")
    assert await get(f"{url}/health/ready") == (200, "ready\n")
    status, text = await get(f"{url}/metrics")
    assert status == 200
    assert 'muster_parts_alive{part="relay"} 1.0' in text
    assert (await get(f"{url}/"))[0] == 404
    async with httpx.AsyncClient(trust_env=False) as client:
        assert (await client.post(f"{url}/metrics")).status_code == 405


async def test_a_process_whose_loop_stands_still_is_not_alive(start: Any) -> None:
    child = await start("stalling")
    url = await child.ready()
    assert (await get(f"{url}/health/live"))[0] == 200
    child.type_return()
    assert await child.line() == ["stalled"]
    asked = asyncio.create_task(get(f"{url}/health/live"))
    assert not (await asyncio.wait((asked,), timeout=2.1))[0]  # a heartbeat a second, and a second late
    child.type_return()
    assert await asked == (200, "alive\n")

    async def stall_is_counted() -> bool:
        return "muster_loop_stalls_total 1.0" in (await get(f"{url}/metrics"))[1]

    await eventually(stall_is_counted)


@pytest.mark.parametrize("kind", ["dying", "returning"])
async def test_the_death_of_a_part_ends_the_process_and_says_so(start: Any, kind: str) -> None:
    child = await start(kind)
    await child.ready()
    child.type_return()
    code, _, log = await child.end()
    assert code == 1
    assert '"process.part_died"' in log
    assert '"part": "consumer"' in log
    assert "61400" not in log


async def test_a_main_that_fails_is_exit_1_and_one_that_returns_is_exit_0(start: Any) -> None:
    code, _, log = await (await start("broken")).end()
    assert code == 1
    assert "cannot start" in log
    code, said, _ = await (await start("done")).end()
    assert (code, said) == (0, ["done"])


async def test_a_taken_metrics_port_is_exit_1_with_the_reason(start: Any) -> None:
    child = await start("parts")
    port = (await child.ready()).rpartition(":")[2]
    code, _, log = await (await start("parts", MUSTER_METRICS_PORT=port)).end()
    assert code == 1
    assert "process.not_started" in log


async def test_a_part_that_blocks_the_end_for_good_does_not_keep_the_process(start: Any) -> None:
    child = await start("hanging", MUSTER_STOP_S_MAX="0.5")
    await child.ready()
    code, _, log = await child.end(signal.SIGTERM)
    assert code == 1
    assert "process.stop_overdue" in log


async def test_tasks_and_threads_that_a_library_left_behind_do_not_keep_the_process(start: Any) -> None:
    child = await start("leaving")
    await child.ready()
    code, _, log = await child.end(signal.SIGTERM)
    assert code == 0
    assert "process.stopped" in log


async def test_requests_in_flight_are_finished_before_the_end(start: Any) -> None:
    child = await start("http")
    word, port = await child.line()
    assert word == "http"
    await child.ready()
    asked = asyncio.create_task(get(f"http://127.0.0.1:{port}/slow"))
    assert await child.line() == ["asked"]
    code, _, _ = await child.end(signal.SIGTERM)
    assert (await asked, code) == ((200, '"whole"'), 0)


async def test_a_request_that_never_ends_does_not_keep_the_process(start: Any) -> None:
    child = await start("http", MUSTER_HTTP_STOP_S_MAX="3")
    _, port = await child.line()
    await child.ready()
    asked = asyncio.create_task(get(f"http://127.0.0.1:{port}/endless"))
    assert await child.line() == ["asked"]
    code, _, _ = await child.end(signal.SIGTERM)
    (outcome,) = await asyncio.gather(asked, return_exceptions=True)
    assert code == 0
    assert isinstance(outcome, httpx.HTTPError) or outcome[0] >= 500


async def test_a_worker_imports_no_web_framework_and_nothing_that_draws() -> None:
    modules = "process, service, repeat, outbox, relay, consumer, producer, audit, settings, observe, metrics, desk"
    unwanted = "('fastapi', 'uvicorn', 'rich')"
    script = f"import sys; from muster.kit import {modules}; print([m for m in sys.modules if m in {unwanted}])"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", script, stdout=asyncio.subprocess.PIPE)
    out, _ = await process.communicate()
    assert out.decode().strip() == "[]"
