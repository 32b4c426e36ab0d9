"""Group commit of single messages: requests hand theirs over, and await what one transaction says of all of them.

A request never gets the worker's role, and a transaction for each message would cost forty times as much; every group
is a send, which costs each service as much for one message as for a hundred. While one transaction is under way the
next messages gather, and go on to while others keep coming within a few milliseconds of each other, up to a bound: one
that is alone waits for those few milliseconds. Nothing is answered before it is committed. Messages that cannot be
taken together are taken in halves, until the one that stands in the way of the others is alone with its error. The
messages of one request are never taken apart: all of them are committed at once.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Final, NamedTuple
from uuid import UUID

from asyncpg import LockNotAvailableError

from muster.customer.handlers.asks import Answer, Asked, Said
from muster.customer.handlers.messages import Overtaken
from muster.customer.store.messages import wait_for_locks
from muster.kit import clock, metrics, observe, trace
from muster.kit.desk import DeskFull
from muster.kit.idempotency import Stored
from muster.kit.pg import RETRIABLE, Database, Tx

log = observe.logger(__name__)

_TRIES_MAX: Final = 3
_LOCK_TIMEOUT_MS: Final = 100
# Of all texts of a group: a chunk of them must fit into one record, where a character may take three octets.
CHARACTERS_MAX: Final = 400_000

Take = Callable[[Tx, Sequence[Asked]], Awaitable[list[Answer]]]


class _Waiting(NamedTuple):
    asked: Asked
    answer: asyncio.Future[Answer]


@dataclass(slots=True)
class _Member:
    """A request of a group, who waits for it, and who asked for the same under the same idempotency key meanwhile."""

    asked: Asked
    answer: asyncio.Future[Answer]
    again: list[asyncio.Future[Answer]] = field(default_factory=list)


class Gatherer:
    """Takes messages in groups, one group at a time."""

    def __init__(
        self, db: Database, take: Take, *, wait_ms: float, wait_ms_max: float, group_max: int, waiting_max: int
    ) -> None:
        self._db = db
        self._take = take
        self._wait_s = wait_ms / 1000
        self._wait_s_max = wait_ms_max / 1000
        self._group_max = group_max
        self._waiting_max = waiting_max
        self._waiting: deque[_Waiting] = deque()
        self._messages = 0  # of those that wait
        self._run: asyncio.Task[None] | None = None

    async def ask(self, asked: Asked) -> Answer:
        """What becomes of a request, committed; DeskFull, or what its transaction raised.

        A caller that is cancelled leaves its messages where they are.
        """
        messages = len(asked.asks)
        if self._messages and self._messages + messages > self._waiting_max:
            raise DeskFull
        answer: asyncio.Future[Answer] = asyncio.get_running_loop().create_future()
        self._waiting.append(_Waiting(asked, answer))
        self._messages += messages
        if self._run is None or self._run.done():
            self._run = asyncio.create_task(self._go())
        return await answer

    async def _go(self) -> None:
        """Until nothing waits."""
        observe.about()  # not of whoever came first
        trace.enter("")
        while self._waiting:
            await self._gather()
            await self._settle(self._next())

    async def _gather(self) -> None:
        """Until nobody has come for a moment, the group is full, or it has been waited for long enough."""
        until, before = clock.monotonic() + self._wait_s_max, 0
        while before < self._messages < self._group_max and clock.monotonic() < until:
            before = self._messages
            await asyncio.sleep(self._wait_s)

    def _next(self) -> list[_Member]:
        """Those that came first, each idempotency key once: the same request again shares the answer, and another one
        under the same key waits for the next group, where it is told."""
        group: list[_Member] = []
        keyed: dict[tuple[UUID, str, str], _Member] = {}
        later: list[_Waiting] = []
        messages = characters = 0
        while self._waiting:
            asked, answer = waiting = self._waiting[0]
            first = keyed.get(asked.claim.identity) if asked.claim is not None else None
            messages += len(asked.asks)
            if (group or later) and messages > self._group_max:
                break
            if first is not None and first.asked.claim == asked.claim:
                first.again.append(answer)
            elif first is not None:
                later.append(waiting)
            else:
                characters += asked.characters
                if group and characters > CHARACTERS_MAX:
                    break
                group.append(_Member(asked, answer))
                if asked.claim is not None:
                    keyed[asked.claim.identity] = group[-1]
            self._waiting.popleft()
        self._waiting.extendleft(reversed(later))
        self._messages = sum(len(waiting.asked.asks) for waiting in self._waiting)
        return group

    async def _settle(self, group: Sequence[_Member], *, lock_timeout_ms: int | None = None) -> None:
        try:
            answers = await self._commit([member.asked for member in group], lock_timeout_ms)
        except Exception as error:
            # A database that is away, or did not say what became of the commit, is so for all of them; a lock that one
            # of them waits for is that one's alone.
            if len(group) == 1 or (isinstance(error, RETRIABLE) and not isinstance(error, LockNotAvailableError)):
                _fail(group, error)
                return
            log.warning("messages.taken_in_halves", requests=len(group), why=type(error).__name__)
            for half in (group[: len(group) // 2], group[len(group) // 2 :]):
                await self._settle(half, lock_timeout_ms=_LOCK_TIMEOUT_MS)
        else:
            for member, answer in zip(group, answers, strict=True):
                _tell(member, answer)

    async def _commit(self, asked: Sequence[Asked], lock_timeout_ms: int | None) -> list[Answer]:
        for left in reversed(range(_TRIES_MAX)):
            try:
                async with self._db.worker() as tx:
                    if lock_timeout_ms is not None:
                        await wait_for_locks(tx, lock_timeout_ms)
                    answers = await self._take(tx, asked)
                break
            except Overtaken:
                if not left:
                    raise
        metrics.single_groups.inc()
        metrics.single_messages.inc(sum(answer.taken for answer in answers if isinstance(answer, Said)))
        return answers


def _tell(member: _Member, answer: Answer) -> None:
    if not member.answer.done():
        member.answer.set_result(answer)
    for future in member.again:
        if not future.done():
            claim = member.asked.claim
            assert claim is not None, "only a key brings two together"
            again = Stored(claim.digest, answer.status, answer.document) if isinstance(answer, Said) else answer
            future.set_result(again)


def _fail(group: Sequence[_Member], error: Exception) -> None:
    for member in group:
        for future in (member.answer, *member.again):
            if not future.done():
                future.set_exception(error)
