"""credit-svc's part of a world: the real ledger on one account, with the laws at each of its versions."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from muster.credit.domain import reservations
from muster.credit.domain.account import Account
from muster.credit.domain.reservations import Answer, Batch, Partial, Request, Reservation, Totals
from muster.dispatch.domain.saga import Bulk
from muster.laws import ledger as laws
from muster.laws.across import Figures
from muster.laws.ledger import Movement, Send, Wallet, statement_of

TENANT, SEND = UUID(int=1), UUID(int=2)
KEY = (TENANT, SEND)
NO_RESERVATION = Reservation(TENANT, SEND)
Operation = tuple[str, Any]
"""("request", credits) or ("totals", (version, used, released, refunded, closed))."""


class Ledger:
    """Reservations by number. What the cores never read again (versions and balances that were only told) is set to
    nothing, so that histories which differ in nothing else are one state."""

    def __init__(self, partial: Partial = Partial.FIRST_N) -> None:
        self._partial = partial
        self._numbers: dict[Reservation, int] = {}
        self.rows: list[Reservation] = []
        self._wrong: list[str] = []
        self._done: dict[Any, tuple[Account, int, tuple[str, Any], str]] = {}
        self._any: dict[Any, list[tuple[int, tuple[str, Any]]]] = {}

    def number(self, row: Reservation, wrong: str = "") -> int:
        """The number of a reservation in this state."""
        plain = row._replace(answered_version=0, answered_available=0, settled_version=0, settled_available=0)
        found = self._numbers.get(plain)
        if found is None:
            found = self._numbers[plain] = len(self.rows)
            self.rows.append(plain)
            self._wrong.append(_row_wrong(plain))
        if wrong and not self._wrong[found]:
            self.rows.append(plain)
            self._wrong.append(wrong)
            return len(self.rows) - 1
        return found

    def broken(self, number: int) -> str:
        """What is wrong with a reservation, or with the account as it was left when it came to be so."""
        return self._wrong[number]

    def apply(self, account: Account, number: int, operation: Operation) -> tuple[Account, int, tuple[str, Any], str]:
        """(account, reservation, what is said, what is wrong) after an operation."""
        key = (account, number, operation)
        found = self._done.get(key)
        if found is None:
            found = self._done[key] = self._apply(account, self.rows[number], operation)
        return found

    def _apply(
        self, account: Account, row: Reservation, operation: Operation
    ) -> tuple[Account, int, tuple[str, Any], str]:
        known = {} if row == NO_RESERVATION else {KEY: row}
        kind, payload = operation
        if kind == "request":
            request = Request(TENANT, SEND, payload, partial=self._partial)
            batch = reservations.decide({TENANT: account}, known, [request])
            answer = batch.answers[0]
            said: tuple[str, Any] = ("refused", None)
            if answer.answer is Answer.RESERVED:
                said = ("reserved", answer.reserved)
        else:
            version, used, released, refunded, closed = payload
            totals = Totals(TENANT, SEND, version, used, released, refunded, closed)
            batch = reservations.account_for({TENANT: account}, known, [totals])
            answer = batch.answers[0]
            said = ("settled", answer.version)
        after = batch.accounts.get(TENANT, account)
        wrong = _entries_wrong(account, after, batch)
        return after._replace(version=0), self.number(answer), said, wrong

    def with_any_account(
        self, operation: Operation, number: int, offers: Sequence[int]
    ) -> list[tuple[int, tuple[str, Any]]]:
        """(reservation, what is said) after an operation, whatever other sends have left of the account."""
        found = self._any.get((operation, number))
        if found is None:
            row = self.rows[number]
            held, consumed = row.held, row.used - row.refunded
            options: dict[tuple[int, Any], None] = {}
            for free in offers:
                account = Account(TENANT, free + held + consumed, 0, free, held, consumed)
                after, to, said, wrong = self.apply(account, number, operation)
                wrong = wrong or wallet_wrong(after, [self.rows[to]])
                options[self.number(self.rows[to], wrong), said] = None
            found = self._any[operation, number] = list(options)
        return found

    def figures(self, number: int) -> Figures:
        """A send as credit-svc sees it."""
        row = self.rows[number]
        return Figures("t", "b", row.closed, row.reserved, row.used, row.released, row.held, row.refunded)


def figures_of_bulk(bulk: Bulk) -> Figures:
    """A send as dispatch-svc sees it."""
    totals = bulk.totals
    held = totals.held if bulk.account_version else bulk.reserved or 0
    return Figures("t", "b", bulk.ended, bulk.reserved or 0, totals.used, totals.released, held, totals.refunded)


def wallet_wrong(account: Account, rows: Sequence[Reservation]) -> str:
    """Law 2 from the account's side: what it has set aside is what its sends hold."""
    held, consumed = sum(row.held for row in rows), sum(row.used - row.refunded for row in rows)
    result = laws.wallets([Wallet("t", account.reserved, account.consumed, held, consumed)])
    return "".join(f"reserved: {one.detail}" for one in result.violations)


def _row_wrong(row: Reservation) -> str:
    send = Send("t", "b", row.reserved, row.used, row.released, row.held, row.refunded, row.excess, row.closed)
    return "".join(f"reserved: {one.detail}" for one in laws.reserved([send]).violations)


def _law_account(account: Account) -> laws.Account:
    return laws.Account(
        *("t", account.granted, account.owed, account.available, account.reserved, account.consumed, account.version)
    )


def _entries_wrong(before: Account, after: Account, batch: Batch) -> str:
    """Law 1 for the new lines of the statement: the account they began with, line by line, and the one they left."""
    lines = [Movement(entry.kind.value, entry.credits, _law_account(entry.account)) for entry in batch.entries]
    for line in lines:
        if not laws.conserved(line.after):
            return f"granted: not conserved at version {line.after.version}"
    said, now = statement_of(lines), _law_account(after)
    opened = laws.Statement(
        lines=before.version + said.lines,
        last_version=said.last_version or before.version,
        granted=before.granted + said.granted,
        reserved=before.reserved + said.reserved,
        consumed=before.consumed + said.consumed,
        left=said.left or _law_account(before),
    )
    return "".join(f"granted: {one.detail}" for one in laws.granted([(now, opened)]).violations)
