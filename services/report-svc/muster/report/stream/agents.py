"""The Faust app: an agent for each topic takes raw events in batches and acknowledges what is committed."""

import asyncio
import tempfile
from collections.abc import Iterable
from typing import Any

import faust

from muster.kit import observe
from muster.kit.broker import Broker
from muster.kit.pg import Database
from muster.report.events import HEARD
from muster.report.settings import ReportSettings
from muster.report.stream.applier import GROUP, apply, record_of

log = observe.logger(__name__)


class Processor:
    """The stream processor. An error that trying again does not cure ends `run`, not an agent.

    Faust starts an agent that raised again behind its batch, which nobody would then apply.
    """

    def __init__(self, settings: ReportSettings, db: Database, topics: Iterable[str] = HEARD) -> None:
        self._settings = settings
        self._db = db
        self._error: Exception | None = None
        self._failed = asyncio.Event()
        self._app = _app(settings)
        for name in topics:
            topic = self._app.topic(
                name, key_type=bytes, key_serializer="raw", value_type=bytes, value_serializer="raw"
            )
            self._app.agent(topic, name=f"{GROUP}.{name}", concurrency=1)(self._agent())

    async def run(self) -> None:
        """Project until somebody stops the app; RuntimeError where an agent failed or the app crashed."""
        await self._app.start()
        ends = [asyncio.create_task(self._failed.wait()), asyncio.create_task(self._app.wait_until_stopped())]
        try:
            await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for end in ends:
                end.cancel()
        if (why := self._error or self._app.crash_reason) is not None:
            raise RuntimeError("the stream processor failed") from why

    async def stop(self) -> None:
        """Leave the group. What is not acknowledged is read again by whoever is next."""
        await self._app.stop()

    def _agent(self) -> Any:
        # One function for each topic: Faust tells agents apart by it.
        async def agent(stream: Any) -> None:
            # noack_take, since take acknowledges also what an agent has failed on.
            async for batch in stream.noack_take(self._settings.report_take_max, within=self._settings.report_take_s):
                await self._save([event.message for event in batch])
                for event in batch:
                    event.ack()

        return agent

    async def _save(self, messages: list[Any]) -> None:
        """Apply a batch, and return only if it is applied."""
        try:
            await apply(self._db, [record_of(message) for message in messages])
        except Exception as error:
            first = messages[0]
            log.exception("stream.failed", topic=first.topic, partition=first.partition, offset=first.offset)
            self._error = error
            self._failed.set()
            # Nothing behind this batch may be taken while the process ends; the stop of the app cancels this.
            await asyncio.Event().wait()


def _credentials(broker: Broker) -> Any:
    """As Faust has them; None where Kafka is spoken to in the clear."""
    context = broker.context()
    if context is None or broker.security == "SSL":
        return context
    return faust.SASLCredentials(
        username=broker.user, password=broker.password, ssl_context=context, mechanism=broker.mechanism
    )


def _app(settings: ReportSettings) -> Any:
    """No tables, no web server, no leader topic, at least once."""
    session_s = settings.kafka_session_timeout_ms / 1000
    return faust.App(
        GROUP,
        broker="kafka://" + ";kafka://".join(settings.broker.addresses.split(",")),
        broker_credentials=_credentials(settings.broker),
        store="memory://",
        # It makes this folder though there are no tables to keep; the working directory may be read-only.
        datadir=f"{tempfile.gettempdir()}/muster-report",
        processing_guarantee="at_least_once",
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        producer_acks=-1,
        stream_wait_empty=False,
        stream_buffer_maxsize=settings.report_buffer_events_max,
        # Two heartbeats may be lost; a member that died during a rebalance holds the others up for no longer than two
        # sessions.
        broker_session_timeout=session_s,
        broker_heartbeat_interval=session_s / 3,
        broker_rebalance_timeout=2 * session_s,
        broker_request_timeout=90.0,
        broker_max_poll_records=settings.report_buffer_events_max,
        consumer_auto_offset_reset="earliest",
    )
