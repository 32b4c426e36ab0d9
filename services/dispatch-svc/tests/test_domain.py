"""The pure parts: slots, sums, turns, receipts, and the rate of a carrier."""

from collections import Counter
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from muster.dispatch.domain import receipts, slots
from muster.dispatch.domain.accounting import Tally, totals
from muster.dispatch.domain.fairness import NO_TURNS, Waiting
from muster.dispatch.domain.receipts import Receipt
from muster.dispatch.domain.slots import Reason, Slot
from muster.dispatch.sender.rate import Rate

Q, A, U, R, S, T = Slot.QUEUED, Slot.ACCEPTED, Slot.UNKNOWN, Slot.REJECTED, Slot.STOPPED, Slot.RETRY


@pytest.mark.parametrize(
    ("parts", "left"),
    [
        ([A], A),
        ([A, A], A),
        ([A, Q], None),
        ([A, T], None),
        ([A, U], U),
        ([U, R], U),
        ([A, R], R),
        ([A, S], S),
        ([Slot.CHARGED, A], U),
        ([Slot.SUPPRESSED], Slot.SUPPRESSED),
    ],
)
def test_a_message_is_left_as_its_parts_say(parts: list[Slot], left: Slot | None) -> None:
    assert slots.left_of(bytes(parts)) is left


def test_mixed_parts_cost_what_was_taken() -> None:
    sums = slots.sums(bytes([2, 2, 1]), [4, 4, 2], bytes([A, R, A, U, Q]))

    assert (sums.used, sums.unknown_credits, sums.open_credits) == (4, 2, 2)
    assert (sums.rejected, sums.unknown, sums.open) == (1, 1, 1)


def test_what_is_said_of_a_chunk_is_what_changed_and_is_not_open() -> None:
    before, after = bytes([Q, Q, Q, U]), bytes([A, T, Q, A])

    words = slots.words(bytes([1, 1, 1, 1]), before, after)

    assert [(word.position, word.left, word.charged_parts) for word in words] == [(0, A, 1), (3, A, 1)]


def test_recovery_leaves_what_the_intent_covered_unknown_and_nothing_else() -> None:
    assert slots.recover(bytes([A, Q, T, Q, Q]), None, 4) == bytes([A, U, T, U, Q])
    assert slots.recover(bytes([A, Q, A, Q, Q]), [1, 3, 4], 2) == bytes([A, U, A, U, Q])
    assert slots.recover(bytes([Q, Q, T, Q]), None, 3, bytes([0, 1, 2, 0])) == bytes([U, A, T, Q]), (
        "its receipt is there"
    )


chunks = st.lists(st.integers(1, 4), min_size=1, max_size=20).flatmap(
    lambda parts: st.tuples(
        st.just(bytes(parts)),
        st.lists(st.sampled_from(Slot), min_size=sum(parts), max_size=sum(parts)).map(bytes),
        st.integers(0, 5),
    )
)


@given(chunks)
def test_the_counts_of_a_chunk_are_its_recipients_and_its_credits_never_exceed_the_price(
    chunk: tuple[bytes, bytes, int],
) -> None:
    parts, states, price = chunk
    prices = [price * count for count in parts]

    sums = slots.sums(parts, prices, states)

    counts = (sums.accepted, sums.unknown, sums.rejected, sums.stopped, sums.suppressed, sums.open)
    assert sum(counts) == len(parts)
    assert sums.used + sums.unknown_credits + sums.open_credits <= sum(prices)
    taken = sum(state in (Slot.ACCEPTED, Slot.CHARGED) for state in states)
    assert sums.used == taken * price


@given(chunks)
def test_the_fast_road_of_single_parts_gives_the_same_as_the_slow_one(chunk: tuple[bytes, bytes, int]) -> None:
    _, states, price = chunk
    ones = bytes([1]) * len(states)

    fast = slots.sums(ones, [price] * len(states), states)
    # One price that differs takes the other road; its message is free and rejected.
    slow = slots.sums(ones + b"\1", [price] * len(states) + [price + 1], states + bytes([Slot.REJECTED]))

    assert (fast.used, fast.accepted, fast.open, fast.rejected + 1) == (
        slow.used,
        slow.accepted,
        slow.open,
        slow.rejected,
    )


@given(chunks, st.sampled_from([Slot.STOPPED, Slot.SEND_BY, Slot.CREDITS]))
def test_ending_leaves_nothing_open_and_touches_nothing_else(chunk: tuple[bytes, bytes, int], to: Slot) -> None:
    _, states, _ = chunk

    after = slots.end_open(states, to)

    assert Slot.QUEUED not in after
    assert Slot.RETRY not in after
    assert all(new == old or (old in (Q, T) and new == to) for old, new in zip(states, after, strict=True))


@given(st.integers(0, 100), st.integers(0, 100), st.integers(0, 100), st.integers(0, 300))
def test_totals_always_add_up_to_what_is_reserved(used: int, unknown: int, wire: int, reserved: int) -> None:
    found = totals(reserved, Tally(used=used, unknown_credits=unknown, on_wire_credits=wire), Reason.NONE)

    if used + unknown + wire > reserved:
        assert found is None
    else:
        assert found is not None
        assert found.used + found.released + found.held == reserved


# -- turns ------------------------------------------------------------------------------------------------------------


def waiting(tenant: int, bulk: int, chunk: int, parts: int, lane: int = 2, kind: int = 1) -> Waiting:
    return Waiting(UUID(int=tenant), UUID(int=bulk), chunk, 0, parts, lane, kind)


def test_a_small_tenant_is_served_between_the_chunks_of_a_giant() -> None:
    giant = [waiting(1, 1, at, 500) for at in range(10)]
    small = [waiting(2, 2, 1, 20)]

    _, chosen = NO_TURNS.choose(giant + small, 1_000, 500)

    assert {one.tenant_id.int for one in chosen} == {1, 2}


def test_tenants_that_always_wait_get_the_same_share_of_parts_whatever_the_size_of_their_messages() -> None:
    turns, served = NO_TURNS, Counter[int]()
    for at in range(300):
        queue = [waiting(1, 1, at, 500), waiting(2, 2, at, 1_500), waiting(3, 3, at, 50), waiting(3, 3, at + 999, 50)]
        turns, chosen = turns.choose(queue, 600, 500)
        for one in chosen:
            served[one.tenant_id.int] += one.parts

    assert served[1] == pytest.approx(served[2], rel=0.2)
    assert served[3] > 0


def test_a_single_message_goes_before_a_bulk_and_a_small_bulk_before_a_large_one() -> None:
    single, small, large = waiting(1, 9, 1, 1, 1, 2), waiting(1, 8, 1, 100, 1), waiting(1, 7, 1, 500, 2)

    _, chosen = NO_TURNS.choose([large, small, single], 5_000, 5_000)

    assert chosen == [single, small, large]


def test_what_is_larger_than_the_room_is_sent_all_the_same() -> None:
    assert len(NO_TURNS.choose([waiting(1, 1, 1, 5_000)], 100, 500)[1]) == 1
    assert NO_TURNS.choose([], 100, 500) == (NO_TURNS, [])


# -- receipts ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("parts", "merged"),
    [
        ([1], Receipt.DELIVERED),
        ([1, 0], Receipt.NONE),
        ([1, 1], Receipt.DELIVERED),
        ([0, 2], Receipt.UNDELIVERED),
        ([3, 2], Receipt.UNDELIVERED),
        ([3, 1], Receipt.EXPIRED),
        ([4, 2], Receipt.REJECTED),
    ],
)
def test_a_message_is_delivered_when_all_its_parts_are_and_fails_with_the_first(
    parts: list[int], merged: Receipt
) -> None:
    assert receipts.merged(bytes(parts)) is merged


def test_the_first_final_word_on_a_part_is_the_last() -> None:
    octets = bytearray(2)

    assert receipts.apply(octets, [(0, Receipt.DELIVERED), (0, Receipt.EXPIRED), (1, Receipt.NONE)]) == [0]
    assert octets == bytes([Receipt.DELIVERED, Receipt.NONE])


# -- rate -------------------------------------------------------------------------------------------------------------


def test_a_rate_allows_half_a_second_at_once_and_refills() -> None:
    rate = Rate(100, 0.0)

    assert rate.allowance(0.0) == 50
    rate.spend(50, 0.0)
    assert rate.allowance(0.1) == 10
    assert rate.allowance(9.0) == 50


def test_what_was_written_before_a_storm_was_seen_says_no_more_of_it() -> None:
    rate = Rate(100, 0.0)
    rate.spend(25, 0.0)
    rate.answered(25, 25, written_at=0.0)
    rate.allowance(0.3)
    fallen = rate.current
    rate.answered(25, 25, written_at=0.2)
    rate.allowance(0.6)

    assert 20 <= fallen < 50
    assert rate.current > fallen
    assert rate.limit == round(rate.current)
    rate.allowance(60.0)
    assert (rate.current, rate.limit) == (100, 100)


def test_a_carrier_that_refuses_at_any_rate_is_written_to_all_the_same_and_is_soon_forgiven() -> None:
    rate = Rate(0, 0.0)
    assert rate.limit == 0
    written = 0
    for tick in range(1, 601):
        now = tick / 10
        parts = min(rate.allowance(now), 500)
        if parts:
            rate.spend(parts, now)
            rate.answered(parts, parts, written_at=now)
        written += parts if tick > 500 else 0

    assert 100 <= written <= 300, "in ten seconds, after fifty of refusals"
    rate.allowance(60.3)
    rate.allowance(76.0)
    assert rate.current > 5_000
