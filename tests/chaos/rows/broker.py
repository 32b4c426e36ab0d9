"""Kafka that dies, has no leader, or cannot be reached."""

import time
from collections.abc import Callable
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.structs import ConsumerRecord

from chaos.nemesis import Chaos, eventually, must
from chaos.proxy import BLACKHOLE, NO_ANSWERS
from chaos.registry import row
from chaos.storm import Storm
from muster.events import TOPICS, TYPES

KILLS = 20
# Longer than every limit of ours: 20 s for a request, 30 s for a batch of the relay, 14 s for a consumer.
LEADERLESS_S = 40
BLACKHOLE_S = 90


@row("18", "Kafka killed with -9 and started again, 20 times", fires=KILLS)
def kafka_dies_again_and_again(chaos: Chaos) -> None:
    """Relays try again, producers recover, consumers go on where their transactions say."""
    with Storm(chaos, tenants=2, recipients=5, pause_s=2.0) as storm:
        for _ in range(KILLS * 3 if chaos.full else KILLS):
            chaos.crash("kafka")
            time.sleep(chaos.random.uniform(0.2, 1.5))
    chaos.check_when_quiet(storm.balances)
    chaos.check_when_quiet(lambda: in_order(chaos))


@row("19", "partitions without a leader for longer than any request waits", fires=3, nodes=3)
def leaders_are_gone(chaos: Chaos) -> None:
    """The producer is replaced; nothing is lost, and nothing is reordered for a key."""
    with Storm(chaos, tenants=2, recipients=5, pause_s=1.0) as storm:
        eventually(lambda: storm.done["send"] > 4, "the storm sends")
        for name in ("kafka.2", "kafka.3"):
            chaos.keep_dead(name)
        time.sleep(LEADERLESS_S)
        chaos.revive("kafka.2", "kafka.3")
        replaced = sum(metric(chaos, name, "producer_replaced_total") for name in chaos.services("worker"))
        must(replaced > 0, "a producer was replaced")
        chaos.fired["producers replaced"] += int(replaced)
        before = storm.done["send"]
        eventually(lambda: storm.done["send"] > before, "the storm goes on")
    chaos.check_when_quiet(storm.balances)
    chaos.check_when_quiet(lambda: in_order(chaos))


@row("21", "90 s blackhole between services and Kafka, both ways or answers only", fires=2)
def kafka_cannot_be_reached(chaos: Chaos) -> None:
    """What was said comes twice at most, and nothing has a double effect."""
    with Storm(chaos, tenants=2, recipients=5, pause_s=1.0) as storm:
        eventually(lambda: storm.done["send"] > 4, "the storm sends")
        for service, fault in (("credit", BLACKHOLE), ("dispatch", NO_ANSWERS)):
            for proxy in chaos.proxies.to("kafka", service):
                proxy.use(fault)
        time.sleep(BLACKHOLE_S)
        chaos.proxies.heal()
    held = [proxy.name for proxy in chaos.proxies.to("kafka", "credit", "dispatch") if proxy.fired["hold"]]
    must(len(held) == 2, f"both services were cut off: {held}")
    chaos.check_when_quiet(storm.balances)
    chaos.check_when_quiet(lambda: in_order(chaos))


# -- what was said ----------------------------------------------------------------------------------------------------


def metric(chaos: Chaos, process: str, name: str) -> float:
    """The sum of a metric of a process over its labels; 0 where it has not been said yet."""
    text = chaos.patiently(lambda: chaos.http.get(chaos.stack.run["metrics"][process]).text, "metrics are served")
    lines = [line for line in text.splitlines() if line.startswith((f"muster_{name}{{", f"muster_{name} "))]
    return sum(float(line.rpartition(" ")[2]) for line in lines)


def in_order(chaos: Chaos) -> None:
    """Of each send the totals were said for the first time in the order of their versions, in one place each."""
    records = chaos.run(read_all(chaos.stack.run["kafka"], "bulk-progress"))
    seen: set[bytes] = set()
    last: dict[str, int] = {}
    for record in records:
        headers = dict(record.headers)
        if headers["ce_type"] != b"BulkSmsAccounted" or headers["ce_id"] in seen:
            continue
        seen.add(headers["ce_id"])
        said: Any = TYPES["BulkSmsAccounted"].FromString(record.value)
        must(
            said.version >= last.get(said.bulk_id, 0), f"{said.bulk_id}: {said.version} after {last.get(said.bulk_id)}"
        )
        last[said.bulk_id] = said.version
    must(len(last) > 0, "totals were said")


async def read_all(kafka: str, topic: str, wanted: Callable[[ConsumerRecord], bool] = bool) -> list[ConsumerRecord]:
    """The records of a topic as it stands, partition by partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, auto_offset_reset="earliest", fetch_max_wait_ms=100)
    await consumer.start()
    try:
        count = TOPICS[topic].partitions["laptop"]
        tps = [TopicPartition(topic, number) for number in range(count)]
        consumer.assign(tps)
        starts, ends = await consumer.beginning_offsets(tps), await consumer.end_offsets(tps)
        found: dict[TopicPartition, list[ConsumerRecord]] = {tp: [] for tp in tps}
        left = {tp for tp in tps if ends[tp] > starts[tp]}
        while left:
            for tp, records in (await consumer.getmany(timeout_ms=500)).items():
                found[tp] += [record for record in records if record.offset < ends[tp]]
                if records[-1].offset + 1 >= ends[tp]:
                    left.discard(tp)
        return [record for tp in tps for record in found[tp] if wanted(record)]
    finally:
        await consumer.stop()
