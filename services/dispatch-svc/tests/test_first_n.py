"""Too few credits: the largest prefix that fits is sent, whatever is reserved, and the rest is released."""

from functools import partial

import dispatch_world as world
from dispatch_world import Send

from muster.events.v1 import common_pb2
from muster.kit.pg import Database
from muster.kit.testing import eventually
from muster.local.carrier.server import Carrier

PRICE, RECIPIENTS = 2, 4
TWO_PARTS = "Our salon moves to the other side of the road. " * 4


async def test_for_every_balance_up_to_the_price_the_largest_prefix_is_sent_and_the_rest_released(
    db: Database, carrier: Carrier
) -> None:
    each = Send(recipients=1, text=TWO_PARTS, price=PRICE).credits
    sends = {
        credits: Send(
            recipients=RECIPIENTS,
            text=TWO_PARTS,
            price=PRICE,
            chunk_size=3,
            first_number=61_411_000_000 + 10 * credits,
        )
        for credits in range(RECIPIENTS * each + 1)
    }
    for credits, send in sends.items():
        await world.queue(db, send, credits)

    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        for send in sends.values():
            await eventually(partial(world.closed, db, send))

    for credits, send in sends.items():
        fitting = credits // each
        assert await world.money(db, send) == (credits, fitting * each, credits - fitting * each, 0)
        sent = [str(number) in carrier.stats.by_destination for number in send.numbers]
        assert sent == [True] * fitting + [False] * (RECIPIENTS - fitting)
        left = await world.left_by_seq(db, send)
        assert [left[seq] == common_pb2.LEFT_STOPPED for seq in range(fitting + 1, RECIPIENTS + 1)] == [True] * (
            RECIPIENTS - fitting
        )
        reason = (await world.saga(db, send))["reason"]
        assert reason == ("credits" if fitting < RECIPIENTS else "")
    await world.assert_laws(db)
