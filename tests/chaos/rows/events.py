"""What comes again, out of order, or is no event at all; and topics that are not what they were."""

import os
import random
import uuid
from collections.abc import Iterable, Sequence
from typing import Any

from aiokafka import AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.records_to_delete import RecordsToDelete
from aiokafka.errors import KafkaError
from aiokafka.structs import ConsumerRecord

from chaos.nemesis import DATABASES, Chaos, eventually, must
from chaos.quiet import QUIET_S, lag, wait_until_quiet
from chaos.registry import row
from chaos.rows.broker import read_all
from chaos.rows.readers import goes_on
from chaos.storm import Storm
from muster.client import ApiError
from muster.events import TOPICS, TYPES
from muster.kit.topics import ensure, wanted_topics

# What the services have decided, without the times at which they last looked at it.
STATE = {
    "tenant": ("tenant", "act"),
    "customer": ("bulk", "balance", "suppression"),
    "credit": ("account", "entry", "reservation", "top_up"),
    "dispatch": ("saga", "chunk", "suppression", "tenant"),
    "reply": ("inbound_message", "tenant"),
    "report": ("bulk", "message", "reply", "recipients"),
}
_HASH = "SELECT md5(coalesce(string_agg(r, '|' ORDER BY r), '')) AS hash FROM (SELECT t::text AS r FROM {} t) rows"
WINDOW, TIMES_MAX = 1_000, 5
# More than a tenth of the last thousand records of a topic, however much was said of it before.
FLOOD = 150


@row("25", "each event one to five times, reordered within 1,000; then whole topics from their start", fires=500)
def everything_comes_again(chaos: Chaos) -> None:
    """The state of every service is the same, by hash."""
    with Storm(chaos, tenants=2, recipients=10, pause_s=0.02) as storm:
        eventually(lambda: storm.done["send"] > 40, "the storm sends")
    wait_until_quiet(chaos)
    before = state(chaos)
    for topic in TOPICS:
        records = chaos.run(read_all(chaos.stack.run["kafka"], topic))
        again = shuffled([one for one in records for _ in range(chaos.random.randint(1, TIMES_MAX))], chaos.random)
        chaos.run(publish(chaos.stack.run["kafka"], topic, again))
        chaos.fired["events said again"] += len(again)
    # What all rows before it have said comes again: at least a thousand a second are read, on whatever machine.
    read_within_s = QUIET_S + chaos.fired["events said again"] / 1_000
    wait_until_quiet(chaos, read_within_s)
    same(before, state(chaos), "events that came again, out of order")
    for service in ("customer", "credit", "dispatch", "reply"):
        worker = f"{service}.worker.0"
        chaos.keep_dead(worker)
        moved = chaos.sql(service, "UPDATE consumer_offset SET next_offset = 0, event_id = NULL RETURNING topic")
        chaos.fired["partitions from their start"] += len(moved)
        chaos.revive(worker)
    wait_until_quiet(chaos, read_within_s)
    same(before, state(chaos), "topics that were read again from their start")
    chaos.check_when_quiet(storm.balances)


@row("26", "poison: random bytes, a future schema, 1 MB, an unknown enum, no key; then a flood of it", fires=FLOOD)
def what_cannot_be_applied(chaos: Chaos) -> None:
    """It waits as dead letters and others flow; a flood halts its partitions until the operator resumes them."""
    with Storm(chaos, tenants=2, pause_s=0.1) as storm:
        eventually(lambda: storm.done["send"] > 4, "the storm sends")
        records = chaos.run(read_all(chaos.stack.run["kafka"], "credits"))
        good = next(one for one in records if dict(one.headers)["ce_type"] == b"CreditsReserved")
        chaos.run(publish(chaos.stack.run["kafka"], "credits", poison_of(good)))
        chaos.run(publish(chaos.stack.run["kafka"], "bulk-progress", [unknown_enum(good)]))
        chaos.fired["poison"] += 6
        kinds = {"random bytes", "1 MB", "no key"}
        eventually(lambda: kinds <= set(parked(chaos, "dispatch").values()), "each kind is parked by dispatch")
        kinds.add("unknown enum")  # nobody else asks for it
        eventually(lambda: kinds <= set(parked(chaos, "customer").values()), "and by customer")
        goes_on(storm)
        flood = [altered(good, value=os.urandom(40), kind="flood") for _ in range(FLOOD)]
        chaos.run(publish(chaos.stack.run["kafka"], "credits", flood))
        chaos.fired["poison"] += FLOOD
        eventually(lambda: halted(chaos, "dispatch"), "dispatch is halted")
        eventually(lambda: halted(chaos, "customer"), "customer is halted")
        chaos.crash("dispatch.worker.0")
        must(halted(chaos, "dispatch"), "a halt outlives the process")
    for service in ("dispatch", "customer"):
        resume_until_read(chaos, service)
        drop_all(chaos, service)
    chaos.check_when_quiet(storm.balances)
    chaos.check_when_quiet(lambda: audited(chaos, {"consumer.resumed"}))


@row("29", "a topic deleted and made again; retention that overtook a reader", fires=3)
def the_log_is_another(chaos: Chaos) -> None:
    """Readers halt and say so, and go on when the operator accepts the loss; never a silent reset."""
    with Storm(chaos, tenants=1, pause_s=0.05) as storm:
        eventually(lambda: storm.done["send"] > 4, "the storm sends")
    wait_until_quiet(chaos)
    kafka = chaos.stack.run["kafka"]
    for topic in ("credits", "bulk-progress"):
        chaos.run(make_again(kafka, topic))
        chaos.fired["topic made again"] += 1
        for service in TOPICS[topic].consumers:
            all_halt(chaos, service, topic)
            accept(chaos, service, topic)

    old = chaos.run(read_all(kafka, "bulk-sms"))[-3:]
    chaos.keep_dead("credit.worker.0")
    chaos.run(publish(kafka, "bulk-sms", old))
    eventually(lambda: not lag_but_of(chaos, "credit"), "the others have read it")
    chaos.run(drop_records(kafka, "bulk-sms"))
    chaos.fired["retention overtook"] += 1
    chaos.revive("credit.worker.0")
    eventually(lambda: halted(chaos, "credit"), "credit is halted")
    must(all("log starts at" in one["reason"] for one in halted(chaos, "credit")), "and says so")
    accept(chaos, "credit", "bulk-sms")
    chaos.check_when_quiet(storm.balances)
    chaos.check_when_quiet(lambda: audited(chaos, {"consumer.loss-accepted"}))


# -- the operator -----------------------------------------------------------------------------------------------------


def halted(chaos: Chaos, service: str) -> list[dict[str, Any]]:
    """What is halted and not resumed yet."""
    path = f"/v1/ops/{service}/consumers"
    found = chaos.patiently(lambda: list(chaos.operator.pages(path, halted="true")), "consumers are shown")
    return [one for one in found if not one["loss_accepted"]]


def resume(chaos: Chaos, service: str, topic: str, **body: Any) -> Any:
    """Press resume."""
    path = f"/v1/ops/{service}/consumers/resume"
    asked = {"topic": topic, "reason": "chaos", **body}
    return chaos.patiently(lambda: chaos.operator.post(path, asked, key=str(uuid.uuid4())), "a resume is answered")


def resume_until_read(chaos: Chaos, service: str) -> None:
    """A flood is longer than what one halt lets pass: resumed again and again it is parked to its end."""

    def step() -> bool:
        for topic in {one["topic"] for one in halted(chaos, service)}:
            resume(chaos, service, topic)
        return len([one for one in parked(chaos, service).values() if one == "flood"]) == FLOOD

    eventually(step, f"{service} has parked all of the flood", 90.0)


def all_halt(chaos: Chaos, service: str, topic: str) -> None:
    """Every partition of the topic is halted, and says why."""
    count = 1 if service == "report" else TOPICS[topic].partitions["laptop"]  # its stream has one place in a topic
    eventually(lambda: len(halted(chaos, service)) == count, f"{service} is halted in all of {topic}")
    must(all("another topic" in one["reason"] for one in halted(chaos, service)), "and says so")
    try:
        resume(chaos, service, topic)
    except ApiError as refused:
        must(refused.code == "loss_not_accepted", f"resuming names the loss: {refused}")
    else:
        must(condition=False, says="a loss is never accepted by itself")


def accept(chaos: Chaos, service: str, topic: str) -> None:
    """Accept what is lost, and wait until it is read on."""
    resume(chaos, service, topic, accept_loss=True)
    left = "SELECT count(*) AS n FROM consumer_halt"
    eventually(lambda: chaos.sql(service, left)[0]["n"] == 0, f"{service} reads on")


def parked(chaos: Chaos, service: str) -> dict[str, str]:
    """The kind of poison of each waiting letter, by its id."""
    rows = chaos.sql(service, "SELECT id::text, headers ->> 'kind' AS kind FROM dead_letter WHERE state = 'waiting'")
    return {one["id"]: one["kind"] for one in rows}


def drop_all(chaos: Chaos, service: str) -> None:
    """Every waiting letter, by the operator's route; a replay of one is refused before."""
    path = f"/v1/ops/{service}/dead-letters"
    letters = [one["id"] for one in chaos.operator.pages(path, state="waiting")]
    must(set(letters) == set(parked(chaos, service)), "the operator sees every letter")
    try:
        chaos.operator.post(f"{path}/{letters[0]}/replay", {"reason": "chaos"})
    except ApiError as refused:
        must(refused.code == "still_poison", f"what is poison stays so: {refused}")
    for letter in letters:
        dropped = chaos.operator.post(f"{path}/{letter}/drop", {"reason": "chaos"})
        must(dropped["state"] == "dropped", f"it is dropped: {dropped}")
    must(parked(chaos, service) == {}, "none waits")


def audited(chaos: Chaos, acts: set[str]) -> None:
    """The operator's acts are in the audit log, with their reason."""
    found = {one["act"]: one["reason"] for one in chaos.operator.pages("/v1/audit")}
    must(all(found.get(act) == "chaos" for act in acts), f"the acts are audited: {found}")


def lag_but_of(chaos: Chaos, service: str) -> dict[str, int]:
    """What the other groups have not read."""
    return {name: n for name, n in lag(chaos).items() if not name.startswith(f"{service} ")}


# -- the log ----------------------------------------------------------------------------------------------------------


def state(chaos: Chaos) -> dict[str, str]:
    """A hash of each table that holds what a service has decided."""
    return {
        f"{database}.{table}": chaos.sql(database, _HASH.format(table))[0]["hash"]
        for database in DATABASES
        for table in STATE[database]
    }


def same(before: dict[str, str], after: dict[str, str], what: str) -> None:
    """Broken by the names of the tables that differ."""
    changed = sorted(name for name in before if before[name] != after[name])
    must(not changed, f"{what} changed {changed}")


def shuffled(records: Sequence[ConsumerRecord], chance: random.Random) -> list[ConsumerRecord]:
    """Reordered, no further than a window."""
    found: list[ConsumerRecord] = []
    for start in range(0, len(records), WINDOW):
        window = list(records[start : start + WINDOW])
        chance.shuffle(window)
        found += window
    return found


def altered(record: ConsumerRecord, *, kind: str, **replace: Any) -> ConsumerRecord:
    """A record that says of itself what is wrong with it."""
    headers = dict(record.headers) | {"ce_id": str(uuid.uuid4()).encode(), "kind": kind.encode()}
    headers |= replace.pop("headers", {})
    return type(record)(**{**vars_of(record), **replace, "headers": tuple(headers.items())})


def vars_of(record: ConsumerRecord) -> dict[str, Any]:
    """Its members by name."""
    return {name: getattr(record, name) for name in record.__dataclass_fields__}


def poison_of(good: ConsumerRecord) -> list[ConsumerRecord]:
    """Of each kind one. Unknown fields and enums are no poison where nobody asks for them."""
    future = good.value + b"\xfa\x3e\x05hello"  # field 1007
    return [
        altered(good, kind="random bytes", value=os.urandom(64)),
        altered(good, kind="future schema", value=future),
        altered(good, kind="1 MB", value=os.urandom(1_000_000)),
        altered(good, kind="unknown type", headers={"ce_type": b"CreditsEvaporated"}),
        altered(good, kind="no key", key=None),
    ]


def unknown_enum(good: ConsumerRecord) -> ConsumerRecord:
    """A control of a send that no version of ours has."""
    reserved: Any = TYPES["CreditsReserved"].FromString(good.value)
    control: Any = TYPES["BulkSmsControlled"](
        tenant_id=reserved.tenant_id, bulk_id=reserved.bulk_id, control_version=99, control=99
    )
    value = control.SerializeToString()
    return altered(good, kind="unknown enum", value=value, headers={"ce_type": b"BulkSmsControlled"})


async def publish(kafka: str, topic: str, records: Iterable[ConsumerRecord]) -> None:
    """As they are, to the partition that each had."""
    producer = AIOKafkaProducer(bootstrap_servers=kafka, max_request_size=4_000_000, linger_ms=5)
    await producer.start()
    try:
        for one in records:
            await producer.send(topic, one.value, one.key, partition=one.partition, headers=list(one.headers))
        await producer.flush()
    finally:
        await producer.stop()


async def make_again(kafka: str, topic: str) -> None:
    """Delete a topic, and make it as the registry says."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        await admin.delete_topics([topic])
    finally:
        await admin.close()
    wanted = [one for one in wanted_topics(TOPICS, laptop=True) if one.name == topic]
    for _ in range(100):
        try:
            if await ensure(kafka, wanted) == []:
                return
        except KafkaError:
            continue  # a deletion takes a moment, and until then the name is taken


async def drop_records(kafka: str, topic: str) -> None:
    """Move the start of the log to its end, as retention does."""
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        tps = [TopicPartition(topic, number) for number in range(TOPICS[topic].partitions["laptop"])]
        await admin.delete_records(dict.fromkeys(tps, RecordsToDelete(-1)))
    finally:
        await admin.close()
