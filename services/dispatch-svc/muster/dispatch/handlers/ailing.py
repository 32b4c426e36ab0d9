"""A send that pauses itself since too many of its messages are refused or fail."""

from typing import Final

from muster.dispatch.domain.saga import Control, Controlled, State
from muster.dispatch.handlers.sagas import advance_locked
from muster.dispatch.store import sagas
from muster.dispatch.store.sagas import SagaKey
from muster.kit import metrics, observe
from muster.kit.pg import Tx

# The code that BulkSmsControlled says.
ERROR_RATE: Final = "error_rate"

log = observe.logger(__name__)


async def pause(tx: Tx, key: SagaKey, control_version: int) -> bool:
    """Pause it, if nobody has stopped, paused or resumed it since the control that its outcomes are of; whether so."""
    before = await sagas.lock(tx, [key])
    bulk = before[key]
    if bulk.control_version != control_version or bulk.state is not State.SENDING or bulk.ending or bulk.parked:
        return False
    await advance_locked(tx, before, {key: [Controlled(Control.PAUSE)]}, reason=ERROR_RATE)
    metrics.sends_paused_for_errors.inc()
    log.warning("bulk.paused_for_errors", tenant_id=str(key.tenant_id), bulk_id=str(key.bulk_id))
    return True
