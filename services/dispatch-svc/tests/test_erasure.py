"""An erased person: nothing that was queued goes to them, and nothing of them stays, while credits and counts do."""

from functools import partial
from typing import Any

import dispatch_world as world
import pytest
from dispatch_world import Send

from muster.dispatch.events import Texts, read_texts
from muster.dispatch.handlers import HANDLERS, erasing
from muster.events.v1 import common_pb2
from muster.events.v1.suppressions_pb2 import PersonErased
from muster.kit import clock
from muster.kit.pg import Database
from muster.kit.testing import apply, eventually, facts, forget_all
from muster.local.carrier.server import Carrier

BLANK = erasing.blank_by(world.settings())
ACCEPTED, SUPPRESSED = common_pb2.LEFT_ACCEPTED, common_pb2.LEFT_SUPPRESSED
STRANGER = 61_499_000_111


def erased(send: Send, *numbers: int) -> PersonErased:
    hashes = [world.hash_of(send.tenant_id, number) for number in numbers]
    return PersonErased(tenant_id=str(send.tenant_id), number_hashes=hashes, version=1, at_unix_ms=clock.unix_ms())


async def texts(db: Database) -> Texts:
    async with db.worker() as tx:
        return read_texts(await tx.fetchval("SELECT personal FROM chunk_body"))


@pytest.mark.parametrize("first", ["chunk", "erasure"])
async def test_what_is_queued_for_an_erased_person_is_not_sent_and_its_credits_come_back(
    db: Database, carrier: Carrier, first: str
) -> None:
    send = Send(recipients=3)
    gone, *others = send.numbers
    queued: list[Any] = [world.tenant(send), send.requested(), send.chunk(1), send.reserved()]
    said = erased(send, gone)
    for message in [*queued, said] if first == "chunk" else [said, *queued]:
        await apply(db, HANDLERS[message.DESCRIPTOR.name], message)
    await forget_all(db, BLANK)

    left = await texts(db)
    assert left.numbers == [0, *others]
    assert [left.texts[at] for at in left.index] == ["", send.text, send.text]
    async with world.sending(db, world.settings(carrier_port=carrier.port)):
        await eventually(partial(world.closed, db, send))
    assert set(carrier.stats.by_destination) == {str(number) for number in others}
    assert await world.lefts(db, send) == {ACCEPTED: 2, SUPPRESSED: 1}
    assert await world.money(db, send) == (3, 2, 1, 0)
    await world.assert_laws(db)
    async with db.worker() as tx:
        confirmed = await facts(tx, "PersonForgotten")
    assert [(one.message.version, one.message.number_hash) for one in confirmed] == [(1, said.number_hashes[0])]


async def test_a_send_that_is_begun_after_the_erasure_reaches_who_came_back(db: Database) -> None:
    before = Send(recipients=2)
    await world.hear(db, erased(before, *before.numbers))
    later = Send(recipients=2, tenant_id=before.tenant_id)

    await world.queue(db, later)
    await forget_all(db, BLANK)

    assert (await texts(db)).numbers == later.numbers


async def test_what_carriers_said_of_a_number_goes_too_and_another_s_stays(db: Database) -> None:
    send = Send(recipients=1)
    gone, other = f"+{send.numbers[0]}", f"+{STRANGER}"
    async with db.worker() as tx:
        for number in (gone, other):
            await tx.execute(
                "INSERT INTO receipt_waiting (account, carrier_id, state, error, done_at, number, sender)"
                " VALUES ('smpp', $1, 1, '', kit_now(), $2, 'X')",
                number, number.removeprefix("+"),
            )  # fmt: skip
            await tx.execute(
                "INSERT INTO inbound_part (account, source, destination, reference, total, number, body)"
                " VALUES ('smpp', $1, '614', 1, 2, 1, '4f6b')",
                number,
            )
            await tx.execute(
                "INSERT INTO carrier_test (test_id, account, number, sender, body, user_id)"
                " VALUES (gen_random_uuid(), 'smpp', $1, 'X', 'Hi', 'op')",
                number,
            )

    await world.hear(db, erased(send, *send.numbers))
    await forget_all(db, BLANK)

    async with db.worker() as tx:
        waiting = [row["number"] for row in await tx.fetch("SELECT number FROM receipt_waiting ORDER BY number")]
        parts = [row["source"] for row in await tx.fetch("SELECT source FROM inbound_part")]
        tried = [(row["number"], row["body"]) for row in await tx.fetch("SELECT * FROM carrier_test ORDER BY number")]
    assert (waiting, parts, tried) == (["", str(STRANGER)], [other], [("", ""), (other, "Hi")])
