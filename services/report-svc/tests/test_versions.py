"""Which versions the upserts take is what the rule in domain.py says, for each pair of versions and both types."""

from itertools import product

import pytest
from report_world import ACCEPTED, DELIVERED, STOPPED, UNDELIVERED, Send, rows_of

from muster.kit.pg import Database
from muster.kit.testing import apply
from muster.report.domain import takes
from muster.report.handlers import HANDLERS

VERSIONS = range(1, 4)


@pytest.mark.parametrize(("first", "second"), list(product(VERSIONS, VERSIONS)))
async def test_the_report_takes_what_the_rule_takes(db: Database, first: int, second: int) -> None:
    send = Send()
    for event, version, values in (("SmsDispatched", first, [STOPPED]), ("SmsDispatched", second, [ACCEPTED])):
        await apply(db, HANDLERS[event], send.dispatched(values, version))
    for event, version, values in (
        ("SmsStatusChanged", first, [UNDELIVERED]),
        ("SmsStatusChanged", second, [DELIVERED]),
    ):
        await apply(db, HANDLERS[event], send.receipts(values, version))
    [row] = await rows_of(db, "message")
    taken = takes(first, second)
    assert row["left_state"] == (ACCEPTED if taken else STOPPED)
    assert row["receipt"] == (DELIVERED if taken else UNDELIVERED)
    assert row["ended"] == 10 + row["receipt"]
