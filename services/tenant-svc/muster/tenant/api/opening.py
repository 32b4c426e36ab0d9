"""What opens a session, however somebody has shown who they are: a password, or a link."""

import secrets
from datetime import datetime
from typing import Annotated, NamedTuple
from uuid import UUID

from fastapi import Request
from pydantic import Field

from muster.kit import audit, clock, metrics
from muster.kit.acts import Act
from muster.kit.auth import Caller, Role
from muster.kit.edge import address_of
from muster.kit.http import Model
from muster.kit.ids import uuid7
from muster.kit.outbox import emit
from muster.kit.pg import Tx
from muster.kit.problems import unavailable
from muster.tenant.api.keyring import Keyring, NoSigningKey
from muster.tenant.domain.sign_in import Account, Session, digest
from muster.tenant.settings import TenantSettings
from muster.tenant.store import sign_in as store

_TOKEN_BYTES = 32
_ADDRESS_CHARS_MAX = 45
_USER_AGENT_CHARS_MAX = 300

Email = Annotated[str, Field(max_length=254)]
Password = Annotated[str, Field(max_length=1_000)]


class Person(Model):
    """A user as the console shows it; `email` is null for a machine."""

    id: UUID
    email: str | None
    name: str
    role: str


class Business(Model):
    """The tenant that somebody is signed in to."""

    id: UUID
    name: str
    country: str
    time_zone: str


class OpenedSession(Model):
    """A session that has just begun. It ends by itself at `expires_at`, or where it is not used for some hours."""

    id: UUID
    created_at: datetime
    expires_at: datetime


class Opened(Model):
    """A session. `session_token` is shown this once; it is exchanged for access tokens at `POST /v1/token`, which live
    `expires_in` seconds. `tenant` is null for an operator."""

    session_token: str
    access_token: str
    expires_in: int
    session: OpenedSession
    user: Person
    tenant: Business | None


class Place(NamedTuple):
    """Where a request comes from: address and browser, as far as can be told."""

    address: str
    user_agent: str


def place(request: Request) -> Place:
    """The place of a request."""
    user_agent = "".join(c for c in request.headers.get("user-agent", "") if c.isprintable())
    return Place(address_of(request)[:_ADDRESS_CHARS_MAX], user_agent[:_USER_AGENT_CHARS_MAX])


async def open_session(request: Request, tx: Tx, account: Account, how: str) -> Opened:
    """A new session of a user who may act, in the tenant's transaction; Problem 503 before the keys are known."""
    settings: TenantSettings = request.app.state.settings
    where = place(request)
    token = secrets.token_urlsafe(_TOKEN_BYTES)
    session = await store.open_session(
        tx,
        account.tenant_id,
        uuid7(),
        account.user_id,
        digest(token),
        clock.now() + settings.session_life,
        *where,
    )
    who = caller_of(account, session)
    await emit(tx, audit.record(who, Act.SESSION_OPENED, str(session.session_id), how))
    metrics.sign_ins.labels(how).inc()
    return Opened(
        session_token=token,
        access_token=sign(request, account, session),
        expires_in=settings.tenant_session_token_s,
        session=OpenedSession(id=session.session_id, created_at=session.created_at, expires_at=session.expires_at),
        user=person(account),
        tenant=business(account),
    )


def sign(request: Request, account: Account, session: Session) -> str:
    """An access token of a session; Problem 503 before the signing keys are known."""
    keyring: Keyring = request.app.state.keyring
    settings: TenantSettings = request.app.state.settings
    try:
        return keyring.sign(caller_of(account, session), settings.tenant_session_token_s)
    except NoSigningKey as error:
        raise unavailable("keys_unavailable", "The signing keys were not read yet.") from error


def caller_of(account: Account, session: Session | None) -> Caller:
    """The user as one who calls."""
    session_id = str(session.session_id) if session else ""
    return Caller(
        account.tenant_id,
        str(account.user_id),
        Role(account.role),
        "",
        country=account.country,
        session_id=session_id,
    )


def person(account: Account) -> Person:
    """The user of an account."""
    return Person(id=account.user_id, email=account.email, name=account.name, role=account.role)


def business(account: Account) -> Business | None:
    """The tenant of an account; None for an operator."""
    if account.role == Role.OPERATOR:
        return None
    return Business(
        id=account.tenant_id, name=account.tenant_name, country=account.country, time_zone=account.time_zone
    )
