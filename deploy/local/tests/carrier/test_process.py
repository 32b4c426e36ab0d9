"""The simulator as a program."""

import asyncio
import json
import signal
import sys
from typing import Any

import pytest

from muster.local.carrier.options import parse
from muster.smpp import Accepted, Session, SessionOptions

from .conftest import Phonebook, messages


async def _start(*words: str, **environment: str) -> tuple[asyncio.subprocess.Process, dict[str, Any]]:
    program = [sys.executable, "-W", "error", "-m", "muster.local.carrier", "--max-seconds", "200", *words]
    process = await asyncio.create_subprocess_exec(*program, stdout=asyncio.subprocess.PIPE, env=environment or None)
    assert process.stdout is not None
    return process, json.loads(await process.stdout.readline())


async def test_it_says_its_ports_serves_and_ends_in_order_when_told() -> None:
    process, ready = await _start(MUSTER_CARRIER_PASSWORD="from the environment")
    book = Phonebook()
    options = SessionOptions("muster", "from the environment")
    session = await Session.connect("127.0.0.1", ready["port"], options, on_deliver=book.on_deliver)

    outcomes = await session.submit(messages(50))

    assert all(isinstance(outcome, Accepted) for outcome in outcomes)
    assert len(await book.receipts(50)) == 50
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 120) == 0
    assert await asyncio.wait_for(session.closed, 120) == "connection lost"


async def test_it_ends_by_itself_after_max_seconds() -> None:
    process, _ = await _start("--max-seconds", "0.2")

    assert await asyncio.wait_for(process.wait(), 60) == 0


def test_words_become_options() -> None:
    options = parse(["--port", "2775", "--throttle-ratio", "0.5", "--id-format", "hex", "--date-digits", "12"])

    assert (options.port, options.throttle_ratio, options.id_format, options.date_digits) == (2775, 0.5, "hex", 12)


@pytest.mark.parametrize(
    "words", [["--throttle-ratio", "2"], ["--id-format", "octal"], ["--port", "x"], ["--nonsense"]]
)
def test_wrong_words_end_it_with_usage(words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(words)

    assert end.value.code == 2
    assert "usage: muster carrier simulate" in capsys.readouterr().err


async def test_a_port_that_is_taken_is_told_in_a_line() -> None:
    process, ready = await _start()
    program = [sys.executable, "-m", "muster.local.carrier", "--port", str(ready["port"])]

    other = await asyncio.create_subprocess_exec(*program, stderr=asyncio.subprocess.PIPE)
    _, said = await asyncio.wait_for(other.communicate(), 120)

    assert other.returncode == 1
    assert said.startswith(b"muster carrier simulate: ")
    assert said.count(b"\n") == 1
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 120) == 0


def test_help_says_what_each_option_is_for_and_what_the_control_port_takes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as end:
        parse(["--help"])

    said = capsys.readouterr().out
    assert end.value.code == 0
    assert "POST /inbound" in said
    assert "MUSTER_CARRIER_PASSWORD" in said
    assert "default: secret" not in said
