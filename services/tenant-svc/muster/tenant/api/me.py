"""Who one is, and one's own password."""

from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request
from pydantic import Field

from muster.kit import audit
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, requires
from muster.kit.desk import Desk
from muster.kit.http import Model
from muster.kit.outbox import emit
from muster.kit.pg import Database, Tx
from muster.kit.problems import not_found, unprocessable
from muster.tenant import store as tenants
from muster.tenant.api.guessing import count_guess, forgive
from muster.tenant.api.hashing import Hasher
from muster.tenant.api.opening import Business, Password, Person, business, person
from muster.tenant.api.wrong import refuse
from muster.tenant.domain import check_name
from muster.tenant.domain.sign_in import Account
from muster.tenant.mail import tell_of_change
from muster.tenant.store import sign_in as store

router = APIRouter(prefix="/v1")

Anybody = Annotated[Caller, requires(Permission.OWN_ACCOUNT)]


class Me(Model):
    """Who calls. `tenant` is null for an operator, `session_id` where an API key is used."""

    user: Person
    tenant: Business | None
    role: str
    session_id: UUID | None


class MeChange(Model):
    """What is to change of oneself."""

    name: Annotated[str, Field(max_length=1_000)]


class PasswordChange(Model):
    """A new password. `current_password` is needed where there is one."""

    current_password: Password = ""
    new_password: Password


@router.get("/me")
async def read_me(request: Request, caller: Anybody) -> Me:
    """The user whose token it is."""
    db: Database = request.app.state.db
    async with db.request(caller.tenant_id) as tx:
        return _me(await _account(tx, caller), caller)


@router.patch("/me")
async def rename_me(request: Request, body: MeChange, caller: Anybody) -> Me:
    """Take another name."""
    refuse([wrong for wrong in [check_name(body.name)] if wrong])
    db: Database = request.app.state.db
    async with db.request(caller.tenant_id) as tx:
        # Under the tenant's lock, as who changes users: whoever is shut out just now stays so.
        await tenants.lock_tenant(tx, caller.tenant_id)
        before = await _account(tx, caller)
        await tenants.save_member(tx, caller.tenant_id, before.user_id, body.name, before.role, active=True)
        if before.name != body.name:
            await emit(tx, audit.record(caller, Act.USER_CHANGED, caller.user_id))
        return _me(await _account(tx, caller), caller)


@router.put("/me/password", status_code=204)
async def change_password(request: Request, body: PasswordChange, caller: Anybody) -> None:
    """Set another password; whoever else is signed in as this user is signed out. Problem 429 `too_many_attempts` with
    Retry-After where the present one was guessed too often, here or at a sign-in."""
    db: Database = request.app.state.db
    hasher: Hasher = request.app.state.hasher
    async with db.request(caller.tenant_id) as tx:
        before = await _account(tx, caller)
    if before.email is None:
        raise unprocessable("new_password", "no_email", "is of no use to a user without an e-mail address")
    if before.hash is not None:
        subjects = await count_guess(request, before.email)
        if not await hasher.holds(before.hash, body.current_password):
            raise unprocessable("current_password", "wrong_password", "is not the present password")
        desk: Desk = request.app.state.desk
        await desk.ask(lambda tx: forgive(tx, subjects))
    wrong = await hasher.check(body.new_password, (before.email, before.name, before.tenant_name))
    if wrong is not None:
        raise unprocessable("new_password", wrong.code, wrong.message)
    hashed = await hasher.hash(body.new_password)
    async with db.request(caller.tenant_id) as tx:
        await tenants.lock_tenant(tx, caller.tenant_id)
        if (await _account(tx, caller)).hash != before.hash:
            raise unprocessable("current_password", "wrong_password", "is not the present password any more")
        await store.put_password(tx, caller.tenant_id, before.user_id, hashed)
        current = UUID(caller.session_id) if caller.session_id else None
        await store.end_sessions(tx, caller.tenant_id, before.user_id, current)
        if before.hash is not None:
            await tell_of_change(tx, caller.tenant_id, before.user_id)
        await emit(tx, audit.record(caller, Act.PASSWORD_CHANGED, caller.user_id))


async def _account(tx: Tx, caller: Caller) -> Account:
    found = await store.account(tx, caller.tenant_id, UUID(caller.user_id))
    if found is None:
        raise not_found("user")
    return found


def _me(account: Account, caller: Caller) -> Me:
    session_id = UUID(caller.session_id) if caller.session_id else None
    return Me(user=person(account), tenant=business(account), role=account.role, session_id=session_id)
