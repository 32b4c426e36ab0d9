"""What the database filters for the laws is what the laws themselves say, and both read slots alike."""

from dataclasses import astuple, fields
from itertools import product
from uuid import UUID

from muster.dispatch.domain.slots import Slot, sums
from muster.dispatch.store import laws
from muster.kit.pg import Database
from muster.laws.ledger import Send, reserved
from muster.laws.sending import Part, figures
from muster.laws.system import OVERDUE_MAX_S, UNANSWERED_MAX_S, Progress, bounded

TENANT, BULK = UUID(int=1), UUID(int=2)


async def test_the_database_keeps_back_only_sends_whose_credits_balance(db: Database) -> None:
    grid = [
        Send(TENANT, BULK, *row, 0, closed)
        for *row, closed in product((0, 1, 2), (-1, 0, 1), (0, 1), (-1, 0, 1), (0, 1), (False, True))
    ]
    names = ("reserved", "used", "released", "held", "refunded")
    columns = [[getattr(send, name) for send in grid] for name in names]
    sql = f"""SELECT {laws.UNLIKE} AS unlike FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[],
        $5::bigint[], $6::text[]) AS s({", ".join(names)}, state)"""
    async with db.worker() as tx:
        rows = await tx.fetch(sql, *columns, ["closed" if send.closed else "sending" for send in grid])
    assert [row["unlike"] for row in rows] == [bool(reserved([send]).violations) for send in grid]


async def test_the_database_keeps_back_only_sends_that_end_in_time(db: Database) -> None:
    grid = [
        Progress(TENANT, BULK, *row)
        for row in product(
            (False, True),
            ("", "why"),
            (0, 1),
            (-1.0, OVERDUE_MAX_S, OVERDUE_MAX_S + 1),
            (0.0, UNANSWERED_MAX_S, UNANSWERED_MAX_S + 1),
        )
    ]
    names = [field.name for field in fields(Progress)][2:]
    columns = [list(column) for column in zip(*(astuple(one)[2:] for one in grid), strict=True)]
    sql = f"""SELECT {laws.UNBOUNDED} AS unbounded FROM unnest($3::bool[], $4::text[], $5::bigint[], $6::float8[],
        $7::float8[]) AS s({", ".join(names)})"""
    async with db.worker() as tx:
        rows = await tx.fetch(sql, OVERDUE_MAX_S, UNANSWERED_MAX_S, *columns)
    assert [row["unbounded"] for row in rows] == [bool(bounded([one]).violations) for one in grid]


def test_the_law_reads_slots_as_dispatch_svc_writes_them() -> None:
    assert {part.name: int(part) for part in Part} == {slot.name: int(slot) for slot in Slot}


def test_the_law_charges_what_dispatch_svc_charges_for_every_pair_of_parts() -> None:
    for parts, prices in ((b"\1\1", (3, 3)), (b"\1\1", (3, 4)), (b"\2", (6,)), (b"\2", (5,))):
        for states in product(Slot, repeat=2):
            counted = sums(parts, prices, bytes(states))
            assert figures(parts, prices, bytes(states)) == (counted.used, counted.accepted, counted.unknown), states
