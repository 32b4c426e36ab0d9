"""What the benches of a stop, of many tenants and of several accounts make of figures."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from bench import single
from bench.accounts import steps, told
from bench.carrier import Seen
from bench.fair import Sender, Written, _steps, jain, result, served_between, sizes, spread
from bench.finish import STORIES, _people, _trace
from bench.send import NotEnded
from bench.stop import Round, wrongs


def stopped(**changed: Any) -> Round:
    """A send of 1,000 that was stopped after 400 at one credit each."""
    counts = {"accepted": 390, "rejected": 8, "unknown": 2, "stopped": 595, "suppressed": 5}
    credits = {"reserved": 1_000, "used": 392, "released": 608, "held": 0}
    answer = {"accepted": 388, "rejected": 8, "unknown": 4, "submitting": 0}
    one = Round(1_000, answer=answer, counts=counts, credits=credits, submits=399, last_submit_after_ms=12)
    for name, value in changed.items():
        where = counts if name in counts else credits if name in credits else None
        if where is None:
            setattr(one, name, value)
        else:
            where[name] = value
    return one


REPORT = {
    "delivered": 380, "undelivered": 4, "expired": 0, "accepted": 6, "rejected": 8, "unknown": 2, "stopped": 595,
    "suppressed": 5,
}  # fmt: skip


def test_a_stopped_send_whose_sums_all_agree_is_exact() -> None:
    assert list(wrongs(stopped(), REPORT, -392)) == []


@pytest.mark.parametrize(
    ("changed", "balance", "says"),
    [
        ({"stopped": 594}, -392, "messages with an end: 999; recipients: 1000"),
        ({"accepted": 391, "stopped": 594}, -392, "written by the answer: 400; in the end: 401"),
        ({"released": 607}, -392, "credits used, released and held: 999; reserved: 1000"),
        ({}, -391, "credits used: 392; fell from the balance: 391"),
        ({"submits": 401}, -392, "the carrier counted 401, the send 398 and 2 unknown"),
        ({"submits": 397}, -392, "the carrier counted 397, the send 398 and 2 unknown"),
        ({"last_submit_after_ms": 1_001}, -392, "a message left 1001 ms after the answer"),
    ],
)
def test_what_is_not_exact_is_said(changed: dict[str, int], balance: int, says: str) -> None:
    assert says in wrongs(stopped(**changed), REPORT, balance)


def test_a_report_that_has_other_figures_is_said() -> None:
    found = wrongs(stopped(), {**REPORT, "stopped": 590}, -392)
    assert found == ["messages in the report: 995; recipients: 1000", "stopped in the report: 590; stopped: 595"]


def test_of_two_hundred_tenants_most_send_to_ten_and_one_to_what_is_left() -> None:
    found = sizes(200, 200_000)
    assert (len(found), sum(found), found[0]) == (200, 200_000, max(found))
    assert [found.count(size) for size in (10, 100, 1_000, 5_000)] == [121, 50, 20, 8]
    with pytest.raises(NotEnded, match="200 tenants need more than 71,210 recipients"):
        sizes(200, 60_000)


def test_a_step_is_what_an_intent_adds_to_the_one_before_of_the_same_attempt() -> None:
    rows = [("a", 1, 0, 300, 1.0), ("a", 1, 0, 500, 2.0), ("a", 2, 0, 200, 3.0), ("b", 2, 0, 50, 3.5)]
    assert list(_steps(rows)) == [
        Written("a", 300, 1.0),
        Written("a", 200, 2.0),
        Written("a", 200, 3.0),
        Written("b", 50, 3.5),
    ]


def test_fairness_is_one_where_all_got_the_same_and_a_share_where_one_got_all() -> None:
    assert jain([5, 5, 5, 5]) == 1.0
    assert jain([20, 0, 0, 0]) == 0.25
    assert jain([0, 0]) == 1.0


def test_only_what_was_written_while_all_were_waiting_counts() -> None:
    written = [Written("a", 5, 1.0), Written("a", 7, 2.5), Written("b", 3, 3.0), Written("c", 9, 2.0)]
    assert served_between(written, ["a", "b"], 2.0, 3.0) == {"a": 7, "b": 3}


def test_the_waits_are_told_by_the_size_of_a_send() -> None:
    senders = [Sender("g", 5_000, None, 1.0), Sender("a", 10, None, 2.0), Sender("b", 10, None, 2.0)]  # type: ignore[arg-type]
    written = [Written("g", 5_000, 61.0), Written("a", 10, 2.5), Written("b", 10, 4.0)]
    found = result(senders, written)
    assert found["last_sms_after_s"] == {
        "10": {"sends": 2, "median": 2.0, "p99": 2.0, "max": 2.0},
        "5000": {"sends": 1, "median": 60.0, "p99": 60.0, "max": 60.0},
    }
    assert spread([1.0]) == {"sends": 1, "median": 1.0, "p99": 1.0, "max": 1.0}


def test_single_messages_are_told_by_their_answers_and_by_the_intents_before_their_writes() -> None:
    answers = [(10.0 + at, 100.0 + at, 10.5 + at, json.dumps({"bulk_id": "ab"[at // 2]}).encode()) for at in range(4)]
    load = single.Load("", b"", 0, 4, answers=answers)

    found = single.result(load, {"a": 102.0, "b": 104.0}, 2, (100.0, 110.0), 0.002)

    assert (found["sms_per_s"], found["end_to_end_per_s"], found["cpu_us_per_sms"]) == (1, 0, 500.0)
    assert (found["messages_per_send"], found["answer_ms"]) == (2.0, {"p50": 500.0, "p99": 500.0})
    assert found["wire_ms"] == {"p50": 2_000.0, "p99": 2_000.0}


def test_some_messages_a_request_are_asked_for_until_all_are_and_told_by_their_sends() -> None:
    load = single.Load("", b"", 0, 5, per_request=3)

    sizes = [len(json.loads(body)["messages"]) for body in (load.next().partition(b"\r\n\r\n")[2] for _ in range(2))]
    assert (sizes, load.next()) == ([3, 2], b"")

    several = json.dumps({"messages": [{"bulk_id": "a"}, {"bulk_id": "a"}, {"bulk_id": "b"}]}).encode()
    load.answers = [(10.0, 100.0, 10.5, several), (10.0, 102.0, 10.5, json.dumps({"bulk_id": "b"}).encode())]
    found = single.result(load, {"a": 101.0, "b": 105.0}, 2, (100.0, 110.0), 0.005)
    assert (found["per_request"], found["messages_per_send"], found["sms_per_s"]) == (3, 2.5, 1)
    assert found["wire_ms"] == {"p50": 3_000.0, "p99": 5_000.0}


def test_every_story_has_its_people_by_a_tag_of_its_own() -> None:
    lines = _people(24_000, ("steady-10", "shared")).decode().splitlines()

    assert len(lines) == 24_001
    assert [sum(f"s{size}" in line for line in lines) for size in (4_000, 8_000, 12_000)] == [4_000, 8_000, 12_000]
    assert max(len(story.sends) for story in STORIES.values()) == 3


def test_a_trace_is_what_was_logged_since_its_story_began_with_places_for_ids(tmp_path: Path) -> None:
    began = datetime(2026, 11, 27, 10, 0, tzinfo=UTC)

    def line(at_s: float, event: str, **members: Any) -> str:
        return json.dumps({"event": event, "time": (began + timedelta(seconds=at_s)).isoformat(), **members}) + "\n"

    taken = {"account": "smpp", "parts": 30, "refused": 1, "hungry": False, "arriving": True, "limit": 40}
    pieces = [["t", "b", "smpp", 70, 0.0, [True, 2], None]]
    (tmp_path / "dispatch.sender.0.log").write_text(
        "not ours\n" + line(-1, "pace.taken", **taken) + line(1, "pace.taken", **taken)
    )
    (tmp_path / "dispatch.worker.0.log").write_text(
        line(1.5, "pace.looked", pieces=pieces, begun=["b"], coming=[])
        + line(3, "pace.ended", bulk_id="b", why="", last=began.timestamp() + 2.5)
    )

    assert _trace(tmp_path, began, ["a", "b"]) == {
        "taken": [[1.0, "smpp", 40, 30, 1, False, True]],
        "looks": [[1.5, [[0, 1, "smpp", 70, 0.0, [True, 2], None]], [1], []]],
        "ended": [[3.0, 1, "", 2.5]],
    }


@pytest.mark.parametrize(("most", "found"), [(1, [1]), (4, [1, 2, 4]), (7, [1, 2, 4]), (8, [1, 2, 4, 8])])
def test_accounts_are_doubled_up_to_the_bound(most: int, found: list[int]) -> None:
    assert steps(most) == found


def test_what_several_accounts_do_together_is_told_as_a_share_of_what_they_may_do() -> None:
    found = told([Seen(9_000, 100.0, 110.0), Seen(11_000, 101.0, 112.5)], 20_000, 2.0)

    assert (found["accounts"], found["sms_per_s"], found["share_of_rate"]) == (2, 1_600, 0.8)
    assert (found["submits"], found["cpu_us_per_sms"]) == ([9_000, 11_000], 100.0)
