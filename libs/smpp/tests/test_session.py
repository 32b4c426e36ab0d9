"""The session against a carrier that is told what to do."""

import asyncio
from typing import Any

import pytest

from muster.smpp import (
    Accepted,
    BindRefused,
    Deliver,
    LateResponse,
    Message,
    NotSent,
    NotSentReason,
    Rejected,
    Session,
    SessionOptions,
    SubmitTemplate,
    Unknown,
    UnknownReason,
)
from muster.smpp.pdu import (
    DeliverResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    SubmitResp,
    Unbind,
    UnbindResp,
    UnknownPdu,
)

TEMPLATE = SubmitTemplate("61400000000")


def messages(count: int) -> list[Message]:
    return [Message(TEMPLATE, b"6141234%04d" % n, b"hello") for n in range(count)]


async def settled(awaitable: Any) -> Any:
    async with asyncio.timeout(120):
        return await awaitable


async def test_each_answer_becomes_the_outcome_of_its_message_in_any_order(carrier: Any, connect: Any) -> None:
    session = await connect()
    sending = asyncio.create_task(session.submit(messages(5)))
    one, two, three, four, five = await carrier.submits(5)

    carrier.say(
        SubmitResp(five.sequence, 0x14),
        SubmitResp(three.sequence, 0x0B),
        SubmitResp(one.sequence, 0, "a1"),
        SubmitResp(four.sequence, 0x401),
        SubmitResp(two.sequence, 0x58),
    )

    assert await settled(sending) == [
        Accepted("a1"),
        NotSent(NotSentReason.THROTTLED, 0x58),
        Rejected(0x0B),
        Rejected(0x401),
        NotSent(NotSentReason.QUEUE_FULL, 0x14),
    ]
    assert [one.destination, five.destination] == ["61412340000", "61412340004"]
    assert (session.counts.accepted, session.counts.rejected, session.counts.throttled) == (1, 2, 2)
    assert session.free_slots == 10


async def test_the_window_is_never_exceeded_and_the_refused_batch_is_not_written(carrier: Any, connect: Any) -> None:
    session = await connect(window=3)
    first = asyncio.create_task(session.submit(messages(2)))
    taken = await carrier.submits(2)

    refused = await session.submit(messages(2))

    assert refused == [NotSent(NotSentReason.NO_SLOTS)] * 2
    assert carrier.heard.empty()
    carrier.say(*(SubmitResp(submit.sequence, 0, "x") for submit in taken))
    await settled(first)
    assert session.free_slots == 3


async def test_a_guard_that_says_no_writes_nothing_and_takes_no_slot(carrier: Any, connect: Any) -> None:
    session = await connect({"write_guard": lambda: False})

    outcomes = await session.submit(messages(3))

    assert outcomes == [NotSent(NotSentReason.STALE)] * 3
    carrier.say(EnquireLink(5))
    assert await carrier.hear() == EnquireLinkResp(5)  # so anything written before would have been heard by now
    assert session.free_slots == 10
    assert session.counts.submitted == 0


async def test_the_guard_of_a_batch_goes_before_that_of_the_session(carrier: Any, connect: Any) -> None:
    session = await connect({"write_guard": lambda: False})

    sending = asyncio.create_task(session.submit(messages(1), guard=lambda: True))
    (submit,) = await carrier.submits(1)
    carrier.say(SubmitResp(submit.sequence, 0, "1"))

    assert await settled(sending) == [Accepted("1")]


async def test_nothing_is_written_behind_octets_that_still_wait(carrier: Any, connect: Any) -> None:
    session = await connect(window=1000, response_timeout_s=60)
    carrier.stop_reading()
    large = Message(TEMPLATE, b"61412345678", bytes(60_000))
    first = asyncio.create_task(session.submit([large] * 400))  # more than the sockets of both ends hold
    await asyncio.sleep(0)

    refused = session.start(messages(1), lambda _: None, guard=lambda: True)

    assert session.write_buffer_octets > 0
    assert refused == NotSent(NotSentReason.BUSY)
    carrier.read_on()
    assert await settled(session.writable()) is True
    assert session.start([], lambda _: None) is None
    carrier.hang_up()
    assert set(await settled(first)) == {Unknown(UnknownReason.CONNECTION_LOST)}


async def test_a_lost_connection_makes_the_whole_window_unknown(carrier: Any, connect: Any) -> None:
    session = await connect()
    sending = asyncio.create_task(session.submit(messages(10)))
    await carrier.submits(10)

    carrier.hang_up()

    assert await settled(sending) == [Unknown(UnknownReason.CONNECTION_LOST)] * 10
    assert await settled(session.closed) == "connection lost"
    assert await session.submit(messages(1)) == [NotSent(NotSentReason.CLOSED)]
    assert session.counts.unknown == 10


async def test_no_answer_in_time_is_unknown_and_a_late_one_is_reported_with_its_place(
    carrier: Any, connect: Any
) -> None:
    late: list[LateResponse] = []
    session = await connect({"on_late_response": late.extend}, response_timeout_s=0.5)
    sending = asyncio.create_task(session.submit(messages(2), tag="chunk 3"))
    first, second = await carrier.submits(2)
    carrier.say(SubmitResp(first.sequence, 0, "1"))

    assert await settled(sending) == [Accepted("1"), Unknown(UnknownReason.TIMEOUT)]

    assert session.free_slots == 10
    carrier.say(SubmitResp(second.sequence, 0, "2"), SubmitResp(second.sequence, 0, "2"), EnquireLink(1))
    await carrier.hear()
    assert late == [LateResponse("chunk 3", 1, Accepted("2"))]
    assert (session.counts.late, session.counts.stray) == (1, 1)


async def test_a_generic_nack_is_an_answer(carrier: Any, connect: Any) -> None:
    session = await connect()
    sending = asyncio.create_task(session.submit(messages(2)))
    one, two = await carrier.submits(2)

    carrier.say(GenericNack(one.sequence, 0x03), GenericNack(two.sequence, 0x58), GenericNack(0, 2))

    assert await settled(sending) == [Rejected(3), NotSent(NotSentReason.THROTTLED, 0x58)]
    assert session.counts.stray == 1


async def test_outcomes_of_one_read_come_in_one_call(carrier: Any, connect: Any) -> None:
    session, calls = await connect(), []
    done = asyncio.Event()

    def collect(outcomes: list[Any]) -> None:
        calls.append(outcomes)
        done.set()

    assert session.start(messages(3), collect) is None
    submits = await carrier.submits(3)
    carrier.say(*(SubmitResp(submit.sequence, 0, "x") for submit in submits))
    await settled(done.wait())

    assert calls == [[(0, Accepted("x")), (1, Accepted("x")), (2, Accepted("x"))]]


@pytest.mark.parametrize(
    "garbage",
    [bytes(16), b"\0\0\0\x0f" + bytes(12), b"\xff" * 16, b"HTTP/1.1 400 Bad Request\r\n\r\n"],
    ids=["length 0", "length 15", "length 2^32-1", "another protocol"],
)
async def test_garbage_closes_the_session_cleanly_and_what_was_written_is_unknown(
    carrier: Any, connect: Any, garbage: bytes
) -> None:
    session = await connect()
    sending = asyncio.create_task(session.submit(messages(2)))
    one, _ = await carrier.submits(2)

    carrier.say(SubmitResp(one.sequence, 0, "1"), garbage)

    assert await settled(sending) == [Accepted("1"), Unknown(UnknownReason.CONNECTION_LOST)]
    assert "protocol error" in await settled(session.closed)


async def test_odd_pdus_are_answered_and_do_not_end_the_session(carrier: Any, connect: Any) -> None:
    session = await connect()

    carrier.say(
        UnknownPdu(7, 0x0103, 0),  # data_sm
        UnknownPdu(8, 0x80000103, 0),
        b"\0\0\0\x12\0\0\0\x05\0\0\0\0\0\0\0\x09xx",  # a deliver_sm without a body to speak of
        DeliverResp(10),
        SubmitResp(999, 0, "nobody's"),
        EnquireLink(11),
    )

    assert await carrier.hear() == GenericNack(7, 0x03)
    assert await carrier.hear() == DeliverResp(9, 0x65)
    assert await carrier.hear() == EnquireLinkResp(11)
    assert session.bound
    assert (session.counts.unknown_pdus, session.counts.malformed, session.counts.stray) == (2, 1, 1)


async def test_a_deliver_sm_is_answered_only_after_its_handler(carrier: Any, connect: Any) -> None:
    entered, commit = asyncio.Event(), asyncio.Event()

    async def handler(batch: list[Deliver]) -> None:
        entered.set()
        await commit.wait()

    await connect({"on_deliver": handler})
    carrier.say(Deliver(1, "1", "2", b"hi"), Deliver(2, "1", "2", b"ho"))
    await settled(entered.wait())
    carrier.say(EnquireLink(3))
    assert await carrier.hear() == EnquireLinkResp(3)  # the connection is served, the messages are not answered

    commit.set()

    assert [await carrier.hear(), await carrier.hear()] == [DeliverResp(1), DeliverResp(2)]


async def test_what_arrives_during_a_handler_is_one_batch_for_the_next(carrier: Any, connect: Any) -> None:
    batches: list[list[int]] = []
    commit = asyncio.Event()

    async def handler(batch: list[Deliver]) -> None:
        batches.append([deliver.sequence for deliver in batch])
        await commit.wait()

    await connect({"on_deliver": handler}, deliver_batch_max=3)
    for sequence in range(1, 7):
        carrier.say(Deliver(sequence, "1", "2", b"hi"), EnquireLink(sequence))
        assert await carrier.hear() == EnquireLinkResp(sequence)
    commit.set()

    assert [await carrier.hear() for _ in range(6)] == [DeliverResp(sequence) for sequence in range(1, 7)]
    assert batches == [[1], [2, 3, 4], [5, 6]]


async def test_a_failed_handler_asks_for_the_message_again_and_the_session_lives(carrier: Any, connect: Any) -> None:
    calls = 0

    async def handler(batch: list[Deliver]) -> None:
        nonlocal calls
        calls += 1
        if calls == 1:
            raise ConnectionError("database is gone")

    session = await connect({"on_deliver": handler})
    carrier.say(Deliver(1, "1", "2", b"hi"))
    assert await carrier.hear() == DeliverResp(1, 0x64)

    carrier.say(Deliver(2, "1", "2", b"hi"))

    assert await carrier.hear() == DeliverResp(2, 0x0)
    assert session.bound


async def test_more_than_may_wait_are_asked_to_come_again(carrier: Any, connect: Any) -> None:
    entered, commit = asyncio.Event(), asyncio.Event()

    async def handler(batch: list[Deliver]) -> None:
        entered.set()
        await commit.wait()

    await connect({"on_deliver": handler}, deliver_waiting_max=2, deliver_batch_max=1)
    carrier.say(Deliver(1, "1", "2", b"hi"))
    await settled(entered.wait())
    carrier.say(*(Deliver(sequence, "1", "2", b"hi") for sequence in range(2, 6)))

    assert [await carrier.hear(), await carrier.hear()] == [DeliverResp(4, 0x64), DeliverResp(5, 0x64)]
    commit.set()
    assert [await carrier.hear() for _ in range(3)] == [DeliverResp(1), DeliverResp(2), DeliverResp(3)]


async def test_without_a_handler_inbound_messages_stay_with_the_carrier(carrier: Any, connect: Any) -> None:
    await connect()
    carrier.say(Deliver(1, "1", "2", b"hi"))

    assert await carrier.hear() == DeliverResp(1, 0x64)


async def test_a_silent_carrier_is_asked_and_then_left(carrier: Any, connect: Any) -> None:
    session = await connect(enquire_link_interval_s=0.05, response_timeout_s=0.05)

    assert isinstance(await carrier.hear(), EnquireLink)

    assert await settled(session.closed) == "enquire_link was not answered"


async def test_a_carrier_that_answers_enquire_link_is_not_left(carrier: Any, connect: Any) -> None:
    session = await connect(enquire_link_interval_s=0.05, response_timeout_s=60)

    for _ in range(6):
        question = await carrier.hear()
        assert isinstance(question, EnquireLink)
        carrier.say(EnquireLinkResp(question.sequence))

    assert session.bound


async def test_unbind_waits_for_answers_and_says_goodbye(carrier: Any, connect: Any) -> None:
    session = await connect()
    sending = asyncio.create_task(session.submit(messages(1)))
    (submit,) = await carrier.submits(1)
    leaving = asyncio.create_task(session.unbind())
    await asyncio.sleep(0)
    assert await session.submit(messages(1)) == [NotSent(NotSentReason.CLOSED)]

    carrier.say(SubmitResp(submit.sequence, 0, "1"))

    assert await settled(sending) == [Accepted("1")]
    goodbye = await carrier.hear()
    assert isinstance(goodbye, Unbind)
    carrier.say(UnbindResp(goodbye.sequence))
    await settled(leaving)
    assert await settled(session.closed) == "unbound"


async def test_unbind_is_bounded_when_nobody_answers_and_what_was_written_is_unknown(
    carrier: Any, connect: Any
) -> None:
    session = await connect()
    sending = asyncio.create_task(session.submit(messages(2)))
    await carrier.submits(2)

    await settled(session.unbind(timeout_s=0.05))

    assert await settled(sending) == [Unknown(UnknownReason.CLOSED)] * 2
    assert session.closed.done()


async def test_an_unbind_from_the_carrier_is_answered_and_ends_the_session(carrier: Any, connect: Any) -> None:
    session = await connect()

    carrier.say(Unbind(4))

    assert await carrier.hear() == UnbindResp(4)
    assert await settled(session.closed) == "unbound by the carrier"


async def test_a_refused_bind_says_which_status(carrier: Any, connect: Any) -> None:
    carrier.bind_status = 0x0E

    with pytest.raises(BindRefused, match="ESME_RINVPASWD") as refusal:
        await connect()

    assert refusal.value.status == 0x0E


async def test_a_bind_that_is_not_answered_times_out(carrier: Any, connect: Any) -> None:
    carrier.answers_binds = False

    with pytest.raises(TimeoutError):
        await connect(bind_timeout_s=0.05)


async def test_a_connection_lost_during_the_bind_is_an_error(carrier: Any, connect: Any) -> None:
    carrier.answers_binds = False
    binding = asyncio.create_task(connect())
    await carrier.hear()

    carrier.hang_up()

    with pytest.raises(ConnectionError):
        await settled(binding)


async def test_a_server_that_is_not_there_is_an_error() -> None:
    with pytest.raises(ConnectionRefusedError):
        await Session.connect("127.0.0.1", 1, SessionOptions("muster", "secret"))


def test_the_password_is_in_no_printed_options() -> None:
    assert "hunter2" not in repr(SessionOptions("muster", "hunter2"))
