"""Receipts as carriers really write them."""

from datetime import UTC, datetime

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from muster.smpp import (
    Decoder,
    Deliver,
    DeliverReceipt,
    ReceiptState,
    Tag,
    encode,
    id_candidates,
    normalise_id,
    read_receipt,
    same_id,
)
from muster.smpp.codec import _any_deliver
from muster.smpp.receipts import read_date, usual_receipt

D, U, E, R, UNKNOWN = (
    ReceiptState.DELIVERED,
    ReceiptState.UNDELIVERABLE,
    ReceiptState.EXPIRED,
    ReceiptState.REJECTED,
    ReceiptState.UNKNOWN,
)


def _receipt(text: bytes, tlvs: dict[int, bytes] | None = None, **fields: int) -> Deliver:
    return Deliver(1, "61412345678", "61400000000", text, esm_class=fields.get("esm_class", 4), tlvs=tlvs or {},
                   data_coding=fields.get("data_coding", 0))  # fmt: skip


USUAL = b"id:%b sub:001 dlvrd:001 submit date:2601020304 done date:2601020305 stat:%b err:%b text:Hello"


@pytest.mark.parametrize(
    ("text", "carrier_id", "state", "error"),
    [
        (USUAL % (b"123", b"DELIVRD", b"000"), "123", D, "000"),
        (USUAL % (b"0a1F", b"UNDELIV", b"00A"), "0a1F", U, "00A"),
        (USUAL % (b"1", b"expired", b"27"), "1", E, "27"),
        (b"ID:7 STAT:REJECTD ERR:5", "7", R, "5"),
        (b"stat:DELIVRD id:9 err:0", "9", D, "0"),
        (b"id:9 stat:DELIVERED", "9", D, ""),
        (b"id: 9 stat: UNDELIVERABLE err: 12", "9", U, "12"),
        (b"id:9 stat:FAILED", "9", U, ""),
        (b"id:9 stat:SOMETHING", "9", UNKNOWN, ""),
        (b"id:9\nsub:1\nstat:DELIVRD\nerr:000", "9", D, "000"),
        (b"id:9 stat:DELIVRD err:000 text:id:8 stat:UNDELIV", "9", D, "000"),
        (b"id:1\x00\x1f2 sub:1 dlvrd:1 submit date:1 done date:1 stat:DELIVRD err:000", "12", D, "000"),
        (b"id:12 stat:DELIVRD err:0\x00A", "12", D, "0A"),
        (b"id:12 stat:DELIVRD err:" + b"9" * 500, "12", D, "9" * 64),
        (b"no receipt at all", "", UNKNOWN, ""),
        (b"", "", UNKNOWN, ""),
        (b"\xff\x00\xfeid:", "", UNKNOWN, ""),
        (b"id:" + b"4" * 500 + b" stat:DELIVRD", "4" * 64, D, ""),
    ],
)
def test_texts_are_read_in_any_order_and_case(text: bytes, carrier_id: str, state: ReceiptState, error: str) -> None:
    receipt = read_receipt(_receipt(text))

    assert receipt is not None
    assert (receipt.id, receipt.state, receipt.error) == (carrier_id, state, error)
    assert receipt.number == "61412345678"


@pytest.mark.parametrize(
    ("tlvs", "expected"),
    [
        ({Tag.RECEIPTED_MESSAGE_ID: b"77\0", Tag.MESSAGE_STATE: b"\x05"}, ("77", U, "000", None)),
        ({Tag.RECEIPTED_MESSAGE_ID: b"77"}, ("77", D, "000", None)),
        ({Tag.MESSAGE_STATE: b"\x03"}, ("1", E, "000", None)),
        ({Tag.MESSAGE_STATE: b"\xee"}, ("1", D, "000", None)),
        ({Tag.MESSAGE_STATE: b""}, ("1", D, "000", None)),
        ({Tag.USER_MESSAGE_REFERENCE: b"\x12\x34"}, ("1", D, "000", 0x1234)),
    ],
)
def test_tlvs_go_before_the_text(tlvs: dict[int, bytes], expected: tuple[object, ...]) -> None:
    receipt = read_receipt(_receipt(USUAL % (b"1", b"DELIVRD", b"000"), tlvs))

    assert receipt is not None
    assert (receipt.id, receipt.state, receipt.error, receipt.reference) == expected


def test_a_receipt_of_tlvs_alone_is_read() -> None:
    tlvs = {Tag.RECEIPTED_MESSAGE_ID: b"ab\0", Tag.MESSAGE_STATE: b"\x02", Tag.NETWORK_ERROR_CODE: b"\x03\x00\x21"}

    receipt = read_receipt(_receipt(b"", tlvs, esm_class=0))

    assert receipt is not None
    assert (receipt.id, receipt.state, receipt.error) == ("ab", D, "033")


def test_a_receipt_in_ucs2_or_behind_a_header_is_read() -> None:
    text = USUAL % (b"5", b"DELIVRD", b"000")

    wide = read_receipt(_receipt(text.decode().encode("utf-16-be"), data_coding=8))
    headed = read_receipt(_receipt(b"\x05\x00\x03\x01\x01\x01" + text, esm_class=0x44))

    assert wide is not None
    assert headed is not None
    assert (wide.id, wide.state, headed.id, headed.state) == ("5", D, "5", D)


def test_a_person_cannot_text_a_receipt() -> None:
    assert read_receipt(_receipt(USUAL % (b"1", b"DELIVRD", b"000"), esm_class=0)) is None


@pytest.mark.parametrize(
    ("digits", "moment"),
    [
        ("2601020304", datetime(2026, 1, 2, 3, 4, tzinfo=UTC)),
        ("260102030405", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("20260102030405", datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)),
        ("2613020304", None),
        ("", None),
        ("26010203", None),
        ("26010203é4", None),
    ],
)
def test_dates_come_in_three_lengths(digits: str, moment: datetime | None) -> None:
    assert read_date(digits) == moment


def test_the_dates_of_a_receipt_are_read_when_asked_for() -> None:
    receipt = read_receipt(_receipt(USUAL % (b"1", b"DELIVRD", b"000")))

    assert receipt is not None
    assert receipt.submit_at == datetime(2026, 1, 2, 3, 4, tzinfo=UTC)
    assert receipt.done_at == datetime(2026, 1, 2, 3, 5, tzinfo=UTC)


@given(
    st.binary(max_size=200),
    st.dictionaries(st.sampled_from(Tag), st.binary(max_size=12)),
    st.integers(0, 255),
    st.integers(0, 255),
)
def test_reading_never_raises(text: bytes, tlvs: dict[int, bytes], esm_class: int, data_coding: int) -> None:
    receipt = read_receipt(_receipt(text, tlvs, esm_class=esm_class, data_coding=data_coding))

    if receipt is not None:
        assert isinstance(receipt.state, ReceiptState)
        assert receipt.done_at is None or receipt.done_at.tzinfo is UTC
        assert id_candidates(receipt.id)


@pytest.mark.parametrize(
    ("response", "receipt", "same"),
    [
        ("123", "123", True),
        ("000123", "123", True),
        ("123", "0000000123", True),
        ("7B", "123", True),
        ("7b", "0123", True),
        ("123", "7B", True),
        ("123", "0000007b", True),
        ("aBc-9", "ABC-9", True),
        ("0", "00", True),
        ("123", "124", False),
        ("7B", "124", False),
        ("x", "y", False),
        ("", "1", False),
        ("²", "2", False),
        ("1_0", "10", False),
    ],
)
def test_ids_are_the_same_in_any_mix_of_bases(response: str, receipt: str, same: bool) -> None:
    assert same_id(response, receipt) is same


@given(st.integers(0, 2**64))
def test_each_number_is_found_whatever_base_either_side_writes(number: int) -> None:
    spellings = [f"{number:d}", f"{number:x}", f"{number:X}", f"{number:016x}", f"{number:020d}"]

    assert all(same_id(response, receipt) for response in spellings for receipt in spellings)


@given(st.text(max_size=5000))
def test_candidates_of_anything_begin_with_its_plain_spelling(text: str) -> None:
    assert id_candidates(text)[0] == normalise_id(text)


@pytest.mark.parametrize("state", ReceiptState)
def test_final_states_are_those_after_which_nothing_comes(state: ReceiptState) -> None:
    waits = {ReceiptState.SCHEDULED, ReceiptState.ENROUTE, ReceiptState.ACCEPTED, ReceiptState.UNKNOWN}

    assert state.is_final is (state not in waits)


# Pieces of receipts, usual and not: what is read on the way must be what the readable road reads.
_WORDS = st.sampled_from([b"id:", b"sub:", b"dlvrd:", b"stat:", b"err:", b"text:", b" ", b"\0", b":", b"x"])
_USUAL_TEXTS = st.builds(
    lambda identifier, state, error, rest: USUAL % (identifier, state, error) + rest,
    st.binary(max_size=70) | st.from_regex(rb"[0-9A-Fa-f]{1,70}", fullmatch=True),
    st.sampled_from([b"DELIVRD", b"delivrd", b"UNDELIV", b"FAILED", b"DELIVERED", b"", b"?"]),
    st.sampled_from([b"000", b"", b"00A", b"\x00", b"E" * 70]),
    st.sampled_from([b"", b" text:hello", b" Text:\0", b"9", b" stat:EXPIRED"]),
)
_TEXTS = _USUAL_TEXTS | st.lists(_WORDS, max_size=12).map(b"".join)
_TLV_SETS = st.dictionaries(
    st.sampled_from([Tag.RECEIPTED_MESSAGE_ID, Tag.MESSAGE_STATE, Tag.NETWORK_ERROR_CODE, Tag.MESSAGE_PAYLOAD]),
    st.sampled_from(
        [b"", b"\x02", b"\x05", b"\xff", b"abc\0", b"abc", b"a b\0", b"1" * 65, b"1" * 64 + b"\0", b"a\0b"]
    ),
    max_size=3,
)


@given(_TEXTS, _TLV_SETS, st.sampled_from([0, 4, 8, 0x44, 5]), st.sampled_from([0, 8]), st.binary(max_size=3))
@settings(max_examples=500)
@example(USUAL % (b"1", b"DELIVRD", b"000"), {}, 4, 0, b"")
@example(USUAL % (b"1", b"DELIVRD", b"000"), {Tag.RECEIPTED_MESSAGE_ID: b"77\0", Tag.MESSAGE_STATE: b"\x05"}, 4, 0, b"")
def test_a_usual_receipt_is_read_as_any_other(
    text: bytes, tlvs: dict[int, bytes], esm_class: int, data_coding: int, tail: bytes
) -> None:
    octets = encode(_receipt(text[:254], tlvs, esm_class=esm_class, data_coding=data_coding))
    body = octets[16:] + tail
    deliver = _any_deliver(1, 0, body)
    assert isinstance(deliver, Deliver)

    read = usual_receipt(1, body)

    if read is not None:
        assert (read.receipt, read.source, read.destination) == (
            read_receipt(deliver),
            deliver.source,
            deliver.destination,
        )


def test_what_nearly_every_carrier_sends_is_usual() -> None:
    for tlvs in ({}, {Tag.RECEIPTED_MESSAGE_ID: b"0a1f\0", Tag.MESSAGE_STATE: b"\x02"}, {Tag.MESSAGE_STATE: b"\x02"}):
        octets = encode(_receipt(USUAL % (b"0A1F", b"UNDELIV", b"00A"), tlvs))
        [read] = Decoder().feed(octets)
        assert isinstance(read, DeliverReceipt), tlvs
