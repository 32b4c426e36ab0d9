"""What a carrier may do to a session: hang up halfway, drip, repeat itself, answer what was never asked."""

import asyncio
from typing import Any, cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.smpp import (
    Accepted,
    Deliver,
    Message,
    NotSent,
    NotSentReason,
    Pdu,
    Session,
    SessionOptions,
    SomeNotTaken,
    SubmitTemplate,
    Unknown,
    UnknownReason,
    encode,
)
from muster.smpp.pdu import DeliverResp, EnquireLink, EnquireLinkResp, GenericNack, SubmitResp
from muster.smpp.window import Indexed

TEMPLATE = SubmitTemplate("61400000000")
WINDOW = 20


def messages(count: int) -> list[Message]:
    return [Message(TEMPLATE, b"6141234%04d" % n, b"hello") for n in range(count)]


async def settled(awaitable: Any) -> Any:
    async with asyncio.timeout(120):
        return await awaitable


async def test_a_half_closed_connection_ends_the_session_and_its_full_window_is_unknown(
    carrier: Any, connect: Any
) -> None:
    session = await connect()
    sending = asyncio.create_task(session.submit(messages(10)))
    await carrier.submits(10)

    carrier.half_close()

    assert await settled(sending) == [Unknown(UnknownReason.CONNECTION_LOST)] * 10
    assert await settled(session.closed) == "connection lost"
    assert session.free_slots == 10


async def test_answers_that_drip_octet_by_octet_are_answers(carrier: Any, connect: Any) -> None:
    session = await connect()
    sending = asyncio.create_task(session.submit(messages(2)))
    one, two = await carrier.submits(2)
    stream = b"".join(map(encode, (SubmitResp(two.sequence, 0, "b"), EnquireLink(3), SubmitResp(one.sequence, 0, "a"))))

    for value in stream:
        carrier.say(bytes((value,)))
        await asyncio.sleep(0)

    assert await settled(sending) == [Accepted("a"), Accepted("b")]
    assert await carrier.hear() == EnquireLinkResp(3)


async def test_those_that_could_not_be_stored_come_again_and_the_others_are_answered(
    carrier: Any, connect: Any
) -> None:
    async def handler(batch: list[Deliver]) -> None:
        odd = [deliver.sequence for deliver in batch if deliver.payload == b"odd"]
        if odd:
            raise SomeNotTaken(odd)

    session = await connect({"on_deliver": handler})
    carrier.say(Deliver(1, "1", "2", b"hi"), Deliver(2, "1", "2", b"odd"), Deliver(3, "1", "2", b"hi"))

    answers = [await carrier.hear() for _ in range(3)]

    assert sorted(answers, key=lambda answer: answer.sequence) == [DeliverResp(1), DeliverResp(2, 0x64), DeliverResp(3)]
    assert session.bound


@pytest.mark.parametrize("octets", [b"a\nb\0", b"a\x00b", b"\x1fa\x7f"])
async def test_an_id_is_what_can_be_printed_of_it(carrier: Any, connect: Any, octets: bytes) -> None:
    session = await connect()
    sending = asyncio.create_task(session.submit(messages(1)))
    (submit,) = await carrier.submits(1)
    header = (16 + len(octets), 0x80000004, 0, submit.sequence)

    carrier.say(b"".join(value.to_bytes(4, "big") for value in header) + octets)

    (outcome,) = await settled(sending)
    assert isinstance(outcome, Accepted)
    assert outcome.carrier_id in ("ab", "a")


class Wire(asyncio.Transport):
    """Takes what is written; nothing of it is ever waiting."""

    def __init__(self) -> None:
        super().__init__()
        self.ended = False

    def write(self, data: Any) -> None:
        """Gone."""

    def is_closing(self) -> bool:
        return self.ended

    def close(self) -> None:
        self.ended = True

    abort = close

    def get_write_buffer_size(self) -> int:
        return 0


def bound_session(wire: Wire) -> Session:
    session = Session(SessionOptions("muster", "secret", window=WINDOW, response_timeout_s=60))
    session._transport = session._raw = cast("asyncio.Transport", wire)
    session.bound = True
    session._bind_answer.cancel()
    return session


sequences = st.integers(0, 2 * WINDOW)
answers = st.one_of(
    st.builds(
        SubmitResp, sequences, st.just(0), st.text(st.characters(max_codepoint=255, min_codepoint=1), max_size=8)
    ),
    st.builds(SubmitResp, sequences, st.sampled_from((0x58, 0x14, 0x0B, 0x400))),
    st.builds(GenericNack, sequences, st.sampled_from((0x02, 0x58))),
    st.builds(EnquireLink, sequences),
    st.builds(EnquireLinkResp, sequences),
    st.builds(DeliverResp, sequences),
)
garbage = st.one_of(st.just(b""), st.sampled_from((bytes(16), b"\0\0\0\x0f" + bytes(12), b"\xff" * 16)), st.binary())


@settings(max_examples=60)
@given(st.lists(answers, max_size=60), garbage, st.integers(1, 60), st.integers(1, WINDOW))
def test_whatever_a_carrier_answers_each_message_has_one_outcome_and_no_slot_is_lost(
    said: list[Pdu], tail: bytes, cut: int, first: int
) -> None:
    async def scenario() -> None:
        wire = Wire()
        session = bound_session(wire)
        outcomes: list[Indexed] = []
        assert session.start(messages(first), outcomes.extend) is None
        stream = b"".join(map(encode, said)) + tail
        for at in range(0, len(stream), cut):
            session.data_received(stream[at : at + cut])
        answered = dict(outcomes)
        assert session.free_slots == WINDOW - first + len(answered)
        session.connection_lost(None)

        assert sorted(index for index, _ in outcomes) == list(range(first)), "each exactly once"
        assert all(outcome == Unknown(UnknownReason.CONNECTION_LOST) for i, outcome in outcomes if i not in answered)
        assert session.free_slots == WINDOW
        assert session.start(messages(1), outcomes.extend) == NotSent(NotSentReason.CLOSED)

    asyncio.run(scenario())
