"""Two sends and one wallet that has not enough for both: every interleaving of their histories on the real ledger.

Two sends share nothing but the account: their sagas, chunks and reservations are rows of their own, and every core
takes one of them at a time. So the steps of each send are made once, by send.py, and kept; a state is the account and
where either send is. The sends are alike, hence states that differ only in which is which are one state.
"""

from collections.abc import Iterable, Iterator

from muster.credit.domain.account import Account
from muster.credit.domain.reservations import Reservation
from muster.laws import ledger as laws

from .engine import State, Step
from .ledger import TENANT, Operation, wallet_wrong
from .send import STOP, SendWorld

Own = tuple[str, int, bool]
Asked = tuple[str, int, Operation]


class WalletWorld:
    """Two sends of three messages for a credit each, and `credits` in the wallet."""

    name = "wallet"
    stands_for = 0

    def __init__(
        self,
        credits: int = 4,
        *,
        in_flight: int = 3,
        copies: int = 1,
        acts: int = STOP,
        unknown: int = 1,
        crashes: bool = True,
    ) -> None:
        self.send = SendWorld(
            (3,), acts=acts, losses=0, in_flight=in_flight, copies=copies, unknown=unknown, crashes=crashes
        )
        self.bounds = {"sends": 2, "wallets": 1, "credits": credits} | {
            name: value for name, value in self.send.bounds.items() if name not in ("sends", "credits offered")
        }
        self._credits, self._in_flight, self._copies = credits, in_flight, copies
        self._locals: list[State] = []
        self._numbers: dict[State, int] = {}
        self._busy: list[tuple[int, int]] = []
        self._own: dict[int, list[Own]] = {}
        self._asked: dict[int, list[tuple[str, State, Operation]]] = {}
        self._answers: dict[tuple[int, int, int], tuple[int, int | None]] = {}
        self._accounts: list[Account] = []
        self._account_numbers: dict[Account, int] = {}
        self._wrong: dict[State, str] = {}
        self._local_wrong: list[str] = []
        self._entries_wrong: dict[int, str] = {}
        self._withheld = 0

    @property
    def withheld(self) -> int:
        """Steps that a bound kept back, here and within each send."""
        return self._withheld + self.send.withheld

    def start(self) -> Iterable[State]:
        first = self._number(self.send.start()[0])
        return [(self._account(Account(TENANT, granted=self._credits, available=self._credits)), first, first)]

    def _number(self, local: State) -> int:
        found = self._numbers.get(local)
        if found is None:
            found = self._numbers[local] = len(self._locals)
            self._locals.append(local)
            self._busy.append((len(local[1]), sum(one & 1 for one in local[1])))
            self._local_wrong.append(self.send.broken(local))
        return found

    def _account(self, account: Account) -> int:
        found = self._account_numbers.get(account)
        if found is None:
            found = self._account_numbers[account] = len(self._accounts)
            self._accounts.append(account)
        return found

    def steps(self, state: State) -> Iterator[Step]:
        account, one, other = state
        for which, mine, rest in ((1, one, other), (2, other, one)):
            busy, copies = self._busy[rest]
            for label, to, must in self._own_steps(mine):
                if self._fits(to, busy, copies):
                    yield Step(f"send {which}: {label}", _sorted(account, to, rest), must)
            for at, (label, _, _) in enumerate(self._questions(mine)):
                after, to = self._answer(account, mine, at)
                if to is not None and self._fits(to, busy, copies):
                    yield Step(f"send {which}: {label}", _sorted(after, to, rest))

    def _fits(self, to: int, busy: int, copies: int) -> bool:
        own, own_copies = self._busy[to]
        fits = own + busy <= self._in_flight and own_copies + copies <= self._copies
        self._withheld += not fits
        return fits

    def _own_steps(self, number: int) -> list[Own]:
        found = self._own.get(number)
        if found is None:
            steps = self.send.own_steps(self._locals[number])
            found = self._own[number] = [(label, self._number(after), must) for label, after, must in steps]
        return found

    def _questions(self, number: int) -> list[tuple[str, State, Operation]]:
        found = self._asked.get(number)
        if found is None:
            found = self._asked[number] = list(self.send.operations(self._locals[number]))
        return found

    def _answer(self, account: int, number: int, at: int) -> tuple[int, int | None]:
        """The account and the send after its operation `at`."""
        key = (account, number, at)
        found = self._answers.get(key)
        if found is None:
            _, base, operation = self._asked[number][at]
            ledger = self.send.ledger
            left, row, said, wrong = ledger.apply(self._accounts[account], self.send.reservation(base), operation)
            after = self._account(left)
            if wrong:
                self._entries_wrong[after] = wrong
            local = self.send.answered(base, row, said)
            found = self._answers[key] = (after, None if local is None else self._number(local))
        return found

    def broken(self, state: State) -> str:
        account, one, other = state
        wrong = self._local_wrong[one] or self._local_wrong[other] or self._entries_wrong.get(account, "")
        if wrong:
            return wrong
        key = (account, self.send.reservation(self._locals[one]), self.send.reservation(self._locals[other]))
        found = self._wrong.get(key)
        if found is None:
            found = self._wrong[key] = self._why_broken(*key)
        return found

    def _why_broken(self, number: int, one: int, other: int) -> str:
        account = self._accounts[number]
        now = laws.Account(*("t", account.granted, account.owed, account.available, account.reserved, account.consumed))
        statement = laws.Statement(granted=now.granted, reserved=now.reserved, consumed=now.consumed, left=now)
        found = laws.granted([(now, statement)])
        rows = self.send.ledger.rows
        return "".join(f"granted: {v.detail}" for v in found.violations) or wallet_wrong(
            account, [rows[one], rows[other]]
        )

    def wallet(self, state: State) -> tuple[Account, Reservation, Reservation]:
        """The account and both reservations."""
        one, other = (self.send.reservation(self._locals[number]) for number in state[1:])
        return self._accounts[state[0]], self.send.ledger.rows[one], self.send.ledger.rows[other]

    def is_end(self, state: State) -> bool:
        return self.send.is_end(self._locals[state[1]]) and self.send.is_end(self._locals[state[2]])

    def show(self, state: State) -> str:
        account, one, other = state
        has = self._accounts[account]
        sends = (f"send {at}: {self.send.show(self._locals[number])}" for at, number in ((1, one), (2, other)))
        return f"available {has.available}, reserved {has.reserved}, consumed {has.consumed}; " + "; ".join(sends)


def _sorted(account: int, one: int, other: int) -> State:
    return (account, one, other) if one <= other else (account, other, one)
