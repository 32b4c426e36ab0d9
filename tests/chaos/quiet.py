"""Waiting until nothing is on its way any more, and what must hold then."""

import time
from collections.abc import Mapping
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition

from chaos.nemesis import DATABASES, Chaos, must
from muster.client.commands.laws import settled_laws
from muster.client.laws import LAWS

QUIET_S = 180.0
LAWS_S = 60.0
_OPEN = """
SELECT (SELECT count(*) FROM saga WHERE state NOT IN ('closed', 'refused')) AS sends,
    (SELECT count(*) FROM attempt WHERE state <> 2) AS attempts,
    (SELECT count(*) FROM saga WHERE account_version > settled_version) AS unsettled
"""
_RESERVED = "SELECT count(*) AS n FROM reservation WHERE answer = 'reserved' AND NOT closed"
_KNOWN = "SELECT bulk_id::text FROM saga WHERE bulk_id = ANY($1::text[]::uuid[])"


def wait_until_quiet(chaos: Chaos, within_s: float = QUIET_S) -> float:
    """Until outboxes are empty, groups have read everything and every send has ended; how long that took."""
    began = time.monotonic()
    while busy := on_its_way(chaos):
        must(time.monotonic() - began < within_s, f"still on its way after {within_s:g} s: {busy}")
        time.sleep(0.25)
    return time.monotonic() - began


def on_its_way(chaos: Chaos) -> dict[str, Any]:
    """What there still is, by name; nothing when all is quiet."""
    found: dict[str, Any] = {}
    for database in DATABASES:
        found[f"{database} outbox"] = chaos.sql(database, "SELECT count(*) AS n FROM outbox")[0]["n"]
    found |= chaos.sql("dispatch", _OPEN)[0]
    found["unheard"] = len(chaos.bulks - _known(chaos)) if chaos.bulks else 0
    found["reservations"] = chaos.sql("credit", _RESERVED)[0]["n"]
    found["lag"] = lag(chaos)
    return {name: n for name, n in found.items() if n}


def _known(chaos: Chaos) -> set[str]:
    return {row["bulk_id"] for row in chaos.sql("dispatch", _KNOWN, list(chaos.bulks))}


def lag(chaos: Chaos) -> dict[str, int]:
    """Records that a group has not applied, by group and topic."""
    read: dict[tuple[str, str, int], int] = {}
    for database in DATABASES:
        if database != "report":
            for row in chaos.sql(database, "SELECT consumer_group, topic, partition, next_offset FROM consumer_offset"):
                read[row["consumer_group"], row["topic"], row["partition"]] = row["next_offset"]
    applied = "SELECT topic, partition, max(last_offset) + 1 AS next FROM applied_range GROUP BY 1, 2"
    for row in chaos.sql("report", applied):
        read["report", row["topic"], row["partition"]] = row["next"]
    ends = chaos.run(end_offsets(chaos.stack.run["kafka"], {(topic, partition) for _, topic, partition in read}))
    behind: dict[str, int] = {}
    for (group, topic, partition), at in read.items():
        if (missing := ends[topic, partition] - at) > 0:
            behind[f"{group} {topic}"] = behind.get(f"{group} {topic}", 0) + missing
    return behind


async def end_offsets(kafka: str, partitions: set[tuple[str, int]]) -> Mapping[tuple[str, int], int]:
    """The end offset of each partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka)
    await consumer.start()
    try:
        found = await consumer.end_offsets([TopicPartition(*one) for one in partitions])
    finally:
        await consumer.stop()
    return {(at.topic, at.partition): offset for at, offset in found.items()}


def check_the_laws(chaos: Chaos) -> dict[str, int]:
    """All eight hold, each checked on something; how much was checked, by law."""
    found = chaos.patiently(lambda: settled_laws(chaos.operator, LAWS_S), "the laws are told")
    broken = [f"{law.name}: {law.violations[:2]}" for law in found if law.violation_count]
    must(not broken, f"laws are broken: {broken}")
    must({law.name for law in found} == set(LAWS), f"all laws are there: {[law.name for law in found]}")
    checked = {law.name: law.checked for law in found}
    must(all(checked.values()), f"each law is checked on something: {checked}")
    return checked
