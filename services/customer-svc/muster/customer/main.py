"""The processes of customer-svc: `python -m muster.customer.main api|worker|migrate`."""

import asyncio
import sys

from muster.customer import events
from muster.customer.handlers import facts
from muster.customer.planner import Limits, Planner
from muster.customer.settings import CustomerSettings
from muster.kit import observe
from muster.kit.consumer import Consumer
from muster.kit.migrate import migrate as apply_migrations
from muster.kit.outbox import Lane
from muster.kit.pg import RETRIABLE, Database, Overloaded
from muster.kit.process import Process, run, serve_http
from muster.kit.producer import Producer
from muster.kit.relay import Relay
from muster.kit.settings import load, secret

log = observe.logger(__name__)

_REPEATED_MAX = 10_000
_RETRY_S = 1.0
_TRANSIENT: tuple[type[Exception], ...] = (*RETRIABLE, Overloaded)


async def api(process: Process) -> None:
    """Serve HTTP."""
    from muster.customer.api import ROUTERS
    from muster.kit.auth import Verifier
    from muster.kit.http import create_app
    from muster.kit.idempotency import forget_old_answers

    settings = load(CustomerSettings)
    db = await _connect(process, settings)
    state = {"db": db, "verifier": Verifier.of(settings), "settings": settings}
    serve_http(process, create_app("customer", routers=ROUTERS, state=state), settings)
    process.supervise("idempotency", forget_old_answers(db, settings.idempotency_kept_h))
    process.ready()
    await process.stopped()


async def worker(process: Process) -> None:
    """Apply events, plan sends, and publish the outbox."""
    observe.name_service("customer")
    settings = load(CustomerSettings)
    db = await _connect(process, settings)
    producer = Producer(settings.kafka, client_id="customer")
    process.on_stop(producer.stop)
    relay = Relay(db, producer, (Lane.SMALL, Lane.LARGE))
    consumer = Consumer(
        db,
        bootstrap=settings.kafka,
        group="customer",
        topics=events.HEARD,
        handlers=facts.handlers(settings.bulk_id_key_bytes),
        batch_max=settings.customer_batch_max,
        after_commit=lambda _: relay.wake(),
    )
    process.supervise("relay", relay.run())
    process.on_stop(relay.stop)
    process.supervise("consumer", consumer.run())
    process.on_stop(consumer.stop)
    process.supervise("repeat", _repeat_suppressions(process, db, settings.customer_suppressions_repeated_min))
    for lane in Lane:
        process.supervise(f"planner.{lane.name.lower()}", Planner(db, lane, _limits(settings), relay.wake).run())
    process.ready()
    await process.stopped()


async def migrate(process: Process) -> None:
    """Bring the database to the newest version."""
    settings = load(CustomerSettings)
    await apply_migrations(secret(settings.postgres, "postgres"), "customer")


async def _repeat_suppressions(process: Process, db: Database, minutes: int) -> None:
    """Once, when the database is there; then wait for the end, as parts of a process live as long as it does."""
    while not process.stopping:
        try:
            async with db.worker() as tx:
                await facts.say_recent_suppressions(tx, minutes, _REPEATED_MAX)
        except _TRANSIENT as error:
            log.warning("suppressions.not_repeated", exc_info=error)
            await asyncio.sleep(_RETRY_S)
        else:
            await process.stopped()


def _limits(settings: CustomerSettings) -> Limits:
    return Limits(
        add_up_chunks=settings.customer_plan_add_up_chunks,
        publish_chunks=settings.customer_plan_publish_chunks,
        idle_ms=settings.customer_plan_idle_ms,
        freeze_timeout_ms=settings.customer_plan_freeze_timeout_ms,
    )


async def _connect(process: Process, settings: CustomerSettings) -> Database:
    db = await Database.connect(
        secret(settings.database_app, "database_app"),
        secret(settings.database_worker, "database_worker"),
        app_pool_max=settings.app_pool_max,
        worker_pool_max=settings.worker_pool_max,
        statement_timeout_ms=settings.statement_timeout_ms,
        lock_timeout_ms=settings.lock_timeout_ms,
        idle_in_transaction_timeout_ms=settings.idle_in_transaction_timeout_ms,
    )
    process.on_stop(db.close)
    return db


if __name__ == "__main__":
    run({"api": api, "worker": worker, "migrate": migrate}[sys.argv[1]], load(CustomerSettings))
