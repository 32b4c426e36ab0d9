"""Erased people: every service that holds what they were sent or wrote remembers their numbers by hash, blanks what it
has, and blanks what comes late.

An erasure covers what is of before it (`muster.events.personal`). A handler that stores something about numbers asks
`erased_since` in the same transaction and blanks those. One that was told of nobody, since the erasure was not
committed yet, has an id by then: `forget` goes through the tables once more when all transactions of before its first
look have ended. Only then it says `PersonForgotten`.
"""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from uuid import UUID

from google.protobuf.message import DecodeError

from muster.events import TYPES, key_of_number
from muster.events.personal import PERSONAL_TOPICS, PERSONAL_TYPES
from muster.events.v1.suppressions_pb2 import PersonErased, PersonForgotten
from muster.kit import clock, metrics, observe
from muster.kit.consumer.received import Poison, Received
from muster.kit.outbox import Fact, emit
from muster.kit.pg import Database, Record, Tx

Gone = Mapping[bytes, datetime]
"""When each number (by its hash) of one tenant was erased."""
Blank = Callable[[Tx, UUID, Gone], Awaitable[None]]
"""Takes out of a service's own tables what is of before these erasures of a tenant; harmless when done again."""

_AT_ONCE: Final = 500
_ROWS: Final = 100
# Within the hour that is promised, many times.
_RETRY_S: Final = 10.0
_RETRY_MAX_S: Final = 300.0
# No event with a number or a text is kept as long as this: what is of before an erasure comes no later.
_LATE_D: Final = 4

log = observe.logger(__name__)


@dataclass(frozen=True, slots=True)
class Erasure:
    """A number that was erased; `version` is its owner's."""

    tenant_id: UUID
    number_hash: bytes
    version: int
    at: datetime


def erasures_of(batch: Sequence[Received[PersonErased]]) -> list[Erasure]:
    """What was said, one for each number."""
    found = []
    for received in batch:
        message = received.message
        at = datetime.fromtimestamp((message.at_unix_ms or received.time_unix_ms) / 1000, UTC)
        if not message.version:
            raise Poison("an erasure without a version")
        told = (UUID(message.tenant_id), message.version, at)
        found += [Erasure(told[0], number_hash, *told[1:]) for number_hash in message.number_hashes]
    return found


_REMEMBER: Final = """
INSERT INTO erased_number AS e (tenant_id, number_hash, version, erased_at)
SELECT DISTINCT ON (tenant_id, number_hash) * FROM unnest($1::uuid[], $2::bytea[], $3::bigint[], $4::timestamptz[])
    AS n (tenant_id, number_hash, version, erased_at) ORDER BY tenant_id, number_hash, version DESC
ON CONFLICT (tenant_id, number_hash) DO UPDATE SET version = excluded.version, erased_at = excluded.erased_at,
    heard_at = kit_now(), seen_xid = NULL, forgotten_at = NULL
WHERE e.version < excluded.version
"""


async def remember(tx: Tx, erasures: Sequence[Erasure]) -> None:
    """Keep who was erased; an older version of a number changes nothing."""
    if erasures:
        rows = [(one.tenant_id, one.number_hash, one.version, one.at) for one in erasures]
        await tx.execute(_REMEMBER, *map(list, zip(*rows, strict=True)))


async def on_person_erased(tx: Tx, batch: Sequence[Received[PersonErased]]) -> None:
    """The handler of a service for which remembering is enough: `forget` does the rest."""
    await remember(tx, erasures_of(batch))


_HAVE_ID: Final = "SELECT pg_current_xact_id()"
_SINCE: Final = """
SELECT tenant_id, number_hash, erased_at FROM erased_number WHERE tenant_id = ANY ($1::uuid[]) AND erased_at >= $2
"""


async def erased_since(tx: Tx, tenants: Collection[UUID], since: datetime) -> dict[UUID, dict[bytes, datetime]]:
    """Who of these tenants was erased at a moment or later: mostly nobody. Nothing older reaches what is stored now."""
    await tx.execute(_HAVE_ID)  # before the snapshot of what follows: see above
    found: dict[UUID, dict[bytes, datetime]] = {}
    for row in await tx.fetch(_SINCE, sorted(set(tenants)), since):
        found.setdefault(row["tenant_id"], {})[row["number_hash"]] = row["erased_at"]
    return found


def unix_ms(gone: Gone) -> dict[bytes, int]:
    """The same in unix milliseconds, as `muster.events.personal` wants it."""
    return {number_hash: round(at.timestamp() * 1000) for number_hash, at in gone.items()}


# A tenant at a time, of whom nobody else takes care now: who waited longest. Who failed before is tried alone.
_DUE: Final = """
WITH due AS (
    SELECT tenant_id, number_hash, failures, coalesce(retry_at, heard_at) AS since FROM erased_number
    WHERE forgotten_at IS NULL AND (seen_xid IS NULL OR seen_xid <= pg_snapshot_xmin(pg_current_snapshot()))
        AND (retry_at IS NULL OR retry_at <= kit_now())
), first AS (SELECT tenant_id, number_hash, failures FROM due ORDER BY since LIMIT 1)
SELECT e.tenant_id, e.number_hash, e.version, e.erased_at, e.seen_xid IS NOT NULL AS seen
FROM first f JOIN due d ON d.tenant_id = f.tenant_id
        AND CASE WHEN f.failures = 0 THEN d.failures = 0 ELSE d.number_hash = f.number_hash END
    JOIN erased_number e ON e.tenant_id = d.tenant_id AND e.number_hash = d.number_hash
ORDER BY e.number_hash LIMIT $1 FOR UPDATE OF e SKIP LOCKED
"""
# allow ordered-locks: _DUE has locked them
_SEEN: Final = """
UPDATE erased_number SET seen_xid = pg_snapshot_xmax(pg_current_snapshot())
WHERE tenant_id = $1 AND number_hash = ANY ($2::bytea[])
"""
# allow ordered-locks: _DUE has locked them
_FORGOTTEN: Final = """
UPDATE erased_number SET forgotten_at = kit_now() WHERE tenant_id = $1 AND number_hash = ANY ($2::bytea[])
"""


_PUT_OFF: Final = """
UPDATE erased_number e SET failures = least(e.failures + 1, 100),
    retry_at = kit_now() + make_interval(secs => least($3 * 2 ^ least(e.failures, 20), $4))
FROM (SELECT number_hash FROM erased_number WHERE tenant_id = $1 AND number_hash = ANY ($2::bytea[])
      ORDER BY number_hash FOR UPDATE) put_off
WHERE e.tenant_id = $1 AND e.number_hash = put_off.number_hash
"""


async def forget(db: Database, blank: Blank) -> bool:
    """Blank what one tenant's erasures reach, in the kit's tables and by `blank` in the service's own; and say of those
    numbers that were gone through twice that they are forgotten. Whether there may be more.

    Those with whom it fails are put off, for longer each time, and keep nobody else waiting."""
    rows: Sequence[Record] = ()
    try:
        async with db.worker() as tx:
            rows = await tx.fetch(_DUE, _AT_ONCE)
            if rows:
                await _forget(tx, rows[0]["tenant_id"], rows, blank)
            await _measure(tx)
    except Exception:
        if not rows:
            raise
        failed("forget", rows[0]["tenant_id"])
        async with db.worker() as tx:
            numbers = [row["number_hash"] for row in rows]
            await tx.execute(_PUT_OFF, rows[0]["tenant_id"], numbers, _RETRY_S, _RETRY_MAX_S)
    return bool(rows)


def failed(step: str, tenant_id: UUID) -> None:
    """Tell of an exception that is being handled, with which erased people of a tenant are put off."""
    metrics.erasures_failed.labels(group=observe.service()).inc()
    log.exception("erasure.failed", step=step, tenant_id=str(tenant_id))


async def _forget(tx: Tx, tenant_id: UUID, rows: Sequence[Record], blank: Blank) -> None:
    gone = {row["number_hash"]: row["erased_at"] for row in rows}
    await blank(tx, tenant_id, gone)
    await blank_waiting(tx, tenant_id, gone)
    again = [row for row in rows if row["seen"]]
    first = [row["number_hash"] for row in rows if not row["seen"]]
    await tx.execute(_SEEN, tenant_id, first)
    await tx.execute(_FORGOTTEN, tenant_id, [row["number_hash"] for row in again])
    await emit(tx, *(_forgotten(tenant_id, row["number_hash"], row["version"]) for row in again))


def _forgotten(tenant_id: UUID, number_hash: bytes, version: int) -> Fact:
    message = PersonForgotten(
        tenant_id=str(tenant_id),
        number_hash=number_hash,
        version=version,
        service=observe.service(),
        at_unix_ms=clock.unix_ms(),
    )
    return Fact(message, key=key_of_number(tenant_id, number_hash))


_LATE: Final = """
SELECT tenant_id, number_hash, erased_at FROM erased_number
WHERE heard_at > kit_now() - make_interval(days => $1) AND forgotten_at IS NOT NULL ORDER BY tenant_id
"""


async def forget_late(db: Database) -> None:
    """Blank what has been parked or queued since about people who were erased lately."""
    async with db.worker() as tx:
        by_tenant: dict[UUID, dict[bytes, datetime]] = {}
        for row in await tx.fetch(_LATE, _LATE_D):
            by_tenant.setdefault(row["tenant_id"], {})[row["number_hash"]] = row["erased_at"]
    for tenant_id, gone in by_tenant.items():
        try:
            async with db.worker() as tx:
                await blank_waiting(tx, tenant_id, gone)
        except Exception:  # the next look is theirs; the others have this one
            failed("late", tenant_id)


_OLDEST: Final = """
SELECT coalesce(extract(epoch FROM kit_now() - min(erased_at)), 0)::float8 FROM erased_number
WHERE forgotten_at IS NULL -- of every tenant_id
"""


async def _measure(tx: Tx) -> None:
    metrics.erasures_oldest_seconds.labels(group=observe.service()).set(await tx.fetchval(_OLDEST))


# What cannot even be read may be about anybody, and its tenant may be unknown (the nil one).
_OUTBOX: Final = """
SELECT tenant_id, lane, id, topic, type, value FROM outbox
WHERE tenant_id IN ($1, '00000000-0000-0000-0000-000000000000') AND type = ANY ($2::text[]) AND value <> ''
    AND (lane, id) > ($3, $4) ORDER BY lane, id LIMIT $5
"""
_OUTBOX_BLANK: Final = "UPDATE outbox SET value = $4 WHERE tenant_id = $1 AND lane = $2 AND id = $3"
_LETTERS: Final = """
SELECT tenant_id, id, type, value FROM dead_letter
WHERE tenant_id IN ($1, '00000000-0000-0000-0000-000000000000') AND state = 'waiting' AND topic = ANY ($2::text[])
    AND value <> '' AND id > $3 ORDER BY id LIMIT $4
"""
_LETTER_BLANK: Final = """
UPDATE dead_letter SET value = $3, value_bytes = octet_length($3::bytea) WHERE tenant_id = $1 AND id = $2
"""
_LETTER_EMPTY: Final = """
UPDATE dead_letter SET value = '', reason = left(reason, 900) || '; emptied, since a person was erased who may be in it'
WHERE tenant_id = $1 AND id = $2
"""


async def blank_waiting(tx: Tx, tenant_id: UUID, gone: Gone) -> None:
    """Take people out of what waits to be published, and of what waits for an operator. A dead letter of which nobody
    can say who is in it is emptied."""
    at = unix_ms(gone)
    place = (0, 0)
    while rows := await tx.fetch(_OUTBOX, tenant_id, sorted(PERSONAL_TYPES), *place, _ROWS):
        for row in rows:
            value = _blanked(tenant_id, row, at)
            if value or (value is not None and row["topic"].endswith("-dlq")):
                # allow ordered-locks: a row at a time, which its relay alone deletes
                await tx.execute(_OUTBOX_BLANK, row["tenant_id"], row["lane"], row["id"], value)
        place = (rows[-1]["lane"], rows[-1]["id"])
    after = UUID(int=0)
    while rows := await tx.fetch(_LETTERS, tenant_id, sorted(PERSONAL_TOPICS), after, _ROWS):
        for row in rows:
            value = _blanked(tenant_id, row, at)
            if value:
                await tx.execute(_LETTER_BLANK, row["tenant_id"], row["id"], value)
            elif value is not None:
                await tx.execute(_LETTER_EMPTY, row["tenant_id"], row["id"])
        after = rows[-1]["id"]


_ANSWERS_NAMING: Final = """
UPDATE idempotency SET status = 410, answer = $3 WHERE (tenant_id, route, key) IN (
    SELECT tenant_id, route, key FROM idempotency
    WHERE tenant_id = $1 AND EXISTS (SELECT FROM unnest($2::bytea[]) w WHERE position(w IN answer) > 0)
    ORDER BY tenant_id, route, key FOR UPDATE)
"""
_ERASED_ANSWER: Final = (
    b'{"type":"about:blank","title":"What was answered is erased","status":410,"code":"erased",'
    b'"detail":"The request was done once. A person was erased since whom its answer named."}'
)


async def blank_answers(tx: Tx, tenant_id: UUID, words: Collection[str]) -> None:
    """Forget the stored answers to idempotency keys that hold one of these words (numbers in E.164, parts of JSON): who
    repeats such a request is told so, and it is not done again."""
    if words:
        await tx.execute(_ANSWERS_NAMING, tenant_id, [word.encode() for word in sorted(words)], _ERASED_ANSWER)


def _blanked(tenant_id: UUID, row: Record, gone: Mapping[bytes, int]) -> bytes | None:
    """The row's event without those who are gone; None where they are not in it, empty where nobody can tell."""
    if row["type"] not in PERSONAL_TYPES:
        return b""
    try:
        message: Any = TYPES[row["type"]].FromString(row["value"])
        if message.tenant_id and UUID(message.tenant_id) != tenant_id:
            return None
        return message.SerializeToString() if PERSONAL_TYPES[row["type"]](message, gone) else None
    except (DecodeError, ValueError):
        return b""
