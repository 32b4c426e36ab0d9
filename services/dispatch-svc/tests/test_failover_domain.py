"""How an account fares, look by look: passed over, tried again with a little, and well again."""

from dataclasses import replace

import pytest

from muster.dispatch.domain.failover import Health, Limits, Seen, Why, first, is_carriers_fault, judge

LIMITS = Limits(down_s=5, percent_max=50, judged_min=100, rest_s=20, rest_s_max=60, step_s=10)


class Account:
    """One that is looked at each second; `now` counts up."""

    def __init__(self) -> None:
        self.seen = Seen(at=0, connected=True, answered=0, failed=0, not_taken=0)
        self.health = first(self.seen)
        self.shares: list[tuple[float, int]] = []

    def look(
        self, seconds: int = 1, *, good: int = 0, bad: int = 0, refused: int = 0, connected: bool = True
    ) -> Health:
        for _ in range(seconds):
            seen = self.seen
            self.seen = Seen(
                at=seen.at + 1,
                connected=connected,
                answered=seen.answered + good + bad + refused,
                failed=seen.failed + bad,
                not_taken=seen.not_taken + refused,
            )
            before, self.health = self.health, judge(self.health, self.seen, LIMITS)
            if before.share != self.health.share:
                self.shares.append((self.seen.at, self.health.share))
        return self.health


def test_an_account_without_a_connection_for_a_while_gets_nothing_and_comes_back_in_steps_after_a_rest() -> None:
    account = Account()
    account.look(3, connected=False)
    account.look(2, good=1)
    assert account.shares == [], "a short interruption is none"
    account.look(20, connected=False)
    assert (account.health.share, account.health.why, account.shares) == (0, Why.DOWN, [(11, 0)])
    account.look(70, good=5)
    assert account.shares[1:] == [(46, 10), (56, 25), (66, 50), (76, 100)]
    assert account.health.why is Why.WELL


def test_a_new_account_that_is_connected_late_gets_all_of_its_share_at_once_and_nothing_before() -> None:
    account = Account()
    account.look(30, connected=False)
    assert (account.health.share, account.health.why, account.shares) == (0, Why.DOWN, [(6, 0)])
    account.look(1)
    assert (account.health.share, account.health.why, account.shares) == (100, Why.WELL, [(6, 0), (31, 100)])
    account.look(1, good=5)
    account.look(30, connected=False)
    account.look(10)
    assert account.health.share == 0, "from its first message on it has a past"


def test_an_account_of_which_most_of_the_last_outcomes_fail_is_passed_over() -> None:
    account = Account()
    account.look(60, good=40)
    account.look(1, bad=90, good=10)
    assert account.shares == [], "a bad second in a good minute"
    account.look(4, bad=90, good=10)
    assert (account.health.share, account.health.why) == (0, Why.ERRORS)


@pytest.mark.parametrize(("good", "bad", "refused", "fails"), [
    (50, 50, 0, False), (49, 51, 0, True), (0, 99, 0, False), (0, 0, 100, True), (1, 0, 400, False), (100, 0, 0, False),
])  # fmt: skip
def test_what_is_not_taken_counts_only_where_nothing_is_taken(good: int, bad: int, refused: int, fails: bool) -> None:
    account = Account()
    account.look(1, good=good, bad=bad, refused=refused)
    assert (account.health.share == 0) is fails


def test_each_relapse_rests_longer_up_to_a_bound_and_a_long_good_time_is_forgiven() -> None:
    account = Account()
    account.look(1, bad=200)
    for _ in range(3):
        while account.health.share == 0:
            account.look()
        account.look(1, bad=200)
    times = [at for at, share in account.shares if share == 10]
    falls = [at for at, share in account.shares if share == 0]
    assert [up - down for down, up in zip(falls, times, strict=False)] == [20, 40, 60]
    account.look(60 + 30 + 61, good=5)
    assert (account.health.share, account.health.relapses) == (100, 0)


def test_one_that_mends_is_judged_by_what_comes_after_its_rest_alone() -> None:
    account = Account()
    account.look(1, bad=200)
    account.look(5, bad=200)
    account.look(14 + 5, good=5)
    assert account.health.share == 10


def test_one_that_rests_and_loses_its_connection_rests_again_from_when_it_is_back() -> None:
    account = Account()
    account.look(1, bad=200)
    account.look(10, connected=False)
    account.look(19)
    assert account.health.share == 0
    account.look(40)
    assert account.health.share > 0


def test_counters_that_fell_are_those_of_another_database_and_say_nothing() -> None:
    account = Account()
    account.look(1, good=500)
    account.seen = replace(account.seen, answered=0)
    account.look(1, good=5)
    assert account.health.share == 100


def test_a_limit_of_100_percent_is_never_exceeded() -> None:
    never = replace(LIMITS, percent_max=100)
    before = first(Seen(0, True, 0, 0, 0))
    assert judge(before, Seen(1, True, 500, 500, 0), never).share == 100


def test_what_any_carrier_would_say_of_a_message_is_not_the_carriers_fault() -> None:
    assert [status for status in (0x01, 0x0B, 0x0A, 0x08, 0x45, 0x400) if is_carriers_fault(status)] == [
        0x08,
        0x45,
        0x400,
    ]
