"""Questions: where a message is that was accepted a while ago, by query_sm and by HTTP."""

import time
from typing import TYPE_CHECKING, Final, NamedTuple

from muster.local.carrier.deliveries import STATE_NUMBERS
from muster.smpp import ReceiptState, Submit
from muster.smpp.pdu import Query, QueryResp
from muster.smpp.status import ESME_RQUERYFAIL

if TYPE_CHECKING:
    from muster.local.carrier.server import Carrier

_FINAL_DATE: Final = "%y%m%d%H%M%S000+"
_ERRORS: Final = {ReceiptState.UNDELIVERABLE: 0x0A, ReceiptState.EXPIRED: 27}


class Standing(NamedTuple):
    """Where a message is; `final_at` in seconds since 1970, 0 while it is on its way."""

    state: ReceiptState
    final_at: float
    submit: Submit


def is_lost(carrier: "Carrier") -> bool:
    """Count a question; whether it gets no answer."""
    stats = carrier.stats
    stats.queries += 1
    lost = carrier.behaviour.loses_query(stats.queries)
    stats.queries_lost += lost
    return lost


def standing(carrier: "Carrier", number: int) -> Standing | None:
    """Where the message of this id is; None where it is none of the last."""
    found = carrier.stats.message(number)
    if found is None:
        return None
    at, submit = found
    final_at = at + carrier.options.receipt_delay_ms / 1000
    if time.time() < final_at:
        return Standing(ReceiptState.ENROUTE, 0, submit)
    return Standing(carrier.behaviour.state_of(submit.destination), final_at, submit)


def answer(carrier: "Carrier", query: Query) -> QueryResp | None:
    """What the carrier says to a query_sm; None where it says nothing."""
    if is_lost(carrier):
        return None
    found = standing(carrier, number_of(query.message_id, 16 if carrier.options.id_format == "hex" else 10))
    if found is None or found.submit.source != query.source:
        carrier.stats.queries_failed += 1
        return QueryResp(query.sequence, ESME_RQUERYFAIL)
    date = time.strftime(_FINAL_DATE, time.gmtime(found.final_at)) if found.final_at else ""
    state = STATE_NUMBERS[found.state][0]
    return QueryResp(query.sequence, 0, query.message_id, date, state, _ERRORS.get(found.state, 0))


def number_of(message_id: str, base: int) -> int:
    """The number of an id, -1 for what is none."""
    try:
        return int(message_id, base)
    except ValueError:
        return -1
