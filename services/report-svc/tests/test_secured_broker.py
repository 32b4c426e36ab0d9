"""A real broker that takes TLS with a name and a password alone: every kind of client that Muster has gets through."""

import asyncio
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr
from report_world import ACCEPTED, Send, headers_of, rows_of

from muster.kit.broker import Broker
from muster.kit.consumer.client import end_client, new_client
from muster.kit.consumer.settings import ConsumerSettings
from muster.kit.consumer.watch import _ends
from muster.kit.pg import Database
from muster.kit.producer import Producer, PublishFailed, WireRecord
from muster.kit.testing import eventually
from muster.kit.topics import Wanted, ensure
from muster.local.kafka import _TOOL, Kafka
from muster.local.ports import free_port
from muster.local.process import Command
from muster.report.settings import ReportSettings
from muster.report.stream.agents import Processor
from muster.report.stream.auditor import Auditor
from muster.report.stream.watch import Watch

USER, PASSWORD, TOPIC = "muster", "long enough", "sms"
_SECURED = """\
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,GUARDED:SASL_SSL,CONTROLLER:PLAINTEXT
listener.name.guarded.ssl.keystore.type=PEM
listener.name.guarded.ssl.keystore.location={pem}
listener.name.guarded.sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.guarded.scram-sha-512.sasl.jaas.config=\
org.apache.kafka.common.security.scram.ScramLoginModule required;
"""


class Guarded(Kafka):
    """With one more listener, `guarded`, for whom USER and PASSWORD let in."""

    def __init__(self, directory: Path, pem: Path) -> None:
        self.guarded = free_port()
        super().__init__(directory, doors={"GUARDED": (self.guarded, self.guarded)})
        self._pem = pem

    def _properties(self) -> str:
        return super()._properties() + _SECURED.format(pem=self._pem)

    def _java(self, classes: tuple[str, ...], main: str, *arguments: str) -> Command:  # type: ignore[override]
        scram = f"SCRAM-SHA-512=[name={USER},password={PASSWORD}]"
        return super()._java(classes, main, *arguments, *(("--add-scram", scram) if main == _TOOL else ()))


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, certificate: Path) -> Iterator[ReportSettings]:
    server = Guarded(tmp_path_factory.mktemp("guarded"), certificate)
    server.start()
    yield ReportSettings(
        kafka=f"127.0.0.1:{server.guarded}",
        kafka_security="SASL_SSL",
        kafka_user=USER,
        kafka_password=SecretStr(PASSWORD),
        kafka_ca=str(certificate),
        report_take_s=0.01,
    )
    server.stop()


async def publish(broker: Broker, seqs: range) -> None:
    send = Send()
    messages = [send.dispatched([ACCEPTED], first=seq) for seq in seqs]
    producer = Producer(broker, publish_limit_s=20)
    try:
        await producer.publish([WireRecord(TOPIC, b"k", one.SerializeToString(), headers_of(one)) for one in messages])
    finally:
        await producer.stop()


async def test_every_client_of_ours_gets_through_to_a_broker_that_asks_for_tls_and_a_password(
    db: Database, guarded: ReportSettings
) -> None:
    broker = guarded.broker
    assert await ensure(broker, [Wanted(TOPIC, 1, 1, {"cleanup.policy": "delete"})]) == []  # the admin
    await publish(broker, range(1, 4))  # the producer
    assert list((await _ends(broker, [TOPIC])).values()) == [3]  # the consumer without a group

    consumer = new_client(broker, "some-svc", ConsumerSettings())
    consumer.subscribe([TOPIC])
    await consumer.start()
    try:
        assert (await consumer.getone()).offset == 0
    finally:
        await end_client(consumer)

    await Watch(guarded, db, [TOPIC]).look()  # the bare client
    processor = Processor(guarded, db, [TOPIC])  # Faust
    running = asyncio.create_task(processor.run())

    async def applied() -> bool:
        return len(await rows_of(db, "message")) == 3

    try:
        await eventually(applied)
    finally:
        await processor.stop()
        await running
    assert await Auditor(guarded, db, [TOPIC]).round() == 0  # the auditor's, and nothing was left for it


@pytest.mark.parametrize(
    "wrong",
    [{"password": "another"}, {"ca": ""}, {"security": "PLAINTEXT"}],
    ids=["a wrong password", "an authority that is not known", "no TLS"],
)
async def test_who_is_not_let_in_is_told_so_and_publishes_nothing(
    guarded: ReportSettings, wrong: dict[str, str]
) -> None:
    producer = Producer(replace(guarded.broker, **wrong), publish_limit_s=20)  # type: ignore[arg-type]
    try:
        with pytest.raises(PublishFailed, match="no connection to Kafka at 127"):
            await producer.start()
    finally:
        await producer.stop()
