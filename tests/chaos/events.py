"""What was published, read back from Kafka."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files

from aiokafka import AIOKafkaConsumer, TopicPartition

from chaos.nemesis import Chaos, must
from muster.events.catalog import read_registry

Offsets = Mapping[TopicPartition, int]
TOPICS = tuple(read_registry((files("muster.events") / "topics.yaml").read_text(encoding="utf-8")))
# What is said once about a send, whoever hears it how often; and what is said again when it is asked for again.
ONCE = frozenset({"BulkSmsRequested"})
ANSWERS = frozenset({"CreditsReserved", "CreditsRefused"})


@dataclass(frozen=True, slots=True)
class Event:
    """A record: what makes it the event that it is."""

    id: str
    type: str
    correlation: str
    key: bytes
    value: bytes


def ends(chaos: Chaos) -> Offsets:
    """The end of every partition now."""
    return chaos.run(_read(chaos.stack.run["kafka"], None))[1]


def since(chaos: Chaos, start: Offsets) -> list[Event]:
    """Every event published after `start`."""
    return chaos.run(_read(chaos.stack.run["kafka"], start))[0]


async def _read(kafka: str, start: Offsets | None) -> tuple[list[Event], Offsets]:
    consumer = AIOKafkaConsumer(
        *TOPICS, bootstrap_servers=kafka, auto_offset_reset="earliest", enable_auto_commit=False
    )
    await consumer.start()
    try:
        partitions = [
            TopicPartition(topic, one) for topic in TOPICS for one in consumer.partitions_for_topic(topic) or ()
        ]
        end = await consumer.end_offsets(partitions)
        found: list[Event] = []
        if start is not None:
            consumer.unsubscribe()
            consumer.assign(partitions)
            for at in partitions:
                consumer.seek(at, start[at])
            while any([await consumer.position(at) < end[at] for at in partitions]):
                for records in (await consumer.getmany(timeout_ms=500)).values():
                    found += [_event(record) for record in records]
        return found, end
    finally:
        await consumer.stop()


def _event(record: object) -> Event:
    headers = {name: value.decode() for name, value in record.headers}  # type: ignore[attr-defined]
    key, value = record.key, record.value  # type: ignore[attr-defined]
    return Event(headers["ce_id"], headers["ce_type"], headers.get("correlation", ""), key or b"", value or b"")


def repeated_with_the_same_id_only(chaos: Chaos, start: Offsets) -> int:
    """How many events were published again; each is the same to the octet, and a fact has one id only."""
    by_id, by_fact, by_answer = defaultdict(list), defaultdict(set), defaultdict(set)
    for event in since(chaos, start):
        by_id[event.id].append(event)
        if event.type in ONCE:
            by_fact[event.type, event.correlation].add(event.id)
        if event.type in ANSWERS:
            by_answer[event.correlation].add((event.type, event.value))
    must(by_id, "something was published")
    changed = [events[0].type for events in by_id.values() if len(set(events)) > 1]
    must(not changed, f"what is published again is the same: {changed[:5]}")
    twice = [fact for fact, ids in by_fact.items() if len(ids) > 1]
    must(not twice, f"a fact has one event id: {twice[:5]}")
    unlike = [bulk for bulk, answers in by_answer.items() if len(answers) > 1]
    must(not unlike, f"a request is answered the same each time: {unlike[:5]}")
    return sum(len(events) - 1 for events in by_id.values())
