"""The promised finish against a queue that is served as senders serve theirs: deficit round robin, chunk by chunk."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from muster.dispatch.domain.fairness import NO_TURNS, Waiting
from muster.dispatch.domain.meter import Meter
from muster.dispatch.domain.pace import Course, Outlook, Piece, Work, error_ratio, finishes, follow, outlook
from muster.dispatch.sender.rate import Rate

TICK_S = 0.05
CHUNK = 500
WINDOW = 1000
PROMISED_AFTER_S = 5.0
TOLERANCE = 0.10


@dataclass(slots=True)
class Bulk:
    """A send of the simulated queue: so many parts, due from a time on."""

    tenant: int
    number: int
    parts: int
    due_s: float = 0.0
    kind: int = 1
    left: int = field(init=False)
    began_s: float | None = None
    finished_s: float | None = None

    def __post_init__(self) -> None:
        self.left = self.parts

    @property
    def rank(self) -> tuple[bool, int, UUID]:
        return self.kind == 1, 2, UUID(int=self.number)


class Queue:
    """Chunks of sends that one account takes at a rate, in turns of deficit round robin; measured as senders do."""

    def __init__(self, *bulks: Bulk, rate: Callable[[float], float], limits: dict[int, float] | None = None) -> None:
        self.limits = {UUID(int=tenant): limit for tenant, limit in (limits or {}).items()}
        self.own = dict(self.limits)
        self.bulks = {UUID(int=bulk.number): bulk for bulk in bulks}
        self.rate, self.now, self.turns = rate, 0.0, NO_TURNS
        self.meter, self.saved, self.promises, self.paused = Meter(), 0.0, dict[int, float](), set[int]()
        self.measured = 0.0

    def run(self, until_s: float = 1e9) -> None:
        while self.now < until_s and any(bulk.left for bulk in self.bulks.values()):
            self.now += TICK_S
            rate = self.rate(self.now)
            self.saved = min(self.saved + rate * TICK_S, max(rate / 2, CHUNK))
            for tenant_id, limit in self.limits.items():
                self.own[tenant_id] = min(self.own[tenant_id] + limit * TICK_S, limit)
            self._serve()
            if round(self.now / TICK_S) % round(1 / TICK_S) == 0:
                self.measured = self.meter.take(self.now, 0).parts_per_second
                self._promise()

    def _serve(self) -> None:
        waiting = [
            Waiting(
                *(UUID(int=bulk.tenant), number, chunk, 0, min(CHUNK, bulk.left - chunk * CHUNK), 2, bulk.kind),
                saved=self._own(UUID(int=bulk.tenant)),
            )
            for number, bulk in self.bulks.items()
            if bulk.due_s <= self.now and bulk.number not in self.paused
            for chunk in range(min(3, -(-bulk.left // CHUNK)))
            if self._own(UUID(int=bulk.tenant)) != 0
        ]
        self.meter.hungry = self.meter.hungry or not waiting
        if self.saved < 1:
            return
        self.turns, chosen = self.turns.choose(waiting, int(self.saved), CHUNK)
        for one in chosen:
            bulk = self.bulks[one.bulk_id]
            bulk.left -= one.parts
            bulk.began_s = self.now if bulk.began_s is None else bulk.began_s
            bulk.finished_s = self.now
            self.meter.parts += one.parts
            self.saved -= one.parts
            if one.tenant_id in self.own:
                self.own[one.tenant_id] -= one.parts

    def _own(self, tenant_id: UUID) -> int | None:
        """What a tenant that has a rate may write now, in steps of half a second."""
        if tenant_id not in self.own:
            return None
        own, limit = self.own[tenant_id], self.limits[tenant_id]
        return int(own) if own >= limit / 2 else 0

    def _promise(self) -> None:
        found = self.finishes()
        for number, bulk in self.bulks.items():
            begun = bulk.began_s is not None and self.now - bulk.began_s >= PROMISED_AFTER_S
            if begun and bulk.left and bulk.number not in self.promises and (end := found.get(number)) is not None:
                self.promises[bulk.number] = self.now + end

    def finishes(self) -> dict[UUID, float | None]:
        pieces = [
            Piece(UUID(int=bulk.tenant), number, "smpp", bulk.left, max(0.0, bulk.due_s - self.now), bulk.rank)
            for number, bulk in self.bulks.items()
            if bulk.left and bulk.number not in self.paused
        ]
        return finishes(pieces, {"smpp": self.measured}, self.limits)

    def error(self, number: int) -> float:
        bulk = self.bulks[UUID(int=number)]
        assert bulk.began_s is not None
        assert bulk.finished_s is not None
        return error_ratio(bulk.began_s, self.promises[number], bulk.finished_s)


def steady(rate: float) -> Callable[[float], float]:
    return lambda _: rate


def test_a_single_send_finishes_when_it_was_promised() -> None:
    queue = Queue(Bulk(1, 1, 60_000), rate=steady(2_000))
    queue.run()
    assert queue.error(1) <= TOLERANCE


def test_two_tenants_share_and_the_larger_one_has_it_all_when_the_smaller_is_done() -> None:
    queue = Queue(Bulk(1, 1, 20_000), Bulk(2, 2, 60_000), rate=steady(2_000))
    queue.run()
    assert (queue.error(1), queue.error(2)) <= (TOLERANCE, TOLERANCE)
    assert abs(queue.promises[1] - 20) < 2
    assert abs(queue.promises[2] - 40) < 4


@pytest.mark.parametrize(("limit", "first_s", "second_s"), [(200, 40, 54), (900, 9, 54), (1_500, 8, 54)])
def test_a_tenant_that_has_a_rate_takes_that_and_the_others_have_the_rest_or_its_turns_are_less(
    limit: float, first_s: float, second_s: float
) -> None:
    queue = Queue(Bulk(1, 1, 8_000), Bulk(2, 2, 100_000), rate=steady(2_000), limits={1: limit})
    queue.run()
    assert (queue.error(1), queue.error(2)) <= (TOLERANCE, TOLERANCE)
    assert queue.promises[1] == pytest.approx(first_s, rel=0.1)
    assert queue.promises[2] == pytest.approx(second_s, rel=0.1)


def test_a_rate_is_one_for_all_accounts_of_a_tenant() -> None:
    tenant, other = UUID(int=1), UUID(int=2)

    def piece(tenant_id: UUID, bulk: int, account: str, parts: float) -> Piece:
        return Piece(tenant_id, UUID(int=bulk), account, parts, 0.0, (True, 2, UUID(int=bulk)))

    pieces = [piece(tenant, 3, "one", 750), piece(tenant, 4, "two", 250), piece(other, 5, "two", 9_750)]

    found = finishes(pieces, {"one": 1_000, "two": 1_000}, {tenant: 100})

    assert [found[UUID(int=bulk)] for bulk in (3, 4, 5)] == [7.5, 10.0, 10.0]


def test_within_a_tenant_what_is_first_in_turn_is_promised_first() -> None:
    queue = Queue(Bulk(1, 1, 30_000), Bulk(1, 2, 30_000), Bulk(1, 3, 300, due_s=8, kind=2), rate=steady(2_000))
    queue.run()
    assert (queue.error(1), queue.error(2)) <= (TOLERANCE, TOLERANCE)
    assert queue.promises[1] < queue.promises[2]


def test_a_tenant_that_joins_moves_the_promise_and_the_new_one_is_kept() -> None:
    joining = Bulk(2, 2, 40_000, due_s=12)
    queue = Queue(Bulk(1, 1, 80_000), rate=steady(2_000))
    queue.run(11.9)
    promised_alone = queue.promises.pop(1)
    queue.bulks[UUID(int=2)] = joining
    queue.run(13)
    queue.run()
    assert queue.error(1) <= TOLERANCE
    assert queue.error(2) <= TOLERANCE
    assert queue.promises[1] > promised_alone + 15, "half of the carrier is the other's now"


def test_a_send_that_is_known_to_be_due_later_is_in_the_promise_of_those_before_it() -> None:
    queue = Queue(Bulk(1, 1, 80_000), Bulk(2, 2, 40_000, due_s=12), rate=steady(2_000))
    queue.run()
    assert queue.error(1) <= TOLERANCE
    assert abs(queue.promises[1] - 60) <= 4


def test_a_throttled_carrier_is_promised_by_what_it_takes_on_the_whole() -> None:
    adaptive, takes = Rate(0, 0.0), 1_500.0

    def rate(now: float) -> float:
        adaptive.allowance(now)
        tried = min(adaptive.current, WINDOW / TICK_S) * TICK_S
        adaptive.spend(round(tried), now)
        refused = max(0, round(tried - takes * TICK_S))
        queue.meter.refused += refused
        adaptive.answered(round(tried), refused, now)
        return min(tried / TICK_S, takes)

    queue = Queue(Bulk(1, 1, 60_000), rate=rate)
    queue.run()
    assert queue.error(1) <= TOLERANCE


def test_what_is_paused_has_no_promise_and_what_goes_on_is_promised_anew() -> None:
    queue = Queue(Bulk(1, 1, 40_000), Bulk(2, 2, 60_000), rate=steady(2_000))
    queue.run(8)
    queue.paused.add(1)
    assert UUID(int=1) not in queue.finishes()
    alone = queue.now + (queue.finishes()[UUID(int=2)] or 0)
    assert abs(alone - (8 + 52_000 / 2_000)) < 3, "the other has all of the carrier meanwhile"
    queue.run(18)
    queue.paused.clear()
    queue.promises.clear()
    queue.run()
    assert (queue.error(1), queue.error(2)) <= (TOLERANCE, TOLERANCE)


def test_a_carrier_that_takes_nothing_is_no_ground_for_a_promise() -> None:
    piece = Piece(UUID(int=1), UUID(int=1), "smpp", 10, 0, (True, 2, UUID(int=1)))
    other = Piece(UUID(int=1), UUID(int=1), "http", 10, 0, (True, 2, UUID(int=1)))
    assert finishes([piece], {}) == {piece.bulk_id: None}
    assert finishes([piece, other], {"smpp": 5.0, "http": 0.0}) == {piece.bulk_id: None}
    assert finishes([piece, other], {"smpp": 5.0, "http": 1.0}) == {piece.bulk_id: 10.0}
    assert finishes([], {"smpp": 5.0}) == {}


pieces = st.builds(
    lambda tenant, bulk, parts, due, kind: Piece(
        UUID(int=tenant), UUID(int=bulk * 8 + tenant), "a", parts, due, (kind, 1, UUID(int=bulk * 8 + tenant))
    ),
    *(st.integers(0, 4), st.integers(1, 4), st.integers(1, 5_000), st.sampled_from((0.0, 0.0, 3.0, 20.0))),
    st.booleans(),
)


@given(st.lists(pieces, min_size=1, max_size=12), st.floats(10, 10_000))
@settings(max_examples=60)
def test_the_fluid_neither_makes_nor_loses_capacity(queue: list[Piece], rate: float) -> None:
    found = [end for end in finishes(queue, {"a": rate}).values() if end is not None]
    last, total = max(found), sum(piece.parts for piece in queue) / rate
    latest = max(piece.due_s for piece in queue)

    assert len(found) == len({piece.bulk_id for piece in queue})
    assert max(total, latest) - 1e-6 <= last <= latest + total + 1e-6
    if not latest:
        assert last == pytest.approx(total)


@given(st.lists(pieces, min_size=2, max_size=10), st.integers(0, 10))
@settings(max_examples=60)
def test_whoever_joins_makes_nobody_sooner_and_a_faster_carrier_nobody_later(queue: list[Piece], seed: int) -> None:
    joining = random.Random(seed).choice(queue)
    rest = [piece for piece in queue if piece.tenant_id != joining.tenant_id]
    alone, together = finishes(rest, {"a": 100.0}), finishes(queue, {"a": 100.0})
    faster = finishes(queue, {"a": 200.0})

    assert all((together[bulk] or 0) >= (end or 0) - 1e-6 for bulk, end in alone.items())
    assert all((faster[bulk] or 0) <= (end or 0) + 1e-6 for bulk, end in together.items())


def promised_after(ahead: Callable[[float], Outlook], *, coming: Callable[[float], bool] = lambda _: False) -> float:
    """After how many seconds of sending a finish is promised that is seen ahead like this; 99 for never."""
    course: Course | None = None
    for second in range(99):
        work = Work((), 1, 0, 0, begun=True, coming=coming(second))
        course = follow(course, work, ahead(second), float(second))
        if course.promised is not None:
            return course.promised
    return 99


def test_what_is_in_no_doubt_is_promised_after_five_seconds() -> None:
    assert promised_after(lambda _: Outlook(60.0)) == 5
    assert promised_after(lambda second: Outlook(60.0, 0.4 if second < 9 else 0.05)) == 9
    assert promised_after(lambda _: Outlook(None)) == 99


def test_a_doubt_about_the_little_that_is_left_is_no_reason_to_wait() -> None:
    assert promised_after(lambda second: Outlook(60.0 - second, 0.2)) == 30, "a carrier that is never even"
    assert promised_after(lambda second: Outlook(10.0 - second, 0.16)) == 5


def test_nothing_is_promised_of_a_send_that_is_still_arriving_unless_its_carrier_takes_what_it_may() -> None:
    assert promised_after(lambda _: Outlook(60.0, 0.01), coming=lambda second: second < 40) == 40
    assert promised_after(lambda _: Outlook(60.0, 0.0), coming=lambda second: second < 40) == 5


def test_an_outlook_is_as_doubtful_as_what_the_worst_of_its_accounts_takes() -> None:
    pieces = tuple(Piece(UUID(int=1), UUID(int=1), name, 1, 0, (True, 2, UUID(int=1))) for name in "ab")
    work = Work(pieces, 1, 0, 0, begun=True)
    assert outlook(work, 5.0, {"a": 0.1, "b": 0.3, "c": 0.9}) == Outlook(5.0, 0.3)
