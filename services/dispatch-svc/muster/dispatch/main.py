"""The processes of dispatch-svc: `python -m muster.dispatch.main api|worker|sender|migrate`."""

from collections.abc import Awaitable, Callable
from typing import Final

from muster.dispatch.handlers import erasing, handlers_of, pace, senders, suspending, sweeps
from muster.dispatch.handlers.carriers import seed
from muster.dispatch.handlers.failover import EVERY_S as FAILOVER_S
from muster.dispatch.handlers.failover import Failover
from muster.dispatch.handlers.laws import check_laws
from muster.dispatch.handlers.routes import say_platform
from muster.dispatch.sender.sandbox import SandboxSender
from muster.dispatch.settings import DispatchSettings
from muster.dispatch.store import carriers
from muster.kit.consumer import wait_until_read
from muster.kit.law_watch import watch_laws
from muster.kit.pg import Database
from muster.kit.process import Process
from muster.kit.repeat import repeat
from muster.kit.service import api_of, connect, main, start_consumer, start_forgetting, start_relay

GROUP: Final = "dispatch"
HEARD: Final = (
    "tenants",
    "suppressions",
    "bulk-sms",
    "credits",
    "bulk-recipients-small",
    "replies",
)
HEARD_LARGE: Final = ("bulk-recipients",)
_SLOW_S: Final = 5.0
_MORE_S: Final = 0.02


api = api_of("muster.dispatch.api")


async def worker(process: Process[DispatchSettings]) -> None:
    """Apply events, publish the outbox, and do what time brings."""
    settings = process.settings
    db = await connect(process)
    relay = start_relay(process, db, on_lead=lambda: _say_platform(db, settings))
    handlers = handlers_of(claims=settings.dispatch_senders_claimed)
    start_consumer(process, db, topics=HEARD, handlers=handlers, after_commit=lambda _: relay.wake())
    # The same group, another topic: offsets are per topic, and the chunks of a giant stand before nobody's small send,
    # nor before the credits and the stop of anybody's.
    start_consumer(
        process,
        db,
        topics=HEARD_LARGE,
        handlers=handlers,
        batch_max=settings.dispatch_chunk_batch_max,
        after_commit=lambda _: relay.wake(),
        name="consumer.large",
    )
    start_forgetting(process, db, erasing.blank_by(settings))
    process.supervise("laws", watch_laws(db, check_laws, settings.laws_watch_s))
    sandbox = SandboxSender(
        db, settings, lambda: wait_until_read(db, bootstrap=settings.broker, group=GROUP, topics=("suppressions",))
    )
    process.supervise("sandbox", sandbox.run(), stop=sandbox.stop)
    for name, every_s, sweep in _sweeps(db, settings):
        process.supervise(name, repeat(name, every_s, sweep, pause_s=_MORE_S))
    process.ready()
    await process.stopped()


def _sweeps(db: Database, settings: DispatchSettings) -> tuple[tuple[str, float, Callable[[], Awaitable[bool]]], ...]:
    often_s, unknown_s = settings.dispatch_sweep_s, settings.dispatch_unknown_kept_s
    return (
        ("sweep-ended", often_s, lambda: sweeps.sweep_ended(db, settings.dispatch_sweep_chunks)),
        ("sweep-send-by", often_s * 4, lambda: sweeps.end_past_send_by(db, settings.dispatch_silent_kept_s)),
        ("sweep-leases", often_s * 4, lambda: sweeps.recover_expired(db)),
        ("sweep-unknowns", _SLOW_S, lambda: sweeps.settle_unknowns(db, unknown_s)),
        ("sweep-answers", often_s * 4, lambda: sweeps.settle_answered(db)),
        ("sweep-refunds", often_s * 4, lambda: sweeps.refund_failed(db)),
        ("sweep-accounts", _SLOW_S, lambda: sweeps.repeat_accounts(db, settings.dispatch_account_repeat_s)),
        ("pace", pace.EVERY_S, pace.Pacer(db).look),
        ("failover", FAILOVER_S, Failover(db, settings).look),
        ("sweep-hours", _SLOW_S, lambda: sweeps.put_off(db)),
        ("waits", settings.dispatch_waits_look_s, lambda: sweeps.count_waits(db)),
        ("suspensions", settings.dispatch_waits_look_s, lambda: sweeps.count_suspensions(db)),
        ("sweep-senders", _SLOW_S, lambda: senders.sweep(db, settings.dispatch_sender_quarantine_days)),
        ("sweep-nobodys", 600.0, lambda: sweeps.drop_nobodys(db, settings.dispatch_nobodys_kept_days)),
        ("sweep-old", 600.0, lambda: sweeps.drop_old(db, settings.dispatch_waiting_kept_s, unknown_s)),
    )


async def _say_platform(db: Database, settings: DispatchSettings) -> None:
    async with db.worker() as tx:
        await seed(tx, settings)
        row = await carriers.read(tx, settings.carrier_account)
        assert row is not None, "it was seeded"
        await say_platform(tx, row.account, row.reference_bits, row.parts_per_second)
        await suspending.say_again(tx)


async def sender(process: Process[DispatchSettings]) -> None:
    """Own the binds of one carrier account: submit, record, take receipts and what people write."""
    from muster.dispatch.sender.pool import Pool

    await Pool(process, await connect(process), GROUP).run()


if __name__ == "__main__":
    main(GROUP, DispatchSettings, api=api, worker=worker, sender=sender)
