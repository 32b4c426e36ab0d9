"""The link to an SMPP account: a bind that is kept up, with back-off and jitter when it is lost."""

import asyncio
import random
import ssl

from muster.dispatch.sender import coding
from muster.dispatch.sender.job import Job, Window
from muster.dispatch.sender.link import Ears, Guard, Late, SinkOf
from muster.dispatch.sender.shared import Shared
from muster.kit import clock, metrics, observe
from muster.smpp import BindRefused, LateResponse, Session, SessionOptions

log = observe.logger(__name__)


class SmppLink:
    """One transceiver session at a time. `session` is None while there is none."""

    whole = False

    def __init__(self, shared: Shared, ears: Ears) -> None:
        self._settings = shared.settings
        self._account = shared.account
        self._ears = ears
        self._stopping = False
        self.session: Session | None = None
        self.number = random.getrandbits(62)
        metrics.delivers_waiting.set_function(lambda: self.session.delivers.waiting if self.session else 0)
        metrics.delivers_refused.set_function(lambda: self.session.delivers.refused if self.session else 0)

    @property
    def window(self) -> int:
        """Submits that may be unanswered."""
        return self._account.window

    @property
    def free_slots(self) -> int:
        """How many parts may be written now; 0 while there is no bind, or more comes in than can be stored: what is
        sent comes back as receipts, and not every carrier brings again what was refused."""
        session = self.session
        if (
            session is None
            or not session.bound
            or session.delivers.waiting >= self._settings.dispatch_delivers_slow_min
        ):
            return 0
        return session.free_slots

    async def writable(self) -> bool:
        """Wait until the write buffer is empty; False without a bind."""
        session = self.session
        return session is not None and await session.writable()

    def start(self, job: Job, window: Window, sink_of: SinkOf, guard: Guard) -> int | None:
        """Write the submit_sm of these slots, all or none."""
        session = self.session
        if session is None:
            return None
        slots, messages = coding.messages(job, window)
        refused = session.start(messages, sink_of(slots), guard=guard, tag=(job, slots))
        return len(messages) if refused is None else None

    def _on_late(self, late: list[LateResponse]) -> None:
        found = []
        for response in late:
            assert isinstance(response.tag, tuple)
            job, slots = response.tag
            found.append(Late(job, slots[response.index], response.outcome))
        self._ears.on_late(found)

    async def run(self) -> None:
        """Bind, and bind again whenever the session ends."""
        delay_s = self._settings.carrier_rebind_s_min
        while not self._stopping:
            try:
                self.session = await self._connect()
            except (OSError, TimeoutError, BindRefused) as error:
                log.warning("carrier.bind_failed", account=self._account.name, why=type(error).__name__)
                await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))
                delay_s = min(delay_s * 2, self._settings.carrier_rebind_s_max)
                continue
            bound_at = clock.monotonic()
            self.number += 1
            metrics.carrier_bound.set(1)
            log.info("carrier.bound", account=self._account.name)
            self._ears.on_change()
            reason = await asyncio.shield(self.session.closed)
            self.session = None
            metrics.carrier_bound.set(0)
            self._ears.on_change()
            log.warning("carrier.unbound", account=self._account.name, why=reason)
            # Who binds and is dropped at once, again and again, waits as long as who is refused.
            if clock.monotonic() - bound_at > self._settings.carrier_rebind_s_max:
                delay_s = self._settings.carrier_rebind_s_min
            if not self._stopping:
                await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))
                delay_s = min(delay_s * 2, self._settings.carrier_rebind_s_max)
        await asyncio.Event().wait()

    async def _connect(self) -> Session:
        settings, options = self._settings, self._account.options
        session = SessionOptions(
            system_id=options.system_id,
            password=self._account.secret,
            system_type=options.system_type,
            window=self._account.window,
            enquire_link_interval_s=options.enquire_link_s,
            response_timeout_s=options.response_timeout_s,
            deliver_batch_max=settings.dispatch_delivers_batch_max,
            deliver_waiting_max=settings.dispatch_delivers_waiting_max,
        )
        return await Session.connect(
            options.host,
            options.port,
            session,
            tls=ssl.create_default_context() if options.tls else None,
            on_deliver=self._ears.on_deliver,
            on_late_response=self._on_late,
        )

    async def stop(self) -> None:
        """Unbind; what is unanswered after the settings' bound is unknown."""
        self._stopping = True
        if self.session is not None:
            await self.session.unbind(self._settings.dispatch_stop_s)
