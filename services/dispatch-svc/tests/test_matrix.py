"""The matrix of the saga is the saga: every send that can be takes every fact as its cell says, and no cell is idle."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

from muster.dispatch.domain.accounting import Tally, never_falls
from muster.dispatch.domain.bulk import (
    Alarm,
    Arrived,
    Bulk,
    Control,
    Controlled,
    Done,
    Effect,
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
)
from muster.dispatch.domain.matrix import MATRIX, STATE_OF, Heard, Says, Situation, cell_of
from muster.dispatch.domain.saga import advance, heard_as, situation_of

# A send of one chunk with two messages of one credit each; what contradicts it; and what chunks may come to.
FACTS: tuple[Fact, ...] = (
    Requested(recipients=2, chunks=1, asked=2, send_by_unix_ms=1),
    Requested(recipients=2, chunks=1, asked=9, send_by_unix_ms=1),
    Withdrawn(),
    Reserved(2),
    Reserved(1),
    Refused(),
    Moved(),
    Settled(0),
    Settled(1),
    Settled(9),
    *map(Controlled, Control),
    SendByPassed(),
    Swept(),
    Unparked(),
    Ended(),
    GivenUp(),
    *map(Arrived, (1, 2)),
)
TALLIES = (
    Tally(open=2, on_wire_credits=2),
    Tally(accepted=1, unknown=1, used=1, unknown_credits=1),
    Tally(accepted=2, used=2),
)
SAYS = {
    Says.SUM: SumUp(),
    Says.TOTALS: SayAccounted(closed=False),
    Says.CLOSED: SayAccounted(closed=True),
    Says.STOP: SayControlled(Control.STOP),
    Says.PAUSE: SayControlled(Control.PAUSE),
    Says.RESUME: SayControlled(Control.RESUME),
}
ENDED = (State.CLOSED, State.REFUSED)
ODD = (Reserved(1), Arrived(2))
WRONG = (Heard.SUMMED_WRONG, Heard.SUMMED_WRONG_LAST)


def facts_for(bulk: Bulk) -> Iterator[Fact]:
    yield from FACTS
    yield from (Done(done) for done in range(1, bulk.arrived + 1))
    yield from map(Summed, TALLIES)


def plain(bulk: Bulk) -> Bulk:
    """The same send less what the matrix does not look at: the height of versions, times, whether queues are swept. And
    not parked: that is tried with each."""
    return replace(
        bulk,
        control_version=0,
        account_version=min(bulk.account_version, 1),
        settled_version=0,
        send_by_unix_ms=0,
        asked=min(bulk.asked, 2),
        parked="",
        sweep=False,
    )


def reach() -> list[tuple[Bulk, Fact, Bulk, tuple[Effect, ...]]]:
    """Every send that any facts in any order can lead to, with every fact and what follows. Sums that contradict what
    was said lead to as many as one likes; each of them is tried, and nothing after it. So are odd facts."""
    seen, edge, steps = {Bulk()}, [(Bulk(), True)], []
    while edge:
        bulk, goes_on = edge.pop()
        for fact in facts_for(bulk):
            after, effects = advance(bulk, fact)
            steps.append((bulk, fact, after, effects))
            following = plain(after)
            if goes_on and following not in seen:
                seen.add(following)
                edge.append((following, heard_as(bulk, fact) not in WRONG and fact not in ODD))
    return steps


STEPS = reach()


def test_every_send_takes_every_fact_as_its_cell_says_and_every_cell_is_used() -> None:
    used: Counter[tuple[Situation, Heard]] = Counter()
    for bulk, fact, after, effects in STEPS:
        at, heard = situation_of(bulk), heard_as(bulk, fact)
        cell = cell_of(at, heard)
        assert cell is not None, (at, heard, bulk, fact)
        used[at, heard] += 1
        assert STATE_OF[at] is bulk.state
        assert situation_of(after) is (cell.to or at), (at, heard, bulk, fact)
        assert effects == ((Alarm(cell.parks),) if cell.parks else ()) + tuple(SAYS[one] for one in cell.says)
        assert after.parked == cell.parks
        if not cell.takes:
            versions = {"control_version": after.control_version, "account_version": after.account_version}
            assert after == replace(bulk, parked=cell.parks, state=after.state, **versions)

    once_parked = {Heard.UNPARKED}
    cells = {(at, heard) for at in Situation for heard in Heard if cell_of(at, heard) and heard not in once_parked}
    assert set(used) == cells
    assert set(MATRIX) == set(Heard)


def test_no_fact_makes_an_ended_send_go_on_or_takes_back_what_was_said() -> None:
    for bulk, fact, after, effects in STEPS:
        if bulk.ended:
            assert after.ended
            assert not any(isinstance(effect, SayControlled) for effect in effects)
        assert not (after.claimable and (after.ended or after.ending or after.parked or after.reserved is None))
        said = [effect for effect in effects if isinstance(effect, SayAccounted)]
        assert after.account_version == bulk.account_version + len(said)
        for one in said:
            totals = after.totals
            assert totals.used + totals.released + totals.held == (after.reserved or 0), (bulk, fact)
            assert one.closed == (after.state in ENDED)
            assert not (one.closed and totals.held), (bulk, fact)
            assert never_falls(bulk.totals, totals), (bulk, fact)


def test_the_same_fact_again_changes_nothing_and_says_nothing() -> None:
    for bulk, fact, once, _ in STEPS:
        if heard_as(once, fact) in WRONG:
            continue  # what cannot be is said as often as it is seen
        twice, effects = advance(once, fact)

        assert [effect for effect in effects if effect != SumUp()] == [], (bulk, fact)
        assert twice == once, (bulk, fact)


def test_what_is_parked_ends_as_what_is_not_and_is_parked_once() -> None:
    """A send that an operator never looks at is only not sent."""
    for bulk, fact, free, effects in STEPS:
        after, then = advance(replace(bulk, parked="why"), fact)

        assert (after.state, after.totals) == (free.state, free.totals)
        if isinstance(fact, Unparked):
            cell = cell_of(situation_of(bulk), Heard.UNPARKED)
            assert cell is not None
            assert (after.parked, then) == ("", tuple(SAYS[one] for one in cell.says))
        else:
            parks = free.parked != ""
            assert after.parked == "why"
            assert then == tuple(
                one for one in effects if not (parks and one in (Alarm(free.parked), SAYS[Says.PAUSE]))
            )
