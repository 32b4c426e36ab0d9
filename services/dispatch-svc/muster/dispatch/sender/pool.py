"""Which account this process serves: one that nobody else has, until it is closed; as its row says, when that changes.

All binds of an account live in one process, held by an advisory lock; what several senders share they share by that.
"""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING, Final, TypeVar

from muster.dispatch.domain import routing
from muster.dispatch.domain.carriers import Account, State
from muster.dispatch.handlers import sweeps
from muster.dispatch.handlers.carriers import Seal, SealBroken, account_of, seed
from muster.dispatch.sender import Sender
from muster.dispatch.sender.kinds import KINDS
from muster.dispatch.sender.trials import Trials
from muster.dispatch.settings import DispatchSettings
from muster.dispatch.store import accounts, carriers, health, routes
from muster.dispatch.store.carriers import Connected
from muster.kit import clock, observe
from muster.kit.consumer import wait_until_read
from muster.kit.pg import RETRIABLE, Database
from muster.kit.process import Process

if TYPE_CHECKING:
    from muster.dispatch.store.accounts import Connection

T = TypeVar("T")
log = observe.logger(__name__)

_RETRY_S: Final = 0.3
_LOCK_WATCH_S: Final = 2.0


class Pool:
    """One sender process: adopts an account, serves it, leaves it, and looks for another."""

    def __init__(self, process: Process[DispatchSettings], db: Database, group: str) -> None:
        self._process = process
        self._db = db
        self._group = group
        self._settings = process.settings
        self._seal = Seal(process.settings.seal_secret)

    async def run(self) -> None:
        """Until the process is to end."""
        await self._patiently(self._seed)
        mark = self._process.mark
        while not self._process.stopping:
            name = await self._patiently(self._adopt)
            while name and await self._serve(name):
                pass
            if not self._process.stopping:
                await self._process.unwind(mark)

    async def _seed(self) -> None:
        async with self._db.worker() as tx:
            await seed(tx, self._settings)

    # -- whose it is --------------------------------------------------------------------------------------------------

    async def _adopt(self) -> str:
        """The name of an account that is this process's own from now on, as long as the connection lives that holds its
        lock; "" if the process is to end."""
        stack = AsyncExitStack()
        try:
            connection = await stack.enter_async_context(self._db.dedicated())
            while not self._process.stopping:
                if name := await self._try(connection):
                    self._process.on_stop(stack.aclose)
                    self._process.supervise("account", self._own(connection, name))
                    log.info("sender.adopted", account=name)
                    return name
                self._ready()  # as a spare
                await self._sleep(self._settings.dispatch_adopt_s)
        except BaseException:
            await stack.aclose()
            raise
        await stack.aclose()
        return ""

    async def _try(self, connection: "Connection") -> str:
        async with self._db.worker() as tx:
            names = await carriers.adoptable(tx, list(KINDS))
        first = self._settings.carrier_account
        for name in sorted(names, key=lambda one: (one != first, one)):
            if await accounts.try_own(connection, name):
                return name
        return ""

    async def _own(self, connection: "Connection", name: str) -> None:
        try:
            while True:
                await accounts.still_own(connection)
                await asyncio.sleep(_LOCK_WATCH_S)
        except RETRIABLE as error:
            # Another may own the account by now. Nothing is wrong here: whoever starts this process starts it again.
            log.warning("sender.account_lost", account=name, why=type(error).__name__)
            self._process.stop()

    # -- what is done for it ------------------------------------------------------------------------------------------

    async def _serve(self, name: str) -> bool:
        """Serve an account as its row is now, until that changes. False where there is nothing to serve any more."""
        process, mark = self._process, self._process.mark
        account = await self._patiently(lambda: self._read(name))
        if account is None or account.state is State.CLOSED or process.stopping:
            return False
        while await self._patiently(lambda: sweeps.recover_account(self._db, name, every=True)):
            pass
        sender = Sender(self._db, self._settings, account)
        trials = Trials(sender.shared, sender.link)
        await self._patiently(trials.recover)
        await self._patiently(sender.load)
        process.on_stop(sender.link.stop)
        for part, work in sender.carrier():
            process.supervise(part, work)
        if account.state is State.OPEN:
            # Nothing is claimed before every suppression that was said by now is known here.
            broker = self._settings.broker
            await wait_until_read(self._db, bootstrap=broker, group=self._group, topics=("suppressions",))
            process.supervise("feeder", sender.feeder.run())
        process.on_stop(sender.close)
        self._ready()
        if not await self._until_changed(sender, trials):
            return False
        log.info("sender.account_changed", account=name)
        await sender.recorder.close(self._settings.dispatch_change_wait_s)
        await process.unwind(mark)
        return True

    async def _read(self, name: str) -> Account | None:
        """The account; one whose password cannot be opened is waited for, in case it is given again."""
        while not self._process.stopping:
            async with self._db.worker() as tx:
                row = await carriers.read(tx, name)
            if row is None:
                return None
            try:
                return account_of(row, self._seal)
            except SealBroken as broken:
                log.error("sender.seal_broken", account=name)
                async with self._db.worker() as tx:
                    await carriers.say(tx, name, row.version, Connected(0, 0, str(broken)))
                self._ready()
                await self._sleep(self._settings.dispatch_account_look_s)
        return None

    async def _until_changed(self, sender: Sender, trials: Trials) -> bool:
        """True once the account's row is another, False if the process is to end; say how the account stands, and try
        what is to be tried, until then."""
        account, link, tally = sender.shared.account, sender.link, sender.shared.tally
        share = routing.WHOLE
        while not self._process.stopping:
            in_flight = sum(job.in_flight for job in sender.shared.jobs.values())
            taken = tally.take()
            try:
                async with self._db.worker() as tx:
                    row = await carriers.read(tx, account.name)
                    if row is None or row.version != account.version:
                        return True
                    counts = (taken.answered, taken.failed, taken.not_taken)
                    connected = Connected(link.connections, in_flight, link.why, sender.shared.rate.limit, *counts)
                    await carriers.say(tx, account.name, account.version, connected)
                    before, share = share, await health.share(tx, account.name)
                    sender.shared.has_others = (await routes.table(tx)).has_others(account.name)
                if sender.shared.has_others and not share and before:
                    log.warning("sender.stepped_aside", account=account.name)
                    sender.shared.step_aside(clock.monotonic() + self._settings.dispatch_aside_s)
                await trials.step()
            except RETRIABLE as error:
                log.warning("sender.database_away", why=type(error).__name__)
            await self._sleep(self._settings.dispatch_account_look_s)
        return False

    def _ready(self) -> None:
        if not self._process.is_ready:
            self._process.ready()

    async def _sleep(self, seconds: float) -> None:
        """As long, or until the process is to end."""
        try:
            async with asyncio.timeout(seconds):
                await self._process.stopped()
        except TimeoutError:
            pass

    async def _patiently(self, step: Callable[[], Awaitable[T]]) -> T:
        """A step of the start, tried again while the database is away."""
        while True:
            try:
                return await step()
            except RETRIABLE as error:
                log.warning("sender.database_away", why=type(error).__name__)
                await asyncio.sleep(_RETRY_S)
