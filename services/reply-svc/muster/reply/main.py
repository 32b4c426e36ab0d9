"""The processes of reply-svc: `python -m muster.reply.main api|worker|migrate`."""

import asyncio
import sys
from collections.abc import Sequence
from typing import NoReturn

from muster.kit import observe
from muster.kit.consumer import Consumer
from muster.kit.migrate import migrate as apply_migrations
from muster.kit.outbox import Lane
from muster.kit.pg import RETRIABLE, Database, Overloaded
from muster.kit.process import Process, run, serve_http
from muster.kit.producer import Producer
from muster.kit.relay import Relay
from muster.kit.settings import load, secret
from muster.reply import events, handlers
from muster.reply.mail import Postman, Postmark
from muster.reply.mail import Relay as MailRelay
from muster.reply.settings import ReplySettings
from muster.reply.store import sent

log = observe.logger(__name__)

_TRANSIENT: tuple[type[Exception], ...] = (*RETRIABLE, Overloaded)

_FORGET_EVERY_S = 3_600.0
_FORGET_AT_ONCE = 1_000


async def api(process: Process) -> None:
    """Serve HTTP."""
    from muster.kit.auth import Verifier
    from muster.kit.http import create_app
    from muster.kit.idempotency import forget_old_answers
    from muster.reply.api import ROUTERS

    settings = load(ReplySettings)
    db = await _connect(process, settings)
    state = {"db": db, "verifier": Verifier.of(settings), "settings": settings}
    serve_http(process, create_app("reply", routers=ROUTERS, state=state), settings)
    process.supervise("idempotency", forget_old_answers(db, settings.idempotency_kept_h))
    process.ready()
    await process.stopped()


async def worker(process: Process) -> None:
    """Apply events, publish the outbox, send e-mails, forget what is old."""
    observe.name_service("reply")
    settings = load(ReplySettings)
    db = await _connect(process, settings)
    producer = Producer(settings.kafka, client_id="reply")
    process.on_stop(producer.stop)
    relay = Relay(db, producer, (Lane.SMALL, Lane.LARGE))
    process.supervise("relay", relay.run())
    process.on_stop(relay.stop)
    postman = _postman(db, settings)
    process.supervise("mail", postman.run())
    process.on_stop(postman.stop)

    def committed(types: Sequence[str]) -> None:
        if "SmsReceived" in types:
            relay.wake()
            postman.wake()

    replies = Consumer(
        db,
        bootstrap=settings.kafka,
        group="reply",
        topics=events.HEARD,
        handlers={
            "TenantChanged": handlers.on_tenant_changed,
            "PersonErased": handlers.on_person_erased,
            "SmsDispatched": handlers.on_sms_dispatched,
            "SmsReceived": handlers.on_sms_received,
        },
        batch_max=settings.reply_batch_max,
        after_commit=committed,
    )
    # The same group, other topics: offsets are per topic, and a giant send stands before nobody's reply.
    chunks = Consumer(
        db,
        bootstrap=settings.kafka,
        group="reply",
        topics=events.HEARD_CHUNKS,
        handlers={"BulkRecipientsAttached": handlers.on_bulk_recipients_attached},
        batch_max=settings.reply_chunk_batch_max,
    )
    _consume(process, replies, "consumer.replies")
    _consume(process, chunks, "consumer.chunks")
    process.supervise("forget", _forget(db, settings.reply_chunks_kept_days))
    process.ready()
    await process.stopped()


async def migrate(process: Process) -> None:
    """Bring the database to the newest version."""
    settings = load(ReplySettings)
    await apply_migrations(secret(settings.postgres, "postgres"), "reply")


async def _connect(process: Process, settings: ReplySettings) -> Database:
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


def _consume(process: Process, consumer: Consumer, name: str) -> None:
    process.supervise(name, consumer.run())
    process.on_stop(consumer.stop)


def _postman(db: Database, settings: ReplySettings) -> Postman:
    relay = MailRelay(
        settings.smtp, settings.smtp_username, settings.smtp_password.get_secret_value(), settings.reply_mail_timeout_s
    )
    mark = Postmark(settings.reply_mail_from, bytes.fromhex(secret(settings.hash_key, "hash_key")))
    return Postman(
        db,
        relay,
        mark,
        handlers.told,
        at_once=settings.reply_mail_at_once,
        lease_s=settings.reply_mail_lease_s,
        poll_s=settings.reply_mail_poll_s,
    )


async def _forget(db: Database, kept_days: int) -> NoReturn:
    while True:
        count = 0
        try:
            async with db.worker() as tx:
                count = await sent.forget(tx, kept_days, _FORGET_AT_ONCE)
        except _TRANSIENT as error:
            log.warning("chunks.not_forgotten", exc_info=error)
        await asyncio.sleep(0 if count >= _FORGET_AT_ONCE else _FORGET_EVERY_S)


if __name__ == "__main__":
    run({"api": api, "worker": worker, "migrate": migrate}[sys.argv[1]], load(ReplySettings))
