"""Laws 1 and 2: what is right passes, and each way to make or lose a credit is told with its figures."""

from dataclasses import replace

import pytest

from muster.laws.across import COUNTS, MONEY, Figures, by_send, same_charge, same_counts, same_money
from muster.laws.ledger import (
    Account,
    Movement,
    Send,
    Statement,
    Transfer,
    Wallet,
    conserved,
    granted,
    reserved,
    statement_of,
    transfers,
    wallets,
)

START = Account("t", granted=10, available=10, version=1)
HELD = Account("t", granted=10, available=6, reserved=4, version=2)
USED = Account("t", granted=10, available=6, reserved=1, consumed=3, version=3)
BACK = Account("t", granted=10, available=7, consumed=3, version=4)
STORY = (
    Movement("top_up", 10, START),
    Movement("pending", 4, HELD),
    Movement("post", 3, USED),
    Movement("void", 1, BACK),
)
SEND = Send("t", "b", reserved=10, used=6, released=3, held=1, refunded=2)


def test_an_account_is_what_its_statement_says() -> None:
    assert all(conserved(one.after) for one in STORY)
    result = granted([(BACK, statement_of(STORY)), (Account("new"), Statement())])
    assert (result.law, result.checked, result.violations) == ("granted", 6, [])


def test_a_transfer_has_two_sides() -> None:
    wrong = [Transfer("t", 5, 5, 0), Transfer("t", 5, 0, 5), Transfer("t", 5, 10, 10), Transfer("t", 0, 5, 5)]

    result = transfers([Transfer("t", 5, 5, 5), *wrong])

    assert (result.law, result.checked, len(result.violations)) == ("granted", 5, 4)
    assert result.violations[0].detail == "transferred 5, gone 5, come 0"


@pytest.mark.parametrize(
    ("account", "lines", "told"),
    [
        (replace(BACK, available=8), STORY, "granted 10 + owed 0 is not available 8 + reserved 0 + consumed 3"),
        (replace(BACK, available=6), STORY, "is not available 6"),
        (replace(BACK, available=-1, reserved=8), STORY, "a figure is below zero at version 4"),
        (replace(BACK, owed=1, available=8), STORY, "8 are available while 1 are owed"),
        (BACK, (*STORY[:2], STORY[3]), "version 4 after 3 lines, the last of version 4"),
        (BACK, (*STORY, STORY[3]), "version 4 after 5 lines"),
        (replace(BACK, version=5), STORY, "version 5 after 4 lines, the last of version 4"),
        (BACK, (*STORY[:2], replace(STORY[2], credits=2), STORY[3]), "are (10, 0, 3), their lines come to (10, 1, 2)"),
        (replace(BACK, available=5, reserved=2), STORY, "the last line left another balance behind"),
        (Account("t", version=1), (), "version 1 after 0 lines"),
    ],
)
def test_a_credit_that_no_line_explains_breaks_the_first_law(
    account: Account, lines: tuple[Movement, ...], told: str
) -> None:
    violations = granted([(account, statement_of(lines))]).violations
    assert [(one.tenant_id, told in one.detail) for one in violations] == [("t", True)]


def test_the_credits_of_a_send_are_used_released_or_held() -> None:
    assert reserved([SEND, Send("t", "c", closed=True)]).violations == []


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"reserved": 11}, "reserved 11 is not used 6 + released 3 + held 1"),
        ({"held": 0}, "reserved 10 is not"),
        ({"used": 12, "held": -5}, "a figure is below zero"),
        ({"refunded": 7}, "refunded 7 of 6 used"),
        ({"excess": 2}, "2 said to be used beyond the reservation"),
        ({"closed": True}, "closed while 1 are held"),
    ],
)
def test_a_credit_of_a_send_that_is_nowhere_breaks_the_second_law(change: dict[str, int], told: str) -> None:
    violations = reserved([replace(SEND, **change)]).violations
    assert [(one.tenant_id, one.bulk_id, told in one.detail) for one in violations] == [("t", "b", True)]


@pytest.mark.parametrize("change", ["reserved", "consumed", "sends_held", "sends_consumed"])
def test_what_an_account_has_set_aside_is_what_its_sends_hold(change: str) -> None:
    even = Wallet("t", 4, 3, 4, 3)
    assert wallets([even]).violations == []
    assert len(wallets([replace(even, **{change: 9})]).violations) == 1


ENDED = Figures("t", "b", closed=True, reserved=3, used=2, released=1, recipients=3, accepted=2, stopped=1, credits=2)


@pytest.mark.parametrize("member", MONEY)
def test_two_services_that_differ_in_a_credit_break_the_second_law(member: str) -> None:
    other = replace(ENDED, **{member: 7})
    found = same_money(by_send([ENDED]), by_send([other])).violations
    assert [one.bulk_id for one in found] == ["b"]
    assert f"{member} {getattr(ENDED, member)} at dispatch-svc, {member} 7"[: len(member)] in found[0].detail
    assert same_money(by_send([replace(ENDED, closed=False)]), by_send([other])).checked == 0


@pytest.mark.parametrize("member", COUNTS)
def test_a_report_that_differs_in_a_message_breaks_the_sixth_law(member: str) -> None:
    assert same_counts(by_send([ENDED]), by_send([ENDED])).violations == []
    assert same_counts(by_send([ENDED]), by_send([replace(ENDED, **{member: 7})])).count == 1


def test_a_report_that_charges_something_else_breaks_the_third_law_unless_outcomes_are_unknown() -> None:
    assert same_charge(by_send([ENDED]), by_send([ENDED])).violations == []
    assert same_charge(by_send([ENDED]), {}).count == 1
    assert same_charge(by_send([replace(ENDED, unknown=1)]), {}).checked == 0
