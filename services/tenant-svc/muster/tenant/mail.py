"""Letters to users: how they are queued and sent, and the task that answers who asked for a new password."""

import secrets
from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from muster.kit import audit, clock
from muster.kit.acts import Act
from muster.kit.auth import Caller, Role
from muster.kit.ids import uuid7
from muster.kit.mail import Bag, Letter, Postman, Postmark, Relay, letter
from muster.kit.outbox import emit
from muster.kit.pg import Database, Tx
from muster.tenant.domain.letters import SUBJECTS, LetterKind, UserLetter, body, may_reset
from muster.tenant.domain.sign_in import LinkKind, digest
from muster.tenant.settings import TenantSettings
from muster.tenant.store import letters, sign_in
from muster.tenant.store.seal import Seal

_TOKEN_BYTES = 32
_ASKED_AT_ONCE = 20
_USERS_OF_ADDRESS_MAX = 5


async def new_link(
    tx: Tx, settings: TenantSettings, tenant_id: UUID, kind: LinkKind, user_id: UUID | None
) -> tuple[str, datetime]:
    """(token, end) of a new link in place of one before; in a transaction that holds the tenant's or user's lock."""
    life = settings.reset_life if kind is LinkKind.RESET else settings.invitation_life
    token, expires_at = secrets.token_urlsafe(_TOKEN_BYTES), clock.now() + life
    await sign_in.add_link(tx, tenant_id, uuid7(), kind, user_id, digest(token), expires_at)
    return token, expires_at


async def send_link(
    tx: Tx, settings: TenantSettings, seal: Seal, tenant_id: UUID, user_id: UUID, kind: LinkKind
) -> None:
    """Queue a letter with a new link, an invitation or one for a new password; needs the locks of `new_link`."""
    token, _ = await new_link(tx, settings, tenant_id, kind, user_id)
    await letters.add(tx, tenant_id, uuid7(), user_id, LetterKind(kind), seal.seal(token.encode()))


async def tell_of_change(tx: Tx, tenant_id: UUID, user_id: UUID) -> None:
    """Queue the letter that tells of a changed password."""
    await letters.add(tx, tenant_id, uuid7(), user_id, LetterKind.PASSWORD_CHANGED, None)


def postman(db: Database, settings: TenantSettings) -> Postman[UserLetter]:
    """The task that sends them."""
    seal = Seal(settings.seal_secret)
    password = settings.smtp_password.get_secret_value()
    relay = Relay(settings.smtp, settings.smtp_username, password, settings.tenant_mail_timeout_s)

    async def lease(tx: Tx, limit: int, lease_s: float) -> list[UserLetter]:
        return await letters.lease(tx, limit, lease_s, seal.open)

    async def as_it_is(_: Tx, one: UserLetter) -> UserLetter:
        return one

    def compose(one: UserLetter, mark: Postmark) -> Letter:
        return compose_letter(one, mark, settings)

    bag = Bag(letters.QUEUE, lease, as_it_is, compose, letters.pending)
    return Postman(
        db,
        relay,
        Postmark(settings.tenant_mail_from, settings.seal_secret),
        bag,
        at_once=settings.tenant_mail_at_once,
        lease_s=settings.tenant_mail_lease_s,
        poll_s=settings.tenant_mail_poll_s,
    )


def compose_letter(one: UserLetter, mark: Postmark, settings: TenantSettings) -> Letter:
    """The letter, the same at each attempt; HeaderRefused where the address is not one."""
    text = body(one, settings.base_url, settings.invitation_life, settings.reset_life)
    return letter(one, one.recipient, SUBJECTS[one.kind], text, mark)


async def answer_asked(db: Database, settings: TenantSettings) -> bool:
    """Send links to who asked for a new password, where the address is a user's; whether there may be more.

    Found and sent in one transaction of the worker: who dies here answers it the next time.
    """
    seal = Seal(settings.seal_secret)
    async with db.worker() as tx:
        asked = await letters.take_asked(tx, _ASKED_AT_ONCE)
        for email in asked:
            await _answer(tx, settings, seal, await letters.resettable(tx, email, _USERS_OF_ADDRESS_MAX))
    return len(asked) == _ASKED_AT_ONCE


async def _answer(tx: Tx, settings: TenantSettings, seal: Seal, users: Sequence[tuple[UUID, UUID]]) -> None:
    now = clock.now()
    for tenant_id, user_id in users:
        # Under the user's lock: of two who ask at once one is answered.
        await letters.lock_user(tx, user_id)
        last_at, in_a_day = await letters.sent_of_late(
            tx, tenant_id, user_id, LetterKind.RESET, now - timedelta(days=1)
        )
        if may_reset(last_at, in_a_day, now):
            await send_link(tx, settings, seal, tenant_id, user_id, LinkKind.RESET)
            nobody = Caller(tenant_id, "", Role.STAFF, "")
            await emit(tx, audit.record(nobody, Act.PASSWORD_RESET_ASKED, str(user_id)))
