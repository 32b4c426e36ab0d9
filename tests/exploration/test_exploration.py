"""Every law holds in every state that the cores can reach, and each deliberate fault is found by its shortest path."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from exploration.both import BothWorld, NotCovered
from exploration.bus import Facts
from exploration.engine import Exploration, Step, TooLarge, explore
from exploration.faults import FAULTS, Fault, FaultDoesNotApply
from exploration.send import SendWorld
from exploration.wallet import WalletWorld
from exploration.worlds import SMALL, STATES_MAX, TESTED
from muster.dispatch.domain import slots
from muster.laws.result import LAWS

# Nothing here is about how long it takes, and what else runs may have most of the machine.
pytestmark = pytest.mark.timeout(3_600)


@pytest.mark.parametrize("group", TESTED)
def test_every_law_holds_in_every_state_of_every_world_and_an_end_can_be_reached_from_each(group: str) -> None:
    results = [explore(world, STATES_MAX) for world in TESTED[group]()]
    for result in results:
        print("\n".join(result.lines()))
    assert [result.lines() for result in results if result.problem] == []
    assert all(result.ends for result in results)
    assert group != "both" or sum(result.transitions for result in results) >= 1_000_000


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.name)
def test_a_deliberate_fault_is_found(fault: Fault) -> None:
    with fault.applied():
        result = explore(SMALL[fault.world](), STATES_MAX)
    assert result.problem.split(":")[0] == fault.law, result.lines()
    assert len(result.story) > 1
    assert fault.law in LAWS


def test_the_worlds_that_faults_are_looked_for_in_are_sound_without_them() -> None:
    # The wallet's and the report's are among those that are explored anyway.
    small = [explore(SMALL[name](), STATES_MAX) for name in ("chunk", "sender")]
    assert [result.lines() for result in small if result.problem] == []


def one_send(**bounds: Any) -> SendWorld:
    """A send of three messages that was explored."""
    send = SendWorld((3,), losses=0, in_flight=2, copies=0, unknown=0, **bounds)
    assert explore(send, STATES_MAX).problem == ""
    return send


def test_both_sends_from_one_have_every_wallet_that_two_sends_explored_together_have() -> None:
    both = BothWorld(one_send(acts=0, offers=(0, 1, 2, 3)), (4,))
    together = SMALL["wallet"]()
    seen = wallets(together)
    assert len(seen) > 50
    assert seen <= wallets(both)


def wallets(world: BothWorld | WalletWorld) -> set[Any]:
    """Each account with both reservations that a world can come to."""
    exploration = Exploration(world, STATES_MAX)
    assert exploration.run().problem == ""
    each = (world.wallet(state) for state in exploration.states)
    return {(account, frozenset(Counter(rows).items())) for account, *rows in each}


def test_an_answer_that_one_send_was_not_explored_with_is_no_proof() -> None:
    with pytest.raises(NotCovered):
        explore(BothWorld(one_send(acts=0, offers=(3,)), (4,)), STATES_MAX)


def test_a_fault_is_gone_when_its_block_ends() -> None:
    fault = next(fault for fault in FAULTS if fault.target.endswith("slots:recover"))
    with fault.applied():
        assert slots.recover(b"\0", None, 1) != b"\2"
    assert slots.recover(b"\0", None, 1) == b"\2"


@pytest.mark.parametrize(
    "change",
    [
        {"target": "muster.dispatch.domain.slots:gone"},
        {"changes": (("text that is not there", ""),)},
        {"changes": (("slot", "slot"),)},
    ],
    ids=["no such function", "no such text", "the text is there more than once"],
)
def test_a_fault_whose_core_has_moved_on_does_not_apply(change: dict[str, object]) -> None:
    fault = next(fault for fault in FAULTS if fault.target.endswith("slots:recover"))
    with pytest.raises(FaultDoesNotApply), replace(fault, **change).applied():
        pass


class Walk:
    """Numbers from 0 up to `last`, one or two at a time; `bad` breaks a law, and only `last` is an end."""

    name = "walk"
    stands_for = 0
    withheld = 0

    def __init__(self, last: int, bad: int = -1, trap: int = -1) -> None:
        self.bounds = {"last": last}
        self._last, self._bad, self._trap = last, bad, trap

    def start(self) -> list[tuple[int]]:
        return [(0,)]

    def steps(self, state: tuple[int]) -> Iterator[Step]:
        for more in (1, 2):
            if state[0] + more <= self._last and state[0] != self._trap:
                yield Step(f"+{more}", (state[0] + more,))

    def broken(self, state: tuple[int]) -> str:
        return "once: bad" if state[0] == self._bad else ""

    def is_end(self, state: tuple[int]) -> bool:
        return state[0] == self._last

    def show(self, state: tuple[int]) -> str:
        return str(state[0])


def test_every_state_and_every_step_is_counted() -> None:
    result = explore(Walk(4), 10)
    assert (result.states, result.transitions, result.ends, result.problem) == (5, 7, 1, "")


def test_the_shortest_path_to_what_is_broken_is_told() -> None:
    result = explore(Walk(9, bad=5), 100)
    assert (result.problem, len(result.story)) == ("once: bad", 4)
    assert "broken: once: bad" in result.lines()[2]


def test_a_state_without_a_way_to_an_end_breaks_the_eighth_law() -> None:
    result = explore(Walk(9, trap=4), 100)
    assert result.problem == "bounded: no end can be reached from here; 4"


def test_a_world_larger_than_it_was_said_to_be_is_never_cut_short() -> None:
    with pytest.raises(TooLarge):
        explore(Walk(100), 10)


def test_a_fact_comes_once_or_twice_in_any_order_and_only_so_many_are_under_way() -> None:
    facts = Facts(most=2, copies=1)
    one, other, third = (facts.number(kind) for kind in ("one", "other", "third"))
    bus = facts.say((), (one, other))
    assert bus is not None
    assert facts.say(bus, (third,)) is None
    after = [(facts.fact(one)[0], facts.names(rest)) for one, rest in facts.deliveries(bus)]
    assert after == [("one", "other"), ("one", "one (again), other"), ("other", "one"), ("other", "one, other (again)")]
    kept = next(rest for _, rest in facts.deliveries(bus) if len(rest) == 2)
    assert [facts.fact(one) for one, _ in facts.deliveries(kept)] == [("one", None, " again"), ("other", None, "")]
