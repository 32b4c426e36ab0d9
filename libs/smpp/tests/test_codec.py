"""Octets to PDUs and back."""

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.smpp import Decoder, Deliver, Pdu, Submit, SubmitTemplate, Tag, encode, status_name
from muster.smpp.codec import PDU_OCTETS_MAX, ProtocolError
from muster.smpp.pdu import (
    Bind,
    BindMode,
    BindResp,
    DeliverResp,
    EnquireLink,
    EnquireLinkResp,
    GenericNack,
    Malformed,
    SubmitResp,
    Unbind,
    UnbindResp,
    UnknownPdu,
)

sequences = st.integers(1, 0x7FFFFFFF)
statuses = st.integers(0, 0xFFFFFFFF)
octet = st.integers(0, 255)
modes = st.sampled_from(BindMode)
# C-octet strings: any octet but NUL, as Latin-1.
c_strings = st.text(st.characters(min_codepoint=1, max_codepoint=255), max_size=20)
ids = st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=20)
c_octets = st.binary(max_size=16).filter(lambda value: 0 not in value)
tlvs = st.dictionaries(
    st.integers(0, 0xFFFF).filter(lambda tag: tag != Tag.MESSAGE_PAYLOAD), st.binary(max_size=40), max_size=4
)


def _messages(kind: type[Submit] | type[Deliver]) -> st.SearchStrategy[Pdu]:
    return st.builds(
        kind,
        sequences,
        c_strings,
        c_strings,
        st.binary(max_size=400),
        *[octet] * 7,
        c_octets,
        tlvs,
        c_octets,
        c_octets,
        *[octet] * 4,
    )


pdus = st.one_of(
    st.builds(Bind, sequences, modes, c_strings, c_strings, c_strings, octet, octet, octet, c_strings),
    st.builds(BindResp, sequences, modes, statuses, c_strings, tlvs),
    _messages(Submit),
    _messages(Deliver),
    st.builds(SubmitResp, sequences, st.just(0), ids),
    st.builds(SubmitResp, sequences, st.integers(1, 0xFFFFFFFF)),
    st.builds(DeliverResp, sequences, statuses),
    st.builds(EnquireLink, sequences),
    st.builds(EnquireLinkResp, sequences),
    st.builds(Unbind, sequences),
    st.builds(UnbindResp, sequences, statuses),
    st.builds(GenericNack, sequences, statuses),
)


@given(st.lists(pdus, max_size=6))
def test_what_is_encoded_is_decoded_the_same(sent: list[Pdu]) -> None:
    assert Decoder().feed(b"".join(map(encode, sent))) == sent


@given(st.lists(pdus, max_size=3), st.integers(1, 50))
def test_cuts_in_the_stream_make_no_difference(sent: list[Pdu], size: int) -> None:
    stream = b"".join(map(encode, sent))
    decoder = Decoder()

    read = [pdu for start in range(0, len(stream), size) for pdu in decoder.feed(stream[start : start + size])]

    assert read == sent
    assert decoder.buffered_octets == 0


def test_a_stream_fed_octet_by_octet_is_read() -> None:
    sent: list[Pdu] = [EnquireLink(1), SubmitResp(2, 0, "a1"), Deliver(3, "61400", "61499", b"x" * 300), UnbindResp(4)]
    decoder = Decoder()

    read = [pdu for value in b"".join(map(encode, sent)) for pdu in decoder.feed(bytes((value,)))]

    assert read == sent


@pytest.mark.parametrize(
    ("length", "reason"),
    [
        (0, "shorter than a header"),
        (15, "shorter than a header"),
        (PDU_OCTETS_MAX + 1, "over the cap"),
        (0xFFFFFFFF, "over the cap"),
    ],
)
def test_an_impossible_length_ends_the_stream_and_says_why_without_losing_what_came_before(
    length: int, reason: str
) -> None:
    decoder = Decoder()

    read = decoder.feed(encode(EnquireLink(7)) + length.to_bytes(4, "big") + bytes(12) + encode(EnquireLink(8)))

    assert read == [EnquireLink(7)]
    assert isinstance(decoder.error, ProtocolError)
    assert (decoder.error.length, decoder.error.reason) == (length, reason)
    assert str(length) in str(decoder.error)
    assert decoder.feed(encode(EnquireLink(9))) == []
    assert decoder.buffered_octets == 0


@given(st.lists(st.binary(max_size=200), max_size=20))
def test_garbage_never_raises_and_never_holds_more_than_one_pdu(chunks: list[bytes]) -> None:
    decoder = Decoder(pdu_octets_max=300)

    for chunk in chunks:
        decoder.feed(chunk)
        assert decoder.buffered_octets <= 300


commands = st.sampled_from([1, 2, 4, 5, 6, 9, 0x15, 0x80000000, 0x80000001, 0x80000004, 0x80000005, 0x80000009, 0x103])


@given(commands, statuses, sequences, st.binary(max_size=120))
def test_any_body_in_a_right_frame_is_one_value_and_the_next_pdu_is_still_read(
    command_id: int, status: int, sequence: int, body: bytes
) -> None:
    header = b"".join(value.to_bytes(4, "big") for value in (16 + len(body), command_id, status, sequence))
    decoder = Decoder()

    read = decoder.feed(header + body + encode(EnquireLink(5)))

    assert len(read) == 2
    assert read[0].sequence == sequence
    assert read[1] == EnquireLink(5)
    assert decoder.error is None


def test_a_peer_that_promises_a_large_pdu_and_drips_it_costs_no_more_than_that_pdu() -> None:
    decoder = Decoder()
    decoder.feed((PDU_OCTETS_MAX).to_bytes(4, "big") + bytes(12))
    tracemalloc.start()

    for _ in range(60):
        decoder.feed(bytes(1000))

    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert decoder.error is None
    assert peak < 4 * PDU_OCTETS_MAX


def test_a_deliver_sm_whose_length_lies_is_malformed_not_fatal() -> None:
    octets = bytearray(encode(Deliver(9, "1", "2", b"hello")))
    octets[octets.index(b"\x05hello")] = 200

    read = Decoder().feed(bytes(octets))

    assert read == [Malformed(9, 5, 0, "sm_length goes past the end")]


def test_a_cut_off_tlv_keeps_those_before_it() -> None:
    good = encode(Deliver(1, "1", "2", b"", tlvs={Tag.MESSAGE_STATE: b"\x02"}))
    octets = (len(good) + 5).to_bytes(4, "big") + good[4:] + b"\x00\x1e\x00\x09x"

    (read,) = Decoder().feed(octets)

    assert isinstance(read, Deliver)
    assert read.tlvs == {Tag.MESSAGE_STATE: b"\x02"}


def test_unknown_commands_say_whether_they_want_an_answer() -> None:
    request, response = (len_ + command + bytes(7) + b"\x01" for len_, command in (
        (b"\0\0\0\x10", b"\0\0\x01\x03"), (b"\0\0\0\x10", b"\x80\0\x01\x03")))  # fmt: skip

    read = Decoder().feed(request + response)

    assert [(type(pdu), pdu.is_request) for pdu in read if isinstance(pdu, UnknownPdu)] == [
        (UnknownPdu, True),
        (UnknownPdu, False),
    ]


@pytest.mark.parametrize("payload", [b"", b"hello", b"x" * 254, b"x" * 255, b"x" * 5000])
def test_a_template_builds_what_the_readable_encoder_builds(payload: bytes) -> None:
    template = SubmitTemplate("61400000000", validity_period=b"000001000000000R", priority=1)

    built = template.build(77, b"61412345678", 8, 0x40, payload, b"\x02\x04\x00\x02\x12\x34")

    assert Decoder().feed(built) == [
        Submit(
            77,
            "61400000000",
            "61412345678",
            payload,
            8,
            0x40,
            1,
            1,
            1,
            1,
            1,
            b"000001000000000R",
            {Tag.USER_MESSAGE_REFERENCE: b"\x12\x34"},
            priority=1,
        )
    ]


def test_a_nul_in_an_address_is_refused_before_it_can_shift_the_fields() -> None:
    with pytest.raises(ValueError, match="NUL"):
        SubmitTemplate("614\x0000")
    with pytest.raises(ValueError, match="20"):
        SubmitTemplate("6" * 21)


def test_an_over_long_carrier_id_is_cut() -> None:
    (read,) = Decoder().feed(encode(SubmitResp(1, 0, "9" * 500)))

    assert read == SubmitResp(1, 0, "9" * 64)


def test_nothing_personal_or_secret_is_in_a_printed_pdu() -> None:
    shown = repr([Bind(1, BindMode.TRANSCEIVER, "me", "hunter2"), Deliver(1, "61412345678", "2", b"my text")])

    assert "hunter2" not in shown
    assert "61412345678" not in shown
    assert "my text" not in shown


@pytest.mark.parametrize(("status", "name"), [(0, "ESME_ROK"), (0x58, "ESME_RTHROTTLED"), (0x401, "0x00000401")])
def test_statuses_have_names(status: int, name: str) -> None:
    assert status_name(status) == name
