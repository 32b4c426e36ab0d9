"""The processes of report-svc: `python -m muster.report.main api|worker|migrate`; worker: the stream processor."""

from muster.kit.law_watch import watch_laws
from muster.kit.process import Process
from muster.kit.service import connect, main, serve_api, start_forgetting, start_relay
from muster.kit.settings import secret
from muster.report.settings import ReportSettings


async def api(process: Process[ReportSettings]) -> None:
    """Serve HTTP."""
    from muster.report.api import ROUTERS
    from muster.report.api.readers import Readers
    from muster.report.api.watching import Watching

    settings = process.settings
    readers = Readers(tenant_max=settings.report_events_tenant_max, all_max=settings.report_events_max)
    watching = Watching(settings)
    serve_api(process, await connect(process), ROUTERS, readers=readers, watching=watching)
    process.on_stop(watching.close)  # before the server, which waits for every answer
    process.ready()
    await process.stopped()


async def worker(process: Process[ReportSettings]) -> None:
    """Project events into rows with Faust, audit what it skipped, and publish what is parked."""
    from muster.report import handlers
    from muster.report.api.ops import check_laws
    from muster.report.stream.agents import Processor
    from muster.report.stream.auditor import Auditor
    from muster.report.stream.watch import Watch

    settings = process.settings
    db = await connect(process)
    start_relay(process, db)
    processor = Processor(settings, db)
    key = bytes.fromhex(secret(settings.hash_key, "hash_key"))
    start_forgetting(process, db, handlers.blank_by(key, settings.hash_generation))
    process.supervise("stream", processor.run())
    process.on_stop(processor.stop)
    process.supervise("auditor", Auditor(settings, db).run())
    process.supervise("laws", watch_laws(db, check_laws, settings.laws_watch_s))
    process.supervise("watch", Watch(settings, db).run())
    process.ready()
    await process.stopped()


if __name__ == "__main__":
    main("report", ReportSettings, api=api, worker=worker)
