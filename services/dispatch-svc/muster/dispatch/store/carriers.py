"""Carrier accounts, how they stand, and the messages by which operators try them."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, NamedTuple

from muster.kit.pg import Record, Tx


@dataclass(frozen=True, slots=True)
class Row:
    """An account as it is stored. `options` is what its kind is described by; `secret` is sealed."""

    account: str
    kind: str
    state: str
    parts_window: int
    parts_per_second: int
    reference_bits: int
    options: Mapping[str, Any]
    secret: bytes | None = field(repr=False)
    version: int = 1


_ADD: Final = """
INSERT INTO carrier (account, kind, state, parts_window, parts_per_second, reference_bits, options, secret)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
ON CONFLICT DO NOTHING RETURNING true
"""


async def add(tx: Tx, row: Row) -> bool:
    """Store a new account; False where the name is taken."""
    return await tx.fetchval(_ADD, *_values(row)) is not None


# The environment's word, where it is new: what was changed here since it was last said stays otherwise.
_SEED: Final = """
INSERT INTO carrier AS c
    (account, kind, state, parts_window, parts_per_second, reference_bits, options, secret, seeded)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (account) DO UPDATE SET kind = EXCLUDED.kind, parts_window = EXCLUDED.parts_window,
    parts_per_second = EXCLUDED.parts_per_second, reference_bits = EXCLUDED.reference_bits, options = EXCLUDED.options,
    secret = EXCLUDED.secret, seeded = EXCLUDED.seeded, version = c.version + 1, changed_at = kit_now()
WHERE c.seeded IS DISTINCT FROM EXCLUDED.seeded
"""


async def seed(tx: Tx, row: Row, seeded: bytes) -> None:
    """Store the account that the environment describes, if it describes it otherwise than it last did."""
    await tx.execute(_SEED, *_values(row), seeded)


_CHANGE: Final = """
UPDATE carrier SET state = $3, parts_window = $4, parts_per_second = $5, reference_bits = $6, options = $7, secret = $8,
    version = version + 1, changed_at = kit_now()
WHERE account = $1 AND kind = $2
"""


async def change(tx: Tx, row: Row) -> None:
    """Store an account that this transaction has locked. Whoever has adopted it sees the version."""
    await tx.execute(_CHANGE, *_values(row))


def _values(row: Row) -> tuple[Any, ...]:
    return (
        *(row.account, row.kind, row.state, row.parts_window, row.parts_per_second, row.reference_bits),
        *(json.dumps(row.options), row.secret),
    )


_READ: Final = "SELECT * FROM carrier WHERE account = $1"
_LOCK: Final = "SELECT * FROM carrier WHERE account = $1 FOR UPDATE"


async def read(tx: Tx, account: str, *, lock: bool = False) -> Row | None:
    """One account."""
    row = await tx.fetchrow(_LOCK if lock else _READ, account)
    return None if row is None else _row(row)


def _row(row: Record) -> Row:
    return Row(
        account=row["account"],
        kind=row["kind"],
        state=row["state"],
        parts_window=row["parts_window"],
        parts_per_second=row["parts_per_second"],
        reference_bits=row["reference_bits"],
        options=json.loads(row["options"]),
        secret=row["secret"],
        version=row["version"],
    )


_ADOPTABLE: Final = "SELECT account FROM carrier WHERE state <> 'closed' AND kind = ANY ($1) ORDER BY account"


async def adoptable(tx: Tx, kinds: Sequence[str]) -> list[str]:
    """The accounts that need a sender."""
    return [row["account"] for row in await tx.fetch(_ADOPTABLE, list(kinds))]


_COUNT: Final = "SELECT count(*) FROM carrier WHERE state <> 'closed'"


async def count(tx: Tx) -> int:
    """How many are not closed."""
    found: int = await tx.fetchval(_COUNT)
    return found


# -- how they stand ---------------------------------------------------------------------------------------------------


class Connected(NamedTuple):
    """What a sender says of its account: connections that stand, parts without an answer, why there is none, how many
    parts a second it writes at most by now (0: as many as the carrier answers); and of parts since it said so last,
    those that were answered or lost, that failed by the carrier's fault, that it did not take."""

    connections: int
    in_flight: int
    why: str
    parts_per_second: int = 0
    answered: int = 0
    failed: int = 0
    not_taken: int = 0


_SAY: Final = """
INSERT INTO carrier_standing AS s (account, version, connections, in_flight, why, parts_per_second, answered, failed,
    not_taken, said_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, kit_now())
ON CONFLICT (account) DO UPDATE SET version = EXCLUDED.version, connections = EXCLUDED.connections,
    in_flight = EXCLUDED.in_flight, why = EXCLUDED.why, parts_per_second = EXCLUDED.parts_per_second,
    answered = s.answered + EXCLUDED.answered, failed = s.failed + EXCLUDED.failed,
    not_taken = s.not_taken + EXCLUDED.not_taken, said_at = EXCLUDED.said_at
"""


async def say(tx: Tx, account: str, version: int, connected: Connected) -> None:
    """How an account stands, by the sender that has adopted it."""
    await tx.execute(_SAY, account, version, *connected)


@dataclass(frozen=True, slots=True)
class Standing:
    """An account with what its sender last said, of which version of it; `said_at` None: no sender ever had it.
    `share`: percent of what is meant for it that it gets; `failing`: why not all of it, `since` when. `binds_as`: other
    accounts of the same host, port and system_id."""

    row: Row
    created_at: datetime
    changed_at: datetime
    applied_version: int | None
    connected: Connected
    said_at: datetime | None
    is_fresh: bool
    routes: list[str]
    binds_as: list[str]
    share: int
    failing: str
    since: datetime | None


# A sender says so every second; two that were missed may be a slow database.
_STANDING: Final = """
SELECT c.*, s.version AS applied_version, coalesce(s.connections, 0) AS connections, coalesce(s.why, '') AS why,
    coalesce(s.in_flight, 0) AS in_flight, coalesce(s.parts_per_second, 0) AS rate_now, s.said_at,
    coalesce(h.share, 100) AS share, coalesce(h.why, '') AS failing, h.since,
    coalesce(s.answered, 0) AS answered, coalesce(s.failed, 0) AS failed, coalesce(s.not_taken, 0) AS not_taken,
    coalesce(s.said_at > kit_now() - make_interval(secs => $1), false) AS is_fresh,
    ARRAY(SELECT r.route FROM route r WHERE (c.account = ANY (r.accounts) OR c.account = r.account) AND NOT r.deleted
        ORDER BY r.route) AS routes,
    ARRAY(SELECT o.account FROM carrier o WHERE c.kind = 'smpp' AND o.kind = 'smpp' AND o.account <> c.account
        AND 'closed' NOT IN (c.state, o.state) AND lower(o.options->>'host') = lower(c.options->>'host')
        AND o.options->>'port' = c.options->>'port' AND o.options->>'system_id' = c.options->>'system_id'
        ORDER BY o.account) AS binds_as
FROM carrier c LEFT JOIN carrier_standing s USING (account) LEFT JOIN carrier_health h USING (account)
"""
_STANDING_OF: Final = _STANDING + "WHERE c.account = $2"
_STANDINGS: Final = _STANDING + "WHERE c.account > $2 ORDER BY c.account LIMIT $3"


async def standing(tx: Tx, account: str, fresh_s: float) -> Standing | None:
    """One account and how it stands."""
    row = await tx.fetchrow(_STANDING_OF, fresh_s, account)
    return None if row is None else _standing(row)


async def standings(tx: Tx, fresh_s: float, after: str, limit: int) -> list[Standing]:
    """Accounts by name, and how they stand."""
    return [_standing(row) for row in await tx.fetch(_STANDINGS, fresh_s, after, limit)]


def _standing(row: Record) -> Standing:
    return Standing(
        row=_row(row),
        created_at=row["created_at"],
        changed_at=row["changed_at"],
        applied_version=row["applied_version"],
        connected=Connected(
            *(row["connections"], row["in_flight"], row["why"], row["rate_now"]),
            *(row["answered"], row["failed"], row["not_taken"]),
        ),
        said_at=row["said_at"],
        is_fresh=row["is_fresh"],
        routes=row["routes"],
        binds_as=row["binds_as"],
        share=row["share"],
        failing=row["failing"],
        since=row["since"],
    )
