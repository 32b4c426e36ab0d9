"""Whatever happens in whatever order, repeated: no credit is lost or made, and the same question has the same answer.

One random history is lived twice: by the pure ledger and by PostgreSQL through the handlers, which must agree.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from muster.credit import handlers
from muster.credit.domain.account import Account, Tenant
from muster.credit.domain.reservations import Batch, Key, Partial, Request, Reservation, Totals, account_for, decide
from muster.credit.domain.top_ups import Granted, GrantStep, TopUp, grant, take_back
from muster.credit.store import laws, ledger
from muster.events.v1.bulk_pb2 import (
    PARTIAL_RULE_FIRST_N,
    PARTIAL_RULE_NOTHING,
    BulkSmsAccounted,
    BulkSmsRequested,
)
from muster.kit.pg import Database, Tx
from muster.kit.testing import apply, facts
from muster.laws.ledger import granted

BULKS = [UUID(int=number) for number in range(1, 5)]
GRANTS = [UUID(int=number) for number in range(11, 14)]
NOBODY = UUID(int=99)

amounts = st.integers(0, 60)
requests = st.builds(
    Request,
    tenant_id=st.just(NOBODY),
    bulk_id=st.sampled_from(BULKS),
    credits=st.integers(0, 100),
    partial=st.sampled_from(Partial),
    credits_max=st.sampled_from((0, 0, 0, 5, 60, 200)),
)
totals = st.builds(
    Totals,
    tenant_id=st.just(NOBODY),
    bulk_id=st.sampled_from(BULKS),
    version=st.integers(1, 5),
    used=amounts,
    released=amounts,
    refunded=amounts,
    closed=st.booleans(),
)
top_ups = st.builds(
    TopUp, tenant_id=st.just(NOBODY), top_up_id=st.sampled_from(GRANTS), credits=st.sampled_from([1, 40, 150])
)


@dataclass(frozen=True)
class Reversal:
    top_up_id: UUID


operations = st.lists(
    st.one_of(
        st.lists(requests, min_size=1, max_size=4),
        st.lists(totals, min_size=1, max_size=4),
        top_ups,
        st.builds(Reversal, st.sampled_from(GRANTS)),
    ),
    max_size=12,
)


@dataclass
class Ledger:
    """The pure ledger with a memory."""

    account: Account
    rows: dict[Key, Reservation] = field(default_factory=dict)
    grants: dict[UUID, Granted] = field(default_factory=dict)
    answers: list[Reservation] = field(default_factory=list)
    entries: int = 0

    def apply(self, operation: object) -> None:
        match operation:
            case [Request(), *_]:
                self._keep(decide({NOBODY: self.account}, self.rows, operation))
            case [Totals(), *_]:
                self._keep(account_for({NOBODY: self.account}, self.rows, operation))
            case TopUp():
                self._step(grant(self.account, self.grants.get(operation.top_up_id), operation))
            case Reversal():
                self._step(take_back(self.account, self.grants.get(operation.top_up_id), "mistake", ""))

    def _keep(self, batch: Batch) -> None:
        self.account = batch.accounts.get(NOBODY, self.account)
        self.rows |= batch.reservations
        self.answers += batch.answers
        self.entries += len(batch.entries)
        for entry in batch.entries:
            assert entry.account.conservation == 0

    def _step(self, step: object) -> None:
        if isinstance(step, GrantStep):
            self.grants[step.granted.top_up.top_up_id] = step.granted
            if step.entry is not None:
                self.account = step.entry.account
                self.entries += 1

    def check(self) -> None:
        account, rows = self.account, self.rows.values()
        assert account.conservation == 0
        assert min(account.granted, account.owed, account.available, account.reserved, account.consumed) >= 0
        assert account.owed == 0 or account.available == 0
        assert account.version == self.entries
        assert sum(row.held for row in rows) == account.reserved
        assert sum(row.used - row.refunded for row in rows) == account.consumed
        for row in rows:
            assert min(row.used, row.released, row.held, row.used - row.refunded) >= 0
            assert not (row.closed and row.held)


@settings(max_examples=150)
@given(operations)
def test_the_pure_ledger_balances_after_every_operation(history: list[object]) -> None:
    book = Ledger(Account(NOBODY))

    for operation in history:
        book.apply(operation)
        book.check()


@settings(max_examples=100)
@given(operations)
def test_a_repeated_operation_changes_nothing_and_is_answered_the_same(history: list[object]) -> None:
    book = Ledger(Account(NOBODY))

    for operation in history:
        book.apply(operation)
        account, rows, answers = book.account, dict(book.rows), book.answers[-4:]
        book.apply(operation)
        assert (book.account, book.rows) == (account, rows)
        if isinstance(operation, list):
            # A batch may overtake its own totals; the second time all are answered by what then stands.
            last = {answer.bulk_id: answer for answer in answers[-len(operation) :]}
            assert {answer.bulk_id: answer for answer in book.answers[-len(operation) :]} == last


@pytest.fixture
async def db(service_database: Callable[[str], Awaitable[Database]]) -> Database:
    return await service_database("credit")


@settings(max_examples=40, suppress_health_check=list(HealthCheck))
@given(history=operations)
async def test_postgresql_lives_the_same_history_each_handler_run_twice(db: Database, history: list[object]) -> None:
    book, tenant = Ledger(Account(NOBODY)), uuid4()
    async with db.worker() as tx:
        await ledger.save_tenants(tx, [Tenant(tenant, 1)])

    for operation in history:
        book.apply(operation)
        for _ in range(2):
            await live(db, tenant, operation)

    async with db.worker() as tx:
        await check(tx, tenant, book)


async def live(db: Database, tenant: UUID, operation: object) -> None:
    match operation:
        case [Request(), *_]:
            await apply(db, handlers.on_bulk_sms_requested, *(requested(tenant, one) for one in operation))
        case [Totals(), *_]:
            await apply(db, handlers.on_bulk_sms_accounted, *(accounted(tenant, one) for one in operation))
        case TopUp():
            async with db.request(tenant) as tx:
                await handlers.top_up(tx, TopUp(tenant, operation.top_up_id, operation.credits))
        case Reversal():
            async with db.request(tenant) as tx:
                await handlers.reverse_top_up(tx, tenant, operation.top_up_id, "mistake", "")


async def check(tx: Tx, tenant: UUID, book: Ledger) -> None:
    found = (await ledger.lock_accounts(tx, [tenant]))[tenant]
    wanted = book.account
    # The pure ledger's clock stands still: it counts towards the caps as one day does, and so does this test's.
    assert found == wanted._replace(tenant_id=tenant, caps=wanted.caps._replace(today=found.caps.today))
    rows = await ledger.reservations(tx, [(tenant, bulk) for bulk in BULKS])
    assert [rows[key].held for key in sorted(rows)] == [
        book.rows[NOBODY, bulk].held for bulk in BULKS if (NOBODY, bulk) in book.rows
    ]
    assert granted(await laws.accounts(tx)).violations == []
    _, unlike = await laws.sends_unlike(tx)
    assert [one for one in unlike if not one.excess] == []
    assert await laws.wallets_unlike(tx) == []
    said = [fact for fact in await facts(tx, "CreditsReserved", "CreditsRefused") if fact.tenant_id == tenant]
    first = {fact.message.bulk_id: fact.message for fact in reversed(said)}
    assert all(fact.message == first[fact.message.bulk_id] for fact in said)


def requested(tenant: UUID, request: Request) -> BulkSmsRequested:
    return BulkSmsRequested(
        tenant_id=str(tenant),
        bulk_id=str(request.bulk_id),
        credits=request.credits,
        partial=PARTIAL_RULE_FIRST_N if request.partial is Partial.FIRST_N else PARTIAL_RULE_NOTHING,
        credits_max=request.credits_max,
    )


def accounted(tenant: UUID, said: Totals) -> BulkSmsAccounted:
    return BulkSmsAccounted(
        tenant_id=str(tenant),
        bulk_id=str(said.bulk_id),
        version=said.version,
        used=said.used,
        released=said.released,
        refunded=said.refunded,
        closed=said.closed,
    )
