"""Signing in by e-mail and password, and where one is signed in."""

from datetime import datetime
from hashlib import sha256
from hmac import new as hmac
from typing import Annotated, NoReturn
from uuid import UUID

from fastapi import APIRouter, Request

from muster.kit import audit, clock, metrics
from muster.kit.auth import ANY_TENANT_ROLE, Caller, Role, public, requires, tenant_tx
from muster.kit.desk import Desk
from muster.kit.http import Model, allow
from muster.kit.outbox import emit
from muster.kit.pg import Database, Tx
from muster.kit.problems import Problem, conflict, forbidden, not_found
from muster.tenant.api.hashing import Hasher
from muster.tenant.api.opening import Email, Opened, Password, open_session, place
from muster.tenant.api.tokens import suspended
from muster.tenant.domain.sign_in import FREE_GUESSES, FREE_GUESSES_OF_PLACE, Account, Guesses, Session, guessed
from muster.tenant.settings import TenantSettings
from muster.tenant.store import sign_in as store

router = APIRouter(prefix="/v1")

# Of how many tenants one address may be a user who signs in without saying which: each is a hash to compare.
_TENANTS_MAX = 5
_SESSIONS_SHOWN_MAX = 200
_BODY_BYTES_MAX = 16_384
_CURRENT = "current"

Anybody = Annotated[Caller, requires(*ANY_TENANT_ROLE, Role.OPERATOR)]


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
    subjects = await _count_guess(request, email)
    matching = await _matching(request, email, body)
    if not matching:
        metrics.sign_ins.labels("wrong").inc()
        raise _wrong()
    desk: Desk = request.app.state.desk
    await desk.ask(lambda tx: _forgive(tx, subjects))
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
        await emit(tx, audit.record(caller, "session.ended", "session", str(wanted)))


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


async def _count_guess(request: Request, email: str) -> list[bytes]:
    """Count a guess before it is compared, so that a hundred at once are a hundred; what it counts against.

    Who comes from where somebody of this address was signed in before has a count of their own: strangers who guess
    do not keep them out.
    """
    settings: TenantSettings = request.app.state.settings
    desk: Desk = request.app.state.desk
    address = place(request).address
    now = clock.now()

    async def count(tx: Tx) -> tuple[list[bytes], int]:
        known = await store.is_known_place(tx, email, address, now - settings.session_life)
        who = f"{email}\n{address}" if known else email
        limits = {
            _subject(settings, "place", address): FREE_GUESSES_OF_PLACE,
            _subject(settings, "who", who): FREE_GUESSES,
        }
        counted: dict[bytes, Guesses] = {}
        for subject, free in sorted(limits.items()):
            after = guessed(await store.lock_guesses(tx, subject, now), now, free)
            if not isinstance(after, Guesses):
                return [], max(1, -int(-after.total_seconds() // 1))
            counted[subject] = after
        for subject, guesses in counted.items():
            await store.put_guesses(tx, subject, guesses)
        return list(counted), 0

    subjects, wait_s = await desk.ask(count)
    if wait_s:
        _slow_down(wait_s)
    return subjects


def _slow_down(wait_s: int) -> NoReturn:
    metrics.sign_ins.labels("slowed").inc()
    detail = f"Wrong passwords were tried too often. Try again in {wait_s} s, or ask for a new password by e-mail."
    problem = Problem(429, "too_many_attempts", "Too many attempts", detail, retry_after_s=wait_s)
    raise problem.with_headers({"Retry-After": str(wait_s)})


async def _forgive(tx: Tx, subjects: list[bytes]) -> None:
    for subject in sorted(subjects):
        await store.forgive(tx, subject)


def _subject(settings: TenantSettings, kind: str, value: str) -> bytes:
    return hmac(settings.seal_secret, f"guesses\n{kind}\n{value}".encode("utf-8", "surrogatepass"), sha256).digest()


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
