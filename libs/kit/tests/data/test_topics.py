from pathlib import Path
from uuid import uuid4

import pytest
from aiokafka.client import AIOKafkaClient
from aiokafka.errors import NodeNotReadyError

from muster.events import TOPICS
from muster.kit.consumer.topic_ids import topic_ids
from muster.kit.topics import Wanted, ensure, main, wanted_topics

REGISTRY = """
partitions: {{cluster: 48, laptop: 2}}
topics:
  {name}:
    events: [BulkSmsRequested]
    key: tenant
    retention: 60h
    segment: 6h
    producer: customer
    consumers: [{name}-group]
    personal: none
"""


def test_every_topic_is_made_with_its_retention_and_each_consumer_has_a_dead_letter_topic() -> None:
    wanted = {topic.name: topic for topic in wanted_topics(TOPICS, laptop=True)}

    assert set(TOPICS) < set(wanted)
    assert {"credit-dlq", "customer-dlq", "dispatch-dlq", "reply-dlq", "report-dlq", "tenant-dlq"} < set(wanted)
    assert wanted["suppressions"].config["cleanup.policy"] == "compact"
    assert wanted["inbound"].config["retention.ms"] == str(60 * 3_600_000)
    assert wanted["inbound"].config["segment.ms"] == str(6 * 3_600_000)
    assert {topic.replication for topic in wanted.values()} == {1}
    cluster = wanted_topics(TOPICS, laptop=False)
    assert {topic.replication for topic in cluster} == {3}
    assert {topic.config["min.insync.replicas"] for topic in cluster} == {"2"}


def test_no_topic_keeps_a_number_or_a_text_for_more_than_three_days_and_compacted_ones_hold_none() -> None:
    for topic in wanted_topics(TOPICS, laptop=False):
        known = TOPICS.get(topic.name)
        if known is None or known.personal == "number and text":
            kept_ms = int(topic.config["retention.ms"]) + int(topic.config["segment.ms"])
            assert (topic.config["cleanup.policy"], kept_ms <= 3 * 86_400_000) == ("delete", True), topic.name
        else:
            told = {"none", "hash only", "ids only", "reception e-mail", "what people call a schedule"}
            told.add("the address of who approves")
            assert told.issuperset(known.personal.split(", ")), topic.name


def test_the_command_makes_topics_and_can_be_repeated(kafka_server: str, tmp_path: Path) -> None:
    registry = tmp_path / "topics.yaml"
    registry.write_text(REGISTRY.format(name=f"r-{uuid4().hex[:8]}"))
    command = [str(registry), "--laptop", "--kafka", kafka_server]

    assert main(command) == 0
    assert main(command) == 0


def test_a_cluster_of_one_broker_gets_topics_that_fit_it_only_where_that_is_asked_for(
    kafka_server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry = tmp_path / "topics.yaml"
    registry.write_text(REGISTRY.format(name=f"r-{uuid4().hex[:8]}"))
    assert main([str(registry), "--kafka", kafka_server]) == 1
    assert f"Kafka at {kafka_server}: [Error 38] InvalidReplicationFactorError" in capsys.readouterr().err
    assert main([str(registry), "--fitting", "--kafka", kafka_server]) == 0
    assert main([str(registry), "--laptop", "--kafka", kafka_server]) == 0


async def test_a_topic_that_is_otherwise_is_named_and_left_alone(kafka_server: str) -> None:
    name = f"t-{uuid4().hex[:8]}"
    assert await ensure(kafka_server, [Wanted(name, 2, 1, {"cleanup.policy": "delete"})]) == []

    differences = await ensure(kafka_server, [Wanted(name, 3, 1, {"cleanup.policy": "compact"})])

    assert differences == [f"{name}: 2 partitions, 3 wanted", f"{name}: cleanup.policy is delete, compact wanted"]


def test_a_command_with_differences_fails_and_says_them(
    kafka_server: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    registry, name = tmp_path / "topics.yaml", f"r-{uuid4().hex[:8]}"
    registry.write_text(REGISTRY.format(name=name))
    assert main([str(registry), "--laptop", "--kafka", kafka_server]) == 0
    registry.write_text(REGISTRY.format(name=name).replace("60h", "10h"))

    assert main([str(registry), "--laptop", "--kafka", kafka_server]) == 1
    assert f"{name}: retention.ms is 216000000, 36000000 wanted" in capsys.readouterr().err


async def test_which_topic_it_is_is_asked_of_whichever_broker_answers(kafka_server: str) -> None:
    """One of three may be down: nobody who takes partitions over may depend on which one chance chooses."""
    name = f"t-{uuid4().hex[:12]}"
    assert await ensure(kafka_server, [Wanted(name, 1, 1, {})]) == []
    client = AIOKafkaClient(bootstrap_servers=kafka_server)
    await client.bootstrap()
    try:
        [node] = client.cluster.brokers()
        dead = [node._replace(nodeId=number, port=1) for number in (97, 98)]
        client.cluster._brokers = {one.nodeId: one for one in (*dead, node)}
        found = await topic_ids(client, [name, "nobody-knows-it"])
        assert found.keys() == {name}
        client.cluster._brokers = {one.nodeId: one for one in dead}
        with pytest.raises(NodeNotReadyError):
            await topic_ids(client, [name])
    finally:
        await client.close()
