"""What credit-svc says of a send."""

from collections.abc import Sequence
from uuid import UUID

from muster.dispatch.domain.saga import Fact, Refused, Reserved, Settled
from muster.dispatch.events import CreditsRefused, CreditsReserved, CreditsSettled
from muster.dispatch.handlers.sagas import apply_facts
from muster.dispatch.store.sagas import SagaKey
from muster.kit.consumer.received import Received
from muster.kit.pg import Tx


async def on_credits_reserved(tx: Tx, batch: Sequence[Received[CreditsReserved]]) -> None:
    """Credits are set aside: chunks may be claimed."""
    await _apply(
        tx, [(event.message, Reserved(event.message.credits, event.message.send_by_unix_ms)) for event in batch]
    )


async def on_credits_refused(tx: Tx, batch: Sequence[Received[CreditsRefused]]) -> None:
    """Too few credits: nothing of it is sent."""
    await _apply(tx, [(event.message, Refused()) for event in batch])


async def on_credits_settled(tx: Tx, batch: Sequence[Received[CreditsSettled]]) -> None:
    """The ledger has applied our totals."""
    await _apply(tx, [(event.message, Settled(event.message.version)) for event in batch])


async def _apply(tx: Tx, said: Sequence[tuple[CreditsReserved | CreditsRefused | CreditsSettled, Fact]]) -> None:
    facts: dict[SagaKey, list[Fact]] = {}
    for event, fact in said:
        facts.setdefault(SagaKey(UUID(event.tenant_id), UUID(event.bulk_id)), []).append(fact)
    await apply_facts(tx, facts)
