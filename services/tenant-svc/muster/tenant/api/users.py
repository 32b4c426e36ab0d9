"""Users: people with an e-mail address, machines without."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field

from muster.kit import audit
from muster.kit.acts import Act
from muster.kit.auth import Begin, Caller, Permission, Role, requires, tx_of_tenant
from muster.kit.http import Flag, Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.ids import uuid7
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.pg import Tx
from muster.kit.problems import conflict, not_found
from muster.tenant import domain, store
from muster.tenant.api.keyring import Keyring
from muster.tenant.api.wrong import refuse
from muster.tenant.domain import Member
from muster.tenant.domain.sign_in import LinkKind
from muster.tenant.mail import send_link
from muster.tenant.settings import TenantSettings

router = APIRouter(prefix="/v1")

Text = Annotated[str, Field(max_length=1_000)]
Manager = Annotated[Caller, requires(Permission.MANAGE_TEAM)]


class UserIn(Model):
    """A new user. The operator names the tenant; an admin's is the own one."""

    email: Text
    name: Text
    role: Text
    tenant_id: UUID | None = None


class UserChange(Model):
    """What is to change; what is left out stays."""

    name: Text = ""
    role: Text = ""
    active: Flag = True
    tenant_id: UUID | None = None


class UserOut(Model):
    """A user; `email` is null for a machine."""

    id: UUID
    email: str | None
    name: str
    role: str
    active: bool
    created_at: datetime


@router.post("/users", status_code=201, response_model=UserOut)
async def create_user(
    request: Request,
    body: UserIn,
    caller: Manager,
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
) -> Response:
    """Make a user, who is invited by e-mail to choose a password."""
    email = body.email.lower()
    refuse(domain.check_member(body.name, email, body.role))
    settings: TenantSettings = request.app.state.settings
    keyring: Keyring = request.app.state.keyring
    tenant_id = body.tenant_id or caller.tenant_id
    async with begin(tenant_id) as tx:

        async def make() -> tuple[int, UserOut]:
            member = await new_member(tx, caller, tenant_id, email, body.name, body.role, settings.tenant_users_max)
            await send_link(tx, settings, keyring.seal, tenant_id, member.user_id, LinkKind.INVITATION)
            return 201, _out(member)

        return await once.answer(tx, caller, body, make, tenant_id=tenant_id)


@router.get("/users")
async def list_users(
    caller: Manager,
    begin: Annotated[Begin, tx_of_tenant],
    tenant_id: UUID | None = None,
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[UserOut]:
    """The tenant's users, the oldest first."""
    after = decode_cursor(cursor, {"id": UUID})["id"] if cursor else None
    tenant_id = tenant_id or caller.tenant_id
    async with begin(tenant_id) as tx:
        found = await store.members(tx, tenant_id, after, limit + 1)
    return page_of(found, limit, _out, lambda member: {"id": member.user_id})


@router.get("/users/{user_id}")
async def read_user(
    user_id: UUID, caller: Manager, begin: Annotated[Begin, tx_of_tenant], tenant_id: UUID | None = None
) -> UserOut:
    """One user."""
    tenant_id = tenant_id or caller.tenant_id
    async with begin(tenant_id) as tx:
        member = await store.find_member(tx, tenant_id, user_id)
    if member is None:
        raise not_found("user")
    return _out(member)


@router.patch("/users/{user_id}", response_model=UserOut)
async def change_user(
    user_id: UUID,
    body: UserChange,
    caller: Manager,
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
) -> Response:
    """Rename a user, give another role, or end their access (`active: false`); tokens given before run out by time."""
    tenant_id = body.tenant_id or caller.tenant_id
    async with begin(tenant_id) as tx:

        async def make() -> tuple[int, UserOut]:
            return 200, _out(await _change(tx, caller, tenant_id, user_id, body))

        return await once.answer(tx, caller, body, make, tenant_id=tenant_id)


async def new_member(
    tx: Tx, caller: Caller, tenant_id: UUID, email: str | None, name: str, role: str, users_max: int
) -> Member:
    """A new user of a tenant that is there; Problem 404 and 409."""
    if await store.lock_tenant(tx, tenant_id) is None:
        raise not_found("tenant")
    users, _ = await store.count_members(tx, tenant_id)
    if users >= users_max:
        raise conflict("too_many_users", "The tenant has too many users", f"At most {users_max}.", limit=users_max)
    member = await store.add_member(tx, tenant_id, uuid7(), email, name, role)
    if member is None:
        raise conflict("email_taken", "The tenant has a user with this address", "Give another one.", field="email")
    await emit(tx, audit.record(caller, Act.USER_CREATED, str(member.user_id), role, tenant_id=tenant_id))
    return member


async def _change(tx: Tx, caller: Caller, tenant_id: UUID, user_id: UUID, body: UserChange) -> Member:
    # Under the tenant's lock: two admins cannot both take the other's role at once.
    await store.lock_tenant(tx, tenant_id)
    member = await store.find_member(tx, tenant_id, user_id)
    if member is None or member.role == Role.OPERATOR:
        raise not_found("user")
    given = body.model_fields_set
    name = body.name if "name" in given else member.name
    role = body.role if "role" in given else member.role
    active = body.active if "active" in given else member.active
    refuse(domain.check_member(name, None, role))
    _, admins = await store.count_members(tx, tenant_id)
    if domain.is_last_admin(member, admins) and not (active and role == Role.ADMIN):
        raise conflict("last_admin", "A tenant keeps one active admin", "Make another user admin first.")
    changed = await store.save_member(tx, tenant_id, user_id, name, role, active=active)
    if changed != member:
        await emit(tx, audit.record(caller, Act.USER_CHANGED, str(user_id), role, tenant_id=tenant_id))
    return changed


def _out(member: Member) -> UserOut:
    return UserOut(
        id=member.user_id,
        email=member.email,
        name=member.name,
        role=member.role,
        active=member.active,
        created_at=member.created_at,
    )
