"""The bind to the carrier: kept up, with back-off and jitter when it is lost."""

import asyncio
import random
import ssl
from collections.abc import Awaitable, Callable

from muster.dispatch.settings import DispatchSettings
from muster.kit import clock, metrics, observe
from muster.smpp import BindRefused, Deliver, LateResponse, Session, SessionOptions

log = observe.logger(__name__)


class Bind:
    """One transceiver session at a time. `session` is None while there is none; `number` tells sessions apart."""

    def __init__(
        self,
        settings: DispatchSettings,
        *,
        on_deliver: Callable[[list[Deliver]], Awaitable[None]],
        on_late: Callable[[list[LateResponse]], None],
        on_change: Callable[[], None],
    ) -> None:
        self._settings = settings
        self._on_deliver = on_deliver
        self._on_late = on_late
        self._on_change = on_change
        self._stopping = False
        self.session: Session | None = None
        self.number = random.getrandbits(62)
        metrics.delivers_waiting.set_function(lambda: self.session.delivers.waiting if self.session else 0)
        metrics.delivers_refused.set_function(lambda: self.session.delivers.refused if self.session else 0)

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

    async def run(self) -> None:
        """Bind, and bind again whenever the session ends."""
        delay_s = self._settings.carrier_rebind_s_min
        while not self._stopping:
            try:
                self.session = await self._connect()
            except (OSError, TimeoutError, BindRefused) as error:
                log.warning("carrier.bind_failed", account=self._settings.carrier_account, why=type(error).__name__)
                await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))
                delay_s = min(delay_s * 2, self._settings.carrier_rebind_s_max)
                continue
            bound_at = clock.monotonic()
            self.number += 1
            metrics.carrier_bound.set(1)
            log.info("carrier.bound", account=self._settings.carrier_account)
            self._on_change()
            reason = await asyncio.shield(self.session.closed)
            self.session = None
            metrics.carrier_bound.set(0)
            self._on_change()
            log.warning("carrier.unbound", account=self._settings.carrier_account, why=reason)
            # Who binds and is dropped at once, again and again, waits as long as who is refused.
            if clock.monotonic() - bound_at > self._settings.carrier_rebind_s_max:
                delay_s = self._settings.carrier_rebind_s_min
            if not self._stopping:
                await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))
                delay_s = min(delay_s * 2, self._settings.carrier_rebind_s_max)
        await asyncio.Event().wait()

    async def _connect(self) -> Session:
        settings = self._settings
        options = SessionOptions(
            system_id=settings.carrier_system_id,
            password=settings.carrier_password.get_secret_value(),
            system_type=settings.carrier_system_type,
            window=settings.carrier_window,
            enquire_link_interval_s=settings.carrier_enquire_link_s,
            response_timeout_s=settings.carrier_response_timeout_s,
            deliver_batch_max=settings.dispatch_delivers_batch_max,
            deliver_waiting_max=settings.dispatch_delivers_waiting_max,
        )
        return await Session.connect(
            settings.carrier_host,
            settings.carrier_port,
            options,
            tls=ssl.create_default_context() if settings.carrier_tls else None,
            on_deliver=self._on_deliver,
            on_late_response=self._on_late,
        )

    async def stop(self) -> None:
        """Unbind; what is unanswered after the settings' bound is unknown."""
        self._stopping = True
        if self.session is not None:
            await self.session.unbind(self._settings.dispatch_stop_s)
