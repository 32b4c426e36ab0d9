"""The processes of report-svc: `python -m muster.report.main api|worker|migrate`; worker: the stream processor."""

import sys

from muster.kit import observe
from muster.kit.migrate import migrate as apply_migrations
from muster.kit.pg import Database
from muster.kit.process import Process, run, serve_http
from muster.kit.settings import load, secret
from muster.report.settings import ReportSettings


async def api(process: Process) -> None:
    """Serve HTTP."""
    from muster.kit.auth import Verifier
    from muster.kit.http import create_app
    from muster.report.api import ROUTERS

    settings = load(ReportSettings)
    db = await _connect(process, settings)
    state = {"db": db, "verifier": Verifier.of(settings), "settings": settings}
    serve_http(process, create_app("report", routers=ROUTERS, state=state), settings)
    process.ready()
    await process.stopped()


async def worker(process: Process) -> None:
    """Project events into rows with Faust, audit what it skipped, and publish what is parked."""
    from muster.kit.outbox import Lane
    from muster.kit.producer import Producer
    from muster.kit.relay import Relay
    from muster.report.stream.agents import Processor
    from muster.report.stream.auditor import Auditor

    observe.name_service("report")
    settings = load(ReportSettings)
    db = await _connect(process, settings)
    producer = Producer(settings.kafka, client_id="report")
    process.on_stop(producer.stop)
    relay = Relay(db, producer, (Lane.SMALL,))
    process.supervise("relay", relay.run())
    process.on_stop(relay.stop)
    processor = Processor(settings, db)
    process.supervise("stream", processor.run())
    process.on_stop(processor.stop)
    process.supervise("auditor", Auditor(settings, db).run())
    process.ready()
    await process.stopped()


async def migrate(process: Process) -> None:
    """Bring the database to the newest version."""
    settings = load(ReportSettings)
    await apply_migrations(secret(settings.postgres, "postgres"), "report")


async def _connect(process: Process, settings: ReportSettings) -> Database:
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
    run({"api": api, "worker": worker, "migrate": migrate}[sys.argv[1]], load(ReportSettings))
