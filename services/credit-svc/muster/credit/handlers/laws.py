"""How far the laws hold in the ledger: rows into the records of muster.laws, which judges them."""

from dataclasses import replace

from muster.credit.store import laws
from muster.kit import metrics
from muster.kit.pg import Tx
from muster.laws import ledger, system
from muster.laws.result import LawResult, together


async def check_laws(tx: Tx) -> list[LawResult]:
    """Laws 1, 2 and 7 over the whole ledger."""
    accounts = await laws.accounts(tx)
    count, unlike = await laws.sends_unlike(tx)
    uneven = await laws.wallets_unlike(tx)
    moved, lopsided = await laws.transfers_unlike(tx)
    rows, crossing = await laws.rows_crossing(tx)
    metrics.ledger_conservation_credits.set(sum(abs(_made(one)) for one, _ in accounts))
    return [
        together("granted", (ledger.granted(accounts), ledger.transfers(lopsided, moved))),
        together("reserved", (ledger.reserved(unlike, count), replace(ledger.wallets(uneven), checked=0))),
        system.tenant(crossing, rows),
    ]


def _made(account: ledger.Account) -> int:
    """Credits made out of nothing, or lost where it is negative."""
    return account.granted + account.owed - account.available - account.reserved - account.consumed
