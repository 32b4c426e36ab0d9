"""credit-svc and dispatch-svc together, with a real carrier: what one says the other hears, to the last credit."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any
from uuid import uuid4

import dispatch_world as world
import pytest
from dispatch_world import Send

from muster.credit import handlers as credit
from muster.credit.domain.account import Account, Tenant
from muster.credit.domain.top_ups import TopUp
from muster.credit.handlers.laws import check_laws
from muster.credit.store import ledger
from muster.dispatch.handlers import sweeps
from muster.events.v1.bulk_pb2 import PARTIAL_RULE_FIRST_N, PARTIAL_RULE_NOTHING
from muster.events.v1.tenants_pb2 import FAILED_RULE_RELEASE
from muster.kit.pg import Database
from muster.kit.testing import apply, eventually, facts
from muster.local.carrier.options import CarrierOptions
from muster.local.carrier.server import Carrier

RECIPIENTS, PRICE = 4, 2


@dataclass(frozen=True, slots=True)
class Both:
    """The databases of the two, and what carries events between them."""

    credit: Database
    dispatch: Database

    async def ask(self, send: Send, balance: int, partial_rule: int) -> None:
        """A tenant with this balance sends: dispatch-svc hears of it and of what credit-svc answers."""
        async with self.credit.worker() as tx:
            await ledger.save_tenants(tx, [Tenant(send.tenant_id, 1)])
        if balance:
            async with self.credit.request(send.tenant_id) as tx:
                await credit.top_up(tx, TopUp(send.tenant_id, uuid4(), balance))
        asked = send.requested()
        asked.partial = partial_rule  # type: ignore[assignment]
        await apply(self.credit, credit.on_bulk_sms_requested, asked)
        await world.hear(self.dispatch, world.tenant(send, failed_rule=FAILED_RULE_RELEASE), asked)
        await world.hear(self.dispatch, *(send.chunk(at + 1) for at in range(send.chunks)))
        await world.hear(self.dispatch, *await self.said(send, "CreditsReserved", "CreditsRefused"))

    async def said(self, send: Send, *types: str) -> list[Any]:
        """What credit-svc says of a send."""
        async with self.credit.worker() as tx:
            return [fact.message for fact in await facts(tx, *types) if fact.correlation == str(send.bulk_id)]

    async def settle(self, send: Send) -> Account:
        """credit-svc hears what dispatch-svc has said of a send, all of it twice; the account after it."""
        totals = [
            one for one in await world.said(self.dispatch, "BulkSmsAccounted") if one.bulk_id == str(send.bulk_id)
        ]
        for one in (*totals, *totals):
            await apply(self.credit, credit.on_bulk_sms_accounted, one)
        async with self.credit.request(send.tenant_id) as tx:
            return await ledger.balance(tx, send.tenant_id)

    async def laws_hold(self) -> None:
        """No law is broken in either."""
        await world.assert_laws(self.dispatch)
        async with self.credit.worker() as tx:
            assert [one for law in await check_laws(tx) for one in law.violations] == []


@pytest.fixture
async def both(service_database: Any) -> Both:
    return Both(await service_database("credit"), await service_database("dispatch"))


@pytest.fixture
async def carrier() -> AsyncIterator[Carrier]:
    async with Carrier(CarrierOptions(password="muster")) as server:
        yield server


@pytest.mark.parametrize("rule", [PARTIAL_RULE_NOTHING, PARTIAL_RULE_FIRST_N])
async def test_at_every_balance_from_nothing_to_the_price_the_books_are_exact(
    both: Both, carrier: Carrier, rule: int
) -> None:
    sends = {
        balance: Send(recipients=RECIPIENTS, price=PRICE, chunk_size=3, first_number=61_411_000_000 + 10 * balance)
        for balance in range(RECIPIENTS * PRICE + 1)
    }
    for balance, send in sends.items():
        await both.ask(send, balance, rule)

    async with world.sending(both.dispatch, world.settings(carrier_port=carrier.port)):
        for send in sends.values():
            await eventually(partial(world.closed, both.dispatch, send))

    for balance, send in sends.items():
        whole = balance >= send.credits
        sent = RECIPIENTS if whole else balance // PRICE if rule == PARTIAL_RULE_FIRST_N else 0
        account = await both.settle(send)
        assert (account.available, account.reserved, account.consumed) == (balance - sent * PRICE, 0, sent * PRICE)
        assert [str(number) in carrier.stats.by_destination for number in send.numbers] == [
            at < sent for at in range(RECIPIENTS)
        ]
        refused = await both.said(send, "CreditsRefused")
        nothing = not whole and (rule == PARTIAL_RULE_NOTHING or not balance)
        assert [one.shortfall for one in refused] == ([send.credits - balance] if nothing else [])
    await both.laws_hold()


async def test_what_failed_comes_back_to_the_account_after_the_send_has_closed(both: Both, carrier: Carrier) -> None:
    send = Send(recipients=60, price=PRICE, chunk_size=25)
    await both.ask(send, 200, PARTIAL_RULE_NOTHING)
    carrier.use(replace(carrier.options, undelivered_ratio=0.4, receipt_delay_ms=200))

    async with world.sending(both.dispatch, world.settings(carrier_port=carrier.port)):
        await eventually(partial(world.closed, both.dispatch, send))
        charged = await both.settle(send)
        await eventually(lambda: all_have_receipts(both.dispatch, send))
    await sweeps.refund_failed(both.dispatch)

    failed = sum(count for state, count in (await world.receipts(both.dispatch, send)).items() if state != 1)
    assert 0 < failed < 60
    account = await both.settle(send)
    assert charged.consumed <= 120
    assert (account.available, account.consumed) == (80 + failed * PRICE, 120 - failed * PRICE)
    await both.laws_hold()


async def all_have_receipts(db: Database, send: Send) -> bool:
    return (await world.receipts(db, send)).total() == send.recipients
