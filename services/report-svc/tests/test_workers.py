"""Workers as processes over real Kafka, one of them killed with -9."""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from report_world import ACCEPTED, Send, headers_of, recount, rows_of

from muster.kit.pg import Database
from muster.kit.producer import Producer, WireRecord
from muster.kit.testing import eventually
from muster.kit.topics import Wanted, ensure
from muster.report.events import HEARD
from muster.report.store import offsets

PARTITIONS = 6
EVENTS = 400
OF_ONE_EVENT = 20


@contextmanager
def worker(kafka: str, dsns: tuple[str, str]) -> Iterator[subprocess.Popen[bytes]]:
    """A worker of report-svc as the product starts it."""
    app, worker_dsn = dsns
    told = {
        "MUSTER_KAFKA": kafka,
        "MUSTER_DATABASE_APP": app,
        "MUSTER_DATABASE_WORKER": worker_dsn,
        "MUSTER_METRICS_PORT": "0",
        "MUSTER_HASH_KEY": "00" * 32,
        "MUSTER_KAFKA_SESSION_TIMEOUT_MS": "2000",
        "MUSTER_REPORT_TAKE_MAX": "8",
        "MUSTER_LOG_LEVEL": "error",
    }
    process = subprocess.Popen([sys.executable, "-m", "muster.report.main", "worker"], env={**os.environ, **told})
    try:
        yield process
    finally:
        process.kill()
        process.wait()


async def publish(kafka: str) -> None:
    """Each event is a send of its own, so that they spread over the partitions."""
    producer = Producer(kafka)
    try:
        for _ in range(0, EVENTS, 100):
            said = [Send().dispatched([ACCEPTED] * OF_ONE_EVENT) for _ in range(100)]
            await producer.publish(
                [WireRecord("sms", one.bulk_id.encode(), one.SerializeToString(), headers_of(one)) for one in said]
            )
    finally:
        await producer.stop()


async def messages_of(db: Database) -> int:
    async with db.worker() as tx:
        return int(await tx.fetchval("SELECT count(*) FROM message"))


async def test_a_worker_killed_in_the_middle_loses_nothing_and_the_other_goes_on(
    db: Database, kafka_server: str, service_database: Any
) -> None:
    wanted = [Wanted(name, PARTITIONS, 1, {"cleanup.policy": "delete"}) for name in HEARD]
    assert await ensure(kafka_server, wanted) == []
    dsns = service_database.dsns(db, "report")
    with ExitStack() as workers:
        first = workers.enter_context(worker(kafka_server, dsns))
        workers.enter_context(worker(kafka_server, dsns))
        publishing = asyncio.create_task(publish(kafka_server))

        async def begun() -> bool:
            return await messages_of(db) > EVENTS * OF_ONE_EVENT // 4

        await eventually(begun)
        first.kill()
        await publishing

        async def all_there() -> bool:
            return await messages_of(db) == EVENTS * OF_ONE_EVENT

        await eventually(all_there)

    async with db.worker() as tx:
        covered = [await offsets.covered(tx, "sms", partition) for partition in range(PARTITIONS)]
    assert all(len(ranges) == 1 and ranges[0][0] == 0 for ranges in covered)
    assert sum(last + 1 for [(_, last)] in covered) == EVENTS
    assert len(await rows_of(db, "bulk")) == EVENTS
    await recount(db)
