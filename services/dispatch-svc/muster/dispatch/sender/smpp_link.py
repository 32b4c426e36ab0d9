"""The link to an SMPP account: as many binds as its profile says, kept up, with back-off and jitter."""

import asyncio
import random
import ssl
from collections.abc import Sequence

from muster.dispatch.domain.carriers import Long, Smpp
from muster.dispatch.handlers.hosts import address_of
from muster.dispatch.sender.coding import Coding, source_of
from muster.dispatch.sender.job import Job, Window
from muster.dispatch.sender.link import Ears, Guard, Late, Question, Sink, SinkOf
from muster.dispatch.sender.reach import why_not
from muster.dispatch.sender.shared import Shared
from muster.kit import clock, metrics, observe
from muster.smpp import (
    BindRefused,
    Delivered,
    LateResponse,
    Meaning,
    Outcome,
    Receipt,
    Session,
    SessionOptions,
    answered_receipt,
)

log = observe.logger(__name__)

_GONE = (OSError, TimeoutError, BindRefused)


class SmppLink:
    """Transceiver sessions of one account. A window goes out by the one with most room."""

    def __init__(self, shared: Shared, ears: Ears) -> None:
        self._settings = shared.settings
        self._account = shared.account
        assert isinstance(shared.account.options, Smpp)
        self._profile = shared.account.options
        self._coding = Coding(self._profile)
        self._ears = ears
        self._stopping = False
        self._sessions: list[Session] = []
        # What several binds bring is stored one batch after the other: parts of a message find each other then.
        self._delivering = asyncio.Lock()
        self.number = random.getrandbits(62)
        self.whole = self._profile.long_messages is Long.PAYLOAD
        self.why = "not connected yet"
        metrics.delivers_waiting.set_function(self._waiting)
        metrics.delivers_refused.set_function(lambda: sum(one.delivers.refused for one in self._sessions))

    @property
    def window(self) -> int:
        """Submits that may be unanswered, of each bind."""
        return self._account.window

    @property
    def connections(self) -> int:
        """Binds that stand."""
        return len(self._sessions)

    @property
    def session(self) -> Session | None:
        """The bind with most room, of those that were not used last; None without one."""
        sessions = self._sessions
        if len(sessions) < 2:
            return sessions[0] if sessions else None
        return max(sessions, key=lambda one: one.free_slots if one.bound else -1)

    def _waiting(self) -> int:
        return sum(one.delivers.waiting for one in self._sessions)

    @property
    def free_slots(self) -> int:
        """How many parts may be written now; 0 while there is no bind, or more comes in than can be stored: what is
        sent comes back as receipts, and not every carrier brings again what was refused."""
        session = self.session
        if session is None or not session.bound or self._waiting() >= self._settings.dispatch_delivers_slow_min:
            return 0
        return session.free_slots

    @property
    def messages(self) -> int:
        """As many as there are parts."""
        return self.free_slots

    async def writable(self) -> bool:
        """Wait until the write buffer is empty; False without a bind."""
        session = self.session
        return session is not None and await session.writable()

    def start(self, job: Job, window: Window, sink_of: SinkOf, guard: Guard) -> int | None:
        """Write the submit_sm of these slots by one bind, all or none."""
        session = self.session
        if session is None:
            return None
        slots, messages, spans = self._coding.submits(job, window)
        sink = sink_of(slots) if spans is None else _spread(sink_of(slots), spans)
        refused = session.start(messages, sink, guard=guard, tag=(job, slots, spans))
        if refused is not None:
            return None
        if len(self._sessions) > 1:
            self._sessions.remove(session)
            self._sessions.append(session)
        return len(slots)

    # -- questions ----------------------------------------------------------------------------------------------------

    @property
    def asks_by_id(self) -> bool:
        """As the account says."""
        return self._profile.query_sm

    @property
    def asks_by_reference(self) -> bool:
        """SMPP has no such question."""
        return False

    async def ask(self, questions: Sequence[Question]) -> list[Receipt | None]:
        """query_sm for each."""
        return await asyncio.gather(*map(self._ask, questions))

    async def _ask(self, question: Question) -> Receipt | None:
        session = self.session
        if session is None or not session.bound:
            return None
        answer = await session.queries.ask(question.carrier_id, *source_of(question.sender, self._profile))
        return None if answer is None else answered_receipt(answer, question.carrier_id)

    def _on_late(self, late: list[LateResponse]) -> None:
        found = []
        for response in late:
            assert isinstance(response.tag, tuple)
            job, slots, spans = response.tag
            places = (response.index,) if spans is None else spans[response.index]
            found += [Late(job, slots[at], response.outcome) for at in places]
        self._ears.on_late(found)

    async def _on_deliver(self, delivers: list[Delivered]) -> None:
        async with self._delivering:
            await self._ears.on_deliver(delivers)

    # -- binds --------------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep every bind up."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._profile.binds):
                group.create_task(self._keep())

    async def _keep(self) -> None:
        """Bind, and bind again whenever the session ends."""
        delay_s = self._settings.carrier_rebind_s_min
        while not self._stopping:
            try:
                session = await self._connect()
            except _GONE as error:
                self.why = why_not(error)
                log.warning("carrier.bind_failed", account=self._account.name, why=self.why)
                await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))
                delay_s = min(delay_s * 2, self._settings.carrier_rebind_s_max)
                continue
            bound_at = clock.monotonic()
            self._bound(session)
            reason = await asyncio.shield(session.closed)
            self._unbound(session, reason)
            # Who binds and is dropped at once, again and again, waits as long as who is refused.
            if clock.monotonic() - bound_at > self._settings.carrier_rebind_s_max:
                delay_s = self._settings.carrier_rebind_s_min
            if not self._stopping:
                await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))
                delay_s = min(delay_s * 2, self._settings.carrier_rebind_s_max)
        await asyncio.Event().wait()

    def _bound(self, session: Session) -> None:
        self.number += 1
        self.why = ""
        self._sessions.append(session)
        metrics.carrier_bound.set(len(self._sessions))
        log.info("carrier.bound", account=self._account.name)
        self._ears.on_change()

    def _unbound(self, session: Session, reason: str) -> None:
        # What it had not answered the carrier may bring again by another bind, at once.
        self.number += 1
        self.why = reason
        self._sessions.remove(session)
        metrics.carrier_bound.set(len(self._sessions))
        self._ears.on_change()
        log.warning("carrier.unbound", account=self._account.name, why=reason)

    async def _connect(self) -> Session:
        settings, profile = self._settings, self._profile
        session = SessionOptions(
            system_id=profile.system_id,
            password=self._account.secret,
            system_type=profile.system_type,
            window=self._account.window,
            enquire_link_interval_s=profile.enquire_link_s,
            response_timeout_s=profile.response_timeout_s,
            deliver_batch_max=settings.dispatch_delivers_batch_max,
            deliver_waiting_max=settings.dispatch_delivers_waiting_max,
            codes={int(code, 16): Meaning(means) for code, means in profile.codes.items()},
        )
        return await Session.connect(
            await address_of(settings, self._account.name, profile.host),
            profile.port,
            session,
            tls=ssl.create_default_context(cadata=profile.tls_ca or None) if profile.tls else None,
            server_hostname=profile.tls_server_name or profile.host,
            on_deliver=self._ears.on_deliver if profile.binds == 1 else self._on_deliver,
            on_late_response=self._on_late,
        )

    async def stop(self) -> None:
        """Unbind; what is unanswered after the settings' bound is unknown."""
        self._stopping = True
        await asyncio.gather(*(one.unbind(self._settings.dispatch_stop_s) for one in list(self._sessions)))


def _spread(sink: Sink, spans: Sequence[range]) -> Sink:
    """For messages that stand for several parts: their outcome is that of each part."""

    def spread(indexed: list[tuple[int, Outcome]]) -> None:
        sink([(at, outcome) for index, outcome in indexed for at in spans[index]])

    return spread
