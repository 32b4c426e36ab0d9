"""Messages whose id is known and whose receipt never came: asked for at the carrier, a bounded number of times.

Each chunk is looked at once, when its receipts are overdue; what is open then is a row until the carrier has said how
it ended, or was asked often enough. An account that asks nothing costs nothing.
"""

from collections.abc import Sequence
from typing import Final

from muster.dispatch.sender.deliveries import Deliveries
from muster.dispatch.sender.link import Asker, Question
from muster.dispatch.sender.shared import Shared
from muster.dispatch.store import questions as store
from muster.dispatch.store.questions import Due
from muster.kit import metrics
from muster.smpp import Receipt

EVERY_S: Final = 1.0


class Querier:
    """Asks a carrier that can be asked."""

    def __init__(self, shared: Shared, asker: Asker, deliveries: Deliveries) -> None:
        self._shared = shared
        self._settings = shared.settings
        self._asker = asker
        self._deliveries = deliveries

    async def step(self) -> None:
        """Look at the next chunks whose receipts are overdue, and ask what is due."""
        settings, account = self._settings, self._shared.account.name
        async with self._shared.db.worker() as tx:
            await store.look(tx, account, settings.dispatch_query_after_s, settings.dispatch_waiting_kept_s)
        async with self._shared.db.worker() as tx:
            due = await store.due(tx, account, settings.dispatch_queries_per_s)
        if due:
            answers = await self._asker.ask([Question(one.carrier_id, one.sender) for one in due])
            await self._heard(due, answers)

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


def _word(said: Receipt | None) -> str:
    if said is None:
        return "none"
    return "final" if said.state.is_final else "pending"
