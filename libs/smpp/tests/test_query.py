"""query_sm: octets, and the questions of a session."""

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.smpp import Decoder, Receipt, ReceiptState, Session, answered_receipt, encode
from muster.smpp.pdu import GenericNack, Malformed, Query, QueryResp

sequences = st.integers(1, 0x7FFFFFFF)
words = st.text(st.characters(min_codepoint=33, max_codepoint=126), max_size=20)
octet = st.integers(0, 255)
ENDED = QueryResp(0, 0, "a1", "261127101112000+", 2)


@given(
    st.builds(Query, sequences, words, words, octet, octet),
    st.builds(QueryResp, sequences, st.integers(0, 0xFFFF), words, words, octet, octet),
)
def test_what_is_written_is_read(query: Query, answer: QueryResp) -> None:
    assert Decoder().feed(encode(query) + encode(answer)) == [query, answer]


@given(st.binary(max_size=40))
def test_whatever_comes_for_an_answer_is_read(body: bytes) -> None:
    octets = (16 + len(body)).to_bytes(4, "big") + b"\x80\0\0\3" + bytes(4) + (7).to_bytes(4, "big") + body
    (read,) = Decoder().feed(octets)

    assert isinstance(read, QueryResp)
    assert read.sequence == 7


def test_a_question_that_is_cut_off_is_malformed() -> None:
    octets = (19).to_bytes(4, "big") + (3).to_bytes(4, "big") + bytes(4) + (7).to_bytes(4, "big") + b"a\0\1"
    (read,) = Decoder().feed(octets)

    assert isinstance(read, Malformed)


@pytest.mark.parametrize(
    ("answer", "receipt"),
    [
        (ENDED, Receipt("a1", ReceiptState.DELIVERED, "", "261127101112")),
        (QueryResp(0, 0, "A1", "", 1), Receipt("a1", ReceiptState.ENROUTE)),
        (
            QueryResp(0, 0, "", "261127101112000+", 5, 10),
            Receipt("a1", ReceiptState.UNDELIVERABLE, "010", "261127101112"),
        ),
        (QueryResp(0, 0, "161", "261127101112000+", 3), Receipt("a1", ReceiptState.EXPIRED, "", "261127101112")),
        (QueryResp(0, 0x67, "a1"), None),
        (QueryResp(0, 0x67, "a1", "", 2), None),
        (QueryResp(0, 0, "b2", "", 2), None),
        (QueryResp(0, 0, "a1", "", 0), None),
        (QueryResp(0, 0, "a1", "", 99), None),
    ],
)
def test_an_answer_says_what_the_receipt_would_have_said_or_nothing(answer: QueryResp, receipt: Receipt | None) -> None:
    assert answered_receipt(answer, "a1") == receipt


async def _asking(carrier: Any, session: Session) -> tuple["asyncio.Task[QueryResp | None]", Query]:
    asking = asyncio.create_task(session.queries.ask("a1", "Salon", 5, 0))
    heard = await carrier.hear()
    assert isinstance(heard, Query)
    assert (heard.message_id, heard.source, heard.source_ton, heard.source_npi) == ("a1", "Salon", 5, 0)
    return asking, heard


async def test_each_question_gets_its_own_answer(carrier: Any, connect: Any) -> None:
    session = await connect()
    first, one = await _asking(carrier, session)
    second, two = await _asking(carrier, session)

    carrier.say(QueryResp(two.sequence, 0x67), QueryResp(77, 0, "a1", "", 2), QueryResp(one.sequence, 0, "a1", "", 2))

    assert await first == QueryResp(one.sequence, 0, "a1", "", 2)
    assert await second == QueryResp(two.sequence, 0x67)


async def test_a_carrier_that_does_not_speak_it_gives_no_answer_and_keeps_its_bind(carrier: Any, connect: Any) -> None:
    session = await connect()
    asking, query = await _asking(carrier, session)

    carrier.say(GenericNack(query.sequence, 0x03))

    assert await asking is None
    assert session.bound
    assert session.counts.stray == 0


async def test_a_question_ends_with_its_time_and_with_the_connection(carrier: Any, connect: Any) -> None:
    session = await connect(response_timeout_s=0.05)
    asking, query = await _asking(carrier, session)
    assert await asking is None
    carrier.say(QueryResp(query.sequence, 0, "a1", "", 2))  # too late: nobody asks any more

    session = await connect()
    asking, _ = await _asking(carrier, session)
    carrier.hang_up()
    assert await asking is None
