"""Messages whose receipt never comes are asked for at the carrier, if its account says so, so often and no more."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from functools import partial
from typing import Any

import dispatch_world as world
from dispatch_world import Running, Send

from muster.dispatch.domain.carriers import Long, Smpp
from muster.dispatch.handlers import sweeps
from muster.events.v1 import common_pb2
from muster.events.v1.tenants_pb2 import FAILED_RULE_RELEASE
from muster.kit.pg import Database
from muster.kit.testing import eventually
from muster.local.carrier.server import Carrier

ACCEPTED = common_pb2.LEFT_ACCEPTED
DELIVERED, UNDELIVERED = common_pb2.RECEIPT_STATE_DELIVERED, common_pb2.RECEIPT_STATE_UNDELIVERED
# Two parts.
LONG = "The salon is open again from Monday. " * 6


@asynccontextmanager
async def asking(db: Database, carrier: Carrier, *, query_sm: bool = True, **members: Any) -> AsyncIterator[Running]:
    """A sender whose account asks (or does not), and looks for what it can ask all the time."""
    form = members.pop("long_messages", Long.HEADER)
    given = {
        "dispatch_query_after_s": 0.05,
        "dispatch_queries_per_s": 1_000,
        "carrier_response_timeout_s": 5,
        **members,
    }
    conf = world.settings(carrier_port=carrier.port, **given)
    account = conf.account()
    assert isinstance(account.options, Smpp)
    options = replace(account.options, query_sm=query_sm, long_messages=form)
    async with world.sending(db, conf, account=replace(account, options=options)) as running:
        yield running


async def heard(db: Database, send: Send, count: int) -> bool:
    return sum((await world.receipts(db, send)).values()) >= count


async def asked(carrier: Carrier, count: int) -> bool:
    return carrier.stats.queries >= count


async def waiting(db: Database) -> int:
    async with db.worker() as tx:
        found: int = await tx.fetchval("SELECT count(*) FROM status_question")
    return found


async def none_waits(db: Database) -> bool:
    return await waiting(db) == 0


async def test_what_the_carrier_says_when_asked_counts_as_the_receipt_that_never_came(
    db: Database, carrier: Carrier
) -> None:
    carrier.use(replace(carrier.options, receipt_loss=1.0, undelivered_ratio=0.3))
    send = Send(recipients=40)
    await world.queue(db, send)
    await world.hear(db, world.tenant(send, version=2, failed_rule=FAILED_RULE_RELEASE))

    async with asking(db, carrier):
        await eventually(partial(heard, db, send, 40))
        await eventually(partial(none_waits, db))
    while await sweeps.refund_failed(db):
        pass

    said = await world.receipts(db, send)
    assert set(said) == {DELIVERED, UNDELIVERED}
    assert carrier.stats.queries == 40, "each was asked for once"
    assert (await world.saga(db, send))["refunded"] == said[UNDELIVERED]
    await world.assert_laws(db)


async def test_each_part_of_a_long_message_is_asked_for_and_one_that_went_out_whole_once(
    db: Database, carrier: Carrier
) -> None:
    carrier.use(replace(carrier.options, receipt_loss=1.0))
    for form, questions in ((Long.HEADER, 20), (Long.PAYLOAD, 10)):
        carrier.reset()
        send = Send(recipients=10, text=LONG)
        await world.queue(db, send)
        async with asking(db, carrier, long_messages=form):
            await eventually(partial(heard, db, send, 10))
            await eventually(partial(none_waits, db))
        assert await world.receipts(db, send) == {DELIVERED: 10}
        assert carrier.stats.queries == questions


async def test_nothing_is_asked_of_an_account_that_does_not_say_so_nor_of_what_has_its_receipt(
    db: Database, carrier: Carrier
) -> None:
    carrier.use(replace(carrier.options, receipt_loss=1.0))
    silent = Send(recipients=5)
    await world.queue(db, silent)
    async with asking(db, carrier, query_sm=False):
        await eventually(partial(world.closed, db, silent))
    assert carrier.stats.queries == 0

    carrier.use(replace(carrier.options, receipt_loss=0.0))
    send = Send(recipients=5, first_number=61_412_000_000)
    await world.queue(db, send)
    async with asking(db, carrier, query_sm=False):
        await eventually(partial(heard, db, send, 5))
    async with asking(db, carrier):
        await eventually(partial(heard, db, silent, 5))
    assert carrier.stats.queries == 5, "those of before the account asked, and no other"


async def test_a_carrier_that_gives_no_answer_is_asked_so_often_and_no_more(db: Database, carrier: Carrier) -> None:
    carrier.use(replace(carrier.options, receipt_loss=1.0, query_loss=1.0))
    send = Send(recipients=3)
    await world.queue(db, send)
    async with asking(
        db, carrier, dispatch_query_times_max=2, dispatch_query_after_s=0.3, carrier_response_timeout_s=0.5
    ):
        await eventually(partial(asked, carrier, 6))
        await eventually(partial(none_waits, db))

    assert carrier.stats.queries == carrier.stats.queries_lost == 6
    assert await world.lefts(db, send) == {ACCEPTED: 3}
    assert await world.receipts(db, send) == {}


async def test_what_is_still_on_its_way_is_asked_for_later_and_its_receipt_counts_when_it_comes(
    db: Database, carrier: Carrier
) -> None:
    carrier.use(replace(carrier.options, receipt_delay_ms=3_000))
    send = Send(recipients=3)
    await world.queue(db, send)
    async with asking(db, carrier):
        await eventually(partial(asked, carrier, 3))
        assert await waiting(db) == 3
        assert await world.receipts(db, send) == {}
        await eventually(partial(heard, db, send, 3))
        await eventually(partial(none_waits, db))

    assert await world.receipts(db, send) == {DELIVERED: 3}


async def test_questions_outlive_their_sender(db: Database, carrier: Carrier) -> None:
    carrier.use(replace(carrier.options, receipt_loss=1.0, query_loss=1.0))
    send = Send(recipients=3)
    await world.queue(db, send)
    async with asking(db, carrier, dispatch_query_after_s=0.5, carrier_response_timeout_s=0.5) as running:
        await eventually(partial(asked, carrier, 3))
        await running.kill()
    carrier.use(replace(carrier.options, query_loss=0.0))
    async with asking(db, carrier):
        await eventually(partial(heard, db, send, 3))
    assert await world.receipts(db, send) == {DELIVERED: 3}
