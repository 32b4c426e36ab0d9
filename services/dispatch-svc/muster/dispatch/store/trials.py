"""Messages by which operators try an account: each goes out at most once, outside all sends."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Final
from uuid import UUID

from muster.dispatch.store.queue import share_tenants
from muster.events import NIL_TENANT
from muster.kit.pg import Record, Tx


@dataclass(frozen=True, slots=True)
class Trial:
    """One message, and what became of it. `carrier_ids`: of each part, as receipts are kept under them; `receipts`:
    what came for each, "" until then."""

    test_id: UUID
    account: str
    number: str = field(repr=False)
    sender: str
    body: str = field(repr=False)
    outcome: str
    error: str
    carrier_ids: list[str]
    receipts: list[str]
    created_at: datetime
    answered_at: datetime | None


_ADD: Final = """
INSERT INTO carrier_test (test_id, account, number, sender, body, user_id) VALUES ($1, $2, $3, $4, $5, $6)
"""


async def add(tx: Tx, test_id: UUID, account: str, *, number: str, sender: str, body: str, user_id: str) -> None:
    """Queue one; whoever has adopted the account sends it."""
    await tx.execute(_ADD, test_id, account, number, sender, body, user_id)


_READ: Final = "SELECT * FROM carrier_test WHERE test_id = $1 AND account = $2"


async def read(tx: Tx, test_id: UUID, account: str) -> Trial | None:
    """One test."""
    row = await tx.fetchrow(_READ, test_id, account)
    return None if row is None else _trial(row)


# allow ordered-locks: whoever owns the account is alone
_GIVE_UP: Final = """
UPDATE carrier_test SET outcome = 'not_sent', error = 'nothing could be sent in time', answered_at = kit_now()
WHERE account = $1 AND outcome = 'queued' AND created_at < kit_now() - interval '10 minutes'
"""
# Nothing at all is sent while the platform is stopped (the nil tenant is suspended).
_TAKE: Final = """
UPDATE carrier_test SET outcome = 'submitting', intended_at = kit_now() WHERE test_id IN (
    SELECT test_id FROM carrier_test WHERE account = $1 AND outcome = 'queued'
        AND NOT EXISTS (SELECT FROM suspension WHERE tenant_id = $3 AND suspended)
    ORDER BY test_id LIMIT $2 FOR UPDATE SKIP LOCKED)
RETURNING *
"""


async def take(tx: Tx, account: str, limit: int) -> list[Trial]:
    """Those that are to be written now: once this is committed, they may have been. Nobody stops the platform
    meanwhile."""
    await share_tenants(tx, {NIL_TENANT})
    await tx.execute(_GIVE_UP, account)
    return [_trial(row) for row in await tx.fetch(_TAKE, account, limit, NIL_TENANT)]


# allow ordered-locks: by its key, one row
_ANSWER: Final = """
UPDATE carrier_test SET outcome = $2, error = $3, carrier_ids = $4, receipts = $5, answered_at = kit_now()
WHERE test_id = $1
"""


async def answer(tx: Tx, test_id: UUID, outcome: str, error: str, carrier_ids: Sequence[str]) -> None:
    """What the carrier said."""
    await tx.execute(_ANSWER, test_id, outcome, error, list(carrier_ids), [""] * len(carrier_ids))


# allow ordered-locks: whoever owns the account is alone
_RECOVER: Final = """
UPDATE carrier_test SET outcome = 'unknown', error = 'the sender died', answered_at = kit_now()
WHERE account = $1 AND outcome = 'submitting'
"""


async def recover(tx: Tx, account: str) -> None:
    """What the sender before this one has left: nobody knows whether it was written."""
    await tx.execute(_RECOVER, account)


_EXPECTING: Final = """
SELECT * FROM carrier_test WHERE account = $1 AND '' = ANY (receipts) AND created_at > kit_now() - interval '72 hours'
ORDER BY test_id DESC LIMIT $2
"""


async def expecting(tx: Tx, account: str, limit: int) -> list[Trial]:
    """Accepted ones of which receipts are to come, the newest first."""
    return [_trial(row) for row in await tx.fetch(_EXPECTING, account, limit)]


_RECEIPTS: Final = "SELECT carrier_id, state FROM receipt_waiting WHERE account = $1 AND carrier_id = ANY ($2)"


async def receipts(tx: Tx, account: str, carrier_ids: Sequence[str]) -> dict[str, int]:
    """What came for these ids: numbers of domain.receipts.Receipt."""
    return {row["carrier_id"]: row["state"] for row in await tx.fetch(_RECEIPTS, account, list(carrier_ids))}


# allow ordered-locks: by its key, one row
_REPORT: Final = "UPDATE carrier_test SET receipts = $2 WHERE test_id = $1"


async def report(tx: Tx, test_id: UUID, states: Sequence[str]) -> None:
    """What receipts said of each part."""
    await tx.execute(_REPORT, test_id, list(states))


# allow ordered-locks: nobody changes what is as old as this
_DROP_OLD: Final = "DELETE FROM carrier_test WHERE created_at < kit_now() - make_interval(secs => $1)"


async def drop_old(tx: Tx, kept_s: float) -> None:
    """Numbers and texts are not kept longer than they are of use."""
    await tx.execute(_DROP_OLD, kept_s)


def _trial(row: Record) -> Trial:
    return Trial(
        test_id=row["test_id"],
        account=row["account"],
        number=row["number"],
        sender=row["sender"],
        body=row["body"],
        outcome=row["outcome"],
        error=row["error"],
        carrier_ids=row["carrier_ids"],
        receipts=row["receipts"],
        created_at=row["created_at"],
        answered_at=row["answered_at"],
    )
