"""SQL of letters to users: a queue with leases, as the worker, and who asked for a new password."""

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from muster.kit.mail import Queue
from muster.kit.pg import Tx
from muster.tenant.domain.letters import LetterKind, UserLetter

_ADD = "INSERT INTO letter (tenant_id, letter_id, user_id, kind, sealed_token) VALUES ($1, $2, $3, $4, $5)"


async def add(
    tx: Tx, tenant_id: UUID, letter_id: UUID, user_id: UUID, kind: LetterKind, sealed_token: bytes | None
) -> None:
    """Queue a letter, in the transaction of what it is about."""
    await tx.execute(_ADD, tenant_id, letter_id, user_id, kind, sealed_token)


QUEUE = Queue(
    "letter",
    "letter_id",
    """
SELECT l.tenant_id, l.letter_id, l.kind, coalesce(m.email, '') AS recipient, m.name,
    coalesce(t.name, '') AS tenant_name, l.sealed_token, l.since, l.attempts
FROM leased l JOIN member m ON m.tenant_id = l.tenant_id AND m.user_id = l.user_id
    LEFT JOIN tenant t ON t.tenant_id = l.tenant_id
ORDER BY l.since
""",
    blanked="sealed_token",
)


async def lease(tx: Tx, limit: int, lease_s: float, unseal: Callable[[bytes], bytes | None]) -> list[UserLetter]:
    """Take the letters that are due, oldest first, for `lease_s` seconds."""
    found = []
    for row in await QUEUE.lease(tx, limit, lease_s):
        values = dict(row)
        sealed = values.pop("sealed_token")
        token = unseal(bytes(sealed)) if sealed is not None else None
        values |= {"kind": LetterKind(values["kind"]), "token": token.decode() if token is not None else None}
        found.append(UserLetter(**values))
    return found


_PENDING = "SELECT count(tenant_id) FROM letter WHERE state = 'due'"


async def pending(tx: Tx) -> int:
    """How many letters are not sent yet."""
    return int(await tx.fetchval(_PENDING))


_LOCK_USER = "SELECT pg_advisory_xact_lock(hashtextextended('reset ' || $1::uuid::text, 0))"


async def lock_user(tx: Tx, user_id: UUID) -> None:
    """Make whoever else answers the same user wait until this transaction has ended."""
    await tx.execute(_LOCK_USER, user_id)


_SENT_OF_LATE = """
SELECT max(since) AS last_at, count(*) AS in_a_day FROM letter
WHERE tenant_id = $1 AND user_id = $2 AND kind = $3 AND since > $4
"""


async def sent_of_late(
    tx: Tx, tenant_id: UUID, user_id: UUID, kind: LetterKind, since: datetime
) -> tuple[datetime | None, int]:
    """(when the last letter of a kind to a user was queued, how many since that time)."""
    row = await tx.fetchrow(_SENT_OF_LATE, tenant_id, user_id, kind, since)
    assert row is not None
    return row["last_at"], row["in_a_day"]


_ASK = "INSERT INTO reset_asked (asked_id, email) VALUES ($1, $2)"


async def ask_reset(tx: Tx, asked_id: UUID, email: str) -> None:
    """Somebody asks for a new password for this address, whether it is anybody's or not."""
    await tx.execute(_ASK, asked_id, email)


# allow ordered-locks: SKIP LOCKED waits for nobody
_TAKE = """
DELETE FROM reset_asked WHERE asked_id IN (
    SELECT asked_id FROM reset_asked ORDER BY asked_at LIMIT $1 FOR UPDATE SKIP LOCKED)
RETURNING email
"""


async def take_asked(tx: Tx, limit: int) -> list[str]:
    """The addresses that were asked for longest ago; they are asked for no more."""
    return sorted({row["email"] for row in await tx.fetch(_TAKE, limit)})


_RESETTABLE = """
SELECT m.tenant_id, m.user_id FROM member m LEFT JOIN tenant t ON t.tenant_id = m.tenant_id
WHERE m.email = $1 AND m.active AND NOT coalesce(t.closed, false) ORDER BY m.tenant_id LIMIT $2
"""


async def resettable(tx: Tx, email: str, limit: int) -> list[tuple[UUID, UUID]]:
    """(tenant, user) of those who may set a new password by this address."""
    return [(row["tenant_id"], row["user_id"]) for row in await tx.fetch(_RESETTABLE, email, limit)]


# allow ordered-locks: nobody else changes rows that are over
_FORGET = """
DELETE FROM letter WHERE (tenant_id, letter_id) IN (
    SELECT tenant_id, letter_id FROM letter WHERE state <> 'due' AND ended_at < $1 ORDER BY 1, 2 LIMIT $2)
"""


async def forget(tx: Tx, before: datetime, limit: int) -> None:
    """Letters that had left, or failed, before; so many at most."""
    await tx.execute(_FORGET, before, limit)
