"""Credits of a sandbox stay in it."""

from uuid import uuid4

import pytest
from asyncpg import CheckViolationError

from muster.kit.ids import as_uuid8, uuid7
from muster.kit.pg import Database


async def test_no_transfer_between_a_sandbox_and_a_business_can_be_stored(service_database) -> None:
    db: Database = await service_database("credit")
    sandbox, other, shop = as_uuid8(uuid7()), as_uuid8(uuid7()), uuid7()
    statement = """
    INSERT INTO transfer (tenant_id, transfer_id, from_tenant, to_tenant, credits, reason, actor, from_available,
                          to_available)
    VALUES ($1, $2, $1, $3, 1, 'test', 'op', 0, 1)
    """
    for source, target in ((sandbox, shop), (shop, sandbox)):
        with pytest.raises(CheckViolationError):
            async with db.worker() as tx:
                await tx.execute(statement, source, uuid4(), target)
    async with db.worker() as tx:
        await tx.execute(statement, sandbox, uuid4(), other)
