"""What an operator decides with the command `muster`, on the running product."""

import asyncio
import json
import os
import subprocess
import sys
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer
from e2e_world import World, eventually

pytestmark = pytest.mark.e2e


def command(world: World, *words: str) -> tuple[int, list[dict[str, Any]]]:
    """The exit code of `muster WORDS --json` for the operator, and its lines."""
    env = {**os.environ, "MUSTER_VAR": str(world.stack.var)}
    program = [sys.executable, "-m", "muster.client", *words, "--json"]
    done = subprocess.run(program, env=env, capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


async def publish(kafka: str, topic: str, value: bytes) -> None:
    """A record that says it is an event."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka)
    await producer.start()
    try:
        await producer.send_and_wait(topic, value, headers=[("ce_type", b"ActRecorded")])
    finally:
        await producer.stop()


def test_an_event_that_nobody_can_apply_is_found_tried_again_and_dropped_from_the_command_line(world: World) -> None:
    letters = ("ops", "dead-letters")
    asyncio.run(publish(world.run["kafka"], "audit", b"\xff\xff"))
    [letter] = eventually(lambda: command(world, *letters, "list", "--service", "tenant")[1])

    assert command(world, *letters, "show", "tenant", letter["id"])[1][0]["type"] == "ActRecorded"
    assert command(world, *letters, "replay", "tenant", letter["id"], "--reason", "is it mended?")[0] == 1
    assert command(world, *letters, "drop", "tenant", letter["id"], "--reason", "never was an event", "--yes")[0] == 0

    assert command(world, *letters, "list", "--service", "tenant") == (0, [])
    code, read = command(world, "ops", "consumers", "--service", "tenant")
    assert code == 0
    assert any(row["topic"] == "audit" and row["next_offset"] > 0 and not row["halted"] for row in read)


def test_a_send_that_waits_is_found_and_ended_from_the_command_line_with_its_reason_kept(world: World) -> None:
    business = world.business(credits=10)
    business.customers(3)
    world.faults(response_delay_ms=5_000)
    bulk_id = business.send()
    business.ask.control(bulk_id, "pause")
    waiting = ("ops", "stuck", "--waits-for", "paused", "--older-than-s", "0")

    assert bulk_id in {row["bulk_id"] for row in eventually(lambda: command(world, *waiting)[1])}
    ended = ("ops", "resolve", business.id, bulk_id, "end", "--reason", "forgotten by everybody", "--yes")
    assert command(world, *ended)[0] == 0

    business.ended(bulk_id)
    assert bulk_id not in {row["bulk_id"] for row in command(world, *waiting)[1]}
    assert command(world, *ended)[0] == 1, "it has ended"
    acts = eventually(lambda: [act for act in business.ask.pages("/v1/audit") if "forgotten" in act["reason"]])
    assert [act["subject_id"] for act in acts] == [bulk_id]
