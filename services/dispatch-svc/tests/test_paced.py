"""What is said of how sends go on, over real PostgreSQL: by one worker, once a second, withdrawn where it must be."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from dispatch_world import Send, closed, hear, money, queue, saga, said, sending, settings
from prometheus_client import REGISTRY

from muster.dispatch.domain.meter import Taken
from muster.dispatch.domain.saga import Control, Controlled
from muster.dispatch.handlers import pace
from muster.dispatch.handlers.sagas import apply_facts
from muster.dispatch.store import pace as stored
from muster.dispatch.store.sagas import SagaKey
from muster.events import NIL_TENANT
from muster.kit.pg import Database
from muster.kit.testing import eventually
from muster.local.carrier.server import Carrier

START = datetime(2026, 11, 27, 10, 0, tzinfo=UTC)


class Watched:
    """A queue that a worker looks at; times are seconds from the start."""

    def __init__(self, db: Database) -> None:
        self._db = db

    async def look(self, at_s: float, rate: float | None = 100.0, doubt: float = 0.0) -> list[Any]:
        """What is said at that time, while the carrier takes so much, which may be wrong by that share."""
        before = len(await said(self._db, "BulkSmsPaced"))
        async with self._db.worker() as tx:
            if rate is not None:
                await stored.save_rate(tx, "smpp", Taken(rate, doubt))
            await pace.say(tx, START + timedelta(seconds=at_s))
        return (await said(self._db, "BulkSmsPaced"))[before:]

    async def write(self, send: Send, parts: int, *, done: bool = False) -> None:
        """A sender has written so much of each chunk, or all of it."""
        async with self._db.worker() as tx:
            await tx.execute(
                "UPDATE attempt SET intent_upto = $2, state = CASE WHEN $3 THEN 2 ELSE state END WHERE bulk_id = $1",
                *(send.bulk_id, parts, done),
            )

    async def control(self, send: Send, control: Control) -> None:
        async with self._db.worker() as tx:
            await apply_facts(tx, {SagaKey(send.tenant_id, send.bulk_id): [Controlled(control)]})


def s(unix_ms: int) -> float:
    return unix_ms / 1000 - START.timestamp()


def missed() -> float:
    return REGISTRY.get_sample_value("muster_finish_promise_error_ratio_count") or 0.0


def unpromised() -> float:
    return REGISTRY.get_sample_value("muster_finishes_unpromised_total") or 0.0


async def test_a_send_is_told_of_once_it_has_begun_and_its_finish_is_promised_after_five_seconds(db: Database) -> None:
    send, watched = Send(1_000, chunk_size=500), Watched(db)
    await queue(db, send)
    assert await watched.look(0) == [], "nothing of it was written"

    await watched.write(send, 50)
    [first] = await watched.look(1)
    await watched.write(send, 300)
    [sixth] = await watched.look(6)
    await watched.write(send, 400)
    [later] = await watched.look(7)

    assert (first.parts_left, s(first.finish_unix_ms), first.promised_at_unix_ms) == (900, 10.0, 0)
    assert (sixth.parts_left, sixth.parts_per_second, s(sixth.finish_unix_ms)) == (400, 100.0, 10.0)
    assert (s(sixth.promised_at_unix_ms), s(sixth.promised_finish_unix_ms)) == (6.0, 10.0)
    assert (s(later.finish_unix_ms), s(later.promised_finish_unix_ms)) == (9.0, 10.0), "a promise stands"
    assert later.version > sixth.version > first.version
    assert (first.credits_reserved, first.why) == (1_000, "")


async def test_two_tenants_share_the_carrier_and_chunks_on_their_way_are_counted(db: Database) -> None:
    one, other, watched = Send(1_000, chunk_size=500), Send(2_000, chunk_size=500), Watched(db)
    await queue(db, one)
    await hear(db, other.requested(), other.chunk(1), other.reserved())
    for send in (one, other):
        await watched.write(send, 1)

    found = {fact.bulk_id: fact for fact in await watched.look(1)}

    assert found[str(other.bulk_id)].parts_left == 1_999
    assert s(found[str(one.bulk_id)].finish_unix_ms) == pytest.approx(1 + 2 * 998 / 100)
    assert s(found[str(other.bulk_id)].finish_unix_ms) == pytest.approx(1 + (998 + 1_999) / 100)


async def test_what_is_in_doubt_is_said_and_not_promised(db: Database) -> None:
    send, watched = Send(1_000, chunk_size=500), Watched(db)
    await queue(db, send)
    await watched.write(send, 50)

    found = [(await watched.look(at, doubt=doubt))[0] for at, doubt in ((0, 0.5), (6, 0.5), (7, 0.01))]

    assert [s(one.finish_unix_ms) for one in found] == [9.0, 15.0, 16.0]
    assert [s(one.promised_at_unix_ms) for one in found[2:]] == [7.0]
    assert [one.promised_at_unix_ms for one in found[:2]] == [0, 0]


async def test_nothing_is_promised_while_chunks_are_on_their_way(db: Database) -> None:
    send, watched = Send(1_000, chunk_size=500), Watched(db)
    await hear(db, send.requested(), send.chunk(1), send.reserved())
    await watched.write(send, 1)

    coming = [(await watched.look(at, doubt=0.01))[0] for at in (0, 6, 40)]
    await hear(db, send.chunk(2))
    [here] = await watched.look(41, doubt=0.01)

    assert [one.promised_at_unix_ms for one in coming] == [0, 0, 0]
    assert s(here.promised_at_unix_ms) == 41.0


async def test_without_a_carrier_that_takes_something_nothing_is_promised_and_it_is_said_why(db: Database) -> None:
    send, watched = Send(10), Watched(db)
    await queue(db, send)
    await watched.write(send, 1)

    whys = [(await watched.look(at, rate=None))[0].why for at in (1, 5, 7)]
    [again] = await watched.look(8)

    assert whys == ["measuring", "measuring", "carrier"]
    assert (again.why, s(again.promised_at_unix_ms)) == ("", 8.0)


@pytest.mark.parametrize(("control", "why"), [(Control.PAUSE, "paused"), (Control.STOP, "stopped")])
async def test_a_pause_and_a_stop_withdraw_what_was_promised(db: Database, control: Control, why: str) -> None:
    send, watched, before = Send(1_000), Watched(db), missed()
    await queue(db, send)
    await watched.write(send, 10)
    for at in (0, 6):
        await watched.look(at)

    await watched.control(send, control)
    [said_then] = await watched.look(7)

    assert (said_then.why, said_then.finish_unix_ms, said_then.promised_finish_unix_ms) == (why, 0, 0)
    assert said_then.control_version == (await saga(db, send))["control_version"] == 1
    assert await watched.look(8) == [], "and once"
    assert missed() == before
    if control is Control.PAUSE:
        await watched.control(send, Control.RESUME)
        [resumed], [kept] = await watched.look(9), await watched.look(14)
        assert (resumed.promised_at_unix_ms, s(kept.promised_at_unix_ms)) == (0, 14.0)


async def test_when_all_has_left_the_promise_is_measured_against_the_last_message(db: Database) -> None:
    send, watched, before = Send(1_000), Watched(db), missed()
    await queue(db, send)
    await watched.write(send, 10)
    for at in (0, 5):
        await watched.look(at)
    last = START + timedelta(seconds=12)
    async with db.worker() as tx:
        await tx.execute("UPDATE chunk SET submitted_at = $1", last)
    await watched.write(send, 500, done=True)

    [ended] = await watched.look(13)

    assert (s(ended.finished_unix_ms), ended.parts_left, ended.finish_unix_ms) == (12.0, 0, 0)
    assert s(ended.promised_finish_unix_ms) == pytest.approx(5 + 9.8)
    assert missed() == before + 1
    assert await watched.look(14) == []


@pytest.mark.parametrize(("took_s", "counted"), [(12, 1), (4, 0)])
async def test_a_send_that_was_over_before_anything_could_be_promised_is_counted_unless_it_was_short(
    db: Database, took_s: int, counted: int
) -> None:
    send, watched, before = Send(1_000), Watched(db), (missed(), unpromised())
    await queue(db, send)
    await watched.write(send, 10)
    await watched.look(0, doubt=0.5)
    await watched.look(took_s - 1, doubt=0.5)
    async with db.worker() as tx:
        await tx.execute("UPDATE chunk SET submitted_at = $1", START + timedelta(seconds=took_s))
    await watched.write(send, 500, done=True)

    await watched.look(took_s + 1)

    assert (missed(), unpromised()) == (before[0], before[1] + counted)


async def test_messages_that_are_held_for_a_person_are_in_no_promise(db: Database) -> None:
    send, watched = Send(1_000, chunk_size=500), Watched(db)
    await queue(db, send)
    async with db.worker() as tx:
        await tx.execute("UPDATE attempt SET why = 'held', due_at = kit_now() + interval '1 min' WHERE chunk = 2")
    await watched.write(send, 100)

    [found] = await watched.look(1)

    assert (found.parts_left, s(found.finish_unix_ms)) == (400, 5.0)


@pytest.mark.parametrize("whom", ["tenant", "platform"])
async def test_what_is_suspended_is_promised_nothing_and_has_not_finished(db: Database, whom: str) -> None:
    send, watched, before = Send(1_000), Watched(db), missed()
    await queue(db, send)
    await watched.write(send, 10)
    for at in (0, 6):
        await watched.look(at)
    async with db.request(send.tenant_id if whom == "tenant" else NIL_TENANT) as tx:
        await tx.execute(
            "INSERT INTO suspension (tenant_id, version, suspended, reason, user_id) VALUES ($1, 1, true, 'r', 'op')",
            send.tenant_id if whom == "tenant" else NIL_TENANT,
        )

    [told] = await watched.look(7)

    assert (told.why, told.finished_unix_ms, told.promised_finish_unix_ms) == ("suspended", 0, 0)
    assert (await watched.look(8), missed()) == ([], before)


async def test_hours_put_the_finish_off_and_where_they_end_too_soon_nothing_is_promised(db: Database) -> None:
    send, watched = Send(1_000, chunk_size=500), Watched(db)
    await queue(db, send)
    await watched.write(send, 100)

    async def allowed(*hours: tuple[int, int]) -> tuple[float, str]:
        spans = ", ".join(f"tstzrange(kit_now() + '{a} s', kit_now() + '{b} s')" for a, b in hours)
        async with db.worker() as tx:
            await tx.execute(f"UPDATE attempt SET allowed = tstzmultirange({spans}) WHERE chunk = 2")
        [told] = await watched.look(10)
        return s(told.finish_unix_ms), told.why

    await watched.look(1)
    assert (await allowed((-10, 100)))[0] == pytest.approx(18)
    assert (await allowed((-20, -10), (600, 900)))[0] == pytest.approx(614, abs=2)
    assert (await allowed((-10, 5)))[1] == "hours"


async def test_one_worker_at_a_time_speaks_and_not_twice_within_a_second(db: Database) -> None:
    send, watched = Send(10), Watched(db)
    async with db.worker() as tx:
        assert await stored.take_turn(tx, 0.9) is None, "there is nothing to say"
    await queue(db, send)
    await watched.write(send, 1)
    async with db.worker() as one, db.worker() as other:
        turns = [await stored.take_turn(tx, 0.9) for tx in (one, other, one)]
    pacer, second = pace.Pacer(db), pace.Pacer(db)
    await pacer.look()
    await second.look()

    assert [turn is not None for turn in turns] == [True, False, False]
    assert await said(db, "BulkSmsPaced") == []


async def test_a_sender_says_what_its_carrier_takes_while_it_sends_and_the_send_ends_told_of(
    db: Database, carrier: Carrier
) -> None:
    conf = settings(carrier_port=carrier.port, carrier_parts_per_second=400)
    send = Send(1_200, chunk_size=100)
    await queue(db, send)

    async with sending(db, conf):

        async def over() -> bool:
            await pace.Pacer(db).look()  # one that looked before is patient, the more so on a busy machine
            return await closed(db, send)

        await eventually(over)
    async with db.worker() as tx:
        rates = await stored.rates(tx, 60)
    async with db.worker() as tx:
        await pace.say(tx, datetime.now(UTC))

    assert 0 < rates["smpp"].parts_per_second <= 600
    told = await said(db, "BulkSmsPaced")
    assert told[-1].finished_unix_ms > 0
    assert sorted(fact.parts_left for fact in told) == [fact.parts_left for fact in reversed(told)]
    assert await money(db, send) == (1_200, 1_200, 0, 0)
