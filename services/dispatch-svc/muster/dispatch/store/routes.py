"""Routes, and the accounts that they lead to."""

from dataclasses import dataclass
from typing import Final

from muster.dispatch.domain import routing
from muster.dispatch.domain.routing import DEFAULT, Table, Target, Way
from muster.kit.pg import Record, Tx


@dataclass(frozen=True, slots=True)
class Stored:
    """A route as it is stored. What is agreed with the carriers of its accounts: `reference_bits` are those that fit
    all of them, `parts_per_second` is what they take together, 0 for as fast as one of them answers."""

    route: routing.Route
    version: int
    reference_bits: int
    parts_per_second: int


_ALL: Final = "SELECT * FROM route WHERE NOT deleted ORDER BY route"
_EVER: Final = "SELECT * FROM route ORDER BY route"


async def every(tx: Tx, *, deleted: bool = False) -> list[Stored]:
    """All routes by name, with those that were `deleted` if they are asked for."""
    return [_stored(row) for row in await tx.fetch(_EVER if deleted else _ALL)]


_PAGE: Final = "SELECT * FROM route WHERE NOT deleted AND route > $1 ORDER BY route LIMIT $2"


async def page(tx: Tx, after: str, limit: int) -> list[Stored]:
    """Routes by name."""
    return [_stored(row) for row in await tx.fetch(_PAGE, after, limit)]


_READ: Final = "SELECT * FROM route WHERE route = $1 AND NOT deleted"


async def read(tx: Tx, name: str) -> Stored | None:
    """One route."""
    row = await tx.fetchrow(_READ, name)
    return None if row is None else _stored(row)


def _stored(row: Record) -> Stored:
    # A row that was written by who knew of one account alone has no more.
    accounts, weights = row["accounts"] or [row["account"]], row["weights"] or [1]
    return Stored(
        route=routing.Route(
            name=row["route"],
            targets=tuple(Target(account, weight) for account, weight in zip(accounts, weights, strict=True)),
            countries=frozenset(row["countries"]),
            senders=frozenset(row["senders"]),
            failover=row["failover"],
            is_open=row["open"] and not row["deleted"],
        ),
        version=row["version"],
        reference_bits=row["reference_bits"],
        parts_per_second=row["parts_per_second"],
    )


_WAYS: Final = """
SELECT c.account, c.state, c.reference_bits, coalesce(h.share, 100) AS share
FROM carrier c LEFT JOIN carrier_health h USING (account)
"""


async def ways(tx: Tx) -> dict[str, Way]:
    """All accounts as routes see them."""
    return {row["account"]: Way(**dict(row)) for row in await tx.fetch(_WAYS)}


async def table(tx: Tx) -> Table:
    """What leads chunks to accounts now."""
    routes = {stored.route.name: stored.route for stored in await every(tx)}
    # How accounts stand is asked only where there is something to choose.
    chosen = any(len(route.targets) > 1 or route.failover for route in routes.values())
    return Table(routes, await ways(tx) if chosen else {})


# One at a time changes routes: what is judged to fit together is what is stored.
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('dispatch.routes', 0))"


async def lock(tx: Tx) -> None:
    """Nobody else changes routes until this transaction ends."""
    await tx.execute(_LOCK)


_SAVE: Final = """
INSERT INTO route AS r (route, version, countries, senders, accounts, weights, account, failover, open, managed,
    reference_bits)
VALUES ($1, 1, $2, $3, $4, $5, $6, $7, $8, true, 8)
ON CONFLICT (route) DO UPDATE SET version = r.version + 1, countries = $2, senders = $3, accounts = $4, weights = $5,
    account = $6, failover = $7, open = $8, managed = true, deleted = false
"""


async def save(tx: Tx, route: routing.Route) -> None:
    """Store a route as an operator says it; `refresh` what follows from that."""
    targets = route.targets
    heaviest = max(targets, key=lambda target: target.weight).account
    await tx.execute(
        _SAVE,
        *(route.name, sorted(route.countries), sorted(route.senders), [target.account for target in targets]),
        *([target.weight for target in targets], heaviest, route.failover, route.is_open),
    )


_DELETE: Final = "UPDATE route SET deleted = true, version = version + 1 WHERE route = $1"


async def delete(tx: Tx, name: str) -> None:
    """Lead nothing by it any more."""
    await tx.execute(_DELETE, name)


_SEED: Final = """
INSERT INTO route AS r (route, version, account, accounts, weights, reference_bits, parts_per_second)
VALUES ($1, 1, $2, ARRAY[$2], '{1}', $3, $4)
ON CONFLICT (route) DO UPDATE SET version = r.version + 1, account = $2, accounts = ARRAY[$2], weights = '{1}',
    reference_bits = $3, parts_per_second = $4
WHERE NOT r.managed AND (r.account, r.reference_bits, r.parts_per_second) <> ($2, $3, $4)
"""


async def seed(tx: Tx, account: str, reference_bits: int, parts_per_second: int) -> None:
    """Let the default route lead to the account that the environment describes, until an operator says otherwise."""
    await tx.execute(_SEED, DEFAULT, account, reference_bits, parts_per_second)


# Accounts that only stand by are left out: long messages that they could not take are not led there.
# allow ordered-locks: whoever changes routes holds the lock above
_REFRESH: Final = """
UPDATE route r SET reference_bits = f.bits, parts_per_second = f.parts, version = version + 1
FROM (
    SELECT r.route, max(c.reference_bits) AS bits,
        CASE WHEN min(c.parts_per_second) = 0 THEN 0 ELSE sum(c.parts_per_second)::int END AS parts
    FROM route r CROSS JOIN LATERAL unnest(r.accounts, r.weights) AS t(account, weight)
        JOIN carrier c ON c.account = t.account
    WHERE t.weight > 0 AND NOT r.deleted GROUP BY r.route) f
WHERE f.route = r.route AND (r.reference_bits, r.parts_per_second) <> (f.bits, f.parts)
RETURNING r.*
"""


async def refresh(tx: Tx) -> list[Stored]:
    """Let routes say what is agreed with the carriers of their accounts; those that said something else."""
    return [_stored(row) for row in await tx.fetch(_REFRESH)]
