"""Where people are found in customer-svc beside the customer's own rows, and how they are taken out of it."""

import re
from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

from muster.customer.domain.erasing import Frozen, Traces, without
from muster.kit.pg import Record, Tx

_HASH_BYTES: Final = 17
_LOCK: Final = "SELECT pg_advisory_xact_lock(hashtextextended('erasure/' || $1::uuid::text || $2::bigint, 0))"
_KNOWN: Final = """
SELECT c.customer_id FROM customer c WHERE c.tenant_id = $1 AND (c.customer_id = $2 OR c.merged_into = $2)
ORDER BY c.customer_id FOR UPDATE
"""
_OTHER_NUMBERS: Final = """
SELECT number FROM customer_other_number WHERE tenant_id = $1 AND customer_id = $2 AND kind <> 'short'
"""
_SAID_OF: Final = """
SELECT DISTINCT number, number_hash FROM consent_version WHERE tenant_id = $1 AND customer_id = ANY ($2::bigint[])
"""


async def lock_people(tx: Tx, tenant_id: UUID, customer_id: int) -> list[int]:
    """The customer and those who were merged into them, locked; nobody where there is no such one. Of two who ask for
    somebody who was deleted before, which leaves no row to lock, the second waits too."""
    await tx.execute(_LOCK, tenant_id, customer_id)
    return [row["customer_id"] for row in await tx.fetch(_KNOWN, tenant_id, customer_id)]


_LOCK_NUMBER: Final = (
    "SELECT pg_advisory_xact_lock(hashtextextended('erasure/' || $1::uuid::text || '+' || $2::bigint, 0))"
)
_HOLDERS: Final = """
SELECT customer_id FROM customer_number WHERE tenant_id = $1 AND number = $2
UNION SELECT customer_id FROM customer_other_number WHERE tenant_id = $1 AND number = $2 AND kind <> 'short'
ORDER BY 1 LIMIT $3
"""


async def lock_number(tx: Tx, tenant_id: UUID, number: int, limit: int) -> list[int]:
    """Customers who have a number, the oldest first. Whoever else erases it waits."""
    await tx.execute(_LOCK_NUMBER, tenant_id, number)
    return [row["customer_id"] for row in await tx.fetch(_HOLDERS, tenant_id, number, limit)]


async def other_numbers(tx: Tx, tenant_id: UUID, customer_id: int) -> list[int]:
    """Numbers that are never texted, but from which they may have written: digits of the E.164 form."""
    return [row["number"] for row in await tx.fetch(_OTHER_NUMBERS, tenant_id, customer_id)]


async def said_of(tx: Tx, tenant_id: UUID, customer_ids: Sequence[int]) -> list[Record]:
    """Numbers (number, number_hash) that words on consent were kept of; None for all that they had then."""
    return await tx.fetch(_SAID_OF, tenant_id, list(customer_ids))


_REQUESTS: Final = "SELECT request_id FROM withdrawal_request WHERE tenant_id = $1 AND number_hashes && $2::bytea[]"


async def requests_of(tx: Tx, tenant_id: UUID, hashes: Collection[bytes]) -> list[UUID]:
    """Withdrawals that waited and were applied to these numbers."""
    return [row["request_id"] for row in await tx.fetch(_REQUESTS, tenant_id, list(hashes))]


# Memberships are kept in arrays without an index: they are looked through, for the few who ask. A number in a send that
# was begun after the erasure is of somebody who came back, who has another id: an id is theirs in any send.
_FROZEN: Final = """
SELECT f.bulk_id, f.chunk, f.customer_ids, f.numbers, f.hashes, f.joined, p.step, b.phase, b.recipients
FROM plan_frozen f JOIN bulk b USING (tenant_id, bulk_id) LEFT JOIN plan p USING (tenant_id, bulk_id)
WHERE f.tenant_id = $1 AND f.reason = 0 AND (f.customer_ids && $2::bigint[] OR b.created_at <= $4
    AND EXISTS (SELECT FROM unnest($3::bytea[]) h WHERE position(h IN f.hashes) > 0))
ORDER BY f.bulk_id, f.chunk
"""
_PUT_FROZEN: Final = """
UPDATE plan_frozen SET customer_ids = $4, numbers = $5, joined = $6
WHERE tenant_id = $1 AND bulk_id = $2 AND reason = 0 AND chunk = $3
"""


async def frozen_with(
    tx: Tx, tenant_id: UUID, customer_ids: Collection[int], hashes: Collection[bytes], until: datetime
) -> list[Record]:
    """Chunks of memberships that hold these customers, or until then these numbers, with how far the plan is."""
    return await tx.fetch(_FROZEN, tenant_id, list(customer_ids), list(hashes), until)


def frozen_of(row: Record) -> Frozen:
    """The people of a chunk."""
    hashes = [row["hashes"][at : at + _HASH_BYTES] for at in range(0, len(row["hashes"]), _HASH_BYTES)]
    return Frozen(row["customer_ids"], row["numbers"], hashes, row["joined"])


async def blank_frozen(
    tx: Tx, tenant_id: UUID, row: Record, customer_ids: Collection[int], hashes: Collection[bytes]
) -> bool:
    """Take them out of a chunk; whether they were still in it."""
    left = without(frozen_of(row), customer_ids, hashes)
    if left is None:
        return False
    key = (tenant_id, row["bulk_id"], row["chunk"])
    await tx.execute(_PUT_FROZEN, *key, left.customer_ids, left.numbers, left.joined)
    return True


# What was written to one person alone may name them.
_BLANK_TEXTS: Final = (
    # allow ordered-locks: these sends are over
    "UPDATE bulk SET text = '' WHERE tenant_id = $1 AND bulk_id = ANY ($2::uuid[])",
    # allow ordered-locks: these quotes are used
    """
UPDATE quote SET text = '', others = '{}', details = details - '{shortest,dearest,checks}'::text[]
WHERE tenant_id = $1 AND used_by = ANY ($2::uuid[])
""",
)


async def blank_texts(tx: Tx, tenant_id: UUID, bulk_ids: Sequence[UUID]) -> None:
    """Forget the texts of these sends."""
    for statement in _BLANK_TEXTS:
        await tx.execute(statement, tenant_id, list(bulk_ids))


_UNFREEZE: Final = "DELETE FROM plan_frozen WHERE tenant_id = $1 AND bulk_id = $2"


async def unfreeze(tx: Tx, tenant_id: UUID, bulk_id: UUID) -> None:
    """Forget who a send that waits for its user would go to: they are frozen anew."""
    await tx.execute(_UNFREEZE, tenant_id, bulk_id)


_RUNNING: Final = """
SELECT EXISTS (SELECT FROM customer_import WHERE tenant_id = $1 AND created_at <= $2
    AND state IN ('waiting', 'reading', 'applying'))
"""
_PREVIEWS: Final = """
SELECT import_id FROM customer_import
WHERE tenant_id = $1 AND created_at <= $2 AND state IN ('uploading', 'preview', 'failed')
"""
_CONTENTS: Final = """
SELECT content FROM customer_import_block WHERE tenant_id = $1 AND import_id = $2 AND block = $3
"""


async def import_runs(tx: Tx, tenant_id: UUID, until: datetime) -> bool:
    """Whether a file that came until then is being imported."""
    return bool(await tx.fetchval(_RUNNING, tenant_id, until))


async def waiting_imports(tx: Tx, tenant_id: UUID, until: datetime) -> list[UUID]:
    """Files that came until then and that nobody has started, or that were given up."""
    return [row["import_id"] for row in await tx.fetch(_PREVIEWS, tenant_id, until)]


async def block_content(tx: Tx, tenant_id: UUID, import_id: UUID, block: int) -> bytes | None:
    """Rows of a file, as CSV in UTF-8; None behind the last."""
    content: bytes | None = await tx.fetchval(_CONTENTS, tenant_id, import_id, block)
    return content


_REJECTED: Final = """
SELECT import_id, row, cells FROM customer_import_rejected
WHERE tenant_id = $1 AND (import_id, row) > ($2, $3) ORDER BY import_id, row LIMIT $4
"""
_DROP_REJECTED: Final = "DELETE FROM customer_import_rejected WHERE tenant_id = $1 AND import_id = $2 AND row = $3"
_BLANK_ERRORS: Final = """
UPDATE customer_import_error SET message = '' WHERE tenant_id = $1 AND import_id = $2 AND row = $3
"""


async def drop_rejected(tx: Tx, tenant_id: UUID, traces: Traces, at_once: int = 1_000) -> None:
    """Rows of files that were left out, and that are about them."""
    after: tuple[UUID, int] = (UUID(int=0), 0)
    while rows := await tx.fetch(_REJECTED, tenant_id, *after, at_once):
        for row in rows:
            if traces.in_cells(row["cells"]):
                for statement in (_DROP_REJECTED, _BLANK_ERRORS):
                    await tx.execute(statement, tenant_id, row["import_id"], row["row"])
        after = rows[-1]["import_id"], rows[-1]["row"]


# By customer, by number, by the digits of a number.
_BY_CUSTOMER: Final = (
    # allow ordered-locks: all that it locks is about one person, who is gone
    """
UPDATE consent_version SET number = NULL, how = '', wording = '', given_by = '', address = '', salt = NULL
WHERE tenant_id = $1 AND customer_id = ANY ($2::bigint[]) AND salt IS NOT NULL
""",
    # allow ordered-locks: all that it locks is about one person, who is gone
    """
UPDATE quote SET text = '', others = '{}', details = details - '{shortest,dearest,checks}'::text[],
    expires_at = least(expires_at, kit_now()),
    audience = audience || '{"customer_ids": []}'
WHERE tenant_id = $1 AND jsonb_typeof(audience -> 'customer_ids') = 'array' AND audience -> 'customer_ids' <> '[]'
    AND audience -> 'customer_ids' <@ to_jsonb($2::bigint[])
""",
    # allow ordered-locks: all that it locks is about one person, who is gone
    """
UPDATE quote SET details = jsonb_set(details, '{missing}', coalesce((
    SELECT jsonb_agg(m) FROM jsonb_array_elements(details -> 'missing') m
    WHERE NOT (m ->> 'customer_id')::bigint = ANY ($2::bigint[])), '[]'))
WHERE tenant_id = $1 AND EXISTS (SELECT FROM jsonb_array_elements(
    CASE jsonb_typeof(details -> 'missing') WHEN 'array' THEN details -> 'missing' ELSE '[]' END) m
    WHERE (m ->> 'customer_id')::bigint = ANY ($2::bigint[]))
""",
    # allow ordered-locks: all that it locks is about one person, who is gone
    """
UPDATE quote SET details = details - ARRAY(
    SELECT k FROM unnest(ARRAY['shortest', 'dearest']) k
    WHERE (details -> k ->> 'customer_id')::bigint = ANY ($2::bigint[]))
WHERE tenant_id = $1 AND ((details -> 'shortest' ->> 'customer_id')::bigint = ANY ($2::bigint[])
    OR (details -> 'dearest' ->> 'customer_id')::bigint = ANY ($2::bigint[]))
""",
    # allow ordered-locks: all that it locks is about one person, who is gone
    """
UPDATE schedule SET text = '', state = 'archived', next_at = NULL, next_wall = NULL,
    audience = audience || '{"customer_ids": []}'
WHERE tenant_id = $1 AND jsonb_typeof(audience -> 'customer_ids') = 'array' AND audience -> 'customer_ids' <> '[]'
    AND audience -> 'customer_ids' <@ to_jsonb($2::bigint[])
""",
)
_BY_HASH: Final = (
    # allow ordered-locks: all that it locks is about one person, who is gone
    """
UPDATE suppression_version SET reason = '', wording = '', address = ''
WHERE tenant_id = $1 AND number_hash = ANY ($2::bytea[])
""",
    # allow ordered-locks: all that it locks is about one person, who is gone
    "DELETE FROM number_failure WHERE tenant_id = $1 AND number_hash = ANY ($2::bytea[])",
    # allow ordered-locks: all that it locks is about one person, who is gone
    """
UPDATE withdrawal_request SET address = '', wording = '', reason = CASE reason WHEN '' THEN '' ELSE 'erased' END
WHERE tenant_id = $1 AND number_hashes && $2::bytea[]
""",
)
# Of a number alone: what was said of it by customers who are gone, or who have another one now.
# allow ordered-locks: nobody changes a word on consent but who erases, and who erases a number does so alone
_WORDS_ON: Final = """
UPDATE consent_version SET number = NULL, how = '', wording = '', given_by = '', address = '', salt = NULL
WHERE tenant_id = $1 AND number_hash = ANY ($2::bytea[]) AND salt IS NOT NULL
"""
_WORDS: Final = """
concat_ws(' ', audience ->> 'search', audience ->> 'query', audience ->> 'saved_query',
    audience -> 'exclude' ->> 'query')
"""
_NOBODY: Final = """'{"search": null, "query": null, "saved_query": null, "customer_ids": []}' #- '{exclude,query}'"""
# Whether the digits of a text hold the end of one of the numbers ($2), or its words both names ($3, none where one of
# them is missing).
_HAS: Final = """(SELECT EXISTS (SELECT FROM unnest($2::text[]) t
        WHERE position(t IN regexp_replace(x.of, '[^0-9]', '', 'g')) > 0)
    OR cardinality($3::text[]) > 0 AND NOT EXISTS (SELECT FROM unnest($3::text[]) n WHERE position(
        ' ' || btrim(regexp_replace(customer_fold(n), '[^[:alnum:]]+', ' ', 'g')) || ' '
        IN ' ' || regexp_replace(customer_fold(x.of), '[^[:alnum:]]+', ' ', 'g') || ' ') = 0)
    FROM (SELECT TEXT AS of) x)"""
_BY_WORDS: Final = tuple(
    re.sub(r"HAS\((.*)\)HAS", lambda text: _HAS.replace("TEXT", text[1]), statement)
    .replace("WORDS", _WORDS)
    .replace("NOBODY", _NOBODY)
    for statement in (
        # allow ordered-locks: all that it locks is about one person, who is gone
        """
UPDATE withdrawal_request SET address = '', wording = ''
WHERE tenant_id = $1 AND HAS(address || ' ' || wording)HAS
""",
        # allow ordered-locks: all that it locks is about one person, who is gone
        "DELETE FROM saved_search WHERE tenant_id = $1 AND HAS(query)HAS",
        # allow ordered-locks: all that it locks is about one person, who is gone
        """
UPDATE quote SET text = '', others = '{}', details = details - '{shortest,dearest}'::text[],
    expires_at = least(expires_at, kit_now()),
    audience = audience || NOBODY
WHERE tenant_id = $1 AND HAS(WORDS)HAS
""",
        # allow ordered-locks: all that it locks is about one person, who is gone
        """
UPDATE schedule SET state = 'archived', next_at = NULL, next_wall = NULL,
    audience = audience || NOBODY
WHERE tenant_id = $1 AND HAS(WORDS)HAS
""",
        # Texts to others that have them in it. What is still to be rendered or agreed to keeps its text.
        # allow ordered-locks: all that it locks is about one person, who is gone
        """
UPDATE bulk b SET text = '(erased)'
WHERE tenant_id = $1 AND phase = 'requested' AND text <> '' AND HAS(text)HAS AND NOT EXISTS (
    SELECT FROM plan p WHERE p.tenant_id = $1 AND p.bulk_id = b.bulk_id AND p.step <> 'done')
""",
        # Each single message has its own text here; it is published, and nobody renders it again.
        # allow ordered-locks: all that it locks is about one person, who is gone
        """
UPDATE plan_frozen f SET joined = ARRAY(
    SELECT CASE WHEN HAS(j.text)HAS THEN '(erased)' ELSE j.text END
    FROM unnest(f.joined) WITH ORDINALITY AS j (text, place) ORDER BY j.place)
FROM bulk b WHERE f.tenant_id = $1 AND b.tenant_id = $1 AND b.bulk_id = f.bulk_id AND b.kind <> 1 AND f.reason = 0
    AND EXISTS (SELECT FROM unnest(f.joined) AS j (text) WHERE HAS(j.text)HAS)
""",
        # allow ordered-locks: all that it locks is about one person, who is gone
        """
UPDATE quote SET text = '(erased)', others = '{}', details = details - '{shortest,dearest,checks}'::text[],
    expires_at = least(expires_at, kit_now())
WHERE tenant_id = $1 AND HAS(text || others::text)HAS
""",
        # allow ordered-locks: all that it locks is about one person, who is gone
        """
UPDATE schedule SET text = '(erased)', state = 'archived', next_at = NULL, next_wall = NULL
WHERE tenant_id = $1 AND HAS(text)HAS
""",
    )
)


async def blank_rest(
    tx: Tx, tenant_id: UUID, customer_ids: Sequence[int], hashes: Sequence[bytes], traces: Traces
) -> None:
    """What else holds them: words on consent and suppressions, requests, and quotes, searches and schedules that are
    for them alone or have one of their numbers or both their names in a query."""
    found: tuple[tuple[tuple[str, ...], tuple[Sequence[Any], ...]], ...] = (
        (_BY_CUSTOMER, (customer_ids,)),
        (_BY_HASH if customer_ids else (*_BY_HASH, _WORDS_ON), (hashes,)),
        (_BY_WORDS, (traces.tails, traces.names or ())),
    )
    for statements, whose in found:
        for statement in statements if any(whose) else ():
            await tx.execute(statement, tenant_id, *map(list, whose))
