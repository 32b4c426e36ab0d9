"""The task that sends e-mails to receptions: leases what is due, sends it, and notes what became of it.

At least once: a crash between the relay's answer and the note sends a letter again, with the same Message-ID.
"""

import asyncio
from collections import deque
from dataclasses import dataclass
from typing import Final, Generic

from aiosmtplib import SMTP
from aiosmtplib.errors import SMTPException, SMTPRecipientsRefused, SMTPResponseException

from muster.kit import clock, metrics, observe
from muster.kit.pg import RETRIABLE, Database
from muster.reply.domain import Mailed, pause_s
from muster.reply.mail.bag import Bag, P
from muster.reply.mail.letter import HeaderRefused, Postmark
from muster.reply.store import emails

log = observe.logger(__name__)

_PERMANENT: Final = 500


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
            metrics.emails_pending.set(await emails.pending(tx))
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
        key = (post.tenant_id, post.letter_id, post.attempts)
        pause = pause_s(post.attempts, clock.now() - post.since, mailed)
        ended = "sent" if mailed is Mailed.SENT else "failed"
        async with self._db.worker() as tx:
            if pause is not None:
                await self._bag.postpone(tx, *key, pause, error)
            else:
                await self._bag.end(tx, *key, ended, error)
        metrics.emails.labels("later" if pause is not None else ended).inc()

    async def _put_back(self, post: P) -> None:
        async with self._db.worker() as tx:
            await self._bag.postpone(tx, post.tenant_id, post.letter_id, post.attempts, 0, "")

    async def _rest(self) -> None:
        try:
            async with asyncio.timeout(self._poll_s):
                await self._awake.wait()
        except TimeoutError:
            return


def _refused(code: int) -> tuple[Mailed, str]:
    return (Mailed.REFUSED if code >= _PERMANENT else Mailed.LATER), f"SMTP {code}"
