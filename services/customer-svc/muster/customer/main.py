"""The processes of customer-svc: `python -m muster.customer.main api|worker|migrate`."""

import asyncio
from functools import partial

from muster.customer import events
from muster.customer.domain import calendars
from muster.customer.gatherer import Gatherer
from muster.customer.handlers import erasing, facts, guarding, messages, undeliverable, withdrawals
from muster.customer.handlers.audience_changes import Forgetting, forget_how_they_were
from muster.customer.importer import sweeping
from muster.customer.importer.applying import Secrets as ImportSecrets
from muster.customer.importer.engine import Child, Inline
from muster.customer.importer.listing import ListLimits
from muster.customer.importer.turns import Importer
from muster.customer.importer.turns import Limits as ImportLimits
from muster.customer.planner import Limits, Planner
from muster.customer.scheduler import Limits as SchedulerLimits
from muster.customer.scheduler import Scheduler
from muster.customer.settings import CustomerSettings
from muster.customer.store import hash_key
from muster.customer.store.audience_counts import FORGET_S
from muster.kit.outbox import Lane
from muster.kit.pg import Database
from muster.kit.process import Process
from muster.kit.repeat import repeat, until_done
from muster.kit.service import connect, main, serve_api, start_consumer, start_forgetting, start_relay

_REPEATED_MAX = 10_000
_FORGET_S = 600.0
_MEASURE_S = 60.0
_WARM_S = 20.0
_SMALL_BLOCK_ROWS = 500
_CHILD_IDLE_S = 30.0


async def api(process: Process[CustomerSettings]) -> None:
    """Serve HTTP."""
    from muster.customer.api import ROUTERS

    settings = process.settings
    db = await _connected(process)
    # Small files are imported while their sender waits: nothing of them is worth another process.
    inline = Inline()
    importer = Importer(db, inline, inline, _import_secrets(settings), _import_limits(settings, _SMALL_BLOCK_ROWS))
    serve_api(process, db, ROUTERS, gatherer=_gatherer(db, settings), importer=importer)
    process.supervise("calendars", _warm())
    process.ready()
    await process.stopped()


async def _connected(process: Process[CustomerSettings]) -> Database:
    db, settings = await connect(process), process.settings

    async def hold_to_key() -> None:
        async with db.worker() as tx:
            await hash_key.hold_to(tx, settings.hash_key_bytes, settings.hash_generation)

    await until_done("hash-key", hold_to_key)
    return db


def _gatherer(db: Database, settings: CustomerSettings) -> Gatherer:
    keys = settings.hash_key_bytes, settings.hash_generation, settings.bulk_id_key_bytes
    secrets = messages.Secrets(*keys, settings.link_url)
    return Gatherer(
        db,
        partial(messages.take, secrets=secrets, limits=settings.limits),
        wait_ms=settings.customer_group_wait_ms,
        wait_ms_max=settings.customer_group_wait_ms_max,
        group_max=settings.customer_group_max,
        waiting_max=settings.customer_group_waiting_max,
    )


async def worker(process: Process[CustomerSettings]) -> None:
    """Apply events, plan sends, start what is scheduled, and publish the outbox."""
    settings = process.settings
    db = await _connected(process)
    minutes = settings.customer_suppressions_repeated_min
    relay = start_relay(process, db, on_lead=lambda: _say_suppressions_again(db, minutes))
    start_consumer(
        process,
        db,
        topics=events.HEARD,
        handlers=facts.handlers(settings.bulk_id_key_bytes, settings.customer_start_days),
        batch_max=settings.customer_batch_max,
        after_commit=lambda _: relay.wake(),
    )
    for lane in Lane:
        at_once = settings.customer_plan_small_at_once if lane is Lane.SMALL else 1
        planner = Planner(
            db, lane, _limits(settings), relay.wake, settings.limits, at_once=at_once, links=settings.links
        )
        process.supervise(f"planner.{lane.name.lower()}", planner.run())
    scheduler = Scheduler(
        db,
        settings.bulk_id_key_bytes,
        settings.link_url,
        _scheduler_limits(settings),
        relay.wake,
        guard=settings.limits,
    )
    process.supervise("scheduler", scheduler.run())
    _start_importer(process, db)
    start_forgetting(process, db, erasing.nothing_more)
    process.supervise("erasures", repeat("erasures", settings.erasure_look_s, lambda: erasing.sweep(db), pause_s=0.1))
    process.supervise("calendars", _warm())
    process.supervise("audience-changes", repeat("audience-changes", FORGET_S, Forgetting(db)))
    process.supervise(
        "customers-before",
        repeat(
            "customers-before",
            _FORGET_S,
            lambda: forget_how_they_were(db, settings.customer_quote_valid_h),
            pause_s=0.1,
        ),
    )
    process.supervise("counters", repeat("counters", _FORGET_S, lambda: guarding.forget(db)))
    failures, after_s = (
        settings.customer_undeliverable_after_sends_max,
        settings.customer_undeliverable_counted_after_min * 60,
    )
    process.supervise(
        "undeliverable",
        repeat("undeliverable", _MEASURE_S, lambda: undeliverable.count(db, failures, after_s), pause_s=0.1),
    )
    process.supervise("withdrawals", repeat("withdrawals", _MEASURE_S, lambda: withdrawals.measure(db)))
    process.ready()
    await process.stopped()


def _start_importer(process: Process[CustomerSettings], db: Database) -> None:
    """Read and apply files of customers, each in a process of its own, so that sends do not wait for it."""
    settings = process.settings
    reads, parses = (
        Child(idle_s=_CHILD_IDLE_S, memory_bytes_max=settings.customer_import_memory_bytes) for _ in range(2)
    )
    secrets = _import_secrets(settings)
    importer = Importer(db, reads, parses, secrets, _import_limits(settings, settings.customer_import_batch_rows))
    process.supervise("importer.read", importer.run_reader())
    process.supervise("importer.apply", importer.run_applier())
    process.on_stop(reads.stop)
    process.on_stop(parses.stop)
    kept = sweeping.Kept(
        upload_min=settings.customer_import_upload_min,
        preview_d=settings.customer_import_preview_d,
        rejected_d=settings.customer_import_rejected_d,
    )
    process.supervise("imports", repeat("imports", _FORGET_S, lambda: sweeping.sweep(db, kept)))


def _import_secrets(settings: CustomerSettings) -> ImportSecrets:
    return ImportSecrets(settings.hash_key_bytes, settings.hash_generation)


def _import_limits(settings: CustomerSettings, block_rows: int) -> ImportLimits:
    return ImportLimits(
        rows_max=settings.customer_import_rows_max,
        block_rows=block_rows,
        idle_ms=settings.customer_import_idle_ms,
        timeout_ms=settings.customer_plan_freeze_timeout_ms,
        lease_s=settings.customer_import_lease_s,
        tries_max=settings.customer_import_tries_max,
        lists=ListLimits(settings.customer_lists_max, settings.customer_list_members_max),
    )


async def _warm() -> None:
    """Load the calendars of the world before anybody asks for one; a process that has just begun has better to do."""
    await asyncio.sleep(_WARM_S)
    await asyncio.to_thread(calendars.warm)
    await asyncio.Event().wait()


async def _say_suppressions_again(db: Database, minutes: int) -> None:
    async with db.worker() as tx:
        await facts.say_recent_suppressions(tx, minutes, _REPEATED_MAX)
        await erasing.say_recent(tx, minutes, _REPEATED_MAX)


def _limits(settings: CustomerSettings) -> Limits:
    return Limits(
        add_up_chunks=settings.customer_plan_add_up_chunks,
        publish_chunks=settings.customer_plan_publish_chunks,
        idle_ms=settings.customer_plan_idle_ms,
        freeze_timeout_ms=settings.customer_plan_freeze_timeout_ms,
    )


def _scheduler_limits(settings: CustomerSettings) -> SchedulerLimits:
    return SchedulerLimits(
        at_once=settings.customer_schedule_rows,
        idle_ms=settings.customer_schedule_idle_ms,
        start_timeout_ms=settings.customer_plan_freeze_timeout_ms,
    )


if __name__ == "__main__":
    main("customer", CustomerSettings, api=api, worker=worker)
