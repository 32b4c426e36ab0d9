"""Single-use links: an invitation, a new password, the first admin of a business. Looking at one uses nothing up."""

from datetime import datetime, timedelta
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from muster.kit import audit, clock
from muster.kit.acts import Act
from muster.kit.auth import Begin, Caller, Permission, Role, public, requires, tx_of_tenant
from muster.kit.desk import Desk
from muster.kit.http import Model, allow
from muster.kit.ids import uuid7
from muster.kit.outbox import emit
from muster.kit.pg import Database, Tx
from muster.kit.problems import Problem, conflict, not_found, unprocessable
from muster.tenant import mail
from muster.tenant import store as tenants
from muster.tenant.api.guessing import count_visit
from muster.tenant.api.hashing import Hasher
from muster.tenant.api.keyring import Keyring
from muster.tenant.api.opening import Business, Email, Opened, Password, caller_of, open_session
from muster.tenant.api.tokens import suspended
from muster.tenant.api.wrong import refuse
from muster.tenant.domain import check_email, check_member
from muster.tenant.domain.letters import RESET_PAUSE, LetterKind
from muster.tenant.domain.sign_in import Account, Link, LinkKind, digest
from muster.tenant.settings import TenantSettings
from muster.tenant.store import letters
from muster.tenant.store import sign_in as store

router = APIRouter(prefix="/v1")

_BODY_BYTES_MAX = 16_384

Token = Annotated[str, Field(max_length=200)]
Manager = Annotated[Caller, requires(Permission.MANAGE_TEAM)]


class Look(Model):
    """A link's token."""

    token: Token


class Use(Model):
    """What whoever takes a link says: a password; the first admin of a business their address and name too."""

    token: Token
    password: Password
    email: Email = ""
    name: Annotated[str, Field(max_length=1_000)] = ""


class LinkOut(Model):
    """What a link is for. `email` is null and `name` empty where who takes it becomes a new user; `tenant` is null for
    an operator's."""

    kind: LinkKind
    email: str | None
    name: str
    tenant: Business | None
    expires_at: datetime


class LinkMade(Model):
    """A link to hand over by another way than e-mail. Its token is not stored and never shown again."""

    token: str
    url: str
    expires_at: datetime


class Ask(Model):
    """Whose password is to be set anew."""

    email: Email


class Sent(Model):
    """Where a letter goes, if it is anybody's address."""

    email: str


@router.post("/links/look", dependencies=[allow(body_bytes_max=_BODY_BYTES_MAX)])
@public
async def look_at_link(request: Request, body: Look) -> LinkOut:
    """What a link is for. Problem 404 `link_unknown`, 410 `link_used` or `link_expired`."""
    link = await _find(request, body.token)
    tenant = Business(id=link.tenant_id, name=link.tenant_name, country=link.country, time_zone=link.time_zone)
    return LinkOut(
        kind=link.kind,
        email=link.email or None,
        name=link.name,
        tenant=tenant if link.tenant_name else None,
        expires_at=link.expires_at,
    )


@router.post("/links/use", status_code=201, dependencies=[allow(body_bytes_max=_BODY_BYTES_MAX)])
@public
async def use_link(request: Request, body: Use) -> Opened:
    """Take a link: the password is set, who was signed in as this user is signed out, a session begins. Of two at once
    one succeeds; the other's problem is 410."""
    link = await _find(request, body.token)
    email, name = _who(link, body)
    hasher: Hasher = request.app.state.hasher
    wrong = await hasher.check(body.password, (email, name, link.tenant_name))
    refuse([wrong] if wrong else [])
    hashed = await hasher.hash(body.password)
    db: Database = request.app.state.db
    async with db.request(link.tenant_id) as tx:
        return await _take(request, tx, link, email, name, hashed)


@router.post("/users/{user_id}/link", status_code=201)
async def make_invitation(
    request: Request,
    user_id: UUID,
    caller: Manager,
    begin: Annotated[Begin, tx_of_tenant],
    tenant_id: UUID | None = None,
) -> LinkMade:
    """A link for a user without a password, to hand over by another way than e-mail. It ends one made before."""
    tenant_id = tenant_id or caller.tenant_id
    async with begin(tenant_id) as tx:
        await tenants.lock_tenant(tx, tenant_id)
        await _without_password(tx, tenant_id, user_id)
        made = await _made(request, tx, tenant_id, LinkKind.INVITATION, user_id)
        await emit(tx, audit.record(caller, Act.USER_INVITED, str(user_id), "by hand", tenant_id=tenant_id))
    return made


@router.post("/tenants/{tenant_id}/first-admin", status_code=201)
async def make_first_admin(
    request: Request,
    tenant_id: UUID,
    caller: Annotated[Caller, requires(Permission.RUN_TENANTS)],
    begin: Annotated[Begin, tx_of_tenant],
) -> LinkMade:
    """A link by which whoever takes it becomes an admin of the business. It ends one made before."""
    async with begin(tenant_id) as tx:
        if await tenants.lock_tenant(tx, tenant_id) is None:
            raise not_found("tenant")
        made = await _made(request, tx, tenant_id, LinkKind.FIRST_ADMIN, None)
        act = audit.record(caller, Act.FIRST_ADMIN_INVITED, str(tenant_id), tenant_id=tenant_id)
        await emit(tx, act)
    return made


@router.post("/users/{user_id}/invitation", status_code=202)
async def invite_again(
    request: Request,
    user_id: UUID,
    caller: Manager,
    begin: Annotated[Begin, tx_of_tenant],
    tenant_id: UUID | None = None,
) -> Sent:
    """Send a user without a password an invitation by e-mail, which ends one sent before. Once a minute at most."""
    tenant_id = tenant_id or caller.tenant_id
    settings: TenantSettings = request.app.state.settings
    keyring: Keyring = request.app.state.keyring
    async with begin(tenant_id) as tx:
        await tenants.lock_tenant(tx, tenant_id)
        account = await _without_password(tx, tenant_id, user_id)
        now = clock.now()
        last_at, _ = await letters.sent_of_late(tx, tenant_id, user_id, LetterKind.INVITATION, now - timedelta(days=1))
        if last_at is not None and now - last_at < RESET_PAUSE:
            problem = Problem(429, "sent_just_now", "An invitation was sent just now", "Wait a minute.")
            raise problem.with_headers({"Retry-After": str(int(RESET_PAUSE.total_seconds()))})
        await mail.send_link(tx, settings, keyring.seal, tenant_id, user_id, LinkKind.INVITATION)
        await emit(tx, audit.record(caller, Act.USER_INVITED, str(user_id), "by e-mail", tenant_id=tenant_id))
    return Sent(email=account.email or "")


@router.post("/password-resets", status_code=202, dependencies=[allow(body_bytes_max=_BODY_BYTES_MAX)])
@public
async def ask_for_password(request: Request, body: Ask) -> Sent:
    """Send a link for a new password to this address, if it is a user's; the answer does not say. Once a minute, five
    times a day."""
    email = body.email.strip().lower()
    refuse([wrong for wrong in [check_email("email", email)] if wrong])
    desk: Desk = request.app.state.desk
    await count_visit(request)
    await desk.ask(lambda tx: letters.ask_reset(tx, uuid7(), email))
    return Sent(email=email)


async def _without_password(tx: Tx, tenant_id: UUID, user_id: UUID) -> Account:
    account = await store.account(tx, tenant_id, user_id)
    if account is None or account.email is None:
        raise not_found("user")
    if account.hash is not None:
        raise conflict("has_password", "This user has a password", "Who forgot it asks for a new one by e-mail.")
    return account


async def _made(request: Request, tx: Tx, tenant_id: UUID, kind: LinkKind, user_id: UUID | None) -> LinkMade:
    settings: TenantSettings = request.app.state.settings
    token, expires_at = await mail.new_link(tx, settings, tenant_id, kind, user_id)
    return LinkMade(token=token, url=f"{settings.base_url.rstrip('/')}/join/{token}", expires_at=expires_at)


async def _find(request: Request, token: str) -> Link:
    desk: Desk = request.app.state.desk
    link = await desk.ask(lambda tx: store.find_link(tx, digest(token)))
    if link is None:
        detail = "It may be cut off, or a newer one was sent: open the newest e-mail, or ask for another link."
        raise Problem(404, "link_unknown", "This link is not known", detail)
    if link.used_at is not None:
        raise _used()
    if clock.now() >= link.expires_at:
        detail = "Ask an admin for another invitation, or for a new password where you have an account."
        raise Problem(410, "link_expired", "This link has expired", detail)
    return link


def _who(link: Link, body: Use) -> tuple[str, str]:
    """(e-mail, name) of the user; Problem 422 where a new one does not say, or a known one says another address."""
    email, name = body.email.strip().lower(), body.name.strip() or link.name
    if link.user_id is not None:
        if email and email != link.email:
            raise unprocessable("email", "not_this_address", "is not the address that the link was sent to")
        email = link.email
    refuse(check_member(name, email, Role.ADMIN))
    return email, name


async def _take(request: Request, tx: Tx, link: Link, email: str, name: str, hashed: str) -> Opened:
    if not await store.use_link(tx, link.tenant_id, link.link_id):
        raise _used()
    user_id = link.user_id
    if user_id is None:
        user_id = await _first_admin(request, tx, link, email, name)
    elif not await store.lock_active(tx, link.tenant_id, user_id):
        raise _used()
    await store.put_password(tx, link.tenant_id, user_id, hashed)
    await store.end_sessions(tx, link.tenant_id, user_id)
    account = await store.account(tx, link.tenant_id, user_id)
    if account is None:
        raise _used()
    if account.suspended:
        raise suspended()
    if name != account.name:
        await tenants.save_member(tx, link.tenant_id, user_id, name, account.role, active=True)
        account = await store.account(tx, link.tenant_id, user_id) or account
    act = Act.PASSWORD_RESET if link.kind is LinkKind.RESET else Act.USER_JOINED
    if link.kind is LinkKind.RESET:
        await mail.tell_of_change(tx, link.tenant_id, user_id)
    await emit(tx, audit.record(caller_of(account, None), act, str(user_id), link.kind))
    return await open_session(request, tx, account, link.kind)


async def _first_admin(request: Request, tx: Tx, link: Link, email: str, name: str) -> UUID:
    settings: TenantSettings = request.app.state.settings
    await tenants.lock_tenant(tx, link.tenant_id)
    users, _ = await tenants.count_members(tx, link.tenant_id)
    if users >= settings.tenant_users_max:
        raise conflict("too_many_users", "The tenant has too many users", limit=settings.tenant_users_max)
    member = await tenants.add_member(tx, link.tenant_id, uuid7(), email, name, Role.ADMIN)
    if member is None:
        raise conflict("email_taken", "The tenant has a user with this address", "Give another one.", field="email")
    return member.user_id


def _used() -> Problem:
    detail = "It works once. Sign in with the password that was set by it, or ask for a new one."
    return Problem(410, "link_used", "This link was used already", detail)
