"""The simulated carrier is asked what became of a message, by query_sm."""

import pytest

from muster.smpp import Accepted, Message, Receipt, ReceiptState, Session, SubmitTemplate, answered_receipt

from .conftest import Stager, messages

NUMBER = ("61400000000", 1, 1)


async def asked(session: Session, carrier_id: str, *source: str | int) -> Receipt | None:
    answer = await session.queries.ask(carrier_id, *(source or NUMBER))  # type: ignore[arg-type]
    return None if answer is None else answered_receipt(answer, carrier_id)


async def ids(session: Session, count: int) -> list[str]:
    outcomes = await session.submit(messages(count))
    return [outcome.carrier_id for outcome in outcomes if isinstance(outcome, Accepted)]


@pytest.mark.parametrize("id_format", ["dec", "hex"])
async def test_it_tells_how_each_message_ended_whose_receipt_it_never_sent(staged: Stager, id_format: str) -> None:
    stage = await staged(receipt_loss=1.0, undelivered_ratio=0.3, expired_ratio=0.3, id_format=id_format)
    session = await stage.connect()

    said = [await asked(session, one) for one in await ids(session, 60)]

    assert {(receipt.state, receipt.error) for receipt in said if receipt is not None} == {
        (ReceiptState.DELIVERED, ""),
        (ReceiptState.UNDELIVERABLE, "010"),
        (ReceiptState.EXPIRED, "027"),
    }
    assert all(receipt is not None and receipt.done_at is not None for receipt in said)
    assert (await stage.stats())["queries"] == 60


async def test_a_message_is_on_its_way_until_its_receipt_is_due(staged: Stager) -> None:
    stage = await staged(receipt_delay_ms=60_000)
    session = await stage.connect()
    (one,) = await ids(session, 1)

    receipt = await asked(session, one)

    assert receipt == Receipt(one, ReceiptState.ENROUTE)


async def test_an_id_that_it_never_gave_or_gave_to_another_sender_is_refused(staged: Stager) -> None:
    stage = await staged()
    session = await stage.connect()
    (one,) = await ids(session, 1)

    assert await asked(session, "12") is None
    assert await asked(session, "no number") is None
    assert await asked(session, one, "61499999999", 1, 1) is None
    assert await asked(session, one) is not None
    assert (await stage.stats())["queries_failed"] == 3


async def test_some_questions_get_no_answer_where_it_is_told_so(staged: Stager) -> None:
    stage = await staged(query_loss=1.0)
    session = await stage.connect(response_timeout_s=0.05)
    (one,) = await ids(session, 1)

    assert await session.queries.ask(one, *NUMBER) is None
    assert (await stage.stats())["queries_lost"] == 1


async def test_each_part_of_a_long_message_has_an_answer(staged: Stager) -> None:
    stage = await staged()
    session = await stage.connect()
    outcomes = await session.submit([Message(SubmitTemplate("Salon", source_ton=5, source_npi=0), b"61411", b"a")] * 2)

    for outcome in outcomes:
        assert isinstance(outcome, Accepted)
        receipt = await asked(session, outcome.carrier_id, "Salon", 5, 0)
        assert receipt is not None
        assert receipt.state is ReceiptState.DELIVERED
