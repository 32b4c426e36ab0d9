"""SQL of tenant-svc. What takes a tenant_id runs in a request for that tenant; the rest runs as the worker."""
# ruff: noqa: S608 - only column lists of this file are joined into statements

from collections.abc import Sequence
from dataclasses import astuple
from datetime import datetime
from typing import Any
from uuid import UUID

from muster.kit.pg import Record, Tx
from muster.laws.system import Reference
from muster.tenant.domain import (
    ApiKey,
    Asked,
    Credential,
    Entry,
    FailedRule,
    Member,
    Settings,
    SigningKey,
    Tenant,
    UnknownRule,
)

_SETTINGS = (
    "name, country, time_zone, sender, allow_sms_replies, reception_email, quiet_from_minute, quiet_to_minute, "
    "unknown_rule, at_least_once, closed, failed_rule, parent_id, suspended, "
    "countries, countries_max, customary_hours, holidays, closed_days, parts_per_second, parts_max"
)
_TENANT = f"tenant_id, version, {_SETTINGS}, created_at, updated_at"

_ADD_TENANT = f"""
INSERT INTO tenant (tenant_id, {_SETTINGS})
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21, $22)
RETURNING {_TENANT}
"""


async def add_tenant(tx: Tx, tenant_id: UUID, settings: Settings) -> Tenant:
    """A new tenant, at version 1."""
    return _tenant(await tx.fetchrow(_ADD_TENANT, tenant_id, *astuple(settings)))


_FIND_TENANT = f"SELECT {_TENANT} FROM tenant WHERE tenant_id = $1"


async def find_tenant(tx: Tx, tenant_id: UUID) -> Tenant | None:
    """A tenant as it is now."""
    row = await tx.fetchrow(_FIND_TENANT, tenant_id)
    return _tenant(row) if row else None


_LOCK_TENANT = f"{_FIND_TENANT} FOR NO KEY UPDATE"


async def lock_tenant(tx: Tx, tenant_id: UUID) -> Tenant | None:
    """A tenant, locked until the transaction's end: who changes settings, users or keys takes turns."""
    row = await tx.fetchrow(_LOCK_TENANT, tenant_id)
    return _tenant(row) if row else None


_SAVE_TENANT = f"""
UPDATE tenant SET version = version + 1, updated_at = kit_now(), name = $2, country = $3, time_zone = $4, sender = $5,
    allow_sms_replies = $6, reception_email = $7, quiet_from_minute = $8, quiet_to_minute = $9, unknown_rule = $10,
    at_least_once = $11, closed = $12, failed_rule = $13, parent_id = $14, suspended = $15,
    countries = $16, countries_max = $17, customary_hours = $18, holidays = $19, closed_days = $20,
    parts_per_second = $21, parts_max = $22
WHERE tenant_id = $1
RETURNING {_TENANT}
"""


async def save_tenant(tx: Tx, tenant_id: UUID, settings: Settings) -> Tenant:
    """Changed settings, at the next version."""
    return _tenant(await tx.fetchrow(_SAVE_TENANT, tenant_id, *astuple(settings)))


_SUSPEND = f"""
UPDATE tenant SET version = version + (suspended <> $3)::int, updated_at = kit_now(), suspended = $3,
    suspension_version = $2
WHERE tenant_id = $1 AND suspension_version < $2
RETURNING {_TENANT}
"""


async def suspend(tx: Tx, tenant_id: UUID, version: int, *, suspended: bool) -> Tenant | None:
    """What dispatch-svc said of a tenant, as the worker, under `version` of its own; None where a later word is
    here, or no such tenant."""
    row = await tx.fetchrow(_SUSPEND, tenant_id, version, suspended)
    return _tenant(row) if row else None


_TENANTS = f"""
SELECT {_TENANT} FROM tenant WHERE $1::uuid IS NULL OR tenant_id > $1 ORDER BY tenant_id LIMIT $2
"""


async def tenants(tx: Tx, after: UUID | None, limit: int) -> list[Tenant]:
    """Tenants by id, as the worker: for the operator."""
    return [_tenant(row) for row in await tx.fetch(_TENANTS, after, limit)]


_RECENTLY_CHANGED = f"""
SELECT {_TENANT} FROM tenant WHERE updated_at > kit_now() - make_interval(secs => $1) ORDER BY tenant_id
"""


async def recently_changed(tx: Tx, younger_than_s: int) -> list[Tenant]:
    """Tenants whose settings changed within that time, as the worker."""
    return [_tenant(row) for row in await tx.fetch(_RECENTLY_CHANGED, younger_than_s)]


_MEMBER = "tenant_id, user_id, email, name, role, active, created_at"

_ADD_MEMBER = f"""
INSERT INTO member (tenant_id, user_id, email, name, role) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (tenant_id, email) DO NOTHING
RETURNING {_MEMBER}
"""


async def add_member(tx: Tx, tenant_id: UUID, user_id: UUID, email: str | None, name: str, role: str) -> Member | None:
    """A new user; None where the tenant has one with this address."""
    row = await tx.fetchrow(_ADD_MEMBER, tenant_id, user_id, email, name, role)
    return _member(row) if row else None


_FIND_MEMBER = f"SELECT {_MEMBER} FROM member WHERE tenant_id = $1 AND user_id = $2"


async def find_member(tx: Tx, tenant_id: UUID, user_id: UUID) -> Member | None:
    """A user of the tenant."""
    row = await tx.fetchrow(_FIND_MEMBER, tenant_id, user_id)
    return _member(row) if row else None


_SAVE_MEMBER = f"""
UPDATE member SET name = $3, role = $4, active = $5 WHERE tenant_id = $1 AND user_id = $2 RETURNING {_MEMBER}
"""


async def save_member(tx: Tx, tenant_id: UUID, user_id: UUID, name: str, role: str, *, active: bool) -> Member:
    """A changed user."""
    return _member(await tx.fetchrow(_SAVE_MEMBER, tenant_id, user_id, name, role, active))


_MEMBERS = f"""
SELECT {_MEMBER} FROM member WHERE tenant_id = $1 AND ($2::uuid IS NULL OR user_id > $2) ORDER BY user_id LIMIT $3
"""


async def members(tx: Tx, tenant_id: UUID, after: UUID | None, limit: int) -> list[Member]:
    """Users by id; ids are made in order of time."""
    return [_member(row) for row in await tx.fetch(_MEMBERS, tenant_id, after, limit)]


_COUNT_MEMBERS = """
SELECT count(*) AS users, count(*) FILTER (WHERE role = 'admin' AND active) AS admins FROM member WHERE tenant_id = $1
"""


async def count_members(tx: Tx, tenant_id: UUID) -> tuple[int, int]:
    """(users, active admins) of the tenant."""
    row = await tx.fetchrow(_COUNT_MEMBERS, tenant_id)
    assert row is not None
    return row["users"], row["admins"]


_KEY = """
k.tenant_id, k.key_id, k.user_id, k.client_id, k.name, m.role, k.created_at, k.expires_at, k.last_used_at, k.revoked_at
"""

_ADD_KEY = f"""
WITH k AS (
    INSERT INTO api_key (tenant_id, key_id, user_id, client_id, secret_hash, name, expires_at)
    VALUES ($1, $2, $3, $4, $5, $6, $7) RETURNING *)
SELECT {_KEY} FROM k JOIN member m ON m.tenant_id = k.tenant_id AND m.user_id = k.user_id
"""


async def add_key(
    tx: Tx,
    tenant_id: UUID,
    key_id: UUID,
    user_id: UUID,
    client_id: str,
    secret_hash: bytes,
    name: str,
    expires_at: datetime | None,
) -> ApiKey:
    """A new API key of a user that is there."""
    row = await tx.fetchrow(_ADD_KEY, tenant_id, key_id, user_id, client_id, secret_hash, name, expires_at)
    return _api_key(row)


_KEYS = f"""
SELECT {_KEY} FROM api_key k JOIN member m ON m.tenant_id = k.tenant_id AND m.user_id = k.user_id
WHERE k.tenant_id = $1 AND ($2::uuid IS NULL OR k.key_id > $2) ORDER BY k.key_id LIMIT $3
"""


async def keys(tx: Tx, tenant_id: UUID, after: UUID | None, limit: int) -> list[ApiKey]:
    """API keys by id, revoked ones too; ids are made in order of time."""
    return [_api_key(row) for row in await tx.fetch(_KEYS, tenant_id, after, limit)]


_COUNT_LIVE_KEYS = """
SELECT count(*) FROM api_key
WHERE tenant_id = $1 AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > kit_now())
"""


async def count_live_keys(tx: Tx, tenant_id: UUID) -> int:
    """How many API keys of the tenant could get a token."""
    count: int = await tx.fetchval(_COUNT_LIVE_KEYS, tenant_id)
    return count


_REVOKE_KEY = """
UPDATE api_key SET revoked_at = kit_now() WHERE tenant_id = $1 AND key_id = $2 AND revoked_at IS NULL RETURNING true
"""
_HAS_KEY = "SELECT true FROM api_key WHERE tenant_id = $1 AND key_id = $2"


async def revoke_key(tx: Tx, tenant_id: UUID, key_id: UUID) -> bool | None:
    """End an API key; False where it was ended before, None where the tenant has none of this id."""
    if await tx.fetchval(_REVOKE_KEY, tenant_id, key_id):
        return True
    return False if await tx.fetchval(_HAS_KEY, tenant_id, key_id) else None


_CREDENTIAL = """
SELECT k.tenant_id, k.user_id, k.key_id, k.client_id, k.secret_hash, m.role, m.active,
    coalesce(t.closed, false) AS tenant_closed, coalesce(t.suspended, false) AS tenant_suspended, k.expires_at,
    k.last_used_at, k.revoked_at, coalesce(t.country, '') AS country
FROM api_key k JOIN member m ON m.tenant_id = k.tenant_id AND m.user_id = k.user_id
    LEFT JOIN tenant t ON t.tenant_id = k.tenant_id
WHERE k.client_id = $1
"""


async def credential(tx: Tx, client_id: str) -> Credential | None:
    """What is known of a client id, as the worker: its tenant is what is asked for."""
    row = await tx.fetchrow(_CREDENTIAL, client_id)
    return Credential(**{**dict(row), "secret_hash": bytes(row["secret_hash"])}) if row else None


_NOTE_USE = "UPDATE api_key SET last_used_at = kit_now() WHERE tenant_id = $1 AND key_id = $2"


async def note_use(tx: Tx, tenant_id: UUID, key_id: UUID) -> None:
    """An API key got a token just now."""
    await tx.execute(_NOTE_USE, tenant_id, key_id)


_PUT_OPERATOR = """
INSERT INTO member (tenant_id, user_id, name, role, email) VALUES ($1, $2, $3, 'operator', $4)
ON CONFLICT (tenant_id, user_id) DO UPDATE SET active = true, email = $4
"""

_PUT_OPERATOR_KEY = """
INSERT INTO api_key (tenant_id, key_id, user_id, client_id, secret_hash, name)
VALUES ($1, $2, $3, $4, $5, 'from the environment')
ON CONFLICT (tenant_id, key_id) DO UPDATE SET client_id = $4, secret_hash = $5, revoked_at = NULL
"""


async def put_operator(
    tx: Tx, tenant_id: UUID, user_id: UUID, key_id: UUID, client_id: str, secret: bytes, email: str | None
) -> None:
    """An operator and the API key of the environment, made or brought up to date."""
    await tx.execute(_PUT_OPERATOR, tenant_id, user_id, client_id, email)
    await tx.execute(_PUT_OPERATOR_KEY, tenant_id, key_id, user_id, client_id, secret)


_END_OPERATORS = """
UPDATE member SET active = false WHERE tenant_id = $1 AND role = 'operator' AND user_id <> ALL($2::uuid[])
"""


async def end_operators(tx: Tx, tenant_id: UUID, but: Sequence[UUID]) -> None:
    """End the access of all operators but these."""
    await tx.execute(_END_OPERATORS, tenant_id, list(but))


_ADD_ACTS = """
INSERT INTO act (tenant_id, event_id, at, act, user_id, role, subject_kind, subject_id, service, reason)
SELECT * FROM unnest($1::uuid[], $2::uuid[], $3::timestamptz[], $4::text[], $5::text[], $6::text[], $7::text[],
    $8::text[], $9::text[], $10::text[])
ORDER BY 1, 2 ON CONFLICT (tenant_id, event_id) DO NOTHING
"""


async def add_acts(tx: Tx, acts: Sequence[Entry]) -> None:
    """Acts of all tenants, as the worker; those that are there already stay as they are."""
    await tx.execute(_ADD_ACTS, *map(list, zip(*(astuple(act) for act in acts), strict=True)))


_ACTS = """
SELECT tenant_id, event_id, at, act, user_id, role, subject_kind, subject_id, service, reason FROM act
WHERE tenant_id = $1 AND ($2::timestamptz IS NULL OR (at, event_id) < ($2, $3::uuid))
    AND ($5::text IS NULL OR user_id = $5) AND ($6::text IS NULL OR act = $6) AND ($7::text IS NULL OR subject_id = $7)
    AND ($8::timestamptz IS NULL OR at >= $8) AND ($9::timestamptz IS NULL OR at < $9)
ORDER BY at DESC, event_id DESC LIMIT $4
"""


async def acts(tx: Tx, tenant_id: UUID, before: tuple[datetime, UUID] | None, limit: int, asked: Asked) -> list[Entry]:
    """Acts of the tenant that fit, the newest first."""
    at, event_id = before or (None, None)
    rows = await tx.fetch(_ACTS, tenant_id, at, event_id, limit, *astuple(asked))
    return [Entry(**dict(row)) for row in rows]


# One number for all replicas: who makes or forgets a signing key holds it.
_LOCK_KEYRING = "SELECT pg_advisory_xact_lock(7204561193)"


async def lock_keyring(tx: Tx) -> None:
    """Make other replicas wait until this transaction has ended."""
    await tx.execute(_LOCK_KEYRING)


_SIGNING_KEYS = "SELECT kid, public_key, sealed_private_key, created_at FROM signing_key ORDER BY created_at, kid"


async def signing_keys(tx: Tx) -> list[tuple[SigningKey, bytes]]:
    """(key without its private half, sealed private half) of all signing keys, as the worker."""
    return [
        (SigningKey(row["kid"], bytes(row["public_key"]), None, row["created_at"]), bytes(row["sealed_private_key"]))
        for row in await tx.fetch(_SIGNING_KEYS)
    ]


_ADD_SIGNING_KEY = "INSERT INTO signing_key (kid, public_key, sealed_private_key, created_at) VALUES ($1, $2, $3, $4)"


async def add_signing_key(tx: Tx, key: SigningKey, sealed: bytes) -> None:
    """A new signing key; needs `lock_keyring`."""
    await tx.execute(_ADD_SIGNING_KEY, key.kid, key.public_key, sealed, key.created_at)


# allow ordered-locks: they are few, and who changes the keyring holds its lock
_FORGET_SIGNING_KEYS = "DELETE FROM signing_key WHERE kid = ANY($1::text[])"


async def forget_signing_keys(tx: Tx, kids: Sequence[str]) -> None:
    """Signing keys of which no token can live any more."""
    await tx.execute(_FORGET_SIGNING_KEYS, list(kids))


_STRANGERS = """
SELECT k.tenant_id, k.key_id, m.tenant_id AS of_tenant
FROM api_key k LEFT JOIN member m ON m.user_id = k.user_id
WHERE m.tenant_id IS DISTINCT FROM k.tenant_id LIMIT 100
"""

# allow tenant-in-tenant-sql: counts every tenant's rows for the operator
_LAW_SIZE = "SELECT (SELECT count(*) FROM api_key) + (SELECT count(*) FROM member)"

_HOMELESS = """
SELECT m.tenant_id, m.user_id FROM member m LEFT JOIN tenant t ON t.tenant_id = m.tenant_id
WHERE t.tenant_id IS NULL AND m.role <> 'operator' LIMIT 100
"""


async def crossings(tx: Tx) -> tuple[int, list[Reference]]:
    """How many keys and users there are, and those that belong to another tenant or to none, as the worker."""
    checked: int = await tx.fetchval(_LAW_SIZE)
    keys_found = [
        Reference(row["tenant_id"], f"API key {row['key_id']}", row["of_tenant"]) for row in await tx.fetch(_STRANGERS)
    ]
    users_found = [Reference(row["tenant_id"], f"user {row['user_id']}") for row in await tx.fetch(_HOMELESS)]
    return checked, keys_found + users_found


def _tenant(row: Record | None) -> Tenant:
    assert row is not None
    values: dict[str, Any] = dict(row)
    outer = {name: values.pop(name) for name in ("tenant_id", "version", "created_at", "updated_at")}
    values["unknown_rule"] = UnknownRule(values["unknown_rule"])
    values["failed_rule"] = FailedRule(values["failed_rule"])
    for name in ("countries", "countries_max", "holidays", "closed_days"):
        values[name] = tuple(values[name])
    return Tenant(settings=Settings(**values), **outer)


def _member(row: Record | None) -> Member:
    assert row is not None
    return Member(**dict(row))


def _api_key(row: Record | None) -> ApiKey:
    assert row is not None
    return ApiKey(**dict(row))
