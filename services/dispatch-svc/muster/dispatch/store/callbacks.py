"""What HTTP carriers said by call: which calls were taken, and receipts until the account's sender takes them."""

from collections.abc import Sequence
from typing import Final

from muster.dispatch.domain.http.model import Ended
from muster.dispatch.domain.receipts import Receipt
from muster.kit.pg import Tx

_SEE: Final = """
INSERT INTO callback_seen (account, digest) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING account
"""


async def see(tx: Tx, account: str, digest: bytes) -> bool:
    """Note a call; False where it was taken before. Two of the same at once wait for each other."""
    return await tx.fetchval(_SEE, account, digest) is not None


_KEEP: Final = """
INSERT INTO callback_receipt (account, carrier_id, state, error, number, sender, done_at, submitted_at)
SELECT $1, n.* FROM unnest($2::text[], $3::smallint[], $4::text[], $5::text[], $6::text[], $7::timestamptz[],
    $8::timestamptz[]) AS n
"""


async def keep(tx: Tx, account: str, ended: Sequence[Ended]) -> None:
    """Store receipts for the sender of their account."""
    if ended:
        await tx.execute(
            _KEEP,
            account,
            *([one.carrier_id for one in ended], [int(one.state) for one in ended], [one.error for one in ended]),
            *([one.number for one in ended], [one.sender for one in ended]),
            *([one.done_at for one in ended], [one.submitted_at for one in ended]),
        )


_WAITING: Final = """
SELECT receipt_id, carrier_id, state, error, number, sender, done_at, submitted_at FROM callback_receipt
WHERE account = $1 ORDER BY receipt_id LIMIT $2
"""


async def waiting(tx: Tx, account: str, limit: int) -> list[tuple[int, Ended]]:
    """The oldest receipts of an account, with their numbers."""
    return [
        (
            row["receipt_id"],
            Ended(
                *(row["carrier_id"], Receipt(row["state"]), row["error"], row["number"], row["sender"]),
                *(row["done_at"], row["submitted_at"]),
            ),
        )
        for row in await tx.fetch(_WAITING, account, limit)
    ]


# allow ordered-locks: the one process that has the account takes its receipts
_TAKEN: Final = "DELETE FROM callback_receipt WHERE account = $1 AND receipt_id = ANY ($2)"


async def taken(tx: Tx, account: str, receipt_ids: Sequence[int]) -> None:
    """These were stored with their messages, or wait where receipts wait."""
    await tx.execute(_TAKEN, account, list(receipt_ids))


_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('dispatch.inbound.' || $1 || ' ' || $2, 0))"


async def lock_writer(tx: Tx, account: str, source: str) -> None:
    """What one person wrote is stored one after the other, by whichever process it comes."""
    await tx.execute(_LOCK, account, source)


_DROP_SEEN_OLD: Final = """
DELETE FROM callback_seen WHERE (account, digest) IN (
    SELECT account, digest FROM callback_seen WHERE seen_at < kit_now() - make_interval(secs => $1)
    FOR UPDATE SKIP LOCKED)
"""
_DROP_RECEIPTS_OLD: Final = """
DELETE FROM callback_receipt WHERE (account, receipt_id) IN (
    SELECT account, receipt_id FROM callback_receipt WHERE received_at < kit_now() - make_interval(secs => $1)
    FOR UPDATE SKIP LOCKED)
"""


async def drop_old(tx: Tx, seen_s: float, waiting_s: float) -> None:
    """Forget calls that are too old to be taken again, and receipts that no sender came for."""
    await tx.execute(_DROP_SEEN_OLD, seen_s)
    await tx.execute(_DROP_RECEIPTS_OLD, waiting_s)
