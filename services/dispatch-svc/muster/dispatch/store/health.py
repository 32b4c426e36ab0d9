"""How carrier accounts fare: counters that senders keep, and what is made of them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from muster.dispatch.domain.failover import Health, Seen, Why
from muster.kit.pg import Record, Tx

# One worker at a time judges and moves; the others find that it is done.
_TAKE_TURN: Final = "SELECT pg_try_advisory_xact_lock(hashtextextended('dispatch.failover', 0))"


async def take_turn(tx: Tx) -> bool:
    """Whether nobody else is at it."""
    taken: bool = await tx.fetchval(_TAKE_TURN)
    return taken


@dataclass(frozen=True, slots=True)
class Looked:
    """An open account, as it is seen and as it fared at the last look."""

    account: str
    seen: Seen
    before: Health | None


# Who is not open is judged anew when it is opened.
# allow ordered-locks: whoever has the turn is alone
_FORGET: Final = """
DELETE FROM carrier_health h WHERE NOT EXISTS (
    SELECT FROM carrier c WHERE c.account = h.account AND c.state = 'open')
"""
_LOOK: Final = """
SELECT c.account AS name, extract(epoch FROM kit_now())::float8 AS now,
    coalesce(s.connections > 0 AND s.said_at > kit_now() - make_interval(secs => $1), false) AS is_connected,
    coalesce(s.answered, 0) AS all_answered, coalesce(s.failed, 0) AS all_failed,
    coalesce(s.not_taken, 0) AS all_not_taken, h.*, h.account IS NOT NULL AS is_known,
    extract(epoch FROM h.since)::float8 AS since_s, extract(epoch FROM h.turned_at)::float8 AS turned_s
FROM carrier c LEFT JOIN carrier_standing s USING (account) LEFT JOIN carrier_health h USING (account)
WHERE c.state = 'open' ORDER BY c.account
"""


async def look(tx: Tx, fresh_s: float) -> list[Looked]:
    """All open accounts."""
    await tx.execute(_FORGET)
    return [_looked(row) for row in await tx.fetch(_LOOK, fresh_s)]


def _looked(row: Record) -> Looked:
    counts = (row["all_answered"], row["all_failed"], row["all_not_taken"])
    return Looked(row["name"], Seen(row["now"], row["is_connected"], *counts), _health(row))


def _health(row: Record) -> Health | None:
    if not row["is_known"]:
        return None
    return Health(
        share=row["share"],
        why=Why(row["why"]),
        since=row["since_s"],
        relapses=row["relapses"],
        connected=row["connected"],
        turned_at=row["turned_s"],
        answered=row["answered"],
        failed=row["failed"],
        not_taken=row["not_taken"],
        good=row["good"],
        bad=row["bad"],
        refused=row["refused"],
    )


_SAVE: Final = """
INSERT INTO carrier_health (account, share, why, since, relapses, connected, turned_at, answered, failed, not_taken,
    good, bad, refused)
SELECT account, share, why, to_timestamp(since), relapses, connected, to_timestamp(turned_at), answered, failed,
    not_taken, good, bad, refused
FROM unnest($1::text[], $2::int[], $3::text[], $4::float8[], $5::int[], $6::bool[], $7::float8[], $8::bigint[],
    $9::bigint[], $10::bigint[], $11::int[], $12::int[], $13::int[])
AS n(account, share, why, since, relapses, connected, turned_at, answered, failed, not_taken, good, bad, refused)
ORDER BY account
ON CONFLICT (account) DO UPDATE SET share = excluded.share, why = excluded.why, since = excluded.since,
    relapses = excluded.relapses, connected = excluded.connected, turned_at = excluded.turned_at,
    answered = excluded.answered, failed = excluded.failed, not_taken = excluded.not_taken, good = excluded.good,
    bad = excluded.bad, refused = excluded.refused
"""


async def save(tx: Tx, found: Mapping[str, Health]) -> None:
    """Remember how accounts fare."""
    rows = [
        (
            *(account, one.share, one.why, one.since, one.relapses, one.connected, one.turned_at),
            *(one.answered, one.failed, one.not_taken, one.good, one.bad, one.refused),
        )
        for account, one in found.items()
    ]
    if rows:
        await tx.execute(_SAVE, *map(list, zip(*rows, strict=True)))


_SHARE: Final = "SELECT share FROM carrier_health WHERE account = $1"


async def share(tx: Tx, account: str) -> int:
    """What it gets of what is meant for it, in percent."""
    found: int | None = await tx.fetchval(_SHARE, account)
    return 100 if found is None else found
