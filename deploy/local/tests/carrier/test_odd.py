"""The simulated carrier says what nobody asked for, and what is no PDU; a session of ours lives through the first."""

import asyncio

import pytest

from muster.local.carrier import odd
from muster.smpp import Accepted, Decoder, Unknown

from .conftest import Phonebook, Stager, messages


async def test_a_session_lives_through_everything_that_comes_beside_its_answers(staged: Stager) -> None:
    stage = await staged(odd_ratio=1.0)
    session = await stage.connect()

    for turn in range(6):
        outcomes = await session.submit(messages(50, b"%d" % turn))
        assert all(isinstance(outcome, Accepted) for outcome in outcomes)
        assert len({outcome.carrier_id for outcome in outcomes if isinstance(outcome, Accepted)}) == 50

    assert session.bound
    assert session.counts.stray > 50
    assert session.counts.malformed > 0
    assert session.counts.unknown_pdus > 0
    assert (await stage.stats())["odd"] == 300


@pytest.mark.parametrize("turn", range(4))
def test_garbage_ends_the_reading_of_a_stream_and_not_what_was_read_before(turn: int) -> None:
    decoder = Decoder()
    pdus = decoder.feed(odd.beside(7, 0) + odd.garbage(turn))

    assert len(pdus) == 1
    assert decoder.error is not None
    assert decoder.buffered_octets == 0


async def test_a_session_ends_at_garbage_and_what_it_had_not_heard_of_is_unknown(staged: Stager) -> None:
    stage = await staged(garbage_every=20)
    session = await stage.connect()

    first = await session.submit(messages(20))
    reason = await asyncio.wait_for(session.closed, 120)

    assert all(isinstance(outcome, Accepted) for outcome in first), "what came before it counts"
    assert reason.startswith("protocol error")
    stage = await staged(garbage_every=1, response_delay_ms=400)
    session = await stage.connect()
    one = asyncio.create_task(session.submit(messages(1)))
    await asyncio.sleep(0.02)
    other = asyncio.create_task(session.submit(messages(1, b"later")))
    assert isinstance((await one)[0], Accepted)
    assert isinstance((await other)[0], Unknown)


async def test_receipts_of_strangers_come_beside_ones_own(staged: Stager) -> None:
    stage, book = await staged(receipt_alien=1.0), Phonebook()
    session = await stage.connect(book)

    ids = {outcome.carrier_id for outcome in await session.submit(messages(10)) if isinstance(outcome, Accepted)}
    receipts = await book.receipts(20)

    assert len([receipt for receipt in receipts if receipt.id in ids]) == 10
    assert all(receipt.number.startswith("61499") for receipt in receipts if receipt.id not in ids)
    assert (await stage.stats())["receipts_alien"] == 10
