"""SQL of the rates: reference data of the platform, without a tenant."""

from datetime import datetime

from muster.credit.domain.rates import Rate
from muster.kit.pg import Tx

# In force is the newest of those that have begun, so that one set for now leaves alone what was set for later. Of two
# from the same moment the later word counts.
_RATES = """
SELECT DISTINCT ON (country) country, version, credits_per_part, valid_from FROM rate
WHERE valid_from <= kit_now() ORDER BY country, valid_from DESC, version DESC
"""


async def rates(tx: Tx) -> list[Rate]:
    """The rate in force of each country."""
    return [Rate(**row) for row in await tx.fetch(_RATES)]


_COMING = """
SELECT DISTINCT ON (country, valid_from) country, version, credits_per_part, valid_from FROM rate
WHERE valid_from > kit_now() ORDER BY country, valid_from, version DESC
"""


async def coming(tx: Tx) -> list[Rate]:
    """The rates that are still to begin."""
    return [Rate(**row) for row in await tx.fetch(_COMING)]


# The lock makes versions of a country follow each other; it ends with the transaction.
_LOCK_RATE = "SELECT pg_advisory_xact_lock(hashtextextended('rate/' || $1, 0))"
_ADD_RATE = """
INSERT INTO rate (country, version, credits_per_part, valid_from, actor)
SELECT $1, coalesce(max(version), 0) + 1, $2, coalesce($3, kit_now()), $4 FROM rate WHERE country = $1
RETURNING country, version, credits_per_part, valid_from
"""


async def add_rate(tx: Tx, country: str, credits_per_part: int, valid_from: datetime | None, actor: str) -> Rate:
    """Store a country's next rate, valid from now on where no date is given."""
    await tx.execute(_LOCK_RATE, country)
    row = await tx.fetchrow(_ADD_RATE, country, credits_per_part, valid_from, actor)
    assert row is not None
    return Rate(**row)


# What is published is the rate in force, not the one that began: the topic keeps the last word of each country.
_TAKE_UNSAID_RATES = """
WITH due AS (
    UPDATE rate SET said_at = kit_now() WHERE (country, version) IN (
        SELECT country, version FROM rate WHERE said_at IS NULL AND valid_from <= kit_now()
        ORDER BY country, version FOR NO KEY UPDATE)
    RETURNING country
)
SELECT DISTINCT ON (country) country, version, credits_per_part, valid_from FROM rate
WHERE country IN (SELECT country FROM due) AND valid_from <= kit_now()
ORDER BY country, valid_from DESC, version DESC
"""


async def take_unsaid_rates(tx: Tx) -> list[Rate]:
    """The rates in force of countries where one began that was not published, marked published by this transaction."""
    return [Rate(**row) for row in await tx.fetch(_TAKE_UNSAID_RATES)]
