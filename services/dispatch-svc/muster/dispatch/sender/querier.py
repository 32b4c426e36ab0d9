"""Messages of which the carrier did not say all: asked for at the carrier, a bounded number of times, never sent again.

Those whose id is known and whose receipt never came: each chunk is looked at once, when its receipts are overdue; what
is open then is a row until the carrier has said how it ended, or was asked often enough. And those that are unknown,
where a carrier finds messages by our reference: that it has one makes it accepted, that it does not know it proves
nothing. An account that asks nothing costs nothing.
"""

from collections.abc import Sequence
from typing import Final

from muster.dispatch.domain.slots import Slot
from muster.dispatch.sender.deliveries import Deliveries
from muster.dispatch.sender.link import Asker, Question, reference_of
from muster.dispatch.sender.resolver import Resolver
from muster.dispatch.sender.shared import Shared
from muster.dispatch.store import questions as store
from muster.dispatch.store.questions import Due, DueUnknown
from muster.kit import metrics
from muster.smpp import Receipt

EVERY_S: Final = 1.0


class Querier:
    """Asks a carrier that can be asked."""

    def __init__(self, shared: Shared, asker: Asker, deliveries: Deliveries, resolver: Resolver) -> None:
        self._shared = shared
        self._settings = shared.settings
        self._asker = asker
        self._deliveries = deliveries
        self._resolver = resolver

    @property
    def asks(self) -> bool:
        """Whether there is anything to do for this account."""
        return self._asker.asks_by_id or self._asker.asks_by_reference

    async def step(self) -> None:
        """Ask what is due: what is unknown first, since credits wait for it."""
        room = self._settings.dispatch_queries_per_s
        if self._asker.asks_by_reference:
            room -= await self._ask_unknown(room)
        if self._asker.asks_by_id:
            await self._ask_overdue(room)

    # -- receipts that never came -------------------------------------------------------------------------------------

    async def _ask_overdue(self, room: int) -> None:
        """Look at the next chunks whose receipts are overdue, and ask what is due."""
        settings, account = self._settings, self._shared.account.name
        async with self._shared.db.worker() as tx:
            await store.look(tx, account, settings.dispatch_query_after_s, settings.dispatch_waiting_kept_s)
        async with self._shared.db.worker() as tx:
            due = await store.due(tx, account, room)
        if due:
            answers = await self._asker.ask([Question(one.carrier_id, one.sender) for one in due])
            await self._heard(due[: len(answers)], answers)

    async def _heard(self, due: Sequence[Due], answers: Sequence[Receipt | None]) -> None:
        """What is final counts as its receipt; the rest is asked again later, ever more rarely, and at last no more."""
        ended: list[tuple[Due, Receipt]] = []
        later: list[Due] = []
        for one, said in zip(due, answers, strict=True):
            if said is not None and said.state.is_final:
                ended.append((one, said))
            else:
                later.append(one)
            metrics.status_answers.labels(_word(said)).inc()
        await self._deliveries.on_answers([(one.key, one.slot, said) for one, said in ended])
        settings = self._settings
        async with self._shared.db.worker() as tx:
            await store.answered(tx, [one for one, _ in ended])
            await store.ask_again(tx, later, settings.dispatch_query_after_s, settings.dispatch_query_times_max)

    # -- what is unknown ----------------------------------------------------------------------------------------------

    async def _ask_unknown(self, room: int) -> int:
        """Ask for messages by our reference; how many were asked for."""
        settings, account = self._settings, self._shared.account.name
        after_s, within_s = settings.dispatch_query_unknown_after_s, settings.dispatch_waiting_kept_s
        async with self._shared.db.worker() as tx:
            due = await store.due_unknown(tx, account, after_s, within_s, settings.dispatch_query_times_max, room)
        if not due:
            return 0
        answers = await self._asker.ask([Question("", "", reference_of(one.key, one.slots[0])) for one in due])
        asked = due[: len(answers)]
        found = [(one, said) for one, said in zip(asked, answers, strict=True) if said is not None]
        metrics.status_answers.labels("found").inc(len(found))
        metrics.status_answers.labels("not found").inc(len(asked) - len(found))
        if found:
            await self._resolve(found)
        async with self._shared.db.worker() as tx:
            await store.ask_unknown_again(tx, asked, after_s)
        return len(asked)

    async def _resolve(self, found: Sequence[tuple[DueUnknown, Receipt]]) -> None:
        """They are accepted, and their ids known from now on; how they ended may be known too."""
        for one, said in found:
            for slot in one.slots:
                self._resolver.add(one.key, slot, Slot.ACCEPTED, said.id)
        await self._resolver.flush()
        await self._deliveries.adopt([(one.key, slot, said.id) for one, said in found for slot in one.slots])
        ended = [(one, said) for one, said in found if said.state.is_final]
        await self._deliveries.on_answers([(one.key, one.slots[0], said) for one, said in ended])
        if self._asker.asks_by_id:
            async with self._shared.db.worker() as tx:
                open_ones = [(one.key, one.slots[0]) for one, said in found if not said.state.is_final]
                await store.add(tx, self._shared.account.name, open_ones)


def _word(said: Receipt | None) -> str:
    if said is None:
        return "none"
    return "final" if said.state.is_final else "pending"
