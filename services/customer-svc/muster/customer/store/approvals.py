"""Requests for a second person's approval, and the rule that asks for them."""
# ruff: noqa: S608 - only columns of this file are joined into statements

from dataclasses import dataclass
from datetime import datetime
from typing import Final
from uuid import UUID

from muster.customer.domain.approvals import Allowed, Bound, Decision, Rule
from muster.kit.pg import Record, Tx

_RULE: Final = """
SELECT credits_above, recipients_above, email, changed_at, changed_by FROM approval_rule WHERE tenant_id = $1
"""


async def rule_row(tx: Tx, tenant_id: UUID) -> Record | None:
    """What a business has chosen; None where it never did."""
    return await tx.fetchrow(_RULE, tenant_id)


async def rule_of(tx: Tx, tenant_id: UUID) -> Rule:
    """What one person alone may send."""
    row = await rule_row(tx, tenant_id)
    return Rule(row["credits_above"], row["recipients_above"]) if row else Rule()


_SET_RULE: Final = """
INSERT INTO approval_rule (tenant_id, credits_above, recipients_above, email, changed_by) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (tenant_id) DO UPDATE SET credits_above = $2, recipients_above = $3, email = $4, changed_by = $5,
    changed_at = kit_now()
WHERE (approval_rule.credits_above, approval_rule.recipients_above, approval_rule.email) IS DISTINCT FROM ($2, $3, $4)
RETURNING true
"""


async def set_rule(tx: Tx, tenant_id: UUID, rule: Rule, email: str, by: str) -> bool:
    """Let one person alone send so much from now on; False where it was so before."""
    return bool(await tx.fetchval(_SET_RULE, tenant_id, rule.credits_above, rule.recipients_above, email, by))


@dataclass(frozen=True, slots=True)
class Asked:
    """What somebody asks to have approved. recipients None: of a schedule, which has a name."""

    approval_id: UUID
    bound: Bound
    credits: int
    recipients: int | None
    note: str
    made_by: str
    asked_by: str
    expires_at: datetime
    name: str = ""


# What it was for is not there any more as it was then. `version` of a send is what its plan came to.
_VOID: Final = """CASE a.subject
    WHEN 'quote' THEN NOT EXISTS (
        SELECT FROM quote q WHERE q.tenant_id = $1 AND q.quote_id = a.subject_id AND q.used_by IS NULL)
    WHEN 'send' THEN NOT EXISTS (
        SELECT FROM bulk b WHERE b.tenant_id = $1 AND b.bulk_id = a.subject_id AND b.phase = 'needs_confirmation'
            AND b.credits = a.version)
    ELSE NOT EXISTS (
        SELECT FROM schedule s WHERE s.tenant_id = $1 AND s.schedule_id = a.subject_id AND s.version = a.version
            AND s.state IN ('active', 'paused')) END"""
_STATE: Final = f"""CASE WHEN a.used_by IS NOT NULL THEN 'used'
    WHEN a.decision IN ('refused', 'withdrawn') THEN a.decision
    WHEN {_VOID} THEN 'void' WHEN a.expires_at <= kit_now() THEN 'expired' ELSE coalesce(a.decision, 'open') END"""
_COLUMNS: Final = f"""
a.approval_id, a.subject, a.subject_id, a.version, a.credits, a.recipients, a.note, a.made_by, a.asked_by, a.asked_at,
    a.expires_at, a.decided_by, a.decided_at, a.reason, a.used_by, {_STATE} AS state"""

# Who asks for the same at once gets the same request: the second waits for the first here.
_ALONE: Final = "SELECT pg_advisory_xact_lock(hashtextextended('approval/' || $1::uuid::text || $2::uuid::text, 0))"
_LAST: Final = f"""
SELECT {_COLUMNS} FROM approval a WHERE a.tenant_id = $1 AND a.subject = $2 AND a.subject_id = $3 AND a.version = $4
ORDER BY a.approval_id DESC LIMIT 1
"""


async def alone(tx: Tx, tenant_id: UUID, bound: Bound) -> None:
    """Nobody else asks about this subject before this transaction has ended."""
    await tx.execute(_ALONE, tenant_id, bound.subject_id)


async def last_of(tx: Tx, tenant_id: UUID, bound: Bound) -> Record | None:
    """The newest request for exactly this, with its state."""
    return await tx.fetchrow(_LAST, tenant_id, bound.subject.value, bound.subject_id, bound.version)


_COUNT_OPEN: Final = """
SELECT count(*) FROM approval WHERE tenant_id = $1 AND decision IS NULL AND expires_at > kit_now()
"""


async def count_open(tx: Tx, tenant_id: UUID) -> int:
    """How many requests of a tenant nobody has decided."""
    count: int = await tx.fetchval(_COUNT_OPEN, tenant_id)
    return count


_ADD: Final = """
INSERT INTO approval (tenant_id, approval_id, subject, subject_id, version, credits, recipients, note, made_by,
                      asked_by, expires_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
"""


async def add(tx: Tx, tenant_id: UUID, asked: Asked) -> None:
    """Store a request."""
    bound = asked.bound
    await tx.execute(
        _ADD,
        *(tenant_id, asked.approval_id, bound.subject.value, bound.subject_id, bound.version, asked.credits),
        *(asked.recipients, asked.note, asked.made_by, asked.asked_by, asked.expires_at),
    )


_ONE: Final = f"SELECT {_COLUMNS} FROM approval a WHERE a.tenant_id = $1 AND a.approval_id = $2"


async def approval_of(tx: Tx, tenant_id: UUID, approval_id: UUID) -> Record | None:
    """A request with its state."""
    return await tx.fetchrow(_ONE, tenant_id, approval_id)


_PAGE: Final = f"""
SELECT * FROM (
    SELECT {_COLUMNS} FROM approval a
    WHERE a.tenant_id = $1 AND ($2::text IS DISTINCT FROM 'open' OR a.decision IS NULL)
        AND ($3::uuid IS NULL OR a.approval_id < $3) AND ($4::uuid IS NULL OR a.subject_id = $4)
) a WHERE $2::text IS NULL OR state = $2 ORDER BY approval_id DESC LIMIT $5
"""


async def page(
    tx: Tx, tenant_id: UUID, state: str | None, before: UUID | None, subject_id: UUID | None, limit: int
) -> list[Record]:
    """Requests, the newest first; in one state, or of one subject, where that is said."""
    return await tx.fetch(_PAGE, tenant_id, state, before, subject_id, limit)


# All of it in one statement: of two who decide at once the second finds it decided, and what expires, changes or is
# sent meanwhile is not decided. What a schedule may do is approved for $6 days.
_DECIDE: Final = f"""
UPDATE approval a SET decision = $3, decided_by = $4, decided_at = kit_now(), reason = $5,
    expires_at = CASE WHEN a.subject = 'schedule' AND $3 = 'approved' THEN kit_now() + make_interval(days => $6)
        ELSE a.expires_at END
WHERE a.tenant_id = $1 AND a.approval_id = $2 AND a.decision IS NULL AND a.expires_at > kit_now() AND NOT {_VOID}
    AND ($3 <> 'approved' OR (a.asked_by <> $4 AND a.made_by <> $4))
"""


async def decide(
    tx: Tx, tenant_id: UUID, approval_id: UUID, decision: Decision, by: str, reason: str, schedule_days: int
) -> bool:
    """Take a person's decision; False where it is not theirs to take, or too late."""
    done: str = await tx.execute(_DECIDE, tenant_id, approval_id, decision.value, by, reason, schedule_days)
    return done == "UPDATE 1"


_USE: Final = """
UPDATE approval SET used_by = CASE subject WHEN 'schedule' THEN NULL ELSE $5::uuid END
WHERE tenant_id = $1 AND approval_id = (
    SELECT approval_id FROM approval
    WHERE tenant_id = $1 AND subject = $2 AND subject_id = $3 AND version = $4 AND decision = 'approved'
        AND used_by IS NULL AND expires_at > kit_now() AND credits >= $6
    ORDER BY approval_id LIMIT 1 FOR UPDATE)
RETURNING approval_id, credits
"""


async def use(tx: Tx, tenant_id: UUID, bound: Bound, bulk_id: UUID, credits: int) -> Allowed | None:
    """What is approved of this now, of at least so many credits: it is this send's from here on. None: nothing is."""
    row = await tx.fetchrow(_USE, tenant_id, bound.subject.value, bound.subject_id, bound.version, bulk_id, credits)
    return Allowed(row["credits"], row["approval_id"]) if row else None


_TEXT: Final = """
SELECT text, sender FROM quote WHERE tenant_id = $1 AND $2 = 'quote' AND quote_id = $3
UNION ALL SELECT text, sender FROM bulk WHERE tenant_id = $1 AND $2 = 'send' AND bulk_id = $3
UNION ALL SELECT text, sender FROM schedule WHERE tenant_id = $1 AND $2 = 'schedule' AND schedule_id = $3
"""


async def text_of(tx: Tx, tenant_id: UUID, approval: Record) -> Record | None:
    """The text and the sender that are to be approved; a schedule may have no sender of its own."""
    return await tx.fetchrow(_TEXT, tenant_id, approval["subject"], approval["subject_id"])
