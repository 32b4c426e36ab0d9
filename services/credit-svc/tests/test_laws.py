"""What the database filters and adds up for the laws is what the laws themselves say."""

from collections.abc import Callable, Coroutine
from dataclasses import fields
from itertools import product
from typing import Any
from uuid import UUID

from muster.credit.domain.account import Kind
from muster.credit.store import laws
from muster.kit.pg import Database
from muster.laws.ledger import EFFECTS, Send, reserved

TENANT, BULK = UUID(int=1), UUID(int=2)
NAMES = tuple(field.name for field in fields(Send))[2:]


async def test_the_database_keeps_back_only_sends_that_break_no_law(
    service_database: Callable[[str], Coroutine[Any, Any, Database]],
) -> None:
    grid = [
        Send(TENANT, BULK, *row)
        for row in product((0, 1, 2), (-1, 0, 1), (0, 1), (-1, 0, 1), (0, 1), (0, 1), (False, True))
    ]
    columns = [[getattr(send, name) for send in grid] for name in NAMES]
    types = ", ".join(f"${at + 1}::{'bool' if name == 'closed' else 'bigint'}[]" for at, name in enumerate(NAMES))
    sql = f"SELECT {laws.UNLIKE} AS unlike FROM unnest({types}) AS s({', '.join(NAMES)})"
    database = await service_database("credit")
    async with database.worker() as tx:
        unlike = [row["unlike"] for row in await tx.fetch(sql, *columns)]
    assert unlike == [bool(reserved([send]).violations) for send in grid]
    assert {True, False} == set(unlike)


def test_the_law_knows_what_every_kind_of_entry_does() -> None:
    assert set(EFFECTS) == {kind.value for kind in Kind}
