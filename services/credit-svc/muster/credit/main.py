"""The processes of credit-svc: `python -m muster.credit.main api|worker|migrate`."""

import asyncio
import sys
from typing import NoReturn

from muster.credit import events, handlers
from muster.credit.settings import CreditSettings
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

_TRANSIENT: tuple[type[Exception], ...] = (*RETRIABLE, Overloaded)


async def api(process: Process) -> None:
    """Serve HTTP."""
    from muster.credit.api import ROUTERS
    from muster.kit.auth import Verifier
    from muster.kit.http import create_app
    from muster.kit.idempotency import forget_old_answers

    settings = load(CreditSettings)
    db = await _connect(process, settings)
    state = {"db": db, "verifier": Verifier.of(settings), "settings": settings}
    serve_http(process, create_app("credit", routers=ROUTERS, state=state), settings)
    process.supervise("idempotency", forget_old_answers(db, settings.idempotency_kept_h))
    process.ready()
    await process.stopped()


async def worker(process: Process) -> None:
    """Apply events, publish the outbox, and say the rates."""
    observe.name_service("credit")
    settings = load(CreditSettings)
    db = await _connect(process, settings)
    producer = Producer(settings.kafka, client_id="credit")
    process.on_stop(producer.stop)
    relay = Relay(db, producer, (Lane.SMALL, Lane.LARGE))
    consumer = Consumer(
        db,
        bootstrap=settings.kafka,
        group="credit",
        topics=events.HEARD,
        handlers={
            "TenantChanged": handlers.on_tenant_changed,
            "BulkSmsRequested": handlers.on_bulk_sms_requested,
            "BulkSmsAccounted": handlers.on_bulk_sms_accounted,
        },
        batch_max=settings.credit_batch_max,
        after_commit=lambda _: relay.wake(),
    )
    process.supervise("relay", relay.run())
    process.on_stop(relay.stop)
    process.supervise("consumer", consumer.run())
    process.on_stop(consumer.stop)
    process.supervise("rates", _say_rates(db, settings.credit_rate_poll_s))
    process.ready()
    await process.stopped()


async def migrate(process: Process) -> None:
    """Bring the database to the newest version."""
    settings = load(CreditSettings)
    await apply_migrations(secret(settings.postgres, "postgres"), "credit")


async def _connect(process: Process, settings: CreditSettings) -> Database:
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


async def _say_rates(db: Database, poll_s: float) -> NoReturn:
    say = handlers.say_all_rates
    while True:
        try:
            async with db.worker() as tx:
                await say(tx)
            say = handlers.say_new_rates
        except _TRANSIENT as error:
            log.warning("rates.not_said", exc_info=error)
        await asyncio.sleep(poll_s)


if __name__ == "__main__":
    run({"api": api, "worker": worker, "migrate": migrate}[sys.argv[1]], load(CreditSettings))
