"""Sender processes adopt accounts, follow their changes without an unknown message, and leave them."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial
from typing import Any

import carriers_world
import dispatch_world as world
import pytest
from carriers_world import Operator, operator, route_to, senders, settings
from dispatch_world import Send

from muster.dispatch.handlers.carriers import Seal
from muster.dispatch.store import carriers, claims
from muster.events.v1 import common_pb2
from muster.kit.pg import Database
from muster.kit.process import Process
from muster.kit.testing import eventually
from muster.local.carrier.deliveries import Inbound
from muster.local.carrier.server import Carrier
from muster.smpp import Deliver

ACCEPTED = common_pb2.LEFT_ACCEPTED


@pytest.fixture(autouse=True)
def no_kafka(monkeypatch: pytest.MonkeyPatch) -> None:
    carriers_world.without_kafka(monkeypatch)


@pytest.fixture
async def op(db: Database) -> AsyncIterator[Operator]:
    async with operator(db, settings()) as found:
        yield found


async def connected(op: Operator, account: str, connections: int = 1) -> bool:
    standing = await op.standing(account)
    return bool(standing["applied"] and standing["connections"] == connections)


async def sent(carrier: Carrier, count: int) -> bool:
    return carrier.stats.submits >= count


async def test_a_new_account_is_adopted_and_sends_while_everything_runs_on(
    db: Database, carrier: Carrier, op: Operator
) -> None:
    async with senders(db, 2, settings()) as processes:
        await eventually(lambda: adopted(op, "smpp"))
        await op.create("west", carrier.port)
        await route_to(db, "west")
        send = Send(recipients=50)
        await world.queue(db, send)
        await eventually(partial(world.closed, db, send))

        assert all(process.is_ready for process in processes)
        assert (await op.standing("smpp"))["connections"] == 0, "nothing listens there, and that harms nobody"

    assert await world.lefts(db, send) == {ACCEPTED: 50}
    assert carrier.stats.accepted == 50


async def adopted(op: Operator, account: str) -> bool:
    answer = await op("GET", f"/{account}")
    return answer.status_code == 200 and bool(answer.json()["standing"]["adopted"])


async def test_a_change_in_the_middle_of_a_send_leaves_nothing_unknown_and_repeats_nobody(
    db: Database, carrier: Carrier
) -> None:
    carrier.use(replace(carrier.options, response_delay_ms=40))
    conf = settings(carrier_port=carrier.port, carrier_window=20)
    send = Send(recipients=600)
    await world.queue(db, send)
    async with senders(db, 1, conf), operator(db, conf) as op:
        for at in range(3):
            await eventually(partial(sent, carrier, 100 * (at + 1)))
            changed = await op.change("smpp", parts_window=20 + at, smpp={"system_type": f"vma{at}"})
            await eventually(lambda: connected(op, "smpp"))
            assert changed["version"] == at + 2
        await eventually(partial(world.closed, db, send))

    assert await world.lefts(db, send) == {ACCEPTED: 600}
    assert (carrier.stats.submits, carrier.stats.duplicates) == (600, 0)
    await world.assert_laws(db)


async def test_a_sender_that_is_told_to_end_in_the_middle_of_a_send_leaves_it_to_another_and_nothing_unknown(
    db: Database, carrier: Carrier
) -> None:
    carrier.use(replace(carrier.options, response_delay_ms=40))
    conf = settings(carrier_port=carrier.port, carrier_window=20)
    send = Send(recipients=600)
    await world.queue(db, send)
    async with senders(db, 4, conf) as processes, operator(db, conf) as op:
        for at in range(3):
            await eventually(partial(sent, carrier, 100 * (at + 1)))
            ending = [one for one in processes if not one.stopping and one.mark > 3]
            assert len(ending) == 1, "one of them has the account"
            ending[0].stop()
            await ending[0].close()
        await eventually(partial(world.closed, db, send))
        assert (await op.standing("smpp"))["adopted"]

    assert await world.lefts(db, send) == {ACCEPTED: 600}
    assert (carrier.stats.submits, carrier.stats.duplicates) == (600, 0)
    await world.assert_laws(db)


async def test_a_sender_that_is_told_to_end_waits_for_a_claim_that_is_under_way_and_leaves_nothing_unknown(
    db: Database, carrier: Carrier, monkeypatch: pytest.MonkeyPatch
) -> None:
    claiming, may_commit = asyncio.Event(), asyncio.Event()

    async def slowly(tx: Any, *given: Any) -> Any:
        found = await claim(tx, *given)
        claiming.set()
        await may_commit.wait()
        return found

    claim = claims.claim
    monkeypatch.setattr(claims, "claim", slowly)
    send = Send(recipients=50)
    await world.queue(db, send)
    async with senders(db, 1, settings(carrier_port=carrier.port)) as processes:
        await claiming.wait()
        processes[0].stop()
        ending = asyncio.create_task(processes[0].close())
        assert not (await asyncio.wait({ending}, timeout=0.2))[0], "what is claimed is on its way to being written"
        may_commit.set()
        await ending

    async with senders(db, 1, settings(carrier_port=carrier.port)):
        await eventually(partial(world.closed, db, send))
    assert await world.lefts(db, send) == {ACCEPTED: 50}
    assert (carrier.stats.submits, carrier.stats.duplicates) == (50, 0)


async def test_a_drained_account_sends_nothing_and_still_hears_and_an_open_one_goes_on(
    db: Database, carrier: Carrier
) -> None:
    conf = settings(carrier_port=carrier.port, carrier_window=10)
    carrier.use(replace(carrier.options, response_delay_ms=20, receipt_delay_ms=500))
    send = Send(recipients=200)
    await world.queue(db, send)
    async with senders(db, 1, conf), operator(db, conf) as op:
        await eventually(partial(sent, carrier, 30))
        assert (await op("POST", "/smpp/drain", {"reason": "work on the line"})).status_code == 200
        await eventually(lambda: connected(op, "smpp"))
        before = carrier.stats.submits
        await eventually(lambda: acked(carrier, before))
        inbound = Inbound(Deliver(0, "61411000000", "61400000001", b"Hello"))
        carrier.accounts["muster"].deliver([inbound])
        assert await inbound.answer == 0
        assert (await op.standing("smpp"))["in_flight"] == 0
        assert carrier.stats.submits == before < 200

        await op("POST", "/smpp/open")
        await eventually(partial(world.closed, db, send))

    assert await world.lefts(db, send) == {ACCEPTED: 200}
    assert carrier.stats.duplicates == 0


async def acked(carrier: Carrier, count: int) -> bool:
    return carrier.stats.receipts_acked >= count


async def test_a_closed_account_is_left_for_one_that_needs_a_sender(
    db: Database, carrier: Carrier, op: Operator
) -> None:
    await op.create("east", carrier.port)
    async with senders(db, 1, settings(carrier_account="east", carrier_port=carrier.port)):
        await eventually(lambda: connected(op, "east"))
        await op.create("west", carrier.port, smpp={"host": "localhost"})
        assert not (await op.standing("west"))["adopted"]

        assert (await op("POST", "/east/close")).status_code == 200
        await eventually(lambda: connected(op, "west"))

    assert not (await op.standing("east"))["applied"]


async def test_several_binds_of_an_account_share_a_send(db: Database, carrier: Carrier) -> None:
    conf = settings(carrier_port=carrier.port, carrier_window=20)
    carrier.use(replace(carrier.options, response_delay_ms=30, receipt_bind="random"))
    async with senders(db, 1, conf), operator(db, conf) as op:
        await eventually(lambda: adopted(op, "smpp"))
        await op.change("smpp", smpp={"binds": 3})
        await eventually(lambda: connected(op, "smpp", 3))
        send = Send(recipients=400)
        await world.queue(db, send)
        await eventually(partial(world.closed, db, send))
        used = [link.submits for link in carrier.links]
        await eventually(lambda: heard(db, send))

    assert len(used) == 3
    assert all(used)
    assert sum(used) == 400
    assert await world.lefts(db, send) == {ACCEPTED: 400}
    assert carrier.stats.duplicates == 0


async def heard(db: Database, send: Send) -> bool:
    return sum((await world.receipts(db, send)).values()) == send.recipients


async def test_the_environment_s_account_is_as_the_api_left_it_until_the_environment_says_something_new(
    db: Database, op: Operator
) -> None:
    for conf in (settings(), settings()):
        async with senders(db, 1, conf):
            await eventually(lambda: adopted(op, "smpp"))
            await op.change("smpp", parts_window=77)
    assert (await op("GET", "/smpp")).json()["parts_window"] == 77

    async with senders(db, 1, settings(carrier_window=55)):
        await eventually(lambda: windowed(op, 55))


async def windowed(op: Operator, window: int) -> bool:
    return bool((await op("GET", "/smpp")).json()["parts_window"] == window)


async def test_a_password_that_another_key_has_sealed_is_asked_for_again(
    db: Database, carrier: Carrier, op: Operator
) -> None:
    await op.create("west", carrier.port)
    async with db.worker() as tx:
        row = await carriers.read(tx, "west")
        assert row is not None
        await carriers.change(tx, replace(row, secret=Seal(b"another").seal("west", "muster")))
    async with senders(db, 2, settings()) as processes:
        await eventually(lambda: says(op, "west", "give it again"))
        await eventually(lambda: ready(processes))
        await op.change("west", password="muster")
        await eventually(lambda: connected(op, "west"))


async def ready(processes: list[Process[Any]]) -> bool:
    return all(process.is_ready for process in processes)


async def says(op: Operator, account: str, words: str) -> bool:
    return words in (await op.standing(account))["why"]


async def test_no_sender_connects_to_a_host_outside_the_operator_s_networks(
    db: Database, carrier: Carrier, op: Operator
) -> None:
    await op.create("west", carrier.port, smpp={"host": "localhost"})
    async with senders(db, 2, settings(carrier_networks="192.0.2.0/24")):
        await eventually(lambda: says(op, "west", "is outside MUSTER_CARRIER_NETWORKS"))

    assert carrier.stats.binds_refused == 0
    assert not carrier.accounts


async def test_a_wrong_password_is_said_and_a_right_one_connects(db: Database, carrier: Carrier, op: Operator) -> None:
    await op.create("west", carrier.port, password="wrong")
    async with senders(db, 2, settings()):
        await eventually(lambda: says(op, "west", "ESME_RINVPASWD"))
        await op.change("west", password="muster")
        await eventually(lambda: connected(op, "west"))


async def test_what_was_sealed_for_one_account_opens_for_no_other() -> None:
    seal = Seal(b"key")
    with pytest.raises(Exception, match="give it again"):
        seal.open("east", seal.seal("west", "secret"))
    assert seal.open("west", seal.seal("west", "secret")) == "secret"
    assert seal.mark("a") == Seal(b"key").mark("a") != Seal(b"other").mark("a")
