"""The processes of reply-svc: `python -m muster.reply.main api|worker|migrate`."""

from collections.abc import Sequence

from muster.kit.mail import Bag, P, Postman, Postmark
from muster.kit.mail import Relay as MailRelay
from muster.kit.pg import Database
from muster.kit.process import Process
from muster.kit.repeat import repeat
from muster.kit.service import api_of, connect, main, start_consumer, start_forgetting, start_relay
from muster.kit.settings import secret
from muster.reply import events, handlers
from muster.reply.mail import about_credits, replies
from muster.reply.settings import ReplySettings
from muster.reply.store import inbox, sent

_FORGET_EVERY_S = 3_600.0
_FORGET_AT_ONCE = 1_000


api = api_of("muster.reply.api")


async def worker(process: Process[ReplySettings]) -> None:
    """Apply events, publish the outbox, send e-mails, forget what is old."""
    settings = process.settings
    db = await connect(process)
    relay = start_relay(process, db)
    postman = _postman(db, settings, replies(handlers.told))
    process.supervise("mail", postman.run())
    process.on_stop(postman.stop)
    teller = _postman(db, settings, about_credits())
    process.supervise("mail.credits", teller.run())
    process.on_stop(teller.stop)

    def committed(types: Sequence[str]) -> None:
        if "SmsReceived" in types:
            relay.wake()
            postman.wake()
        if {"CreditsLow", "AutomaticTopUpFailed"} & set(types):
            teller.wake()

    start_consumer(
        process,
        db,
        topics=events.HEARD,
        handlers=handlers.HANDLERS,
        batch_max=settings.reply_batch_max,
        after_commit=committed,
        name="consumer.replies",
    )
    # The same group, other topics: offsets are per topic, and a giant send stands before nobody's reply.
    start_consumer(
        process,
        db,
        topics=events.HEARD_CHUNKS,
        handlers=handlers.HANDLERS,
        batch_max=settings.reply_chunk_batch_max,
        name="consumer.chunks",
    )
    start_forgetting(process, db, handlers.blank)
    process.supervise("forget", repeat("forget", _FORGET_EVERY_S, lambda: _forget(db, settings)))
    process.ready()
    await process.stopped()


def _postman(db: Database, settings: ReplySettings, bag: Bag[P]) -> Postman[P]:
    relay = MailRelay(
        settings.smtp, settings.smtp_username, settings.smtp_password.get_secret_value(), settings.reply_mail_timeout_s
    )
    mark = Postmark(settings.reply_mail_from, bytes.fromhex(secret(settings.hash_key, "hash_key")))
    return Postman(
        db,
        relay,
        mark,
        bag,
        at_once=settings.reply_mail_at_once,
        lease_s=settings.reply_mail_lease_s,
        poll_s=settings.reply_mail_poll_s,
    )


async def _forget(db: Database, settings: ReplySettings) -> bool:
    """Forget some; whether there may be more."""
    async with db.worker() as tx:
        gone = (
            await sent.forget(tx, settings.reply_chunks_kept_days, _FORGET_AT_ONCE),
            await inbox.blank_strangers(tx, settings.reply_strangers_kept_days, _FORGET_AT_ONCE),
        )
    return max(gone) >= _FORGET_AT_ONCE


if __name__ == "__main__":
    main("reply", ReplySettings, api=api, worker=worker)
