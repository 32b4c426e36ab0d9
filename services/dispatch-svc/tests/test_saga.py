"""The saga: every state takes every fact, nothing depends on order or repetition, and the books always balance."""

from dataclasses import replace
from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.dispatch.domain.accounting import Tally, Totals
from muster.dispatch.domain.saga import (
    Alarm,
    Arrived,
    Bulk,
    Control,
    Controlled,
    Done,
    Fact,
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
REFUSED = advance(WAITING, Refused())[0]
BULKS = {
    State.WAITING: WAITING,
    State.SENDING: SENDING,
    State.PAUSED: PAUSED,
    State.CLOSED: CLOSED,
    State.REFUSED: REFUSED,
}
# State x fact, complete: the state afterwards, and what follows. "!" parks the bulk.
SUM, SAY, PARK = "sum", "say", "!"
MATRIX: dict[State, dict[Fact, tuple[State, str]]] = {
    State.WAITING: {
        REQUESTED: (State.WAITING, ""),
        replace(REQUESTED, asked=5): (State.WAITING, PARK),
        Withdrawn(): (State.WAITING, PARK),
        Reserved(1_000): (State.SENDING, ""),
        Refused(): (State.REFUSED, ""),
        Arrived(2): (State.WAITING, ""),
        Arrived(3): (State.WAITING, PARK),
        Done(1): (State.WAITING, ""),
        Moved(): (State.WAITING, ""),
        Summed(Tally()): (State.WAITING, ""),
        Settled(1): (State.WAITING, PARK),
        STOP: (State.WAITING, SAY),
        PAUSE: (State.WAITING, SAY),
        RESUME: (State.WAITING, ""),
        SendByPassed(): (State.WAITING, ""),
        Swept(): (State.WAITING, ""),
        Unparked(): (State.WAITING, ""),
    },
    State.SENDING: {
        REQUESTED: (State.SENDING, ""),
        replace(REQUESTED, asked=5): (State.SENDING, PARK),
        Withdrawn(): (State.SENDING, PARK),
        Reserved(1_000): (State.SENDING, ""),
        Reserved(999): (State.SENDING, PARK),
        Refused(): (State.SENDING, PARK),
        Arrived(2): (State.SENDING, ""),
        Arrived(3): (State.SENDING, PARK),
        Done(1): (State.SENDING, ""),
        Done(2): (State.SENDING, SUM),
        Moved(): (State.SENDING, ""),
        Summed(Tally(accepted=5, used=5)): (State.SENDING, ""),
        Settled(1): (State.SENDING, PARK),
        STOP: (State.SENDING, SAY + SUM),
        PAUSE: (State.PAUSED, SAY),
        RESUME: (State.SENDING, ""),
        SendByPassed(): (State.SENDING, SUM),
        Swept(): (State.SENDING, ""),
        Unparked(): (State.SENDING, ""),
    },
    State.PAUSED: {
        REQUESTED: (State.PAUSED, ""),
        Withdrawn(): (State.PAUSED, PARK),
        Reserved(1_000): (State.PAUSED, ""),
        Reserved(999): (State.PAUSED, PARK),
        Refused(): (State.PAUSED, PARK),
        Arrived(2): (State.PAUSED, ""),
        Done(1): (State.PAUSED, ""),
        Done(2): (State.PAUSED, SUM),
        Moved(): (State.PAUSED, ""),
        Summed(Tally(accepted=5, used=5)): (State.PAUSED, ""),
        Settled(1): (State.PAUSED, PARK),
        STOP: (State.SENDING, SAY + SUM),
        PAUSE: (State.PAUSED, ""),
        RESUME: (State.SENDING, SAY),
        SendByPassed(): (State.SENDING, SUM),
        Swept(): (State.PAUSED, ""),
        Unparked(): (State.PAUSED, ""),
    },
    State.CLOSED: {
        REQUESTED: (State.CLOSED, ""),
        replace(REQUESTED, asked=5): (State.CLOSED, PARK),
        Withdrawn(): (State.CLOSED, PARK),
        Reserved(1_000): (State.CLOSED, ""),
        Reserved(999): (State.CLOSED, PARK),
        Refused(): (State.CLOSED, PARK),
        Arrived(2): (State.CLOSED, ""),
        Arrived(3): (State.CLOSED, PARK),
        Done(2): (State.CLOSED, ""),
        Moved(): (State.CLOSED, SUM),
        ALL_SENT: (State.CLOSED, ""),
        Summed(Tally(accepted=900, used=900)): (State.CLOSED, PARK),
        Settled(1): (State.CLOSED, ""),
        Settled(2): (State.CLOSED, PARK),
        STOP: (State.CLOSED, ""),
        PAUSE: (State.CLOSED, ""),
        RESUME: (State.CLOSED, ""),
        SendByPassed(): (State.CLOSED, ""),
        Swept(): (State.CLOSED, ""),
        Unparked(): (State.CLOSED, ""),
    },
    State.REFUSED: {
        REQUESTED: (State.REFUSED, ""),
        Withdrawn(): (State.REFUSED, PARK),
        Reserved(1_000): (State.REFUSED, PARK),
        Refused(): (State.REFUSED, ""),
        Arrived(2): (State.REFUSED, ""),
        Arrived(3): (State.REFUSED, PARK),
        Done(2): (State.REFUSED, SUM),
        Moved(): (State.REFUSED, SUM),
        Summed(Tally(stopped=1_000, short=1_000)): (State.REFUSED, ""),
        Settled(1): (State.REFUSED, PARK),
        STOP: (State.REFUSED, ""),
        PAUSE: (State.REFUSED, ""),
        RESUME: (State.REFUSED, ""),
        SendByPassed(): (State.REFUSED, ""),
        Swept(): (State.REFUSED, ""),
        Unparked(): (State.REFUSED, ""),
    },
}
CASES = [(state, fact, *then) for state, row in MATRIX.items() for fact, then in row.items()]


def follows(bulk: Bulk, effects: tuple[object, ...]) -> str:
    names = {SayControlled: SAY, SumUp: SUM, Alarm: PARK}
    assert bool(bulk.parked) == any(isinstance(effect, Alarm) for effect in effects)
    return "".join(names[type(effect)] for effect in effects)


@pytest.mark.parametrize(("state", "fact", "after", "then"), CASES, ids=lambda value: str(value)[:40])
def test_each_state_takes_each_fact(state: State, fact: Fact, after: State, then: str) -> None:
    bulk, effects = advance(BULKS[state], fact)

    assert (bulk.state, follows(bulk, effects)) == (after, then)


def test_the_matrix_is_complete() -> None:
    kinds = set(get_args(Fact))
    for row in MATRIX.values():
        assert {type(fact) for fact in row} == kinds


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


def test_more_used_than_reserved_parks_the_send() -> None:
    drained = advance(SENDING, Done(2))[0]

    assert advance(drained, Summed(Tally(accepted=1_001, used=1_001)))[0].parked == "more used than reserved"


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
        assert totals.used + totals.released + totals.held == self.bulk.reserved
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


@settings(max_examples=400, deadline=None)
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
