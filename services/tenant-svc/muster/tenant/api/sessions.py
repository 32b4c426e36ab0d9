"""Signing in by e-mail and password, and where one is signed in."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request

from muster.kit import audit, clock, metrics
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Role, public, requires, tenant_tx
from muster.kit.desk import Desk
from muster.kit.http import Model, allow
from muster.kit.outbox import emit
from muster.kit.pg import Database, Tx
from muster.kit.problems import Problem, conflict, forbidden, not_found
from muster.tenant.api.guessing import count_guess, forgive
from muster.tenant.api.hashing import Hasher
from muster.tenant.api.opening import Email, Opened, Password, open_session
from muster.tenant.api.tokens import suspended
from muster.tenant.domain.sign_in import Account, Session
from muster.tenant.settings import TenantSettings
from muster.tenant.store import sign_in as store

router = APIRouter(prefix="/v1")

# Of how many tenants one address may be a user who signs in without saying which: each is a hash to compare.
_TENANTS_MAX = 5
_SESSIONS_SHOWN_MAX = 200
_BODY_BYTES_MAX = 16_384
_CURRENT = "current"

Anybody = Annotated[Caller, requires(Permission.OWN_ACCOUNT)]


class SignIn(Model):
    """Who signs in. `tenant_id` is needed where the address is a user's of several."""

    email: Email
    password: Password
    tenant_id: UUID | None = None


class SessionOut(Model):
    """Where somebody is signed in. `current`: by what was asked with."""

    id: UUID
    created_at: datetime
    seen_at: datetime
    expires_at: datetime
    address: str
    user_agent: str
    current: bool


class Sessions(Model):
    """The sessions of a user, the newest first; at most 200."""

    items: list[SessionOut]


@router.post("/sessions", status_code=201, dependencies=[allow(body_bytes_max=_BODY_BYTES_MAX)])
@public
async def sign_in(request: Request, body: SignIn) -> Opened:
    """Sign in. Problem 401 `wrong_credentials`, 409 `choose_tenant` with those that it may be, 429 `too_many_attempts`
    with Retry-After where a password was guessed too often."""
    email = body.email.strip().lower()
    subjects = await count_guess(request, email)
    matching = await _matching(request, email, body)
    if not matching:
        metrics.sign_ins.labels("wrong").inc()
        raise _wrong()
    desk: Desk = request.app.state.desk
    await desk.ask(lambda tx: forgive(tx, subjects))
    if len(matching) > 1:
        tenants = [{"id": str(one.tenant_id), "name": one.tenant_name} for one in matching]
        raise conflict("choose_tenant", "This address is a user of several businesses", "Say which.", tenants=tenants)
    return await _enter(request, matching[0], body.password)


@router.get("/sessions")
async def list_sessions(
    request: Request, caller: Anybody, tx: Annotated[Tx, tenant_tx], user_id: UUID | None = None
) -> Sessions:
    """Where the caller is signed in; an admin may ask of any user of the business."""
    of = user_id or UUID(caller.user_id)
    _own_or_admin(caller, of)
    settings: TenantSettings = request.app.state.settings
    now = clock.now()
    found = await store.sessions(tx, caller.tenant_id, of, now, now - settings.session_idle, _SESSIONS_SHOWN_MAX)
    return Sessions(items=[_out(one, caller) for one in found])


@router.delete("/sessions/{session_id}", status_code=204)
async def end_session(session_id: str, caller: Anybody, tx: Annotated[Tx, tenant_tx]) -> None:
    """End a session: one's own, `current` for the one that is asked with, or as an admin anybody's of the business.
    It gives no more tokens; those that it gave hold for a minute or two. Again, or with an API key, changes nothing."""
    named = caller.session_id if session_id == _CURRENT else session_id
    if not named:
        return
    try:
        wanted = UUID(named)
    except ValueError as error:
        raise not_found("session") from error
    of = None if caller.role is Role.ADMIN else UUID(caller.user_id)
    if await store.end_session(tx, caller.tenant_id, wanted, of) is not None:
        await emit(tx, audit.record(caller, Act.SESSION_ENDED, str(wanted)))


async def _enter(request: Request, account: Account, password: str) -> Opened:
    if account.suspended:
        raise suspended()
    hasher: Hasher = request.app.state.hasher
    db: Database = request.app.state.db
    renewed = await hasher.hash(password) if account.hash and hasher.is_old(account.hash) else None
    async with db.request(account.tenant_id) as tx:
        # Under the user's lock: who was shut out while the password was compared does not get in.
        if not await store.lock_active(tx, account.tenant_id, account.user_id):
            raise _wrong()
        if renewed and account.hash:
            await store.rehash(tx, account.tenant_id, account.user_id, account.hash, renewed)
        return await open_session(request, tx, account, "password")


async def _matching(request: Request, email: str, body: SignIn) -> list[Account]:
    """Those whose password it is. Where there is nobody of this address one hash is compared all the same."""
    desk: Desk = request.app.state.desk
    hasher: Hasher = request.app.state.hasher
    found = await desk.ask(lambda tx: store.accounts(tx, email, body.tenant_id, _TENANTS_MAX))
    if not found:
        await hasher.holds(None, body.password)
    return [one for one in found if await hasher.holds(one.hash, body.password)]


def _own_or_admin(caller: Caller, user_id: UUID) -> None:
    if str(user_id) != caller.user_id and caller.role is not Role.ADMIN:
        raise forbidden("Only an admin sees where others are signed in.")


def _wrong() -> Problem:
    detail = "Check both; or ask for a link to set a new password."
    return Problem(401, "wrong_credentials", "E-mail address or password is not right", detail)


def _out(session: Session, caller: Caller) -> SessionOut:
    return SessionOut(
        id=session.session_id,
        created_at=session.created_at,
        seen_at=session.seen_at,
        expires_at=session.expires_at,
        address=session.address,
        user_agent=session.user_agent,
        current=str(session.session_id) == caller.session_id,
    )
