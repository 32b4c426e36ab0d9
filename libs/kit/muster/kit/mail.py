"""E-mail: letters of plain text whose headers are ours, and the task that sends what is queued.

At least once: a crash between the relay's answer and the note sends a letter again, with the same Message-ID.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from enum import StrEnum
from typing import Final, Generic, Protocol, TypeVar
from uuid import UUID

from aiosmtplib import SMTP
from aiosmtplib.errors import SMTPException, SMTPRecipientsRefused, SMTPResponseException

from muster.kit import clock, metrics, observe
from muster.kit.pg import RETRIABLE, Database, Record, Tx
from muster.text.emails import is_email

log = observe.logger(__name__)

_PERMANENT: Final = 500


class Mailed(StrEnum):
    """What became of an attempt to send an e-mail."""

    SENT = "sent"
    REFUSED = "refused"
    LATER = "later"
    NO_RELAY = "no relay"


TRIED_FOR: Final = timedelta(days=3)
"""How long a letter is tried, as mail relays do themselves."""
_PAUSE_MIN_S: Final = 5.0
_PAUSE_MAX_S: Final = 3_600.0
_DOUBLINGS_MAX: Final = 10
_NO_RELAY_PAUSE_S_MAX: Final = 60.0


def pause_s(attempts: int, age: timedelta, mailed: Mailed) -> float | None:
    """Seconds until a letter of this age is tried again after so many attempts; None: never again.

    A relay that is away is looked for each minute, since it is away for all; one that puts a letter off gets it later
    and later.
    """
    if mailed not in (Mailed.LATER, Mailed.NO_RELAY) or age >= TRIED_FOR:
        return None
    pause = min(_PAUSE_MIN_S * (1 << min(attempts - 1, _DOUBLINGS_MAX)), _PAUSE_MAX_S)
    return min(pause, _NO_RELAY_PAUSE_S_MAX) if mailed is Mailed.NO_RELAY else pause


class HeaderRefused(Exception):
    """A value that must not stand in a header; says which header, not the value."""


@dataclass(frozen=True, slots=True)
class Postmark:
    """What all letters share: the sender's address, whose domain names them, and the key of the reply tokens."""

    sender: str
    key: bytes

    @property
    def domain(self) -> str:
        """The domain of the sender."""
        return self.sender.rpartition("@")[2]


@dataclass(frozen=True, slots=True)
class Letter:
    """An e-mail ready for SMTP: the envelope's addresses and the bytes."""

    sender: str
    recipient: str
    content: bytes


class Post(Protocol):
    """A letter to be sent, whatever it is about."""

    @property
    def tenant_id(self) -> UUID:
        """Whose reception gets it."""
        ...

    @property
    def letter_id(self) -> UUID:
        """What names it, once for each thing that it is about: who gets it twice sees that it is one."""
        ...

    @property
    def attempts(self) -> int:
        """How often it was tried, this time included."""
        ...

    @property
    def since(self) -> datetime:
        """When what it is about happened."""
        ...


def letter(
    post: Post, to: str, subject: str, body: str, mark: Postmark, more: Mapping[str, str] | None = None
) -> Letter:
    """The same letter at each attempt, with `more` headers; all are plain text: HeaderRefused where one is not, or the
    address is not one."""
    if not is_email(to):
        raise HeaderRefused("To")
    headers = {
        "From": f"Muster <{mark.sender}>",
        "To": to,
        "Subject": subject,
        "Date": format_datetime(post.since),
        "Message-ID": f"<{post.letter_id.hex}@{mark.domain}>",
        "Auto-Submitted": "auto-generated",
        **(more or {}),
    }
    message = EmailMessage(policy=SMTP_POLICY)
    for name, value in headers.items():
        # An encoded word can decode to a line break and so to more headers: none, and no control characters.
        if not (value.isascii() and value.isprintable()) or "=?" in value:
            raise HeaderRefused(name)
        message[name] = value
    message.set_content(body, cte="base64")
    return Letter(mark.sender, to, message.as_bytes())


P = TypeVar("P", bound=Post)


class Queue:
    """SQL of a table of letters, as the worker: with `tenant_id`, `state`, `due_at`, `attempts`, `error`, `ended_at`.

    A lease is a later due_at: who takes a letter and dies leaves it to the next after that.
    """

    def __init__(self, table: str, key: str, what: str, *, blanked: str = "") -> None:
        """`key`: the column that names a letter of a tenant; `what`: the SELECT of what is known of those that are
        `leased l`; `blanked`: a column that is emptied once a letter has ended."""
        self._lease = f"""
WITH due AS (
    SELECT tenant_id, {key} FROM {table} WHERE state = 'due' AND due_at <= kit_now()
    ORDER BY due_at LIMIT $1 FOR UPDATE SKIP LOCKED
), leased AS (
    UPDATE {table} q SET attempts = q.attempts + 1, due_at = kit_now() + make_interval(secs => $2)
    FROM due WHERE q.tenant_id = due.tenant_id AND q.{key} = due.{key} RETURNING q.*
)
{what}"""  # noqa: S608 - constants of the services alone
        one = f"WHERE tenant_id = $1 AND {key} = $2 AND state = 'due' AND attempts = $3"
        blank = f", {blanked} = NULL" if blanked else ""
        self._end = f"UPDATE {table} SET state = $4, error = $5, ended_at = kit_now(){blank} {one}"  # noqa: S608
        self._postpone = f"UPDATE {table} SET due_at = kit_now() + make_interval(secs => $4), error = $5 {one}"  # noqa: S608

    async def lease(self, tx: Tx, limit: int, lease_s: float) -> list[Record]:
        """Take the letters that are due, oldest first, for `lease_s` seconds; what is known of them."""
        return await tx.fetch(self._lease, limit, lease_s)

    async def end(self, tx: Tx, post: Post, state: str, error: str) -> None:
        """An attempt was the last one: `state` is "sent" or "failed". Nothing where a later attempt is under way."""
        await tx.execute(self._end, post.tenant_id, post.letter_id, post.attempts, state, error)

    async def postpone(self, tx: Tx, post: Post, pause_s: float, error: str) -> None:
        """An attempt failed for now."""
        await tx.execute(self._postpone, post.tenant_id, post.letter_id, post.attempts, pause_s, error)


@dataclass(frozen=True, slots=True)
class Bag(Generic[P]):
    """Letters of one kind: their queue, how they are taken from it and written, and how many wait. `tell` adds to a
    letter what it says besides."""

    queue: Queue
    lease: Callable[[Tx, int, float], Awaitable[list[P]]]
    tell: Callable[[Tx, P], Awaitable[P]]
    compose: Callable[[P, Postmark], Letter]
    pending: Callable[[Tx], Awaitable[int]]


@dataclass(frozen=True, slots=True)
class Relay:
    """Where letters are handed over. `host_port` is "host:port"."""

    host_port: str
    username: str
    password: str
    timeout_s: float

    def connect(self) -> SMTP:
        """A connection, to be used as a context manager; TLS where the relay offers it."""
        host, _, port = self.host_port.rpartition(":")
        return SMTP(
            hostname=host,
            port=int(port),
            username=self.username or None,
            password=self.password or None,
            timeout=self.timeout_s,
            local_hostname="muster",
        )


class Postman(Generic[P]):
    """Sends the letters of one bag, in as many processes as there are."""

    def __init__(
        self,
        db: Database,
        relay: Relay,
        mark: Postmark,
        bag: Bag[P],
        *,
        at_once: int,
        lease_s: float,
        poll_s: float,
    ) -> None:
        self._db = db
        self._relay = relay
        self._mark = mark
        self._bag = bag
        self._at_once = at_once
        self._lease_s = lease_s
        self._poll_s = poll_s
        self._awake = asyncio.Event()
        self._stopping = False
        self._ended = asyncio.Event()

    def wake(self) -> None:
        """E-mails were queued: look now, not at the next poll."""
        self._awake.set()

    async def stop(self) -> None:
        """End after the letters in hand; what is not sent stays in the queue."""
        self._stopping = True
        self._awake.set()
        await self._ended.wait()

    async def run(self) -> None:
        """Send until `stop` is called. What fails for a time is tried again."""
        try:
            await self._work()
        finally:
            self._ended.set()

    async def _work(self) -> None:
        while not self._stopping:
            self._awake.clear()
            try:
                count = await self.send_due()
            except RETRIABLE as error:
                log.warning("mail.no_database", exc_info=error)
                count = 0
            if count < self._at_once and not self._stopping:
                await self._rest()

    async def send_due(self) -> int:
        """Send what is due now, at most one lease; how many were tried."""
        async with self._db.worker() as tx:
            leased = await self._bag.lease(tx, self._at_once, self._lease_s)
            posts = deque([await self._bag.tell(tx, post) for post in leased])
            metrics.emails_pending.set(await self._bag.pending(tx))
        if posts:
            await self._deliver(posts)
        return len(leased)

    async def _deliver(self, posts: deque[P]) -> None:
        """One connection for all. Those that it does not come to, also for the sake of the lease, are put back."""
        until = clock.monotonic() + self._lease_s / 2
        connected = False
        try:
            async with self._relay.connect() as smtp:
                connected = True
                while posts and clock.monotonic() < until:
                    async with asyncio.timeout(self._lease_s / 4):
                        mailed, error = await self._send(smtp, posts[0])
                    await self._note(posts.popleft(), mailed, error)
        except (SMTPException, OSError, TimeoutError) as error:
            log.warning("mail.no_relay", exc_info=error)
            # One at which the connection breaks each time must not keep those behind it.
            broken = 1 if connected else len(posts)
            for _ in range(min(broken, len(posts))):
                mailed = Mailed.LATER if connected else Mailed.NO_RELAY
                await self._note(posts.popleft(), mailed, type(error).__name__)
        for post in posts:
            await self._put_back(post)

    async def _send(self, smtp: SMTP, post: P) -> tuple[Mailed, str]:
        try:
            letter = self._bag.compose(post, self._mark)
        except HeaderRefused as refused:
            return Mailed.REFUSED, f"header {refused}"
        try:
            await smtp.sendmail(letter.sender, [letter.recipient], letter.content)
        except SMTPRecipientsRefused as error:
            return _refused(error.recipients[0].code)
        except SMTPResponseException as error:
            return _refused(error.code)
        return Mailed.SENT, ""

    async def _note(self, post: P, mailed: Mailed, error: str) -> None:
        """A note on an e-mail that an earlier one has ended changes nothing."""
        pause = pause_s(post.attempts, clock.now() - post.since, mailed)
        ended = "sent" if mailed is Mailed.SENT else "failed"
        async with self._db.worker() as tx:
            if pause is not None:
                await self._bag.queue.postpone(tx, post, pause, error)
            else:
                await self._bag.queue.end(tx, post, ended, error)
        metrics.emails.labels("later" if pause is not None else ended).inc()

    async def _put_back(self, post: P) -> None:
        async with self._db.worker() as tx:
            await self._bag.queue.postpone(tx, post, 0, "")

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._poll_s):
                await self._awake.wait()
        except TimeoutError:
            return


def _refused(code: int) -> tuple[Mailed, str]:
    return (Mailed.REFUSED if code >= _PERMANENT else Mailed.LATER), f"SMTP {code}"
