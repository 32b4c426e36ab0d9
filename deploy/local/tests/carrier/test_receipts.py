"""The receipts of the simulated carrier: what they tell, in each style, and to whom they go."""

import asyncio
from collections import Counter

import pytest

from muster.smpp import Accepted, BindMode, Message, ReceiptState, SubmitTemplate, same_id

from .conftest import Phonebook, Stager, messages


async def test_receipts_tell_undelivered_and_expired_by_number(staged: Stager) -> None:
    stage, book = await staged(undelivered_ratio=0.3, expired_ratio=0.3), Phonebook()
    session = await stage.connect(book)

    await session.submit(messages(100))
    await session.submit(messages(100, b"again"))
    receipts = await book.receipts(200)

    by_number: dict[str, set[tuple[ReceiptState, str]]] = {}
    for receipt in receipts:
        by_number.setdefault(receipt.number, set()).add((receipt.state, receipt.error))
    assert all(len(ends) == 1 for ends in by_number.values())
    assert set.union(*by_number.values()) == {
        (ReceiptState.DELIVERED, "000"),
        (ReceiptState.UNDELIVERABLE, "00A"),
        (ReceiptState.EXPIRED, "027"),
    }


async def test_receipts_come_twice_and_out_of_their_turn(staged: Stager) -> None:
    stage, book = await staged(receipt_duplicate=1.0, receipt_reorder=0.5), Phonebook()
    session = await stage.connect(book)

    await session.submit(messages(40))
    receipts = await book.receipts(80)

    assert set(Counter(receipt.id for receipt in receipts).values()) == {2}
    firsts = list(dict.fromkeys(int(receipt.id) for receipt in receipts))
    assert firsts != sorted(firsts)
    stats = await stage.stats()
    assert stats["receipts_repeated"] == 40
    assert 0 < stats["receipts_reordered"] < 40


async def test_a_receipt_can_be_earlier_than_the_response(staged: Stager) -> None:
    stage, book = await staged(response_delay_ms=200), Phonebook()
    session = await stage.connect(book)
    sending = asyncio.create_task(session.submit(messages(1)))

    (receipt,) = await book.receipts(1)

    assert not sending.done()
    assert await sending == [Accepted(receipt.id)]


@pytest.mark.parametrize("id_format", ["dec", "hex"])
@pytest.mark.parametrize("receipt_id_format", ["same", "dec", "hex"])
@pytest.mark.parametrize("receipt_format", ["tlv", "text", "both"])
@pytest.mark.parametrize("date_digits", [10, 12, 14])
async def test_every_style_of_receipt_is_matched(
    staged: Stager, id_format: str, receipt_id_format: str, receipt_format: str, date_digits: int
) -> None:
    stage, book = await staged(first_id=0xABC0), Phonebook()
    style = {"id_format": id_format, "receipt_id_format": receipt_id_format, "receipt_format": receipt_format,
             "date_digits": date_digits}  # fmt: skip
    assert (await stage.http.put("/faults", json=style)).status_code == 200
    session = await stage.connect(book)

    (outcome,) = await session.submit(messages(1))
    (receipt,) = await book.receipts(1)

    assert isinstance(outcome, Accepted)
    assert outcome.carrier_id == (f"{0xABC0:x}" if id_format == "hex" else str(0xABC0))
    assert same_id(outcome.carrier_id, receipt.id)
    assert receipt.state is ReceiptState.DELIVERED
    assert (receipt.done_at is None) is (receipt_format == "tlv")


async def test_the_reference_of_the_sender_comes_back_in_the_receipt(staged: Stager) -> None:
    stage, book = await staged(), Phonebook()
    session = await stage.connect(book)

    await session.submit([messages(1)[0]._replace(tlvs=b"\x02\x04\x00\x02\x12\x34")])

    assert (await book.receipts(1))[0].reference == 0x1234


async def test_a_receipt_that_was_not_asked_for_is_not_sent(staged: Stager) -> None:
    stage, book = await staged(), Phonebook()
    session = await stage.connect(book)
    silent = Message(SubmitTemplate("61400000000", registered_delivery=0), b"61412345678", b"x")

    await session.submit([silent, messages(1)[0]])

    assert [receipt.number for receipt in await book.receipts(1)] == ["61412340000"]
    assert (await stage.stats())["receipts_sent"] == 1


async def test_receipts_go_to_the_newest_bind_and_to_the_next_when_it_leaves(staged: Stager) -> None:
    stage, older, newer = await staged(), Phonebook(), Phonebook()
    first = await stage.connect(older)
    second = await stage.connect(newer)
    await first.submit(messages(3))
    assert len(await newer.receipts(3)) == 3

    await second.unbind()
    await first.submit(messages(3))

    assert len(await older.receipts(3)) == 3
    assert (await stage.stats())["binds"] == 1


async def test_receipts_wait_for_a_receiver(staged: Stager) -> None:
    stage, book = await staged(), Phonebook()
    sender = await stage.connect(mode=BindMode.TRANSMITTER)
    await sender.submit(messages(5))
    assert (await stage.stats())["deliveries_waiting"] == 5

    await stage.connect(book, mode=BindMode.RECEIVER)

    assert len(await book.receipts(5)) == 5


async def test_a_receipt_that_was_not_taken_comes_again(staged: Stager) -> None:
    stage, book = await staged(), Phonebook()
    book.fails = 1
    session = await stage.connect(book)

    await session.submit(messages(3))

    assert len(await book.receipts(3)) == 3
    await session.unbind()
    stats = await stage.stats()
    assert stats["receipts_refused"] > 0
    assert stats["receipts_acked"] == 3
