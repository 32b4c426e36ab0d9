"""The processes of dispatch-svc: `python -m muster.dispatch.main api|worker|sender|migrate`."""

import asyncio
import sys
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Final, NoReturn

from muster.dispatch.handlers import HANDLERS, sweeps
from muster.dispatch.handlers.routes import say_platform
from muster.dispatch.settings import DispatchSettings
from muster.dispatch.store import accounts
from muster.kit import observe
from muster.kit.consumer import Consumer, wait_until_read
from muster.kit.migrate import migrate as apply_migrations
from muster.kit.outbox import Lane
from muster.kit.pg import RETRIABLE, Database, Overloaded
from muster.kit.process import Process, run, serve_http
from muster.kit.producer import Producer
from muster.kit.relay import Relay
from muster.kit.settings import load, secret

log = observe.logger(__name__)

GROUP: Final = "dispatch"
HEARD: Final = (
    "tenants",
    "suppressions",
    "bulk-sms",
    "credits",
    "bulk-recipients",
    "bulk-recipients-small",
    "replies",
)
_AWAY: tuple[type[Exception], ...] = (*RETRIABLE, Overloaded)
_SLOW_S: Final = 5.0
_LOCK_POLL_S: Final = 0.3
_LOCK_WATCH_S: Final = 2.0


async def api(process: Process) -> None:
    """Serve HTTP."""
    from muster.dispatch.api import ROUTERS
    from muster.kit.auth import Verifier
    from muster.kit.http import create_app
    from muster.kit.idempotency import forget_old_answers

    settings = load(DispatchSettings)
    db = await _connect(process, settings)
    state = {"db": db, "verifier": Verifier.of(settings), "settings": settings}
    serve_http(process, create_app(GROUP, routers=ROUTERS, state=state), settings)
    process.supervise("idempotency", forget_old_answers(db, settings.idempotency_kept_h))
    process.ready()
    await process.stopped()


async def worker(process: Process) -> None:
    """Apply events, publish the outbox, and do what time brings."""
    observe.name_service(GROUP)
    settings = load(DispatchSettings)
    db = await _connect(process, settings)
    producer = Producer(settings.kafka, client_id=GROUP)
    process.on_stop(producer.stop)
    relay = Relay(db, producer, (Lane.SMALL, Lane.LARGE))
    consumer = Consumer(
        db,
        bootstrap=settings.kafka,
        group=GROUP,
        topics=HEARD,
        handlers=HANDLERS,
        after_commit=lambda _: relay.wake(),
    )
    process.supervise("relay", relay.run())
    process.on_stop(relay.stop)
    process.supervise("consumer", consumer.run())
    process.on_stop(consumer.stop)
    process.supervise("platform", _say_platform(db, settings))
    for name, every_s, sweep in _sweeps(db, settings):
        process.supervise(name, _repeat(name, every_s, sweep))
    process.ready()
    await process.stopped()


def _sweeps(db: Database, settings: DispatchSettings) -> tuple[tuple[str, float, Callable[[], Awaitable[bool]]], ...]:
    often_s = settings.dispatch_sweep_s
    return (
        ("sweep-ended", often_s, lambda: sweeps.sweep_ended(db, settings.dispatch_sweep_chunks)),
        ("sweep-send-by", often_s * 4, lambda: sweeps.end_past_send_by(db)),
        ("sweep-leases", often_s * 4, lambda: sweeps.recover_expired(db, settings.carrier_account)),
        ("sweep-unknowns", _SLOW_S, lambda: sweeps.settle_unknowns(db, settings.dispatch_unknown_kept_s)),
        ("sweep-accounts", _SLOW_S, lambda: sweeps.repeat_accounts(db, settings.dispatch_account_repeat_s)),
        ("sweep-old", 600.0, lambda: sweeps.drop_old(db, settings.dispatch_waiting_kept_s)),
    )


async def _repeat(name: str, every_s: float, sweep: Callable[[], Awaitable[bool]]) -> NoReturn:
    while True:
        more = False
        try:
            more = await sweep()
        except _AWAY as error:
            log.warning("sweep.failed", sweep=name, exc_info=error)
        await asyncio.sleep(0.02 if more else every_s)


async def _say_platform(db: Database, settings: DispatchSettings) -> NoReturn:
    while True:
        try:
            async with db.worker() as tx:
                await say_platform(
                    tx, settings.carrier_account, settings.carrier_reference_bits, settings.carrier_parts_per_second
                )
            break
        except _AWAY as error:
            log.warning("platform.not_said", exc_info=error)
            await asyncio.sleep(1.0)
    await asyncio.Event().wait()
    raise AssertionError("nobody sets this event")


async def sender(process: Process) -> None:
    """Own the binds of one carrier account: submit, record, take receipts and what people write."""
    from muster.dispatch.sender import Sender

    observe.name_service(GROUP)
    settings = load(DispatchSettings)
    db = await _connect(process, settings)
    await _own_account(process, db, settings.carrier_account)
    while await sweeps.recover_account(db, settings.carrier_account, every=True):
        pass
    parts = Sender(db, settings)
    await parts.load()
    process.on_stop(parts.bind.stop)
    for name, work in parts.carrier():
        process.supervise(name, work)
    # Nothing is claimed before every suppression that was said by now is known here.
    await wait_until_read(db, bootstrap=settings.kafka, group=GROUP, topics=("suppressions",))
    process.supervise("feeder", parts.feeder.run())
    process.on_stop(parts.close)
    process.ready()
    await process.stopped()


async def _own_account(process: Process, db: Database, account: str) -> None:
    """Wait until this process is the one owner of a carrier account, by an advisory lock on a connection of its own; it
    ends when the connection does, and gives the account up last of all."""
    stack = AsyncExitStack()
    connection = await stack.enter_async_context(db.dedicated())
    process.on_stop(stack.aclose)
    while not await accounts.try_own(connection, account):  # noqa: ASYNC110 - the lock of a database has no event
        await asyncio.sleep(_LOCK_POLL_S)

    async def own() -> NoReturn:
        while True:
            await accounts.still_own(connection)
            await asyncio.sleep(_LOCK_WATCH_S)

    process.supervise("account", own())


async def migrate(process: Process) -> None:
    """Bring the database to the newest version."""
    settings = load(DispatchSettings)
    await apply_migrations(secret(settings.postgres, "postgres"), GROUP)


async def _connect(process: Process, settings: DispatchSettings) -> Database:
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
    run({"api": api, "worker": worker, "sender": sender, "migrate": migrate}[sys.argv[1]], load(DispatchSettings))
