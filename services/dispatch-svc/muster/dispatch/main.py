"""The processes of dispatch-svc: `python -m muster.dispatch.main api|worker|sender|migrate`."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, TypeVar

from muster.dispatch.handlers import HANDLERS, pace, suspending, sweeps
from muster.dispatch.handlers.laws import check_laws
from muster.dispatch.handlers.routes import say_platform
from muster.dispatch.settings import DispatchSettings
from muster.dispatch.store import accounts
from muster.kit import observe
from muster.kit.consumer import wait_until_read
from muster.kit.law_watch import watch_laws
from muster.kit.pg import RETRIABLE, Database
from muster.kit.process import Process
from muster.kit.repeat import repeat
from muster.kit.service import connect, main, serve_api, start_consumer, start_relay

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
if TYPE_CHECKING:
    from muster.dispatch.store.accounts import Connection

T = TypeVar("T")
log = observe.logger(__name__)

_SLOW_S: Final = 5.0
_MORE_S: Final = 0.02
_LOCK_POLL_S: Final = 0.3
_LOCK_WATCH_S: Final = 2.0


async def api(process: Process[DispatchSettings]) -> None:
    """Serve HTTP."""
    from muster.dispatch.api import ROUTERS

    serve_api(process, await connect(process), ROUTERS)
    process.ready()
    await process.stopped()


async def worker(process: Process[DispatchSettings]) -> None:
    """Apply events, publish the outbox, and do what time brings."""
    settings = process.settings
    db = await connect(process)
    relay = start_relay(process, db, on_lead=lambda: _say_platform(db, settings))
    start_consumer(process, db, topics=HEARD, handlers=HANDLERS, after_commit=lambda _: relay.wake())
    process.supervise("laws", watch_laws(db, check_laws, settings.laws_watch_s))
    for name, every_s, sweep in _sweeps(db, settings):
        process.supervise(name, repeat(name, every_s, sweep, pause_s=_MORE_S))
    process.ready()
    await process.stopped()


def _sweeps(db: Database, settings: DispatchSettings) -> tuple[tuple[str, float, Callable[[], Awaitable[bool]]], ...]:
    often_s, unknown_s = settings.dispatch_sweep_s, settings.dispatch_unknown_kept_s
    return (
        ("sweep-ended", often_s, lambda: sweeps.sweep_ended(db, settings.dispatch_sweep_chunks)),
        ("sweep-send-by", often_s * 4, lambda: sweeps.end_past_send_by(db, settings.dispatch_silent_kept_s)),
        ("sweep-leases", often_s * 4, lambda: sweeps.recover_expired(db, settings.carrier_account)),
        ("sweep-unknowns", _SLOW_S, lambda: sweeps.settle_unknowns(db, unknown_s)),
        ("sweep-answers", often_s * 4, lambda: sweeps.settle_answered(db)),
        ("sweep-refunds", often_s * 4, lambda: sweeps.refund_failed(db)),
        ("sweep-accounts", _SLOW_S, lambda: sweeps.repeat_accounts(db, settings.dispatch_account_repeat_s)),
        ("pace", pace.EVERY_S, pace.Pacer(db).look),
        ("sweep-hours", _SLOW_S, lambda: sweeps.put_off(db)),
        ("waits", settings.dispatch_waits_look_s, lambda: sweeps.count_waits(db)),
        ("suspensions", settings.dispatch_waits_look_s, lambda: sweeps.count_suspensions(db)),
        ("sweep-old", 600.0, lambda: sweeps.drop_old(db, settings.dispatch_waiting_kept_s, unknown_s)),
    )


async def _say_platform(db: Database, settings: DispatchSettings) -> None:
    async with db.worker() as tx:
        await say_platform(
            tx, settings.carrier_account, settings.carrier_reference_bits, settings.carrier_parts_per_second
        )
        await suspending.say_again(tx)


async def sender(process: Process[DispatchSettings]) -> None:
    """Own the binds of one carrier account: submit, record, take receipts and what people write."""
    from muster.dispatch.sender import Sender

    settings = process.settings
    db = await connect(process)
    await _own_account(process, db, settings.carrier_account)
    while await _patiently(lambda: sweeps.recover_account(db, settings.carrier_account, every=True)):
        pass
    parts = Sender(db, settings, settings.account())
    await _patiently(parts.load)
    process.on_stop(parts.link.stop)
    for name, work in parts.carrier():
        process.supervise(name, work)
    # Nothing is claimed before every suppression that was said by now is known here.
    await wait_until_read(db, bootstrap=settings.kafka, group=GROUP, topics=("suppressions",))
    process.supervise("feeder", parts.feeder.run())
    process.on_stop(parts.close)
    process.ready()
    await process.stopped()


async def _own_account(process: Process[DispatchSettings], db: Database, account: str) -> None:
    """Wait until this process is the one owner of a carrier account, by an advisory lock on a connection of its own.

    It ends, in order, when the connection does, and gives the account up last of all.
    """
    stack = AsyncExitStack()
    process.on_stop(stack.aclose)

    async def take() -> "Connection":
        await stack.aclose()  # what a try before this one has left
        connection = await stack.enter_async_context(db.dedicated())
        while not await accounts.try_own(connection, account):  # noqa: ASYNC110 - a database's lock has no event
            await asyncio.sleep(_LOCK_POLL_S)
        return connection

    async def own() -> None:
        try:
            while True:
                await accounts.still_own(connection)
                await asyncio.sleep(_LOCK_WATCH_S)
        except RETRIABLE as error:
            # Another may own the account by now. Nothing is wrong here: whoever starts this process starts it again.
            log.warning("sender.account_lost", account=account, why=type(error).__name__)
            process.stop()

    connection = await _patiently(take)
    process.supervise("account", own())


async def _patiently(step: Callable[[], Awaitable[T]]) -> T:
    """A step of the start, tried again while the database is away."""
    while True:
        try:
            return await step()
        except RETRIABLE as error:
            log.warning("sender.database_away", why=type(error).__name__)
            await asyncio.sleep(_LOCK_POLL_S)


if __name__ == "__main__":
    main(GROUP, DispatchSettings, api=api, worker=worker, sender=sender)
