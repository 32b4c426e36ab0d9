"""What a send waits for, and how long that is no cause for concern."""

from collections.abc import Mapping
from enum import StrEnum
from typing import Final

from muster.dispatch.domain.bulk import Bulk, State


class Wait(StrEnum):
    """What a send waits for; the first that applies."""

    NOTHING = ""
    PARKED = "parked"
    PAUSED = "paused"
    REQUEST = "request"
    CREDITS = "credits"
    CHUNKS = "chunks"
    OUTCOMES = "outcomes"
    SETTLEMENT = "settlement"


_MINUTE_S: Final = 60
_HOUR_S: Final = 60 * _MINUTE_S
_DAY_S: Final = 24 * _HOUR_S

# Longer than this is stuck: the list for the operator and the alerts of docs/alerts.yaml begin here.
PATIENCE_S: Final[Mapping[Wait, int]] = {
    Wait.PARKED: 0,
    Wait.PAUSED: 7 * _DAY_S,
    Wait.REQUEST: _HOUR_S,
    Wait.CREDITS: 15 * _MINUTE_S,
    Wait.CHUNKS: _HOUR_S,
    Wait.OUTCOMES: 73 * _HOUR_S,
    Wait.SETTLEMENT: 2 * _HOUR_S,
}


def wait_of(bulk: Bulk) -> Wait:
    """What a send waits for that does not come from its carrier."""
    if bulk.parked:
        return Wait.PARKED
    unanswered = Wait.SETTLEMENT if bulk.account_version > bulk.settled_version else Wait.NOTHING
    if bulk.ended:
        return unanswered
    if bulk.state is State.PAUSED:
        return Wait.PAUSED
    if not bulk.requested:
        return Wait.REQUEST
    if bulk.reserved is None:
        return Wait.CREDITS
    if bulk.waits_for_chunks and bulk.arrived < bulk.chunks:
        return Wait.CHUNKS
    return Wait.OUTCOMES if bulk.totals.held else unanswered
