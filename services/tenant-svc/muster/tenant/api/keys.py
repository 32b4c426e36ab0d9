"""API keys: client credentials of a user, which carry that user's role. The secret is shown once."""

import secrets
from datetime import datetime
from hashlib import sha256
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from muster.kit import audit, clock
from muster.kit.acts import Act
from muster.kit.auth import Begin, Caller, Permission, Role, requires, tx_of_tenant
from muster.kit.http import Model, Moment
from muster.kit.idempotency import Once, idempotent
from muster.kit.ids import uuid7
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.pg import Tx
from muster.kit.problems import conflict, not_found, unprocessable
from muster.tenant import domain, store
from muster.tenant.api.keyring import Keyring
from muster.tenant.api.users import new_member
from muster.tenant.api.wrong import refuse
from muster.tenant.domain import ApiKey, Member
from muster.tenant.settings import TenantSettings

router = APIRouter(prefix="/v1")

_SECRET_BYTES = 32

Text = Annotated[str, Field(max_length=1_000)]
Manager = Annotated[Caller, requires(Permission.MANAGE_KEYS)]


class KeyIn(Model):
    """A new API key: of `user_id`, or of a new machine user with `role`, or of the caller.

    The operator names the tenant, and makes its first admin by leaving out both.
    """

    name: Text
    user_id: UUID | None = None
    role: Text | None = None
    tenant_id: UUID | None = None
    expires_at: Moment | None = None


class KeyOut(Model):
    """An API key, without its secret."""

    id: UUID
    client_id: str
    name: str
    role: str
    user_id: UUID
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


class NewKeyOut(KeyOut):
    """An API key with its secret, which is not stored and never shown again."""

    client_secret: str


@router.post("/api-keys", status_code=201, response_model=NewKeyOut)
async def create_key(
    request: Request,
    body: KeyIn,
    caller: Manager,
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
) -> Response:
    """Make an API key."""
    refuse(domain.check_member(body.name, None, body.role or "admin"))
    if body.expires_at is not None and body.expires_at <= clock.now():
        raise unprocessable("expires_at", "in_the_past", "must be in the future")
    keyring: Keyring = request.app.state.keyring
    settings: TenantSettings = request.app.state.settings
    tenant_id = body.tenant_id or caller.tenant_id
    async with begin(tenant_id) as tx:

        async def make() -> tuple[int, NewKeyOut]:
            return 201, await _make(tx, caller, tenant_id, body, settings)

        return await once.answer(tx, caller, body, make, tenant_id=tenant_id, sealer=keyring.seal)


@router.get("/api-keys")
async def list_keys(
    caller: Manager,
    begin: Annotated[Begin, tx_of_tenant],
    tenant_id: UUID | None = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[KeyOut]:
    """The tenant's API keys, the oldest first, revoked ones too."""
    after = decode_cursor(cursor, {"id": UUID})["id"] if cursor else None
    tenant_id = tenant_id or caller.tenant_id
    async with begin(tenant_id) as tx:
        found = await store.keys(tx, tenant_id, after, limit + 1)
    return page_of(found, limit, lambda key: KeyOut(**_members(key)), lambda key: {"id": key.key_id})


@router.delete("/api-keys/{key_id}", status_code=204)
async def revoke_key(
    key_id: UUID, caller: Manager, begin: Annotated[Begin, tx_of_tenant], tenant_id: UUID | None = None
) -> None:
    """End an API key, for good; doing it again changes nothing. Tokens given before run out by time."""
    tenant_id = tenant_id or caller.tenant_id
    async with begin(tenant_id) as tx:
        ended = await store.revoke_key(tx, tenant_id, key_id)
        if ended is None:
            raise not_found("api-key")
        if ended:
            await emit(tx, audit.record(caller, Act.API_KEY_REVOKED, str(key_id), tenant_id=tenant_id))


async def _make(tx: Tx, caller: Caller, tenant_id: UUID, body: KeyIn, settings: TenantSettings) -> NewKeyOut:
    keys_max = settings.tenant_api_keys_max
    member = await _owner(tx, caller, tenant_id, body, settings.tenant_users_max)
    if await store.count_live_keys(tx, tenant_id) >= keys_max:
        raise conflict("too_many_api_keys", "The tenant has too many API keys", "Revoke one first.", limit=keys_max)
    key_id = uuid7()
    client_id, client_secret = f"mk_{key_id.hex}", secrets.token_urlsafe(_SECRET_BYTES)
    secret_hash = sha256(client_secret.encode()).digest()
    key = await store.add_key(tx, tenant_id, key_id, member.user_id, client_id, secret_hash, body.name, body.expires_at)
    await emit(tx, audit.record(caller, Act.API_KEY_CREATED, str(key_id), key.role, tenant_id=tenant_id))
    return NewKeyOut(**_members(key), client_secret=client_secret)


async def _owner(tx: Tx, caller: Caller, tenant_id: UUID, body: KeyIn, users_max: int) -> Member:
    """The user whose key it becomes: one that is named, a new machine, or the caller."""
    user_id = body.user_id
    if user_id is None and body.role is None and tenant_id == caller.tenant_id:
        user_id = UUID(caller.user_id)
    if user_id is None:
        return await new_member(tx, caller, tenant_id, None, body.name, body.role or Role.ADMIN, users_max)
    member = await store.find_member(tx, tenant_id, user_id)
    # A key of another operator's would let one person be two, where a second one is asked for.
    if member is None or (member.role == Role.OPERATOR and str(member.user_id) != caller.user_id):
        raise not_found("user")
    if not member.active:
        raise conflict("user_inactive", "This user has no access", "Give it back first: its keys get no token.")
    if body.role is not None and body.role != member.role:
        raise unprocessable("role", "role_of_user", f"a key carries its user's role, which is {member.role}")
    return member


def _members(key: ApiKey) -> dict[str, object]:
    return {
        "id": key.key_id,
        "client_id": key.client_id,
        "name": key.name,
        "role": key.role,
        "user_id": key.user_id,
        "created_at": key.created_at,
        "expires_at": key.expires_at,
        "last_used_at": key.last_used_at,
        "revoked_at": key.revoked_at,
    }
