"""The saga: every state takes every fact, nothing depends on order or repetition, and the books always balance."""

from dataclasses import replace
from itertools import permutations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.dispatch.domain.accounting import Tally, Totals
from muster.dispatch.domain.saga import (
    Arrived,
    Bulk,
    Control,
    Controlled,
    Done,
    Ended,
    Fact,
    GivenUp,
    Moved,
    Refused,
    Requested,
    Reserved,
    SayAccounted,
    SayControlled,
    SendByPassed,
    Settled,
    State,
    Summed,
    SumUp,
    Swept,
    Unparked,
    Withdrawn,
    advance,
)
from muster.dispatch.domain.slots import Reason

REQUESTED = Requested(recipients=1_000, chunks=2, asked=1_000, send_by_unix_ms=1)
STOP, PAUSE, RESUME = Controlled(Control.STOP), Controlled(Control.PAUSE), Controlled(Control.RESUME)
ALL_SENT = Summed(Tally(accepted=1_000, used=1_000))

WAITING = advance(advance(Bulk(), REQUESTED)[0], Arrived(2))[0]
SENDING = advance(WAITING, Reserved(1_000))[0]
PAUSED = advance(SENDING, PAUSE)[0]
CLOSED = advance(advance(SENDING, Done(2))[0], ALL_SENT)[0]


def test_a_send_that_is_all_accepted_uses_its_credits_and_closes() -> None:
    bulk, effects = advance(advance(SENDING, Done(2))[0], ALL_SENT)

    assert bulk.state is State.CLOSED
    assert bulk.totals == Totals(used=1_000, accepted=1_000)
    assert effects == (SayAccounted(closed=True),)


def test_credits_reserved_for_a_stopped_send_all_come_back() -> None:
    stopped = advance(WAITING, STOP)[0]

    bulk, effects = advance(stopped, Reserved(1_000))
    accounted, said = advance(bulk, Summed(Tally(open=1_000)))

    assert effects == (SumUp(),)
    assert (accounted.totals.used, accounted.totals.released, accounted.totals.held) == (0, 1_000, 0)
    assert said == (SayAccounted(closed=False),), "its chunks are still to be ended"
    assert not accounted.claimable


def test_credits_reserved_for_a_withdrawn_send_all_come_back_and_it_stays_closed() -> None:
    withdrawn = advance(advance(Bulk(), STOP)[0], Withdrawn())[0]
    assert withdrawn.state is State.CLOSED

    bulk = advance(withdrawn, Reserved(7))[0]
    accounted, said = advance(bulk, Summed(Tally()))

    assert accounted.totals.released == 7
    assert said == (SayAccounted(closed=True),)


def test_what_is_unknown_is_held_and_keeps_the_send_open() -> None:
    drained = advance(SENDING, Done(2))[0]

    bulk, effects = advance(drained, Summed(Tally(accepted=999, unknown=1, used=999, unknown_credits=1)))

    assert (bulk.state, bulk.totals.held) == (State.SENDING, 1)
    assert effects == (SayAccounted(closed=False),)
    resolved = advance(advance(bulk, Moved())[0], ALL_SENT)[0]
    assert (resolved.state, resolved.account_version) == (State.CLOSED, 2)


def test_a_send_whose_chunks_never_came_ends_with_its_time() -> None:
    half = advance(advance(advance(Bulk(), REQUESTED)[0], Arrived(1))[0], Reserved(1_000))[0]
    sent = advance(half, Done(1))[0]
    assert sent.state is State.SENDING

    over = advance(sent, SendByPassed())[0]
    bulk = advance(over, Summed(Tally(accepted=500, used=500)))[0]

    assert (bulk.state, bulk.totals.released, bulk.totals.reason) == (State.CLOSED, 500, Reason.SEND_BY)


def test_a_parked_send_is_not_claimed_but_can_be_stopped() -> None:
    parked = advance(SENDING, Reserved(999))[0]
    assert not parked.claimable

    bulk, effects = advance(parked, STOP)

    assert bulk.ending is Reason.STOPPED
    assert effects == (SayControlled(Control.STOP), SumUp())
    assert advance(parked, Unparked())[0].claimable


def test_more_used_than_reserved_parks_the_send_which_ends_with_what_was_reserved() -> None:
    drained = advance(SENDING, Done(2))[0]

    bulk, effects = advance(drained, Summed(Tally(accepted=1_001, used=1_001)))

    assert bulk.parked
    assert bulk.state is State.CLOSED
    assert (bulk.totals.used, bulk.totals.released, bulk.totals.held) == (1_000, 0, 0)
    assert effects[1:] == (SayAccounted(closed=True),)


def test_a_send_whose_credits_never_come_is_closed_when_its_time_is_over() -> None:
    over, effects = advance(WAITING, SendByPassed())
    assert effects == (SumUp(),)
    swept = advance(advance(over, Summed(Tally(open=1_000)))[0], Done(2))[0]

    bulk, said = advance(swept, Summed(Tally(stopped=1_000)))

    assert (bulk.state, bulk.reserved, said) == (State.CLOSED, None, (SayAccounted(closed=True),))
    assert (bulk.totals.stopped, bulk.totals.reason) == (1_000, Reason.SEND_BY)
    late = advance(bulk, Reserved(1_000))[0]
    settled, again = advance(late, Summed(Tally(stopped=1_000)))
    assert (settled.state, settled.totals.released, again) == (State.CLOSED, 1_000, (SayAccounted(closed=True),))
    assert not settled.parked
    assert advance(bulk, Refused()) == (bulk, ())


def test_a_stopped_send_is_closed_without_waiting_for_a_ledger_that_is_away() -> None:
    stopped = advance(WAITING, STOP)[0]

    bulk, said = advance(advance(stopped, Done(2))[0], Summed(Tally(stopped=1_000)))

    assert (bulk.state, said) == (State.CLOSED, (SayAccounted(closed=True),))


def test_messages_of_chunks_that_never_came_count_as_stopped_and_late_ones_change_nothing() -> None:
    half = advance(advance(advance(Bulk(), REQUESTED)[0], Arrived(1))[0], Reserved(1_000))[0]
    sent = advance(half, Done(1))[0]
    closed = advance(advance(sent, SendByPassed())[0], Summed(Tally(accepted=500, used=500)))[0]
    assert (closed.totals.accepted, closed.totals.stopped) == (500, 500)

    late = advance(closed, Arrived(2))[0]
    queued = advance(late, Summed(Tally(accepted=500, used=500, open=500)))
    swept = advance(advance(late, Done(2))[0], Summed(Tally(accepted=500, used=500, stopped=500)))

    assert late.sweep
    assert queued == (late, ())
    assert swept[0].totals == closed.totals
    assert swept[1] == ()


def test_an_operator_gives_up_a_missing_chunk_and_what_is_here_is_sent_first() -> None:
    half = advance(advance(advance(Bulk(), REQUESTED)[0], Arrived(1))[0], Reserved(1_000))[0]

    bulk, effects = advance(half, GivenUp())
    assert (bulk.claimable, effects) == (True, ())
    closed = advance(advance(bulk, Done(1))[0], Summed(Tally(accepted=500, used=500)))[0]

    assert (closed.state, closed.totals.used, closed.totals.released) == (State.CLOSED, 500, 500)
    assert (closed.totals.stopped, closed.totals.reason) == (500, Reason.STOPPED)


def test_an_operator_ends_a_send_that_nobody_else_would() -> None:
    bulk, effects = advance(WAITING, Ended())
    assert effects == (SayControlled(Control.STOP), SumUp())

    closed = advance(advance(bulk, Done(2))[0], Summed(Tally(stopped=1_000)))[0]

    assert (closed.state, closed.totals.held) == (State.CLOSED, 0)


def test_a_request_is_judged_the_same_before_and_after_its_chunks() -> None:
    one = Requested(recipients=500, chunks=1, asked=500, send_by_unix_ms=1)

    after = advance(advance(Bulk(), Arrived(2))[0], one)[0]
    before = advance(advance(Bulk(), one)[0], Arrived(2))[0]

    assert after.parked
    assert before.parked
    assert replace(after, parked="") == replace(before, parked="")


def test_until_when_is_known_from_whoever_says_it_first() -> None:
    assert advance(Bulk(), Reserved(5, send_by_unix_ms=7))[0].send_by_unix_ms == 7
    assert advance(Bulk(), Arrived(1, send_by_unix_ms=8))[0].send_by_unix_ms == 8


EVENTS: tuple[Fact, ...] = (
    Requested(recipients=2, chunks=2, asked=2, send_by_unix_ms=1),
    Arrived(1, send_by_unix_ms=1),
    Arrived(2, send_by_unix_ms=1),
    Settled(0),
)


@pytest.mark.parametrize("answer", [Reserved(2, send_by_unix_ms=1), Refused()], ids=["reserved", "refused"])
@pytest.mark.parametrize("first", [(), (STOP,), (PAUSE,), (STOP, SendByPassed())], ids=str)
def test_the_same_facts_in_any_order_and_number_make_the_same_send(answer: Fact, first: tuple[Fact, ...]) -> None:
    ends = set()
    for order in permutations((*EVENTS, answer, answer)):
        bulk = Bulk()
        for fact in (*first, *order, *order):
            bulk, effects = advance(bulk, fact)
            if SumUp() in effects:
                tally = Tally(open=bulk.arrived)
                bulk, _ = advance(bulk, Summed(tally))
        ends.add(replace(bulk, account_version=0))
        assert not bulk.parked

    assert len({(end.state, end.reserved, end.ending, end.send_by_unix_ms, end.sweep) for end in ends}) == 1


class Model:
    """A send whose chunks have one message of one credit each, and the saga that hears of it."""

    def __init__(self, chunks: int, credits: int) -> None:
        self.chunks, self.credits = chunks, credits
        self.slots = ["absent"] * chunks
        self.bulk = Bulk()
        self.said: list[Totals] = []

    def hear(self, fact: Fact) -> None:
        self.bulk, effects = advance(self.bulk, fact)
        assert not self.bulk.parked, self.bulk.parked
        for effect in effects:
            if isinstance(effect, SumUp):
                self.hear(Summed(self.tally()))
            if isinstance(effect, SayAccounted):
                self.account()

    def account(self) -> None:
        totals = self.bulk.totals
        assert totals.used + totals.released + totals.held == (self.bulk.reserved or 0)
        if self.said:
            assert totals.used >= self.said[-1].used
            assert totals.released >= self.said[-1].released
        self.said.append(totals)

    def tally(self) -> Tally:
        count = self.slots.count
        return Tally(
            accepted=count("accepted"),
            unknown=count("unknown"),
            stopped=count("stopped"),
            open=count("queued") + count("leased"),
            used=count("accepted"),
            unknown_credits=count("unknown"),
            on_wire_credits=count("leased"),
        )

    def counts(self) -> None:
        self.hear(Arrived(self.chunks - self.slots.count("absent")))
        self.hear(Done(sum(slot in ("accepted", "unknown", "stopped") for slot in self.slots)))
        self.hear(Moved())

    def chunk(self, at: int, act: str) -> None:
        """One step of a chunk, if it is its turn."""
        at %= self.chunks
        now = self.slots[at]
        if act == "arrive" and now == "absent":
            self.slots[at] = "queued"
        elif act == "claim" and now == "queued" and self.bulk.claimable and at < (self.bulk.reserved or 0):
            self.slots[at] = "leased"
        elif act in ("accepted", "unknown") and now == "leased":
            self.slots[at] = act
        elif act == "back" and now == "leased":
            self.slots[at] = "queued"
        elif act == "resolve" and now == "unknown":
            self.slots[at] = "accepted"
        elif act == "sweep" and now == "queued" and (self.bulk.ending or at >= (self.bulk.reserved or self.chunks)):
            self.slots[at] = "stopped"
        self.counts()


ACTS = ("arrive", "claim", "accepted", "unknown", "back", "resolve", "sweep")
STEPS = st.one_of(
    st.tuples(st.just("hear"), st.integers(0, 7)),
    st.tuples(st.sampled_from(ACTS), st.integers(0, 3)),
)


@settings(max_examples=150)
@given(
    steps=st.lists(STEPS, max_size=60),
    chunks=st.integers(1, 4),
    short=st.booleans(),
    refused=st.booleans(),
)
def test_any_order_and_repetition_ends_with_nothing_held_and_the_books_balanced(
    steps: list[tuple[str, int]], chunks: int, short: bool, refused: bool
) -> None:
    model = Model(chunks, chunks - 1 if short else chunks)
    answer: Fact = Refused() if refused else Reserved(model.credits)
    facts: list[Fact] = [
        Requested(recipients=chunks, chunks=chunks, asked=chunks, send_by_unix_ms=1),
        answer,
        STOP,
        PAUSE,
        RESUME,
        Settled(0),
        Swept(),
        SendByPassed(),
    ]

    for act, at in steps:
        if act == "hear":
            model.hear(facts[at])
        else:
            model.chunk(at, act)

    # Everything is said in the end, and time passes.
    for fact in (facts[0], answer, SendByPassed()):
        model.hear(fact)
    for act in ("arrive", "back", "sweep", "resolve"):
        for at in range(chunks):
            model.chunk(at, act)
    assert model.bulk.ended, model.bulk
    assert model.bulk.totals.held == 0
    assert "queued" not in model.slots
    if not refused:
        assert model.bulk.totals.used == model.slots.count("accepted")
        assert model.said, "what was reserved is accounted for"
