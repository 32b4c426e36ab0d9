"""What the statements of the queue decide is what the rules in domain/leases.py say, on every combination."""

from datetime import timedelta
from itertools import cycle, product
from typing import Any
from uuid import UUID, uuid4

import dispatch_world as world
import pytest
from dispatch_world import Send

from muster.dispatch.domain.bulk import Bulk, State
from muster.dispatch.domain.leases import may_claim, may_intend
from muster.dispatch.domain.slots import Reason
from muster.dispatch.events import ChunkKey
from muster.dispatch.store import claims, queue
from muster.dispatch.store.queue import AttemptKey, Intent
from muster.kit import clock
from muster.kit.pg import Database, Tx

BULKS = [
    Bulk(state=state, ending=ending, parked=parked)
    for state, ending, parked in product(State, (Reason.NONE, Reason.STOPPED), ("", "why"))
]
OWNER = uuid4()


# At any time, now and later, and not now but before and later: in hours from now. Three of them, beside pairs of other
# conditions: each meets each.
QUIET = "-2 -1 1 2"
HOURS = ("", "-1 1 2 3", QUIET)


async def put(tx: Tx, bulk: Bulk, *, over: bool, hours: str, **attempt: Any) -> None:
    """The only saga and the only attempt there are, so."""
    await tx.execute(
        "UPDATE saga SET state = $1, ending = $2, parked = $3 WHERE tenant_id IS NOT NULL",
        *(bulk.state.value, bulk.ending.value, bulk.parked),
    )
    send_by = clock.now() + timedelta(hours=-1 if over else 1)
    names = ", ".join(f"{name} = ${at + 3}" for at, name in enumerate(attempt))
    await tx.execute(
        f"UPDATE attempt SET send_by = $1, allowed = $2::text::tstzmultirange, {names} WHERE tenant_id IS NOT NULL",
        *(send_by, allowed(hours), *attempt.values()),
    )


def allowed(hours: str) -> str | None:
    at = [(clock.now() + timedelta(hours=int(hour))).isoformat() for hour in hours.split()]
    pairs = zip(at[::2], at[1::2], strict=True)
    return "{" + ",".join(f"[{first},{last})" for first, last in pairs) + "}" if at else None


@pytest.fixture
async def send(db: Database) -> Send:
    one = Send(3)
    await world.platform(db)
    await world.queue(db, one)
    return one


async def test_a_claim_leases_what_the_rule_lets_it(db: Database, send: Send) -> None:
    async with db.worker() as tx:
        [one] = await claims.waiting(tx, world.settings().carrier_account, 10, 10)
        turns = cycle(HOURS)
        for bulk, queued, due, over in product(BULKS, (True, False), (True, False), (True, False)):
            hours = next(turns)
            due_at = clock.now() + timedelta(hours=-1 if due else 1)
            free: dict[str, Any] = {"state": 0, "lease_owner": None, "lease_until": None, "due_at": due_at}
            taken: dict[str, Any] = free | {"state": 1, "lease_owner": uuid4(), "lease_until": clock.now()}
            await put(tx, bulk, over=over, hours=hours, **(free if queued else taken))
            claimed = await claims.claim(tx, [one], OWNER, 10.0)
            rule = may_claim(bulk, queued=queued, due=due, over=over, quiet=hours == QUIET)
            assert bool(claimed) == rule, (bulk, queued, due, over, hours)


async def test_an_intent_is_committed_when_the_rule_lets_it(db: Database, send: Send) -> None:
    async with db.worker() as tx:
        found = await tx.fetchrow("SELECT chunk FROM attempt WHERE tenant_id = $1", send.tenant_id)
        assert found is not None
        chunk = ChunkKey(send.tenant_id, send.bulk_id, found["chunk"])
        counter = await tx.fetchval("SELECT counter FROM tenant_counter WHERE tenant_id = $1", send.tenant_id) or 0
        turns = cycle(HOURS)
        for bulk, leased, same_epoch, over, same_counter in product(BULKS, *[(True, False)] * 4):
            hours = next(turns)
            owner: UUID = OWNER if leased else uuid4()
            await put(
                tx, bulk, over=over, hours=hours, state=1, lease_owner=owner, lease_until=clock.now(), lease_epoch=5
            )
            wanted = Intent(AttemptKey(chunk, 0, 5 if same_epoch else 4), 1, counter + (not same_counter))
            granted = await queue.intend(tx, [wanted], OWNER, 10.0)
            asked = {"leased": leased, "same_epoch": same_epoch, "over": over, "same_counter": same_counter}
            assert (granted == {chunk}) == may_intend(bulk, **asked, quiet=hours == QUIET), (bulk, asked, hours)
