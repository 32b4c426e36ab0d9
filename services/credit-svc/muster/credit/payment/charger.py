"""The task of automatic top-ups. A charge is committed before the provider is asked, and asked for with the same key
until its outcome is known: through a crash at any point the money is taken once and the credits are granted once."""

import asyncio

from muster.credit.domain.payments import Payment, PaymentRefused
from muster.credit.domain.watch import Failure
from muster.credit.handlers import money
from muster.credit.payment.port import Became, Charge, Outcome, Provider
from muster.credit.store import watch
from muster.credit.store.watch import Due
from muster.kit import clock, metrics, observe
from muster.kit.pg import Database, Tx

log = observe.logger(__name__)

AT_ONCE = 20
_PAUSE_S_MIN, _PAUSE_S_MAX = 2.0, 600.0
_DOUBLINGS_MAX = 10


class Charger:
    """Asks the provider for what is due, in as many processes as there are. Without a provider every charge fails."""

    def __init__(self, db: Database, provider: Provider | None, *, lease_s: float, given_up_h: float) -> None:
        self._db = db
        self._provider = provider
        self._lease_s = lease_s
        self._given_up_s = given_up_h * 3_600

    async def charge_due(self) -> bool:
        """Ask for the charges that are due now; whether there may be more."""
        async with self._db.worker() as tx:
            leased = await watch.lease(tx, AT_ONCE, self._lease_s)
        # All at once: a provider that is slow with one does not hold up the others beyond their lease.
        done = await asyncio.gather(*(self._charge(due) for due in leased), return_exceptions=True)
        for failed in done:
            if isinstance(failed, BaseException):
                raise failed
        return len(leased) == AT_ONCE

    async def _charge(self, due: Due) -> None:
        outcome = await self._ask(due)
        async with self._db.worker() as tx:
            became = await self._note(tx, due, outcome)
        metrics.charges.labels(became).inc()

    async def _ask(self, due: Due) -> Outcome:
        if self._provider is None:
            return Outcome(Became.FAILED, reason=Failure.NO_PROVIDER)
        return await self._provider.charge(Charge(due.charge_id, due.tenant_id, due.amount, due.currency))

    async def _note(self, tx: Tx, due: Due, outcome: Outcome) -> Became:
        if outcome.became is Became.PAID:
            told = Payment(
                due.tenant_id, outcome.payment_id, due.amount, due.currency, clock.now(), charge_id=due.charge_id
            )
            taken = await money.take_payment(tx, told)
            if not isinstance(taken, PaymentRefused):
                return Became.PAID
            # The money is there and cannot be credited: a person must look, and it is tried again meanwhile.
            log.error("charge.not_credited", charge_id=str(due.charge_id), reason=taken)
            outcome = Outcome(Became.OPEN, reason=taken)
        if outcome.became is Became.FAILED:
            await money.end_failed(tx, due.tenant_id, due.charge_id, outcome.reason)
            return Became.FAILED
        if due.age_s > self._given_up_s:
            await money.end_failed(tx, due.tenant_id, due.charge_id, Failure.NO_ANSWER)
            return Became.FAILED
        await watch.postpone(tx, due.tenant_id, due, pause_s(due.attempts), outcome.reason)
        return Became.OPEN


def pause_s(attempts: int) -> float:
    """Seconds until a charge without an outcome is asked for again."""
    return min(_PAUSE_S_MIN * (1 << min(attempts - 1, _DOUBLINGS_MAX)), _PAUSE_S_MAX)
