"""The register of senders. Whoever gives a number to somebody holds its lock; that it is one's at a time is also a
constraint."""

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from muster.dispatch.domain.senders import Kind, Registration, Standing, Use, kind_of
from muster.dispatch.events import CLASS_MARKETING
from muster.dispatch.events.senders import Sender
from muster.kit.pg import Record, Tx

_LOCK: Final = """
SELECT pg_advisory_xact_lock(hashtextextended('dispatch.sender.' || s, 0))
FROM (SELECT DISTINCT unnest($1::text[]) AS s ORDER BY 1) n
"""


async def lock(tx: Tx, senders: Collection[str]) -> None:
    """Nobody else gives these to anybody until the end of the transaction."""
    await tx.fetch(_LOCK, list(senders))


_FIND: Final = "SELECT * FROM sender_number WHERE owner_tenant_id = $1 AND sender = $2 FOR UPDATE"


async def find(tx: Tx, tenant_id: UUID, sender: str) -> Sender | None:
    """A sender of a business, locked; None if it never had it."""
    row = await tx.fetchrow(_FIND, tenant_id, sender)
    return _sender(row) if row else None


_CHOSEN_BEFORE: Final = """
SELECT * FROM sender_number WHERE owner_tenant_id = $1 AND sender <> $2 AND NOT by_operator
    AND standing IN ('active', 'withheld') ORDER BY sender FOR UPDATE
"""


async def chosen_before(tx: Tx, tenant_id: UUID, sender: str) -> list[Sender]:
    """What the settings of a business chose before this one, locked."""
    return [_sender(row) for row in await tx.fetch(_CHOSEN_BEFORE, tenant_id, sender)]


_HOLDER: Final = """
SELECT * FROM sender_number WHERE sender = $2 AND owner_tenant_id <> $1
    AND standing IN ('active', 'leased', 'quarantined') LIMIT 1
"""


async def other_holder(tx: Tx, tenant_id: UUID, sender: str) -> Sender | None:
    """Who else has a number; names are anybody's. The number must be locked."""
    if kind_of(sender) is Kind.NAME:
        return None
    row = await tx.fetchrow(_HOLDER, tenant_id, sender)
    return _sender(row) if row else None


_PUT: Final = """
INSERT INTO sender_number AS s (owner_tenant_id, sender, version, receives_replies, standing, registration, reference,
    reason, by_operator, until)
VALUES ($1, $2, 1, $3, $4, $5, $6, $7, $8, $9)
ON CONFLICT (owner_tenant_id, sender) DO UPDATE SET version = s.version + 1, receives_replies = $3, standing = $4,
    registration = $5, reference = $6, reason = $7, by_operator = $8, until = $9, changed_at = kit_now()
RETURNING *
"""


async def put(tx: Tx, one: Sender) -> Sender:
    """Store how a sender stands, as its next version."""
    row = await tx.fetchrow(
        _PUT,
        *(one.owner_tenant_id, one.sender, one.receives_replies, one.standing, one.registration, one.reference),
        *(one.reason, one.by_operator, one.until),
    )
    assert row is not None
    return _sender(row)


# A chunk says its sender as the event did: with the plus or without.
_USE: Final = """
SELECT max(submitted_at) FILTER (WHERE message_class = $3) AS last_at,
    max(send_by) FILTER (WHERE message_class = $3 AND open > 0) AS queued_until, count(*) > 0 AS ever
FROM chunk WHERE tenant_id = $1 AND ltrim(sender, '+') = $2
"""


async def use_of(tx: Tx, tenant_id: UUID, sender: str) -> Use:
    """What a business has sent by it."""
    row = await tx.fetchrow(_USE, tenant_id, sender, CLASS_MARKETING)
    assert row is not None
    return Use(row["last_at"], row["queued_until"], row["ever"])


_DUE: Final = """
SELECT * FROM sender_number WHERE until <= kit_now() ORDER BY owner_tenant_id, sender LIMIT $1 FOR UPDATE SKIP LOCKED
"""


async def due(tx: Tx, limit: int) -> list[Sender]:
    """Those whose lease or quarantine is over, locked."""
    return [_sender(row) for row in await tx.fetch(_DUE, limit)]


@dataclass(frozen=True, slots=True)
class Asked:
    """Which senders are asked for; None: any."""

    tenant_id: UUID | None = None
    sender: str | None = None
    standing: Standing | None = None
    registration: Registration | None = None


_PAGE: Final = """
SELECT * FROM sender_number WHERE (sender, owner_tenant_id) > ($1, $2)
    AND ($3::uuid IS NULL OR owner_tenant_id = $3) AND ($4::text IS NULL OR sender = $4)
    AND ($5::text IS NULL OR standing = $5) AND ($6::text IS NULL OR registration = $6)
ORDER BY sender, owner_tenant_id LIMIT $7
"""


async def page(tx: Tx, after: tuple[str, UUID], asked: Asked, limit: int) -> list[Sender]:
    """Senders in order, with whose they are."""
    wanted = (asked.tenant_id, asked.sender, asked.standing, asked.registration)
    return [_sender(row) for row in await tx.fetch(_PAGE, *after, *wanted, limit)]


_OWNER: Final = """
SELECT owner_tenant_id FROM sender_number
WHERE sender = $1 AND sender ~ '^[0-9]+$' AND standing IN ('active', 'leased') AND receives_replies
"""


async def owner_of(tx: Tx, sender: str) -> UUID | None:
    """Who gets what is written to this number (digits without plus): who has it, or had it while the lease lasts."""
    owner: UUID | None = await tx.fetchval(_OWNER, sender)
    return owner


def a_new(tenant_id: UUID, sender: str, now: datetime) -> Sender:
    """One that a business has never had."""
    return Sender(
        tenant_id, sender, 0, receives_replies=kind_of(sender) is Kind.NUMBER, standing=Standing.FREE,
        registration=Registration.UNREGISTERED, reference="", reason="", by_operator=False, until=None, changed_at=now,
    )  # fmt: skip


def _sender(row: Record) -> Sender:
    values = dict(row)
    values["standing"], values["registration"] = Standing(row["standing"]), Registration(row["registration"])
    return Sender(**values)
