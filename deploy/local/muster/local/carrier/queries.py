"""query_sm: where a message is that was accepted a while ago."""

import time
from typing import TYPE_CHECKING, Final

from muster.local.carrier.deliveries import STATE_NUMBERS
from muster.smpp import ReceiptState
from muster.smpp.pdu import Query, QueryResp
from muster.smpp.status import ESME_RQUERYFAIL

if TYPE_CHECKING:
    from muster.local.carrier.server import Carrier

_FINAL_DATE: Final = "%y%m%d%H%M%S000+"
_ERRORS: Final = {ReceiptState.UNDELIVERABLE: 0x0A, ReceiptState.EXPIRED: 27}


def answer(carrier: "Carrier", query: Query) -> QueryResp | None:
    """What the carrier says; None where it says nothing."""
    stats, options = carrier.stats, carrier.options
    stats.queries += 1
    if carrier.behaviour.loses_query(stats.queries):
        stats.queries_lost += 1
        return None
    found = stats.message(_number(query.message_id, 16 if options.id_format == "hex" else 10))
    if found is None or found[1].source != query.source:
        stats.queries_failed += 1
        return QueryResp(query.sequence, ESME_RQUERYFAIL)
    at, submit = found
    final_at = at + options.receipt_delay_ms / 1000
    if time.time() < final_at:
        return QueryResp(query.sequence, 0, query.message_id, "", STATE_NUMBERS[ReceiptState.ENROUTE][0])
    state = carrier.behaviour.state_of(submit.destination)
    date = time.strftime(_FINAL_DATE, time.gmtime(final_at))
    return QueryResp(query.sequence, 0, query.message_id, date, STATE_NUMBERS[state][0], _ERRORS.get(state, 0))


def _number(message_id: str, base: int) -> int:
    try:
        return int(message_id, base)
    except ValueError:
        return -1
