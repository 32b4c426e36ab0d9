"""The account and its statement."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter

from muster.credit.domain.account import Kind
from muster.credit.store import ledger
from muster.kit.auth import ANY_TENANT_ROLE, Caller, Tx, requires, tenant_tx
from muster.kit.http import Model
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of

router = APIRouter(prefix="/v1/credits", tags=["credits"])


class BalanceOut(Model):
    """An account: granted + owed = available + reserved + consumed; `conservation` is the difference and always 0."""

    granted: int
    owed: int
    available: int
    reserved: int
    consumed: int
    conservation: int
    version: int


class EntryOut(Model):
    """A line of the statement: `credits` is how many the entry moved, what is left is in the fields after."""

    id: str
    at: datetime
    kind: Kind
    bulk_id: UUID | None
    credits: int
    available_after: int
    reserved_after: int
    consumed_after: int
    owed_after: int
    account_version: int
    reason: str
    reference: str


@router.get("")
async def read_balance(
    caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)], tx: Annotated[Tx, tenant_tx]
) -> BalanceOut:
    """The credits of the caller's business."""
    account = await ledger.balance(tx, caller.tenant_id)
    return BalanceOut(
        granted=account.granted,
        owed=account.owed,
        available=account.available,
        reserved=account.reserved,
        consumed=account.consumed,
        conservation=account.conservation,
        version=account.version,
    )


@router.get("/statement")
async def read_statement(
    caller: Annotated[Caller, requires(*ANY_TENANT_ROLE)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[EntryOut]:
    """Every entry of the account with the balance after it, newest first."""
    before = decode_cursor(cursor, {"before": int})["before"] if cursor else None
    rows = await ledger.statement(tx, caller.tenant_id, before, limit + 1)
    return page_of(rows, limit, _entry, lambda row: {"before": row["account_version"]})


def _entry(row: Mapping[str, Any]) -> EntryOut:
    return EntryOut(id=str(row["account_version"]), **row)
