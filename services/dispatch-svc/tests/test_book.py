"""The book of carrier ids: a receipt and the response that names its id come in any order."""

from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.dispatch.domain.receipts import Receipt
from muster.dispatch.events import ChunkFacts, ChunkKey, Recipients
from muster.dispatch.sender.book import Book, ReceiptHome
from muster.dispatch.store.chunks import Home
from muster.dispatch.store.receipts import WaitingReceipt
from muster.kit import clock

CARRIER_ID = "1795719129703388"


def home(parts: int = 1, carrier_ids: str | None = None) -> ReceiptHome:
    """The record of a chunk with one recipient."""
    about = ChunkFacts(country="AU", account="smpp", message_class=1, kind=1, sender="+61400000001", lane=1)
    recipients = Recipients(seq=[1], hashes=[b"h"], parts=bytes((parts,)), prices=[1], uptos=[1])
    return ReceiptHome(
        Home(
            key=ChunkKey(uuid4(), uuid4(), 1),
            about=about,
            recipients=recipients,
            slots=b"\1" * parts,
            said=0,
            done=False,
            carrier_ids=carrier_ids,
            receipts=None,
            receipts_said=0,
            submitted_at=None,
        )
    )


def receipt(carrier_id: str = CARRIER_ID) -> WaitingReceipt:
    """A receipt that came when nobody knew its id."""
    now = clock.now()
    return WaitingReceipt(carrier_id, Receipt.DELIVERED, "000", now, now, "61411000000", "+61400000001")


def test_a_receipt_finds_the_id_that_comes_after_it() -> None:
    book = Book(3600.0, 86_400.0)
    book.wait(receipt())
    assert book.take_early() == []
    book.add(CARRIER_ID, home(), 0)
    assert [one.carrier_id for one in book.take_early()] == [CARRIER_ID]


@pytest.mark.parametrize("written_as", [CARRIER_ID, f"{int(CARRIER_ID):x}"])
def test_a_receipt_finds_the_id_that_came_while_it_was_being_stored(written_as: str) -> None:
    book = Book(3600.0, 86_400.0)
    book.add(CARRIER_ID, home(), 0)
    book.wait(receipt(written_as))
    assert [one.carrier_id for one in book.take_early()] == [written_as]


def test_receipts_of_others_never_crowd_out_one_whose_message_is_about_to_be_known(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("muster.dispatch.sender.book.WAITING_MAX", 1_000)
    book = Book(3600.0, 86_400.0)
    for number in range(10**6, 10**6 + 1_000):
        book.wait(receipt(str(number)))

    book.wait(receipt("5"))
    book.add("5", home(), 0)

    assert [one.carrier_id for one in book.take_early()] == ["5"]
    assert len(book._waiting) == 1_000


def test_a_receipt_that_nobody_claims_is_forgotten_in_the_end() -> None:
    book = Book(3600.0, 0.0)
    book.wait(receipt())

    assert book.take_due() == []
    assert (book._waiting, book._look_at, book._expected) == ({}, {}, {})


def test_a_receipt_of_a_message_that_went_out_whole_is_about_all_its_parts() -> None:
    book, whole = Book(3600.0, 86_400.0), home(3)
    for slot in range(3):
        book.add(CARRIER_ID, whole, slot)

    [found] = book.find(CARRIER_ID)

    assert list(whole.is_about(found.place.slot)) == [0, 1, 2]
    assert list(home(3, "\n".join([CARRIER_ID] * 3)).is_about(1)) == [0, 1, 2], "also after a restart"


@pytest.mark.parametrize("carrier_ids", ["5\n6\n7", "5\n5\n6", "\n\n", None])
def test_a_receipt_of_a_part_with_an_id_of_its_own_is_about_that_part(carrier_ids: str | None) -> None:
    book, parts = Book(3600.0, 86_400.0), home(3, carrier_ids)
    for slot in range(3):
        book.add(str(5 + slot), parts, slot)

    assert list(parts.is_about(1)) == [1]


def test_an_id_that_is_given_twice_belongs_to_whichever_of_its_messages_a_receipt_s_number_says() -> None:
    book = Book(3600.0, 86_400.0)
    first, second = home(), home()
    book.add(CARRIER_ID, first, 0)
    book.add(CARRIER_ID, first, 0)
    assert [(one.place.home, one.sure) for one in book.find(CARRIER_ID)] == [(first, True)]

    book.add(CARRIER_ID, second, 0)
    book.done(CARRIER_ID, CARRIER_ID)

    assert [(one.place.home, one.sure) for one in book.find(CARRIER_ID)] == [(second, False), (first, False)]
    assert not book.is_final(CARRIER_ID), "the other's receipt is still to come"


def test_a_carrier_that_gives_one_id_for_ever_is_not_remembered_for_ever() -> None:
    book = Book(3600.0, 86_400.0)
    for _ in range(1_000):
        book.add("1", home(), 0)

    assert len(list(book.find("1"))) < 20


@given(
    st.lists(st.sampled_from(["1", "10", "a", "A", "0a", "16", "f0", "x-1", "26", "1a"]), max_size=8),
    st.sampled_from(["1", "10", "a", "A", "0a", "010", "16", "f0", "x-1", "26", "1a", "zz"]),
)
def test_the_first_look_says_what_the_whole_search_says(given_ids: list[str], asked: str) -> None:
    book = Book(3600.0, 86_400.0)
    for carrier_id in given_ids:
        book.add(carrier_id, home(), 0)

    usual = book.usual(asked)

    if usual is not None:
        [found] = book.find(asked)
        assert (found.plain, tuple(found.place), found.sure) == (*usual, True)
