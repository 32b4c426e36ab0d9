"""Sequences, slots and whose answer is whose."""

import gc
import weakref

import pytest

from muster.smpp import Accepted, LateResponse, Unknown, UnknownReason
from muster.smpp.deadlines import Deadlines
from muster.smpp.pdu import SEQUENCE_MAX
from muster.smpp.window import LATE_MAX, Batch, Indexed, Window


def test_outcomes_are_handed_over_once_for_each_flush_with_their_places() -> None:
    window, calls = Window(10), list[list[Indexed]]()
    window.open(window.take_sequences(3), 3, calls.append)

    window.answer(3, Accepted("c"))
    window.answer(1, Accepted("a"))
    window.flush()
    window.answer(2, Accepted("b"))
    window.flush()
    window.flush()

    assert calls == [[(2, Accepted("c")), (0, Accepted("a"))], [(1, Accepted("b"))]]
    assert window.free_slots == 10


def test_an_answer_counts_once() -> None:
    window = Window(2)
    window.open(window.take_sequences(1), 1, lambda _: None)

    assert window.answer(1, Accepted("a")) is True
    assert window.answer(1, Accepted("a")) is False


def test_more_than_the_free_slots_are_not_taken() -> None:
    window = Window(2)
    window.open(1, 1, lambda _: None)

    with pytest.raises(ValueError, match="2 messages for 1 slots"):
        window.open(2, 2, lambda _: None)


def test_an_expired_batch_frees_its_slots_and_its_late_answers_are_known_once() -> None:
    window, calls = Window(2), list[list[Indexed]]()
    batch = window.open(window.take_sequences(2), 2, calls.append, tag="chunk 7")
    window.answer(1, Accepted("a"))

    assert window.expire(batch, UnknownReason.TIMEOUT) == 1

    assert calls == [[(0, Accepted("a")), (1, Unknown(UnknownReason.TIMEOUT))]]
    assert window.free_slots == 2
    assert window.answer(2, Accepted("b")) is False
    assert window.late(2, Accepted("b")) == LateResponse("chunk 7", 1, Accepted("b"))
    assert window.late(2, Accepted("b")) is None


def test_what_is_remembered_for_late_answers_is_bounded() -> None:
    window = Window(LATE_MAX + 1)
    batch = window.open(window.take_sequences(LATE_MAX + 1), LATE_MAX + 1, lambda _: None)

    window.expire(batch, UnknownReason.TIMEOUT)

    assert window.late(1, Accepted("a")) is None
    assert window.late(2, Accepted("b")) is not None


def test_a_lost_connection_makes_all_that_is_unanswered_unknown() -> None:
    window, first, second = Window(5), list[list[Indexed]](), list[list[Indexed]]()
    window.open(window.take_sequences(2), 2, first.append)
    window.open(window.take_sequences(1), 1, second.append)
    lost = Unknown(UnknownReason.CONNECTION_LOST)

    assert window.fail_all(UnknownReason.CONNECTION_LOST) == 3

    assert (first, second) == ([[(0, lost), (1, lost)]], [[(0, lost)]])
    assert window.in_flight == 0


def test_a_batch_is_not_cut_by_the_end_of_the_sequence_numbers() -> None:
    window = Window(10, first_sequence=SEQUENCE_MAX - 1)

    assert window.take_sequences(2) == SEQUENCE_MAX - 1
    assert window.take_sequences(1) == 1
    window = Window(10, first_sequence=SEQUENCE_MAX - 1)
    assert window.take_sequences(3) == 1


def test_a_window_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="at least one"):
        Window(0)


async def test_what_was_answered_is_not_kept_until_its_deadline() -> None:
    class Texts:
        """What a batch is about: large, in a real sender."""

    window, due = Window(10), list[Batch]()
    deadlines = Deadlines(3_600.0, due.append)
    kept = []
    for _ in range(5):
        texts = Texts()
        kept.append(weakref.ref(texts))
        base = window.take_sequences(2)
        deadlines.add(window.open(base, 2, lambda _, about=texts: None, texts))  # type: ignore[misc]
        del texts
        window.answer(base, Accepted("1"))
        window.flush()
        assert kept[-1]() is not None, "one of its messages waits"
        window.answer(base + 1, Accepted("2"))
        window.flush()
        gc.collect()
        assert kept[-1]() is None
    assert len(deadlines._queue) == 1, "nor does what is answered stand in the row"
    deadlines.cancel()
