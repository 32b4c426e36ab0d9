"""Laws 3 to 8: what is right passes, and each way to break a law names the send, and the message where it is one."""

from dataclasses import replace
from itertools import product

import pytest

from muster.laws.report import Message, Rows, columns, report
from muster.laws.result import LAWS, SHOWN_MAX, LawResult, found, together
from muster.laws.sending import (
    Bar,
    Chunk,
    Ended,
    Part,
    Planned,
    Taken,
    Writing,
    by_number,
    figures,
    left_open,
    once,
    planned,
    submit,
    taken_once,
    used,
    used_by_sends,
)
from muster.laws.system import OVERDUE_MAX_S, UNANSWERED_MAX_S, Progress, Reference, bounded, tenant

CHUNK = Chunk("t", "b", 1, bytes((1, 2)), (3, 8), bytes((Part.ACCEPTED, Part.ACCEPTED, Part.UNKNOWN)), 7, 1, 1)
WRITING = Writing("t", "b", 10, 100.0, 1, {1: 50.0}, (7, 8), (b"x", b"y"))
ENDED = Ended("t", "b", used=2, accepted=2, stopped=1, chunks_used=2, chunks_accepted=2, chunks_recipients=3)
ROWS = Rows("t", "b", closed=True, asked=3, rows=3, delivered=2, live=3, live_delivered=2)


def test_a_chunk_has_used_the_price_of_what_was_accepted_or_charged() -> None:
    assert used([CHUNK]).violations == []
    charged = replace(CHUNK, states=bytes((Part.CHARGED, Part.RELEASED, Part.REJECTED)), used=3, accepted=0, unknown=2)
    assert used([charged]).violations == []


@pytest.mark.parametrize("member", ["used", "accepted", "unknown"])
def test_a_chunk_that_charges_something_else_breaks_the_third_law(member: str) -> None:
    (violation,) = used([replace(CHUNK, **{member: 5})]).violations
    assert "chunk 1: used, accepted, unknown are" in violation.detail


def test_messages_of_one_part_and_price_are_counted_like_all_others() -> None:
    for states in product(Part, repeat=3):
        alike = figures(b"\1\1\1", (4, 4, 4), bytes(states))
        each = [figures(b"\1\2", (4, 0), bytes((state, 0, 0))) for state in states]
        assert alike == tuple(sum(one[at] for one in each) for at in range(3)), states


def test_an_intent_with_credits_in_time_and_against_no_bar_is_lawful() -> None:
    bars = by_number(
        [Bar("t", b"x", 2, 0.0), Bar("u", b"y", 2, 0.0), Bar("t", b"y", 2, 60.0), Bar("t", b"y", 2, 1, 40)]
    )
    in_hours = replace(WRITING, hours=[(10.0, 20.0), (50.0, 51.0)])
    assert submit([WRITING, in_hours], bars).violations == []


@pytest.mark.parametrize(
    ("writing", "bar", "told", "message"),
    [
        (replace(WRITING, reserved=None), None, "without a reservation", "8"),
        (replace(WRITING, send_by=49.0), None, "after send_by", "8"),
        (replace(WRITING, hours=[(10.0, 50.0), (51.0, 60.0)]), None, "outside the hours", "8"),
        (WRITING, Bar("t", b"y", 1, 49.0), "against a hold or a suppression", "8"),
        (WRITING, Bar("t", b"y", 2, 10.0, 51.0), "against a hold or a suppression", "8"),
    ],
)
def test_an_intent_that_should_not_be_breaks_the_fourth_law(
    writing: Writing, bar: Bar | None, told: str, message: str | None
) -> None:
    (violation,) = submit([writing], by_number([bar] if bar else [])).violations
    assert told in violation.detail
    assert (violation.tenant_id, violation.bulk_id, violation.message) == ("t", "b", message)


def test_each_recipient_has_one_state_and_each_part_one_acceptance() -> None:
    assert once([ENDED]).violations == used_by_sends([ENDED]).violations == []
    assert taken_once([Taken("t", "b", 1, 0, 1), Taken("t", "b", 2, 0, 0)]).violations == []
    assert taken_once([Taken("t", "b", 1, 0, 2, at_least_once=True)]).violations == []
    assert planned([Planned("t", "b", [("audience", 3, "frozen", 3)])]).violations == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"stopped": 2}, "4 states for 3 recipients"),
        ({"chunks_recipients": 4}, "3 states for 4 recipients"),
        ({"chunks_open": 1}, "ended with 1 messages open"),
        ({"accepted": 1, "rejected": 1}, "accepted 1, its chunks come to 2"),
    ],
)
def test_a_recipient_with_no_state_or_two_breaks_the_fifth_law(change: dict[str, int], told: str) -> None:
    (violation,) = once([replace(ENDED, **change)]).violations
    assert told in violation.detail


def test_a_part_accepted_twice_breaks_the_fifth_law() -> None:
    (violation,) = taken_once([Taken("t", "b", 7, 1, 2)]).violations
    assert (violation.message, violation.detail) == ("7", "part 1 was accepted 2 times")


def test_each_message_that_is_open_though_its_send_has_ended_breaks_the_fifth_law() -> None:
    chunk = Chunk("t", "b", 1, bytes((1, 2, 1)), (1, 2, 1), bytes((0, 1, 8, 1)), 0, 0, 0, seqs=(4, 5, 6), ended=True)

    result = left_open([chunk, replace(chunk, ended=False), replace(chunk, states=bytes((1, 1, 3, 4)))])

    assert (result.checked, [one.message for one in result.violations]) == (2, ["4", "5"])


def test_a_plan_that_was_not_published_whole_breaks_the_fifth_law() -> None:
    (violation,) = planned([Planned("t", "b", [("recipients", 3, "published", 2)])]).violations
    assert violation.detail == "recipients 3, published 2"


def test_a_send_that_used_what_its_chunks_did_not_breaks_the_third_law() -> None:
    assert used_by_sends([replace(ENDED, used=3)]).count == 1
    assert used_by_sends([replace(ENDED, refunded=1)]).count == 1


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"live": 2}, "live counts are 2"),
        ({"live_delivered": 1}, "1 delivered; rows 3, 2"),
        ({"queued": 1}, "closed with 1 queued"),
        ({"submitting": 1}, "and 1 submitting"),
        ({"asked": 4}, "closed with 3 rows for 4 recipients"),
    ],
)
def test_a_report_that_misses_something_breaks_the_sixth_law(change: dict[str, int], told: str) -> None:
    assert report([ROWS, replace(ROWS, closed=False, asked=9, queued=1)]).violations == []
    (violation,) = report([replace(ROWS, **change)]).violations
    assert told in violation.detail


def test_each_message_that_waits_in_the_report_of_a_closed_send_is_named() -> None:
    (first, second) = report([replace(ROWS, queued=2, waiting=(2, 3))]).violations
    assert (first.message, second.message, second.message_id) == ("2", "3", "b-3")


def test_a_row_that_differs_in_a_column_breaks_the_sixth_law() -> None:
    said = Message("t", "b", 7, left=2, accepted=1, credits=1)
    assert columns([(said, said)]).violations == []
    assert [one.message for one in columns([(said, replace(said, receipt=1)), (said, None)]).violations] == ["7", "7"]


def test_what_belongs_to_another_tenant_or_to_nobody_breaks_the_seventh_law() -> None:
    mine, theirs, nobodys = (Reference("t", "a chunk", owner, "b") for owner in ("t", "u", None))
    result = tenant([mine, theirs, nobodys], 50)
    assert result.checked == 50
    assert [one.detail for one in result.violations] == ["a chunk of the tenant u", "a chunk of nobody"]


@pytest.mark.parametrize(
    ("progress", "told"),
    [
        (Progress("t", "b"), None),
        (Progress("t", "b", overdue_s=OVERDUE_MAX_S, unanswered_s=UNANSWERED_MAX_S), None),
        (Progress("t", "b", held=1, overdue_s=OVERDUE_MAX_S + 1), None),
        (Progress("t", "b", ended=True, overdue_s=OVERDUE_MAX_S + 1), None),
        (Progress("t", "b", parked="why"), "parked: why"),
        (Progress("t", "b", overdue_s=OVERDUE_MAX_S + 1), "not ended long after send_by"),
        (Progress("t", "b", ended=True, unanswered_s=UNANSWERED_MAX_S + 1), "totals not answered"),
    ],
)
def test_a_send_that_does_not_end_breaks_the_eighth_law(progress: Progress, told: str | None) -> None:
    assert [one.detail for one in bounded([progress]).violations] == ([told] if told else [])


def test_findings_about_one_law_add_up_and_show_a_hundred() -> None:
    many = LawResult("once", 200, [found("t", "x", "b", 3)] * 150)
    whole = together("once", [many, LawResult("once", 5, [], 7)]).document()
    assert (whole["checked"], whole["violation_count"], len(whole["violations"])) == (205, 157, SHOWN_MAX)
    assert whole["violations"][0] == {
        **{"tenant_id": "t", "bulk_id": "b", "message": "3", "message_id": "b-3", "detail": "x"}
    }


def test_the_laws_are_eight() -> None:
    assert list(LAWS) == ["granted", "reserved", "used", "submit", "once", "report", "tenant", "bounded"]
