"""Words on consent: the history of each customer, and what holds now of a customer and of single numbers.

The history of words on all of a customer's numbers is kept by triggers on the customer's row (0020_consent.sql), so
that no way of writing one leaves it out; words on one number are written here.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

from muster.customer.domain.consent import PERMITTING, Standing, Version, Word
from muster.customer.domain.customers import Consent
from muster.kit.pg import Record, Tx

_NUMBERS: Final = """
SELECT number, country, number_hash FROM customer_number WHERE tenant_id = $1 AND customer_id = $2 ORDER BY position
"""


async def numbers_of(tx: Tx, tenant_id: UUID, customer_id: int) -> list[Record]:
    """The customer's numbers, in their order."""
    return await tx.fetch(_NUMBERS, tenant_id, customer_id)


_LOCK: Final = """
SELECT consent, consent_at FROM customer WHERE tenant_id = $1 AND customer_id = $2 FOR NO KEY UPDATE
"""


async def lock_standing(tx: Tx, tenant_id: UUID, customer_id: int) -> Standing | None:
    """The word that holds of all numbers of a customer, for a change; None where there is no such customer.

    Locks of numbers (suppressions) are taken before those of customers.
    """
    row = await tx.fetchrow(_LOCK, tenant_id, customer_id)
    return Standing(Consent(row["consent"]), row["consent_at"]) if row else None


_OF_NUMBER: Final = """
SELECT kind, given_at FROM number_consent WHERE tenant_id = $1 AND customer_id = $2 AND number_hash = $3
"""


async def standing_of_number(tx: Tx, tenant_id: UUID, customer_id: int, number_hash: bytes) -> Standing | None:
    """The word that holds of this number alone, if there is one."""
    row = await tx.fetchrow(_OF_NUMBER, tenant_id, customer_id, number_hash)
    return Standing(Consent(row["kind"]), row["given_at"]) if row else None


_SAY: Final = """
UPDATE customer SET allow_bulk_sms = $3, consent = $4, consent_at = $5, consent_how = $6, consent_wording = $7,
    consent_given_by = $8, consent_address = $9, consent_source = $10, consent_by = $11, changed_at = kit_now(),
    version = version + 1,
    joined_at = CASE WHEN $3 AND (allow_bulk_sms IS NOT TRUE OR consent = 'none') THEN kit_now() ELSE joined_at END,
    joined_xid = CASE WHEN $3 AND (allow_bulk_sms IS NOT TRUE OR consent = 'none') THEN pg_current_xact_id()
                      ELSE joined_xid END
WHERE tenant_id = $1 AND customer_id = $2
"""


async def say_of_all(tx: Tx, tenant_id: UUID, customer_id: int, word: Word, by: str) -> None:
    """Let a word hold of all numbers of a customer whose row is locked."""
    allow = {Consent.NONE: None, Consent.WITHDRAWN: False}.get(word.kind, True)
    await tx.execute(_SAY, tenant_id, customer_id, allow, *_columns(word, by))


# Rows are locked in one order, as everywhere; what is written after that sees what others wrote before.
_LOCK_HOLDERS: Final = """
SELECT FROM customer WHERE tenant_id = $1 AND customer_id IN (
    SELECT customer_id FROM customer_number WHERE tenant_id = $1 AND number_hash = ANY ($2::bytea[]))
ORDER BY customer_id FOR NO KEY UPDATE
"""
_SAY_OF_NUMBERS: Final = """
WITH said AS (
    INSERT INTO consent_version (tenant_id, customer_id, version, number, number_hash, kind, allow_bulk_sms, given_at,
                                 how, wording, given_by, address, source, recorded_by, recorded_at, undoes_at, hash)
    SELECT $1, n.customer_id, 1, n.number, n.number_hash, $3, $3 IN ('express', 'inferred'), $4, $5, $6, $7,
        CASE WHEN $8 = '' AND $9 = 'reply' THEN '+' || n.number ELSE $8 END, $9, $10, kit_now(),
        CASE WHEN $3 <> 'withdrawn' AND coalesce(w.kind, c.consent) = 'withdrawn'
                        THEN coalesce(w.given_at, c.consent_at, '-infinity') END, ''
    FROM customer_number n JOIN customer c USING (tenant_id, customer_id)
        LEFT JOIN number_consent w USING (tenant_id, customer_id, number_hash)
    WHERE n.tenant_id = $1 AND n.number_hash = ANY ($2::bytea[])
        AND ($11::bigint IS NULL OR n.customer_id = $11)
        -- A withdrawal that is later than this word, or that this word cannot undo, stands.
        AND ($3 = 'withdrawn' OR coalesce(w.kind, c.consent) <> 'withdrawn'
             OR ($12 AND $4 > coalesce(w.given_at, c.consent_at, '-infinity')))
        AND (w.kind, w.given_at) IS DISTINCT FROM ($3, $4::timestamptz) -- the customer who said it
        -- Who has withdrawn consent for all numbers has for this one.
        AND ($3 <> 'withdrawn' OR $11::bigint IS NOT NULL OR w.kind IS NOT NULL OR c.consent <> 'withdrawn')
    ORDER BY n.customer_id, n.position
    RETURNING customer_id, number_hash, kind, given_at
), held AS (
    INSERT INTO number_consent (tenant_id, customer_id, number_hash, kind, given_at)
    SELECT $1, customer_id, number_hash, kind, given_at FROM said
    ON CONFLICT (tenant_id, customer_id, number_hash) DO UPDATE SET kind = excluded.kind, given_at = excluded.given_at
)
SELECT array_agg(DISTINCT customer_id ORDER BY customer_id) FROM said
"""
_JOIN: Final = """
UPDATE customer SET joined_at = kit_now(), joined_xid = pg_current_xact_id()
WHERE tenant_id = $1 AND customer_id IN (
    SELECT customer_id FROM customer WHERE tenant_id = $1 AND customer_id = ANY ($2::bigint[])
    ORDER BY customer_id FOR NO KEY UPDATE)
"""


async def say_of_numbers(
    tx: Tx, tenant_id: UUID, hashes: Sequence[bytes], word: Word, by: str, only: int | None = None
) -> list[int]:
    """Let a word hold of these numbers, of one customer, or of all who have them; of whom it holds now."""
    await tx.execute(_LOCK_HOLDERS, tenant_id, list(hashes))
    given = (*_columns(word, by), only, word.is_own)
    holders: list[int] = await tx.fetchval(_SAY_OF_NUMBERS, tenant_id, list(hashes), *given) or []
    if holders and word.kind in PERMITTING:
        await tx.execute(_JOIN, tenant_id, holders)
    return holders


_CORRECT: Final = """
WITH wrong AS (
    DELETE FROM number_consent WHERE tenant_id = $1 AND number_hash = $2 AND kind = 'withdrawn' AND given_at = $3
    RETURNING customer_id, given_at
)
INSERT INTO consent_version (tenant_id, customer_id, version, number, number_hash, kind, allow_bulk_sms, given_at, how,
                             wording, given_by, address, source, recorded_by, recorded_at, undoes_at, hash)
SELECT $1, c.customer_id, 1, n.number, n.number_hash, c.consent, c.allow_bulk_sms, c.consent_at, $4, '', '', '',
    'correction', $5, kit_now(), CASE WHEN c.consent <> 'withdrawn' THEN wrong.given_at END, ''
FROM wrong JOIN customer c ON c.tenant_id = $1 AND c.customer_id = wrong.customer_id
    JOIN customer_number n ON n.tenant_id = $1 AND n.customer_id = c.customer_id AND n.number_hash = $2
ORDER BY c.customer_id
"""


async def correct(tx: Tx, tenant_id: UUID, number_hash: bytes, given_at: datetime, why: str, by: str) -> None:
    """A withdrawal of a number that was entered at this time was a mistake: what was said of all numbers holds."""
    await tx.execute(_LOCK_HOLDERS, tenant_id, [number_hash])
    await tx.execute(_CORRECT, tenant_id, number_hash, given_at, why, by)


def _columns(word: Word, by: str) -> tuple[object, ...]:
    return (
        *(word.kind.value, word.given_at, word.how, word.wording),
        *(word.given_by, word.address, word.source.value, by),
    )


_VERSIONS: Final = """
SELECT version, number, kind, allow_bulk_sms, given_at, how, wording, given_by, address, source, recorded_by,
    recorded_at, salt, personal_hash, hash
FROM consent_version WHERE tenant_id = $1 AND customer_id = $2 AND version > $3 ORDER BY version LIMIT $4
"""


async def page_of_versions(tx: Tx, tenant_id: UUID, customer_id: int, after: int, limit: int) -> list[Version]:
    """Words on the consent of a customer from the first, also of one who was removed since."""
    return [Version(**row) for row in await tx.fetch(_VERSIONS, tenant_id, customer_id, after, limit)]


_SUPPRESSIONS: Final = """
SELECT number_hash, version, suppressed, scope, source, inbound_id, reason, wording, given_at, address, changed_by,
    changed_at
FROM suppression_version WHERE tenant_id = $1 AND number_hash IN (
    SELECT number_hash FROM consent_version
    WHERE tenant_id = $1 AND customer_id = ANY ($2::bigint[]) AND number_hash IS NOT NULL
    UNION SELECT number_hash FROM customer_number WHERE tenant_id = $1 AND customer_id = ANY ($2::bigint[]))
ORDER BY number_hash, version LIMIT $3
"""


async def suppressions_of(tx: Tx, tenant_id: UUID, customer_ids: Sequence[int], limit: int) -> list[Record]:
    """Every version of the suppressions of the numbers that customers have, or of which words were kept."""
    return await tx.fetch(_SUPPRESSIONS, tenant_id, list(customer_ids), limit)


_LAST: Final = _VERSIONS.replace("version > $3 ORDER BY version LIMIT $4", "version > 0 ORDER BY version DESC LIMIT 1")


async def last_version(tx: Tx, tenant_id: UUID, customer_id: int) -> Version:
    """The last word, where there is one."""
    row = await tx.fetchrow(_LAST, tenant_id, customer_id)
    assert row is not None, "it was written in this transaction"
    return Version(**row)
