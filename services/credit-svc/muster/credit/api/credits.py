"""The account as it stands."""

from typing import Annotated

from fastapi import APIRouter

from muster.credit.store import ledger
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.http import Model

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


@router.get("")
async def read_balance(
    caller: Annotated[Caller, requires(Permission.READ_CREDITS)], tx: Annotated[Tx, tenant_tx]
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
