"""Two sends and one wallet, from everything that one send can come to: each pair of reservations on the real ledger.

Why this leaves nothing out. Two sends share the account and nothing else: sagas, chunks and reservations are rows of
their own, and every core takes one send at a time. So each run of two sends is a run of one and a run of the other, and
the account as the ledger leaves it. The runs of one are all in `SendWorld`, which asks the ledger with every account
that the other could have left. Here the ledger hears, at each reservation, whatever any state of a send with that
reservation can bring it, for both sends in any order. That is more than can happen (what else a send is at the moment
is forgotten), never less. An answer that `SendWorld` did not go on from is `NotCovered`: the argument is checked at
each step and not only made.

A law that looks at one send was judged in each of its states; one that looks at the wallet sees the account and both
reservations, which is all that a state is here. An end can be reached by both sends where it can by each: the steps to
it need nothing of the other, and whatever a request is answered, an end can be reached from there again.

Three in flight of each send are up to six together, and a crash may end any lease: more than three and two in all.
"""

from collections.abc import Iterator, Mapping

from muster.credit.domain.account import Account
from muster.credit.domain.reservations import Reservation
from muster.laws import ledger as laws

from .engine import State, Step
from .ledger import TENANT, Operation, wallet_wrong
from .send import SendWorld


class NotCovered(Exception):
    """The ledger has answered what one send was not explored with."""


class BothWorld:
    """Two sends of which `send` was explored, and a wallet with any of these credits."""

    name = "both"
    withheld = 0

    def __init__(self, send: SendWorld, credits: tuple[int, ...]) -> None:
        self.stands_for = 0
        self._send, self._credits, self._ledger = send, credits, send.ledger
        self.bounds: Mapping[str, int | str] = {
            "sends": 2,
            "wallets": 1,
            "credits": " or ".join(map(str, credits)),
            "of each send": "all states of the one above",
        }
        self._entries_wrong: dict[Account, str] = {}

    def start(self) -> Iterator[State]:
        first = self._send.first().reservation
        for credits in self._credits:
            yield Account(TENANT, granted=credits, available=credits), first, first

    def steps(self, state: State) -> Iterator[Step]:
        account, one, other = state
        self.stands_for += self._send.states_with[one] * self._send.states_with[other]
        for which, mine, rest in ((1, one, other), (2, other, one)):
            for operation in self._send.heard[mine]:
                left, row = self._answered(account, mine, operation)
                yield Step(f"send {which}: {_label(operation)}", _sorted(left, row, rest))

    def _answered(self, account: Account, mine: int, operation: Operation) -> tuple[Account, int]:
        left, row, said, wrong = self._ledger.apply(account, mine, operation)
        if wrong:
            self._entries_wrong[left] = wrong
        elif (row, said) not in self._ledger.with_any_account(operation, mine, self._send.offers):
            raise NotCovered(f"{_label(operation)} with {account.available} available is answered {said}")
        return left, row

    def wallet(self, state: State) -> tuple[Account, Reservation, Reservation]:
        """The account and both reservations."""
        account, one, other = state
        return account, self._ledger.rows[one], self._ledger.rows[other]

    def broken(self, state: State) -> str:
        account, one, other = state
        now = laws.Account(*("t", account.granted, account.owed, account.available, account.reserved, account.consumed))
        statement = laws.Statement(granted=now.granted, reserved=now.reserved, consumed=now.consumed, left=now)
        found = laws.granted([(now, statement)]).violations
        wrong = self._ledger.broken(one) or self._ledger.broken(other) or self._entries_wrong.get(account, "")
        wrong = wrong or "".join(f"granted: {violation.detail}" for violation in found)
        return wrong or wallet_wrong(account, [self._ledger.rows[one], self._ledger.rows[other]])

    def is_end(self, state: State) -> bool:
        return not any(self._ledger.rows[row].held for row in state[1:])

    def show(self, state: State) -> str:
        account, *rows = state
        sends = (
            f"send {at}: {row.answer or 'unasked'} {row.reserved}, used {row.used}, released {row.released}"
            for at, row in enumerate((self._ledger.rows[number] for number in rows), start=1)
        )
        has = f"available {account.available}, reserved {account.reserved}, consumed {account.consumed}"
        return "; ".join((has, *sends))


def _label(operation: Operation) -> str:
    kind, payload = operation
    if kind == "request":
        return f"credit-svc hears the request for {payload}"
    return f"credit-svc hears totals {payload[0]}: used {payload[1]}, released {payload[2]}"


def _sorted(account: Account, one: int, other: int) -> State:
    """Like sends are one."""
    return (account, one, other) if one <= other else (account, other, one)
