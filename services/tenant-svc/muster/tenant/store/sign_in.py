"""SQL of signing in. What takes a tenant_id runs in a request for that tenant; the rest runs as the worker."""
# ruff: noqa: S608 - only column lists of this file are joined into statements

from datetime import datetime
from uuid import UUID

from muster.kit.pg import Record, Tx
from muster.tenant.domain.sign_in import Account, Guesses, Link, LinkKind, Session

_ACCOUNT = """
SELECT m.tenant_id, m.user_id, m.email, m.name, m.role, p.hash, coalesce(t.name, '') AS tenant_name,
    coalesce(t.country, '') AS country, coalesce(t.time_zone, '') AS time_zone,
    coalesce(t.suspended, false) AS suspended
FROM member m LEFT JOIN password p ON p.tenant_id = m.tenant_id AND p.user_id = m.user_id
    LEFT JOIN tenant t ON t.tenant_id = m.tenant_id
WHERE m.active AND NOT coalesce(t.closed, false)
"""

_ACCOUNTS = f"""
{_ACCOUNT} AND m.email = $1 AND p.hash IS NOT NULL AND ($2::uuid IS NULL OR m.tenant_id = $2)
ORDER BY m.tenant_id LIMIT $3
"""


async def accounts(tx: Tx, email: str, only: UUID | None, limit: int) -> list[Account]:
    """Who can sign in with this address, as the worker: users of several tenants may have the same one."""
    return [Account(**dict(row)) for row in await tx.fetch(_ACCOUNTS, email, only, limit)]


_ACCOUNT_OF = f"{_ACCOUNT} AND m.tenant_id = $1 AND m.user_id = $2"


async def account(tx: Tx, tenant_id: UUID, user_id: UUID) -> Account | None:
    """A user who may act."""
    row = await tx.fetchrow(_ACCOUNT_OF, tenant_id, user_id)
    return Account(**dict(row)) if row else None


_LOCK_MEMBER = "SELECT active FROM member WHERE tenant_id = $1 AND user_id = $2 FOR SHARE"


async def lock_active(tx: Tx, tenant_id: UUID, user_id: UUID) -> bool:
    """Whether the user may act; who ends their access waits until this transaction has ended, or was before it."""
    return bool(await tx.fetchval(_LOCK_MEMBER, tenant_id, user_id))


_PUT_HASH = """
INSERT INTO password (tenant_id, user_id, hash) VALUES ($1, $2, $3)
ON CONFLICT (tenant_id, user_id) DO UPDATE SET hash = $3, changed_at = kit_now()
"""


async def put_password(tx: Tx, tenant_id: UUID, user_id: UUID, hashed: str) -> None:
    """A user's password."""
    await tx.execute(_PUT_HASH, tenant_id, user_id, hashed)


_REHASH = "UPDATE password SET hash = $4 WHERE tenant_id = $1 AND user_id = $2 AND hash = $3"


async def rehash(tx: Tx, tenant_id: UUID, user_id: UUID, before: str, hashed: str) -> None:
    """The same password by other parameters; nothing where it was changed meanwhile."""
    await tx.execute(_REHASH, tenant_id, user_id, before, hashed)


_SESSION = "tenant_id, session_id, user_id, created_at, seen_at, expires_at, ended_at, address, user_agent"

_OPEN = f"""
INSERT INTO session (tenant_id, session_id, user_id, token_hash, expires_at, address, user_agent)
VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING {_SESSION}
"""


async def open_session(
    tx: Tx,
    tenant_id: UUID,
    session_id: UUID,
    user_id: UUID,
    token_hash: bytes,
    expires_at: datetime,
    address: str,
    user_agent: str,
) -> Session:
    """A new session of a user that is there."""
    row = await tx.fetchrow(_OPEN, tenant_id, session_id, user_id, token_hash, expires_at, address, user_agent)
    assert row is not None
    return Session(**dict(row))


_BY_TOKEN = f"SELECT {_SESSION} FROM session WHERE token_hash = $1"


async def session_of(tx: Tx, token_hash: bytes) -> Session | None:
    """The session of a token, as the worker: its tenant is what is asked for."""
    row = await tx.fetchrow(_BY_TOKEN, token_hash)
    return Session(**dict(row)) if row else None


_NOTE_SEEN = "UPDATE session SET seen_at = kit_now() WHERE tenant_id = $1 AND session_id = $2"


async def note_seen(tx: Tx, tenant_id: UUID, session_id: UUID) -> None:
    """A session was used just now."""
    await tx.execute(_NOTE_SEEN, tenant_id, session_id)


_SESSIONS = f"""
SELECT {_SESSION} FROM session
WHERE tenant_id = $1 AND user_id = $2 AND ended_at IS NULL AND expires_at > $3 AND seen_at > $4
ORDER BY created_at DESC, session_id LIMIT $5
"""


async def sessions(
    tx: Tx, tenant_id: UUID, user_id: UUID, now: datetime, seen_since: datetime, limit: int
) -> list[Session]:
    """Where a user is signed in, the newest first."""
    return [Session(**dict(row)) for row in await tx.fetch(_SESSIONS, tenant_id, user_id, now, seen_since, limit)]


_END_SESSION = """
UPDATE session SET ended_at = kit_now()
WHERE tenant_id = $1 AND session_id = $2 AND ($3::uuid IS NULL OR user_id = $3) AND ended_at IS NULL
RETURNING user_id
"""


async def end_session(tx: Tx, tenant_id: UUID, session_id: UUID, of: UUID | None) -> UUID | None:
    """End a session, where `of` is given of that user alone; whose it was, None where there is none that holds."""
    found: UUID | None = await tx.fetchval(_END_SESSION, tenant_id, session_id, of)
    return found


_END_SESSIONS = """
UPDATE session SET ended_at = kit_now() WHERE tenant_id = $1 AND session_id IN (
    SELECT session_id FROM session
    WHERE tenant_id = $1 AND user_id = $2 AND ended_at IS NULL AND ($3::uuid IS NULL OR session_id <> $3)
    ORDER BY session_id FOR NO KEY UPDATE)
"""


async def end_sessions(tx: Tx, tenant_id: UUID, user_id: UUID, but: UUID | None = None) -> None:
    """End all sessions of a user, but one."""
    await tx.execute(_END_SESSIONS, tenant_id, user_id, but)


_KNOWN_PLACE = """
SELECT EXISTS (
    SELECT FROM member m JOIN session s ON s.tenant_id = m.tenant_id AND s.user_id = m.user_id
    WHERE m.email = $1 AND s.address = $2 AND s.created_at > $3)
"""


async def is_known_place(tx: Tx, email: str, address: str, since: datetime) -> bool:
    """Whether a user of this address has signed in from that place of the network, as the worker."""
    return bool(await tx.fetchval(_KNOWN_PLACE, email, address, since))


_BEGIN_GUESSES = """
INSERT INTO guesses (subject, failures, last_at, next_at) VALUES ($1, 0, $2, $2) ON CONFLICT (subject) DO NOTHING
"""
_LOCK_GUESSES = "SELECT failures, last_at, next_at FROM guesses WHERE subject = $1 FOR NO KEY UPDATE"


async def lock_guesses(tx: Tx, subject: bytes, now: datetime) -> Guesses:
    """The guesses at a subject, as the worker; others at the same wait until this transaction has ended."""
    await tx.execute(_BEGIN_GUESSES, subject, now)
    row = await tx.fetchrow(_LOCK_GUESSES, subject)
    assert row is not None
    return Guesses(**dict(row))


_PUT_GUESSES = "UPDATE guesses SET failures = $2, last_at = $3, next_at = $4 WHERE subject = $1"


async def put_guesses(tx: Tx, subject: bytes, guesses: Guesses) -> None:
    """One more guess; needs `lock_guesses`."""
    await tx.execute(_PUT_GUESSES, subject, guesses.failures, guesses.last_at, guesses.next_at)


_FORGIVE = "DELETE FROM guesses WHERE subject = $1"


async def forgive(tx: Tx, subject: bytes) -> None:
    """The password was right: what was guessed at this subject before is forgotten."""
    await tx.execute(_FORGIVE, subject)


_DROP_LINKS = """
DELETE FROM link WHERE tenant_id = $1 AND kind = $2 AND user_id IS NOT DISTINCT FROM $3 AND used_at IS NULL
"""
_ADD_LINK = """
INSERT INTO link (tenant_id, link_id, kind, user_id, token_hash, expires_at) VALUES ($1, $2, $3, $4, $5, $6)
"""


async def add_link(
    tx: Tx,
    tenant_id: UUID,
    link_id: UUID,
    kind: LinkKind,
    user_id: UUID | None,
    token_hash: bytes,
    expires_at: datetime,
) -> None:
    """A new link in place of one of its kind that nobody used; needs `lock_tenant` or the member's lock."""
    await tx.execute(_DROP_LINKS, tenant_id, kind, user_id)
    await tx.execute(_ADD_LINK, tenant_id, link_id, kind, user_id, token_hash, expires_at)


_FIND_LINK = """
SELECT l.tenant_id, l.link_id, l.kind, l.user_id, coalesce(m.email, '') AS email, coalesce(m.name, '') AS name,
    coalesce(t.name, '') AS tenant_name, coalesce(t.country, '') AS country, coalesce(t.time_zone, '') AS time_zone,
    l.expires_at, l.used_at
FROM link l LEFT JOIN member m ON m.tenant_id = l.tenant_id AND m.user_id = l.user_id
    LEFT JOIN tenant t ON t.tenant_id = l.tenant_id
WHERE l.token_hash = $1
"""


async def find_link(tx: Tx, token_hash: bytes) -> Link | None:
    """The link of a token, as the worker: its tenant is what is asked for."""
    row = await tx.fetchrow(_FIND_LINK, token_hash)
    return _link(row) if row else None


_USE_LINK = """
UPDATE link SET used_at = kit_now() WHERE tenant_id = $1 AND link_id = $2 AND used_at IS NULL RETURNING true
"""


async def use_link(tx: Tx, tenant_id: UUID, link_id: UUID) -> bool:
    """Whether it is this transaction that uses the link; of several at once one does."""
    return bool(await tx.fetchval(_USE_LINK, tenant_id, link_id))


# allow ordered-locks: nobody else changes rows that are over
_FORGET_SESSIONS = """
DELETE FROM session WHERE (tenant_id, session_id) IN (
    SELECT tenant_id, session_id FROM session
    WHERE least(expires_at, coalesce(ended_at, 'infinity')) < $1 ORDER BY 1, 2 LIMIT $2)
"""
# allow ordered-locks: nobody else changes rows that are over
_FORGET_LINKS = """
DELETE FROM link WHERE (tenant_id, link_id) IN (
    SELECT tenant_id, link_id FROM link WHERE expires_at < $1 ORDER BY 1, 2 LIMIT $2)
"""
# allow ordered-locks: nobody else changes rows that are over
_FORGET_GUESSES = """
DELETE FROM guesses WHERE subject IN (SELECT subject FROM guesses WHERE last_at < $1 ORDER BY 1 LIMIT $2)
"""


async def forget(tx: Tx, before: datetime, limit: int) -> None:
    """Sessions, links and guesses that were over before, as the worker; so many of each at most."""
    for statement in (_FORGET_SESSIONS, _FORGET_LINKS, _FORGET_GUESSES):
        await tx.execute(statement, before, limit)


def _link(row: Record) -> Link:
    values = dict(row)
    return Link(**{**values, "kind": LinkKind(values["kind"])})
