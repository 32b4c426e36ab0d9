"""The ledger's rules as tables: one send on one account."""

from dataclasses import replace
from uuid import UUID

import pytest

from muster.credit.domain.account import GRANTED_MAX, Account, Kind
from muster.credit.domain.reservations import (
    Answer,
    Partial,
    Refusal,
    Request,
    Reservation,
    Totals,
    account_for,
    decide,
    reserve,
    settle,
)
from muster.credit.domain.top_ups import Granted, GrantRefused, GrantStep, TopUp, grant, take_back

TENANT, BULK, OTHER = UUID(int=1), UUID(int=2), UUID(int=3)
RICH = Account(TENANT, granted=100, available=100, version=1)


def request(credits: int, partial: Partial = Partial.NOTHING, bulk: UUID = BULK) -> Request:
    return Request(TENANT, bulk, credits, send_by_ms=9, partial=partial)


def totals(version: int, used: int = 0, released: int = 0, refunded: int = 0, *, closed: bool = False) -> Totals:
    return Totals(TENANT, BULK, version, used, released, refunded, closed)


def topped_up(account: Account, credits: int) -> Account:
    step = grant(account, None, TopUp(TENANT, OTHER, credits))
    assert isinstance(step, GrantStep)
    assert step.entry is not None
    return step.entry.account


def reversed_top_up(account: Account, credits: int) -> Account:
    step = take_back(account, Granted(TopUp(TENANT, OTHER, credits), 0), "mistake", "user")
    assert isinstance(step, GrantStep)
    assert step.entry is not None
    return step.entry.account


def reserved(credits: int) -> tuple[Account, Reservation]:
    step = reserve(RICH, None, request(credits))
    return step.account, step.reservation


def test_a_reservation_moves_credits_from_available_to_reserved() -> None:
    step = reserve(RICH, None, request(40))

    assert (step.account.available, step.account.reserved, step.account.version) == (60, 40, 2)
    assert (step.reservation.answer, step.reservation.reserved, step.reservation.held) == (Answer.RESERVED, 40, 40)
    assert [(entry.kind, entry.credits, entry.account) for entry in step.entries] == [(Kind.PENDING, 40, step.account)]


def test_too_few_credits_refuse_the_send_with_the_shortfall_and_touch_nothing() -> None:
    step = reserve(RICH, None, request(130))

    assert step.account is RICH
    assert not step.entries
    assert (step.reservation.answer, step.reservation.shortfall, step.reservation.reason) == (
        Answer.REFUSED,
        30,
        Refusal.SHORT,
    )


def test_first_n_reserves_what_there_is() -> None:
    step = reserve(RICH, None, request(130, Partial.FIRST_N))

    assert (step.reservation.answer, step.reservation.asked, step.reservation.reserved) == (Answer.RESERVED, 130, 100)
    assert step.account.available == 0


def test_a_ceiling_of_its_own_is_all_that_is_reserved_for_a_send_and_all_that_can_be_short() -> None:
    step = reserve(RICH, None, request(130)._replace(credits_max=30))
    assert (step.reservation.answer, step.reservation.asked, step.reservation.reserved) == (Answer.RESERVED, 130, 30)
    below = reserve(RICH, None, request(20)._replace(credits_max=30))
    assert below.reservation.reserved == 20
    short = reserve(RICH._replace(available=10), None, request(130)._replace(credits_max=30))
    assert (short.reservation.answer, short.reservation.shortfall) == (Answer.REFUSED, 20)
    some = reserve(RICH._replace(available=10), None, request(130, Partial.FIRST_N)._replace(credits_max=30))
    assert some.reservation.reserved == 10


def test_first_n_of_nothing_is_refused() -> None:
    step = reserve(Account(TENANT), None, request(5, Partial.FIRST_N))

    assert (step.reservation.answer, step.reservation.shortfall) == (Answer.REFUSED, 5)


@pytest.mark.parametrize(
    ("account", "reason", "shortfall"),
    [
        (RICH._replace(closed=True), Refusal.CLOSED, 0),
        (Account(TENANT, owed=7, consumed=7), Refusal.OWED, 17),
    ],
)
def test_a_closed_tenant_and_one_that_owes_are_refused(account: Account, reason: Refusal, shortfall: int) -> None:
    step = reserve(account, None, request(10))

    assert (step.reservation.answer, step.reservation.reason, step.reservation.shortfall) == (
        Answer.REFUSED,
        reason,
        shortfall,
    )


def test_the_same_request_gives_the_same_answer_also_after_a_top_up() -> None:
    refused = reserve(RICH, None, request(130))
    richer = topped_up(RICH, 1000)

    again = reserve(richer, refused.reservation, request(130))

    assert again.reservation is refused.reservation
    assert again.account is richer
    assert not again.entries


def test_two_sends_in_one_batch_never_overspend() -> None:
    batch = decide({TENANT: RICH}, {}, [request(70), request(70, bulk=OTHER)])

    assert [answer.answer for answer in batch.answers] == [Answer.RESERVED, Answer.REFUSED]
    assert batch.answers[1].shortfall == 40
    assert batch.accounts[TENANT].available == 30


def test_a_request_repeated_within_a_batch_reserves_once() -> None:
    batch = decide({TENANT: RICH}, {}, [request(70), request(70)])

    assert batch.answers[0] == batch.answers[1]
    assert batch.accounts[TENANT].reserved == 70


def test_totals_post_what_was_used_and_void_what_is_released() -> None:
    account, row = reserved(40)

    step = settle(account, row, totals(1, used=25, released=10))

    assert (step.account.available, step.account.reserved, step.account.consumed) == (70, 5, 25)
    assert (step.reservation.used, step.reservation.released, step.reservation.held) == (25, 10, 5)
    assert [(entry.kind, entry.credits) for entry in step.entries] == [(Kind.POST, 25), (Kind.VOID, 10)]


def test_repeated_and_overtaken_totals_are_answered_by_those_that_stand() -> None:
    account, row = reserved(40)
    second = settle(account, row, totals(2, used=30, released=10, closed=True))

    for version in (2, 1):
        again = settle(second.account, second.reservation, totals(version, used=20))
        assert again.reservation is second.reservation
        assert again.account is second.account
        assert not again.entries


def test_used_and_released_never_fall() -> None:
    account, row = reserved(40)
    first = settle(account, row, totals(1, used=20, released=10))

    second = settle(first.account, first.reservation, totals(2, used=5, released=3))

    assert (second.reservation.used, second.reservation.released) == (20, 10)
    assert not second.entries


def test_a_closed_send_holds_nothing() -> None:
    """The carrier side may close a send before it hears of the reservation: its totals know of no credits then."""
    account, row = reserved(40)

    step = settle(account, row, totals(1, closed=True))

    assert (step.reservation.released, step.reservation.held) == (40, 0)
    assert (step.account.available, step.account.reserved) == (100, 0)


def test_a_send_that_ended_before_its_request_was_heard_reserves_nothing() -> None:
    ended = account_for({TENANT: RICH}, {}, [totals(1, closed=True)])
    assert ended.answers[0].version == 1
    assert not ended.accounts

    batch = decide({TENANT: RICH}, ended.reservations, [request(40)])

    answer = batch.answers[0]
    assert (answer.answer, answer.asked, answer.reserved, answer.held) == (Answer.RESERVED, 40, 0, 0)
    assert not batch.accounts


def test_totals_before_the_request_do_not_keep_an_open_send_from_its_credits() -> None:
    early = settle(RICH, None, totals(1))

    step = reserve(early.account, early.reservation, request(40))

    assert (step.reservation.reserved, step.reservation.held) == (40, 40)
    assert settle(step.account, step.reservation, totals(2, used=40, closed=True)).account.consumed == 40


def test_a_refund_may_come_after_the_send_is_closed_and_goes_back_to_available() -> None:
    account, row = reserved(40)
    closed = settle(account, row, totals(1, used=40, closed=True))

    step = settle(closed.account, closed.reservation, totals(2, used=40, refunded=6, closed=True))

    assert (step.account.available, step.account.consumed) == (66, 34)
    assert (step.reservation.used, step.reservation.refunded, step.reservation.held) == (40, 6, 0)
    assert [entry.kind for entry in step.entries] == [Kind.REFUND]


def test_use_beyond_the_reservation_is_not_charged_and_is_known() -> None:
    account, row = reserved(40)

    step = settle(account, row, totals(1, used=45, closed=True))

    assert (step.account.consumed, step.reservation.used, step.reservation.excess) == (40, 40, 5)


def test_a_reversed_top_up_takes_what_is_available_and_the_rest_is_owed() -> None:
    account, _ = reserved(80)

    after = reversed_top_up(account, 100)

    assert (after.granted, after.available, after.owed, after.reserved) == (0, 0, 80, 80)
    assert after.conservation == 0


def test_what_comes_back_pays_what_is_owed_first() -> None:
    account, row = reserved(80)
    owing = reversed_top_up(account, 100)

    step = settle(owing, row, totals(1, used=10, released=70, closed=True))
    assert (step.account.owed, step.account.available, step.account.conservation) == (10, 0, 0)

    paid = topped_up(step.account, 50)
    assert (paid.owed, paid.available, paid.conservation) == (0, 40, 0)


def test_a_grant_is_made_and_taken_back_once() -> None:
    wanted = TopUp(TENANT, OTHER, 50, "paid", "invoice 7", "someone")
    first = grant(RICH, None, wanted)
    assert isinstance(first, GrantStep)

    assert grant(RICH, first.granted, replace(wanted, actor="someone else")) == GrantStep(first.granted)
    assert grant(RICH, first.granted, replace(wanted, credits=51)) is GrantRefused.OTHER_TOP_UP

    back = take_back(RICH, first.granted, "mistake", "someone")
    assert isinstance(back, GrantStep)
    assert take_back(RICH, back.granted, "mistake", "someone") == GrantStep(back.granted)


def test_grants_to_unknown_tenants_and_beyond_the_limit_are_refused() -> None:
    full = Account(TENANT, granted=GRANTED_MAX, available=GRANTED_MAX)

    assert grant(full, None, TopUp(TENANT, OTHER, 1)) is GrantRefused.BEYOND_LIMIT
    assert grant(None, None, TopUp(TENANT, OTHER, 1)) is GrantRefused.UNKNOWN_TENANT
    assert take_back(RICH, None, "mistake", "user") is GrantRefused.UNKNOWN_TOP_UP
