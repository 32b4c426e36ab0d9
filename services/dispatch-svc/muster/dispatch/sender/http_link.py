"""The link to an HTTP account: connections that are kept open, each with one message on the wire at a time.

A request that may have been written and has no answer is unknown, and is never written again. So a connection stands
before anything is written, the guard is asked just before, and nothing follows a redirect or a proxy.
"""

import asyncio
import random
import ssl
from collections.abc import Sequence
from functools import partial
from typing import Final
from urllib.parse import SplitResult, urlsplit

from muster.dispatch.domain.http import adapter_of
from muster.dispatch.domain.http.model import Busy, Http, Message, Refused, Reply, Said, Took
from muster.dispatch.domain.http.read import read_secrets
from muster.dispatch.handlers.hosts import HostRefused, address_of
from muster.dispatch.sender.http_asker import HttpAsker
from muster.dispatch.sender.http_connection import Connection, Lost, Prepared, prepare
from muster.dispatch.sender.job import ERROR_LENGTH, Job, Outgoing, Window
from muster.dispatch.sender.link import Ears, Guard, Question, Sink, SinkOf, reference_of
from muster.dispatch.sender.reach import why_not
from muster.dispatch.sender.shared import Shared
from muster.kit import clock, metrics, observe
from muster.smpp import Accepted, NotSent, NotSentReason, Outcome, Receipt, Rejected, Unknown, UnknownReason

log = observe.logger(__name__)

_PARTS_MAX: Final = 255
_CONNECTIONS_MAX: Final = 200
_CONNECT_S: Final = 10.0
_SOON_S: Final = 1.0
_VALID_S_MIN: Final = 1
_STOP_POLL_S: Final = 0.02
_MOMENT_S: Final = 0.1
# The networks hold for every HTTP account.
_NOT_FROM_THE_ENVIRONMENT: Final = ""


class HttpLink:
    """At most the account's window of requests at once. One connection is kept while there is nothing to send."""

    whole = True

    def __init__(self, shared: Shared, ears: Ears) -> None:
        profile = shared.account.options
        assert isinstance(profile, Http)
        self._settings, self._account, self._profile = shared.settings, shared.account, profile
        self._ears = ears
        self._adapter = adapter_of(profile)
        self._secrets = read_secrets(shared.account.secret)
        # One that the environment gave may be anything; no header can have it then.
        self._fit = self._secrets.auth.isascii() and self._secrets.auth.isprintable()
        self._url = urlsplit(profile.base_url)
        self._tls = ssl.create_default_context() if self._url.scheme == "https" else None
        self._connections: list[Connection] = []
        self._asker = HttpAsker(profile, self._secrets, self._connect)
        self._wanted = asyncio.Event()
        self._used_at = -profile.idle_s
        self._quiet_until = 0.0
        self._stopping = False
        self.number = random.getrandbits(62)
        self.why = "not connected yet" if self._fit else "its secret has characters that no header can have"

    # -- room ---------------------------------------------------------------------------------------------------------

    @property
    def window(self) -> int:
        """The most parts that a message has: none is cut."""
        return _PARTS_MAX

    @property
    def connections(self) -> int:
        """How many stand."""
        return len(self._connections)

    @property
    def messages(self) -> int:
        """Connections without a request."""
        return sum(one.idle for one in self._connections)

    @property
    def free_slots(self) -> int:
        """A message of any length for each idle connection; 0 for a moment while fewer than half are, since a
        transaction for one message costs as much as for many."""
        idle, now = self.messages, clock.monotonic()
        if self._stopping or now < self._quiet_until:
            return 0
        return idle * _PARTS_MAX if idle * 2 >= self.connections or now - self._used_at > _MOMENT_S else 0

    async def writable(self) -> bool:
        """An idle connection has nothing left of what was written before."""
        return not self._stopping and self.messages > 0

    # -- writing ------------------------------------------------------------------------------------------------------

    def start(self, job: Job, window: Window, sink_of: SinkOf, guard: Guard) -> int | None:
        """Write a request for each message, each by a connection of its own."""
        whole = [one for one in job.outgoing(window) if self._is_whole(job, one)]
        idle = [one for one in self._connections if one.idle]
        self._used_at = clock.monotonic()
        self._wanted.set()
        if len(whole) > len(idle):
            return None
        prepared = [self._prepare(job, one) for one in whole]
        if not guard():
            return None
        slots = [slot for one in whole for slot in one.slots]
        sink, first = sink_of(slots), 0
        for one, request, connection in zip(whole, prepared, idle, strict=False):
            answered = partial(self._answered, sink, first, len(one.slots))
            connection.begin(request, self._profile.response_timeout_s, answered)
            first += len(one.slots)
        return len(slots)

    def _is_whole(self, job: Job, one: Outgoing) -> bool:
        """One of which other parts went another way cannot go out at all."""
        if not one.complete:
            for slot in one.slots:
                job.reject(slot, ERROR_LENGTH)
        return one.complete

    def _prepare(self, job: Job, one: Outgoing) -> Prepared:
        claimed = job.claimed
        message = Message(
            number=f"+{one.number}",
            sender=claimed.about.sender,
            text=one.text,
            parts=len(one.slots),
            reference=reference_of(claimed.key.chunk, one.slots[0]),
            valid_s=max(_VALID_S_MIN, int((claimed.valid_until - clock.now()).total_seconds())),
            valid_until=claimed.valid_until,
            receipts_url=self._profile.receipts_url(self._account.name) if self._profile.callback_url else "",
        )
        request = self._adapter.request(self._profile, self._secrets, message)
        return prepare(self._url.netloc, self._url.path, request)

    # -- answers ------------------------------------------------------------------------------------------------------

    def _answered(self, sink: Sink, first: int, parts: int, answer: Reply | Lost) -> None:
        if isinstance(answer, Lost):
            reason = UnknownReason.TIMEOUT if answer.timeout else UnknownReason.CONNECTION_LOST
            metrics.carrier_http_answers.labels("timeout" if answer.timeout else "lost").inc()
            outcomes: list[Outcome] = [Unknown(reason)] * parts
        else:
            outcomes = self._read(answer, parts)
        sink([(first + at, outcome) for at, outcome in enumerate(outcomes)])

    def _read(self, reply: Reply, parts: int) -> list[Outcome]:
        said = self._adapter.answer(self._profile, reply, parts)
        metrics.carrier_http_answers.labels(type(said[0]).__name__.lower()).inc()
        after_s = max((one.after_s for one in said if isinstance(one, Busy)), default=0.0)
        if after_s:
            self.why = f"answered {reply.status}"
            self._quiet_until = clock.monotonic() + after_s
            asyncio.get_running_loop().call_later(after_s, self._ears.on_change)
        elif isinstance(said[0], Took):
            self.why = ""
        outcomes = [_outcome(one, reply.status) for one in said]
        return outcomes if len(outcomes) == parts else outcomes[:1] * parts

    # -- questions ----------------------------------------------------------------------------------------------------

    @property
    def asks_by_id(self) -> bool:
        """As the account says, where its carrier can be asked so."""
        return self._fit and self._asker.asks_by_id

    @property
    def asks_by_reference(self) -> bool:
        """As the account says, where its carrier can be asked so."""
        return self._fit and self._asker.asks_by_reference

    async def ask(self, questions: Sequence[Question]) -> list[Receipt | None]:
        """One after the other, while messages can go out too."""
        if self._stopping or not self._connections or clock.monotonic() < self._quiet_until:
            return []
        return await self._asker.ask(questions)

    # -- connections --------------------------------------------------------------------------------------------------

    async def run(self) -> None:
        """Keep one connection up, and as many as the window while there is something to send."""
        if not self._fit:
            await asyncio.Event().wait()
        async with asyncio.TaskGroup() as group:
            for at in range(min(self._account.window, _CONNECTIONS_MAX)):
                group.create_task(self._keep(always=not at))

    async def _keep(self, *, always: bool) -> None:
        delay_s = self._settings.carrier_rebind_s_min
        while not self._stopping:
            if not always:
                await self._until_wanted()
            began = clock.monotonic()
            try:
                connection = await self._connect()
            except (OSError, TimeoutError) as error:  # ssl.SSLError is an OSError
                self.why = why_not(error)
                log.warning("carrier.connect_failed", account=self._account.name, why=type(error).__name__)
            else:
                await self._serve(connection)
                if clock.monotonic() - began > _SOON_S:
                    delay_s = self._settings.carrier_rebind_s_min
                    continue
            await asyncio.sleep(delay_s * random.uniform(0.5, 1.0))
            delay_s = min(delay_s * 2, self._settings.carrier_rebind_s_max)
        await asyncio.Event().wait()

    async def _until_wanted(self) -> None:
        """Until something was sent a moment ago."""
        while clock.monotonic() - self._used_at > self._profile.idle_s:
            self._wanted.clear()
            await self._wanted.wait()

    async def _serve(self, connection: Connection) -> None:
        self._connections.append(connection)
        if self.why and clock.monotonic() >= self._quiet_until:
            self.why = ""
        metrics.carrier_bound.set(len(self._connections))
        self._ears.on_change()
        try:
            await asyncio.shield(connection.closed)
        finally:
            connection.close()
            self._connections.remove(connection)
            metrics.carrier_bound.set(len(self._connections))
            self._ears.on_change()

    async def _connect(self) -> Connection:
        host, tls = self._url.hostname or "", self._url.scheme == "https"
        async with asyncio.timeout(_CONNECT_S):
            if not tls and not self._settings.networks:
                # A secret goes in the clear only where the operator says that the network is his.
                raise HostRefused(f"{host} is to be reached without TLS, and not in MUSTER_CARRIER_NETWORKS")
            address = await address_of(self._settings, _NOT_FROM_THE_ENVIRONMENT, host)
            _, connection = await asyncio.get_running_loop().create_connection(
                lambda: Connection(self._profile.idle_s, self._ears.on_change),
                address,
                _port(self._url),
                ssl=self._tls,
                server_hostname=host if tls else None,
            )
        return connection

    async def stop(self) -> None:
        """Take nothing more, wait for answers, close."""
        self._stopping = True
        until = clock.monotonic() + self._settings.dispatch_stop_s
        while any(one.busy for one in self._connections) and clock.monotonic() < until:  # noqa: ASYNC110
            await asyncio.sleep(_STOP_POLL_S)
        for one in list(self._connections):
            one.close()
        self._asker.close()


def _port(url: SplitResult) -> int:
    return url.port or (443 if url.scheme == "https" else 80)


def _outcome(said: Said, status: int) -> Outcome:
    match said:
        case Took(carrier_id):
            return Accepted(carrier_id)
        case Refused(code):
            return Rejected(code)
        case Busy():
            return NotSent(NotSentReason.THROTTLED, status)
        case _:
            return Unknown(UnknownReason.CONNECTION_LOST)
