"""Erasing a person: their rows go in the request's own transaction, which says it to every other holder; what holds
them in passing goes soon after, once everything that was under way has ended.

Nothing that counts changes: memberships keep their places, sends their figures, suppressions their hashes. A number
that somebody else has too is forgotten here and elsewhere as far as it is of before; the other keeps it, and is texted
on.
"""

from collections.abc import Callable, Collection, Sequence
from datetime import datetime
from typing import Final
from uuid import UUID

import orjson

from muster.customer.domain.erasing import Traces
from muster.customer.domain.sends import Phase
from muster.customer.events.erasing import PersonForgotten, forgotten_of, person_erased
from muster.customer.importer.reading import end
from muster.customer.store import bulks, customers, erasures, imports, merging, numbers_for_tests, plans, traces
from muster.customer.store import import_files as files
from muster.events.personal import born_at
from muster.kit import clock, erasure, metrics, observe
from muster.kit.consumer.received import Received
from muster.kit.ids import uuid7
from muster.kit.outbox import emit
from muster.kit.pg import Database, Record, Tx

_AT_ONCE: Final = 20
_LOOKED_THROUGH_MS: Final = 300_000
_UNFINISHED: Final = frozenset(("add_up", "publish"))

log = observe.logger(__name__)


async def erase(
    tx: Tx, tenant_id: UUID, customer_id: int, ground: str, by: str, hashed: Callable[[str], bytes]
) -> UUID | None:
    """Remove a customer and say that they are erased; the id of the erasure, that of before where they were erased
    before, None where nothing is known of them. hashed: of a number in E.164."""
    locked = await traces.lock_people(tx, tenant_id, customer_id)
    row = await customers.customer_of(tx, tenant_id, customer_id)
    before = await erasures.of_customer(tx, tenant_id, customer_id) if row is None else None
    if before is not None:
        return UUID(str(before["erasure_id"]))
    ids = sorted({customer_id, *locked, *await merging.merged_into(tx, tenant_id, customer_id)})
    said = await traces.said_of(tx, tenant_id, ids)
    if row is None and not said:
        return None
    numbers = {one["number"] for one in said if one["number"] is not None}
    hashes = {bytes(one["number_hash"]) for one in said if one["number_hash"] is not None}
    if row is not None:
        others = await traces.other_numbers(tx, tenant_id, customer_id)
        numbers |= {*row["numbers"], *others}
        hashes |= {*map(bytes, row["hashes"]), *(hashed(f"+{number}") for number in others)}
    told = Traces(tuple(sorted(numbers)), *((row["first_name"], row["last_name"]) if row else ("", "")))
    erasure_id = uuid7()
    await erasures.add(tx, tenant_id, erasure_id, ids, ground, by, told)
    await customers.remove_customer(tx, tenant_id, customer_id)
    await numbers_for_tests.forget(tx, tenant_id, hashes)
    requests = await traces.requests_of(tx, tenant_id, hashes)
    whole_name = f"{told.first_name} {told.last_name}" if told.names else ""
    await erasure.blank_answers(tx, tenant_id, _in_answers(ids, numbers, requests) | {whole_name} - {""})
    # As late as can be: a send that is begun from now on until the commit still sees the customer (_begun_meanwhile).
    await _say(tx, tenant_id, erasure_id, hashes, clock.now())
    return erasure_id


_HOLDERS_TOLD: Final = 50


async def lock_number(tx: Tx, tenant_id: UUID, number: int) -> list[int]:
    """Customers who have a number, textable or not, the oldest first; erasures of it wait for each other from here."""
    return await traces.lock_number(tx, tenant_id, number, _HOLDERS_TOLD)


async def erase_number(
    tx: Tx, tenant_id: UUID, number: int, ground: str, by: str, hashed: Callable[[str], bytes]
) -> UUID:
    """Say that whoever has a number that is no customer's is erased; the id of the erasure."""
    number_hash, erasure_id = hashed(f"+{number}"), uuid7()
    await erasures.add(tx, tenant_id, erasure_id, (), ground, by, Traces((number,)))
    await numbers_for_tests.forget(tx, tenant_id, [number_hash])
    requests = await traces.requests_of(tx, tenant_id, [number_hash])
    await erasure.blank_answers(tx, tenant_id, _in_answers((), {number}, requests))
    await _say(tx, tenant_id, erasure_id, [number_hash], clock.now())
    return erasure_id


def _in_answers(ids: Sequence[int], numbers: Collection[int], requests: Collection[UUID]) -> set[str]:
    """What an answer of this API holds that is about the person."""
    members = ('"id":{},"version":', '"customer_id":{},', '"customer_id":{}}}')
    of_ids = {member.format(one) for one in ids for member in members}
    return of_ids | {f'"+{number}"' for number in numbers} | {f'"{request_id}"' for request_id in requests}


async def _say(tx: Tx, tenant_id: UUID, erasure_id: UUID, hashes: Collection[bytes], at: datetime) -> None:
    said = await erasures.add_numbers(tx, tenant_id, erasure_id, sorted(hashes), at)
    await emit(tx, *map(person_erased, said))


async def on_person_forgotten(tx: Tx, batch: Sequence[Received[PersonForgotten]]) -> None:
    """A service holds nothing of a number any more."""
    await erasures.confirm(tx, [forgotten_of(received) for received in batch])
    await erasures.finish(tx)


async def say_recent(tx: Tx, minutes: int, limit: int) -> None:
    """Repeat what was said lately: a broker that lost its last words of a compacted topic gets them again."""
    await emit(tx, *map(person_erased, await erasures.recent(tx, minutes, limit)))


async def nothing_more(_tx: Tx, _tenant_id: UUID, _gone: erasure.Gone) -> None:
    """What is here beside the kit's tables is gone over by erasure, not by number: `sweep`."""


async def sweep(db: Database) -> bool:
    """Go over the traces of those who were erased; whether there may be more."""
    async with db.worker() as tx:
        due = await erasures.due(tx, _AT_ONCE)
    gone = 0
    for tenant_id, erasure_id in due:
        async with db.request(tenant_id) as tx:
            gone += await _sweep(tx, tenant_id, erasure_id)
    async with db.worker() as tx:
        metrics.persons_erased_oldest_seconds.set(await erasures.finish(tx))
    return gone == _AT_ONCE


async def _sweep(tx: Tx, tenant_id: UUID, erasure_id: UUID) -> bool:
    """Whether nothing of the person is here any more; else something that is under way must end first."""
    row = await erasures.lock(tx, tenant_id, erasure_id)
    if row is None:
        return False
    ids, hashes = row["customer_ids"], {bytes(one) for one in row["hashes"]}
    until = max(row["asked_at"], row["said_at"] or row["asked_at"])
    told = Traces.from_json(orjson.loads(row["traces"]))
    frozen = await traces.frozen_with(tx, tenant_id, ids, hashes, until)
    more = _numbers_of(frozen, ids) - hashes
    if more:
        # Numbers that they had before, and that nobody kept a word of.
        await _say(tx, tenant_id, erasure_id, more, clock.now())
        return False
    last = _begun_meanwhile(frozen, ids, row["said_at"])
    if last is not None:
        await _say(tx, tenant_id, erasure_id, hashes, last)
        return False
    busy = await _refreeze(tx, tenant_id, frozen)
    if busy or await traces.import_runs(tx, tenant_id, until):
        return False
    await _end_previews(tx, tenant_id, told, row)
    alone = set()
    for one in frozen:
        if await traces.blank_frozen(tx, tenant_id, one, ids, hashes) and one["recipients"] == 1:
            alone.add(one["bulk_id"])
    await traces.blank_texts(tx, tenant_id, sorted(alone))
    # Each single message has a text, and each is looked through.
    await tx.allow_statements(_LOOKED_THROUGH_MS)
    await traces.blank_rest(tx, tenant_id, ids, sorted(hashes), told)
    await traces.drop_rejected(tx, tenant_id, told)
    await erasures.swept(tx, tenant_id, erasure_id)
    log.info("person.swept", erasure_id=str(erasure_id), sends=len(frozen))
    return True


def _numbers_of(frozen: Sequence[Record], customer_ids: Sequence[int]) -> set[bytes]:
    """The numbers at which these customers were texted."""
    found = set()
    for row in frozen:
        people = traces.frozen_of(row)
        pairs = zip(people.customer_ids, people.numbers, people.hashes, strict=True)
        found |= {own for one, number, own in pairs if number and one in customer_ids}
    return found


def _begun_meanwhile(
    frozen: Sequence[Record], customer_ids: Collection[int], said_at: datetime | None
) -> datetime | None:
    """When the last send was begun that has the customer though it was begun later than was said: while the erasure was
    being stored. None where there is none."""
    theirs = (one["bulk_id"] for one in frozen if not frozenset(customer_ids).isdisjoint(one["customer_ids"]))
    last = max(map(born_at, theirs), default=None)
    return last if last is not None and said_at is not None and last > said_at else None


async def _refreeze(tx: Tx, tenant_id: UUID, frozen: Sequence[Record]) -> bool:
    """Let sends that wait for their user be frozen anew, without the person; whether any is on its way."""
    busy = False
    for bulk_id in {row["bulk_id"] for row in frozen if row["step"] in {*_UNFINISHED, "waiting"}}:
        await plans.lock_plan(tx, tenant_id, bulk_id)
        bulk = await bulks.lock_bulk(tx, tenant_id, bulk_id)
        if bulk is not None and bulk["phase"] == Phase.NEEDS_CONFIRMATION:
            await bulks.set_phase(tx, tenant_id, bulk_id, Phase.PLANNING, None)
            await traces.unfreeze(tx, tenant_id, bulk_id)
            await plans.restart_plan(tx, tenant_id, bulk_id, "freeze")
            busy = True
        steps = {row["step"] for row in frozen if row["bulk_id"] == bulk_id}
        busy = busy or bool(steps & _UNFINISHED)
    return busy


async def _end_previews(tx: Tx, tenant_id: UUID, told: Traces, row: Record) -> None:
    """A file that nobody has started, or that failed on the way, and that is about the person, is cancelled: it can be
    uploaded again."""
    for import_id in await traces.waiting_imports(tx, tenant_id, row["asked_at"]):
        if await _is_about(tx, tenant_id, import_id, told):
            await end(tx, tenant_id, import_id, imports.CANCELLED)


async def _is_about(tx: Tx, tenant_id: UUID, import_id: UUID, told: Traces) -> bool:
    block = 1
    while (content := await traces.block_content(tx, tenant_id, import_id, block)) is not None:
        if any(told.in_cells(line.split(",")) for line in content.decode(errors="replace").splitlines()):
            return True
        block += 1
    # What has come so far of an upload is in whatever form it has: it is given up rather than read.
    return bool(await files.parts_of(tx, tenant_id, import_id, 0, 1))
