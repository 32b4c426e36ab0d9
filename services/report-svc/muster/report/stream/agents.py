"""The Faust app: an agent for each topic takes raw events in batches and acknowledges what is committed."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Any

import faust

from muster.kit.pg import Database
from muster.report.events import HEARD
from muster.report.settings import ReportSettings
from muster.report.stream.applier import GROUP, Record, apply


def build(settings: ReportSettings, db: Database) -> Any:
    """The app, ready to be started. No tables, no web server, no leader topic, at least once."""
    app = faust.App(
        GROUP,
        broker="kafka://" + ";kafka://".join(settings.kafka.split(",")),
        store="memory://",
        processing_guarantee="at_least_once",
        autodiscover=False,
        web_enabled=False,
        topic_allow_declare=False,
        topic_disable_leader=True,
        producer_acks=-1,
        stream_wait_empty=False,
        stream_buffer_maxsize=settings.report_buffer_events_max,
        broker_session_timeout=settings.report_session_timeout_s,
        broker_heartbeat_interval=settings.report_heartbeat_s,
        broker_rebalance_timeout=settings.report_rebalance_timeout_s,
        broker_request_timeout=90.0,
        broker_max_poll_records=settings.report_buffer_events_max,
        consumer_auto_offset_reset="earliest",
    )
    for name in HEARD:
        _add_agent(app, name, settings, lambda records: apply(db, records))
    return app


def _add_agent(
    app: Any, name: str, settings: ReportSettings, save: Callable[[Sequence[Record]], Awaitable[None]]
) -> None:
    topic = app.topic(name, key_type=bytes, key_serializer="raw", value_type=bytes, value_serializer="raw")

    async def agent(stream: Any) -> None:
        # noack_take, since take acknowledges also what an agent has failed on.
        async for batch in stream.noack_take(settings.report_take_max, within=settings.report_take_s):
            await save([_record(event.message) for event in batch])
            for event in batch:
                event.ack()

    app.agent(topic, name=f"report.{name}", concurrency=1)(agent)


def _record(message: Any) -> Record:
    headers = message.headers or ()
    pairs = headers.items() if isinstance(headers, dict) else headers
    key, value = message.key or b"", message.value or b""
    return Record(message.topic, message.partition, message.offset, key, value, list(pairs))


async def serve(app: Any) -> None:
    """Run the app until it ends, which is a fault unless somebody stopped it."""
    await app.start()
    await app.wait_until_stopped()
    if app.crash_reason is not None:
        raise RuntimeError("the stream processor crashed") from app.crash_reason
