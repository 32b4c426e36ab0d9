"""The sandbox's sender, which runs in the worker: what it sends reaches nobody, so it needs no process of its own.

It runs from when there is a sandbox tenant, in the one worker that owns the account, by the same lock as any account.
"""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from muster.dispatch.domain.carriers import Account, Sandbox
from muster.dispatch.domain.sandbox import ACCOUNT
from muster.dispatch.handlers import sweeps
from muster.dispatch.sender import Sender
from muster.dispatch.settings import DispatchSettings
from muster.dispatch.store import accounts, platform
from muster.kit import observe
from muster.kit.pg import RETRIABLE, Database

if TYPE_CHECKING:
    from muster.dispatch.store.accounts import Connection

log = observe.logger(__name__)

_LOOK_S: Final = 2.0
_RETRY_S: Final = 0.5


class SandboxSender:
    """Sends what sandbox tenants send. `ready`: returns when every suppression is known that was said by now."""

    def __init__(self, db: Database, settings: DispatchSettings, ready: Callable[[], Awaitable[None]]) -> None:
        self._db = db
        self._settings = settings
        self._ready = ready
        self._asked = asyncio.Event()

    async def run(self) -> None:
        """Until `stop`."""
        while not self._asked.is_set():
            try:
                async with self._db.dedicated() as connection:
                    while not await self._may(connection):
                        await self._wait(_LOOK_S)
                        if self._asked.is_set():
                            return
                    await self._send(connection)
            except* RETRIABLE as errors:
                log.warning("sandbox.database_away", why=type(errors.exceptions[0]).__name__)
                await asyncio.sleep(_RETRY_S)

    async def stop(self) -> None:
        """Write nothing more, wait for answers, record, and give the rest back."""
        self._asked.set()

    async def _may(self, connection: "Connection") -> bool:
        """Whether there is a sandbox tenant, and the account is ours."""
        async with self._db.worker() as tx:
            if not await platform.has_sandbox(tx):
                return False
        return await accounts.try_own(connection, ACCOUNT)

    async def _send(self, connection: "Connection") -> None:
        settings = self._settings
        while await sweeps.recover_account(self._db, ACCOUNT, every=True):
            pass
        account = Account(ACCOUNT, ACCOUNT, Sandbox(), window=500, parts_per_second=settings.sandbox_parts_per_second)
        parts = Sender(self._db, settings, account)
        await parts.load()
        await self._ready()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(work) for _, work in parts.carrier()]
            tasks.append(group.create_task(parts.feeder.run()))
            while not self._asked.is_set():
                await accounts.still_own(connection)
                await self._wait(_LOOK_S)
            await parts.close()
            await parts.link.stop()
            for task in tasks:
                task.cancel()

    async def _wait(self, timeout_s: float) -> None:
        try:
            async with asyncio.timeout(timeout_s):
                await self._asked.wait()
        except TimeoutError:
            pass
