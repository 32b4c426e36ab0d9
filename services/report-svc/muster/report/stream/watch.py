"""Halts a topic that was deleted and made again, since the offsets that were applied are of the one before.

Faust would read on at the old place or from the new start, and say nothing. When the operator accepts the loss, the
offsets of the topic are forgotten, and the auditor applies from its start what the processor has passed over.
"""

import asyncio
from collections.abc import Iterable
from typing import Final, NoReturn

from aiokafka.errors import KafkaError  # allow connections-from-the-kit: what the kit's look at the broker raises

from muster.kit import metrics, observe
from muster.kit.consumer import halts
from muster.kit.consumer.topic_ids import TopicWatch
from muster.kit.pg import RETRIABLE, Database, Tx
from muster.report.events import HEARD
from muster.report.settings import ReportSettings
from muster.report.store import offsets
from muster.report.stream.applier import GROUP

_LOOK_S: Final = 2.0
_WHOLE_TOPIC: Final = 0

log = observe.logger(__name__)


class Watch:
    """Looks which topics are there, for as long as it runs."""

    def __init__(self, settings: ReportSettings, db: Database, topics: Iterable[str] = HEARD) -> None:
        self._bootstrap = settings.broker
        self._db = db
        self._topics = TopicWatch(GROUP, topics)

    async def run(self) -> NoReturn:
        """Trouble with Kafka or the database is met by the next look."""
        while True:
            try:
                await self.look()
            except (KafkaError, *RETRIABLE) as error:
                log.info("watch.postponed", why=type(error).__name__)
            await asyncio.sleep(_LOOK_S)

    async def look(self) -> None:
        """Halt what is another topic than it was; go on where its loss is accepted."""
        ids = await self._topics.look_at(self._bootstrap)
        async with self._db.worker() as tx:
            known = await offsets.topics(tx)
            for topic, topic_id in sorted(ids.items()):
                if topic not in known:
                    await offsets.save_topic(tx, topic, topic_id)
                elif known[topic] != topic_id and await self._is_accepted(tx, topic):
                    await offsets.forget(tx, topic)
                    await offsets.save_topic(tx, topic, topic_id)
                    await halts.lift_all(tx, GROUP, topic)
                    log.warning("watch.resumed", topic=topic)

    async def _is_accepted(self, tx: Tx, topic: str) -> bool:
        """Whether the loss is; where the topic is not halted yet, it is now."""
        standing = await halts.find(tx, GROUP, topic, None)
        if not any(one.kind is halts.HaltKind.LOG_MISMATCH for one in standing):
            why = "the log is of another topic of this name: it was deleted and made again"
            await halts.halt(tx, GROUP, (topic, _WHOLE_TOPIC), halts.HaltKind.LOG_MISMATCH, why)
            metrics.consumer_halted.labels(group=GROUP, topic=topic).set(1)
            log.error("watch.halted", topic=topic, why=why)
        return any(one.loss_accepted for one in standing)
