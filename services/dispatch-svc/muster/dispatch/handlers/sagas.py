"""Load, decide, save, emit: how facts reach sagas, from events, senders, sweeps and requests alike."""

from collections.abc import Mapping, Sequence

from muster.dispatch import events
from muster.dispatch.domain.saga import (
    Alarm,
    Bulk,
    Control,
    Effect,
    Fact,
    SayAccounted,
    SayControlled,
    Summed,
    SumUp,
    advance,
)
from muster.dispatch.store import sagas
from muster.dispatch.store.sagas import SagaKey
from muster.kit import clock, metrics, observe, spans, trace
from muster.kit.outbox import Fact as Said
from muster.kit.outbox import emit
from muster.kit.pg import Tx
from muster.kit.spans import Of

log = observe.logger(__name__)


async def apply_facts(tx: Tx, facts: Mapping[SagaKey, Sequence[Fact]], *, user_id: str = "") -> dict[SagaKey, Bulk]:
    """Let sagas advance by these facts, in one order of locks, and say what follows. The sagas as they then are."""
    if not facts:
        return {}
    return await advance_locked(tx, await sagas.lock(tx, list(facts)), facts, user_id=user_id)


async def advance_locked(
    tx: Tx,
    before: Mapping[SagaKey, Bulk],
    facts: Mapping[SagaKey, Sequence[Fact]],
    *,
    user_id: str = "",
    by_operator: bool = False,
    reason: str = "",
) -> dict[SagaKey, Bulk]:
    """The same for sagas that are locked already. `by_operator`: of the platform, not by a person of the tenant's;
    `reason`: another code of why."""
    after, began_ms = dict(before), clock.unix_ms()
    effects: list[tuple[SagaKey, Effect, Bulk]] = []
    to_sum = []
    for key, new in facts.items():
        following = _advance_all(after, key, new, effects)
        if following:
            to_sum.append(key)
    if to_sum:
        # A statement of its own, after the locks: it sees everything that was committed before them.
        for key, tally in (await sagas.tallies(tx, to_sum)).items():
            _advance_all(after, key, (Summed(tally),), effects)
    await sagas.save(tx, {key: bulk for key, bulk in after.items() if bulk != before[key]})
    await emit(tx, *_said(effects, user_id, "operator" if by_operator else reason))
    _trace(before, after, began_ms)
    return after


def _trace(before: Mapping[SagaKey, Bulk], after: Mapping[SagaKey, Bulk], began_ms: int) -> None:
    """A step of the trace for each send that has come on."""
    for key, bulk in after.items():
        if bulk.state is not before[key].state:
            bulk_id = str(key.bulk_id)
            about = {Of.BULK: bulk_id, Of.BEFORE: before[key].state.value, Of.AFTER: bulk.state.value}
            spans.begin(f"saga {bulk.state.value}", parent=trace.of(bulk_id), about=about, at_ms=began_ms).end()


def _advance_all(
    bulks: dict[SagaKey, Bulk], key: SagaKey, facts: Sequence[Fact], effects: list[tuple[SagaKey, Effect, Bulk]]
) -> bool:
    """Apply facts to one saga; whether its chunks are to be added up."""
    sum_up = False
    for fact in facts:
        bulks[key], new = advance(bulks[key], fact)
        sum_up = sum_up or SumUp() in new
        effects.extend((key, effect, bulks[key]) for effect in new)
    return sum_up


def _said(effects: Sequence[tuple[SagaKey, Effect, Bulk]], user_id: str, reason: str) -> list[Said]:
    now = clock.unix_ms()
    said = []
    for (tenant_id, bulk_id), effect, bulk in effects:
        match effect:
            case SayAccounted(closed):
                said.append(events.accounted(tenant_id, bulk_id, bulk, closed=closed, at_unix_ms=now))
            case SayControlled(control):
                # Who shows the send must know that nobody's resume lets a parked one go on.
                why = "parked" if bulk.parked and control is not Control.STOP else reason
                who = {"user_id": user_id, "reason": why}
                said.append(events.controlled(tenant_id, bulk_id, bulk, control, **who, at_unix_ms=now))
            case Alarm(why):
                metrics.bulks_parked.inc()
                log.error("bulk.parked", tenant_id=str(tenant_id), bulk_id=str(bulk_id), why=why)
            case SumUp():
                pass  # done by the caller
    return said
