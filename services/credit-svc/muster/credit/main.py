"""The processes of credit-svc: `python -m muster.credit.main api|worker|migrate`."""

from collections.abc import Awaitable, Callable

from muster.credit import events, handlers
from muster.credit.handlers.laws import check_laws
from muster.credit.payment.charger import Charger
from muster.credit.payment.port import HttpProvider
from muster.credit.settings import CreditSettings
from muster.kit.law_watch import watch_laws
from muster.kit.pg import Database, Tx
from muster.kit.process import Process
from muster.kit.repeat import repeat
from muster.kit.service import api_of, connect, main, start_consumer, start_relay

api = api_of("muster.credit.api")


async def worker(process: Process[CreditSettings]) -> None:
    """Apply events, publish the outbox, and say the rates."""
    settings = process.settings
    db = await connect(process)
    relay = start_relay(process, db, on_lead=lambda: _say(db, handlers.say_all_rates))
    start_consumer(
        process,
        db,
        topics=events.HEARD,
        handlers=handlers.HANDLERS,
        batch_max=settings.credit_batch_max,
        after_commit=lambda _: relay.wake(),
    )
    poll_s = settings.credit_rate_poll_s
    process.supervise("rates", repeat("rates.say", poll_s, lambda: _say(db, handlers.say_new_rates)))
    process.supervise("charges", repeat("charges.due", settings.credit_charge_poll_s, _charger(process, db).charge_due))
    process.supervise("laws", watch_laws(db, check_laws, settings.laws_watch_s))
    process.ready()
    await process.stopped()


def _charger(process: Process[CreditSettings], db: Database) -> Charger:
    settings = process.settings
    provider = None
    if settings.credit_payment_url:
        token = settings.credit_payment_token.get_secret_value()
        provider = HttpProvider(settings.credit_payment_url, token, settings.credit_payment_timeout_s)
        process.on_stop(provider.close)
    return Charger(db, provider, lease_s=settings.credit_charge_lease_s, given_up_h=settings.credit_charge_given_up_h)


async def _say(db: Database, rates: Callable[[Tx], Awaitable[object]]) -> None:
    async with db.worker() as tx:
        await rates(tx)


if __name__ == "__main__":
    main("credit", CreditSettings, api=api, worker=worker)
