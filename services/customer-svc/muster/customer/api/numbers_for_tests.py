"""/v1/test-numbers: where a business sends its tests."""

from datetime import datetime
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic import Field, StringConstraints

from muster.customer.api.common import e164, reader_of, settings_of, tenant_of
from muster.customer.store import numbers_for_tests
from muster.customer.store.numbers_for_tests import TestNumber
from muster.kit import audit
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Role, Tx, requires, tenant_tx
from muster.kit.http import Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.ids import uuid7
from muster.kit.outbox import emit
from muster.kit.pg import Record
from muster.kit.problems import conflict, not_found, unprocessable
from muster.text import NumberRefused

router = APIRouter(prefix="/v1/test-numbers")

Sender = Annotated[Caller, requires(Permission.SEND)]
Admin = Annotated[Caller, requires(Permission.CHANGE_SETTINGS)]
OwnTx = Annotated[Tx, tenant_tx]
OnceOnly = Annotated[Once, idempotent]


class TestNumberIn(Model):
    """A mobile number as people write it, and whose or which it is."""

    number: Annotated[str, Field(min_length=1, max_length=64)]
    name: Annotated[str, StringConstraints(strip_whitespace=True, max_length=100)] = ""


class TestNumberOut(Model):
    """A number for tests. user_id: whose own it is; null: the business's, to which all who send may send tests."""

    id: UUID
    number: str
    name: str
    user_id: str | None
    created_at: datetime
    created_by: str


class TestNumbersOut(Model):
    """The business's numbers for tests, then those of its people."""

    numbers: list[TestNumberOut]


@router.get("")
async def list_test_numbers(caller: Sender, tx: OwnTx) -> TestNumbersOut:
    """Every number for tests; they are few."""
    return await _all(tx, caller)


@router.post("", status_code=201, response_model=TestNumbersOut)
async def add_test_number(body: TestNumberIn, request: Request, caller: Admin, tx: OwnTx, once: OnceOnly) -> Response:
    """Let all who send also send their tests to this number. One that is there already gets the new name."""

    async def make() -> tuple[int, Model]:
        return 201, await _kept(request, tx, caller, body, "")

    return await once.answer(tx, caller, body, make)


@router.put("/own", response_model=TestNumbersOut)
async def set_own_number(body: TestNumberIn, request: Request, caller: Sender, tx: OwnTx, once: OnceOnly) -> Response:
    """Say which number is one's own: tests go there unless another one is said."""

    async def make() -> tuple[int, Model]:
        return 200, await _kept(request, tx, caller, body, caller.user_id)

    return await once.answer(tx, caller, body, make)


@router.delete("/{test_number_id}", status_code=204)
async def remove_test_number(test_number_id: UUID, caller: Sender, tx: OwnTx) -> Response:
    """Send no more tests to a number: one's own, or as an admin any."""
    only_of = None if caller.role is Role.ADMIN else caller.user_id
    if not await numbers_for_tests.remove(tx, caller.tenant_id, test_number_id, only_of):
        raise not_found("test-number")
    await emit(tx, audit.record(caller, Act.TEST_NUMBER_REMOVED, str(test_number_id)))
    return Response(status_code=204)


async def _kept(request: Request, tx: Tx, caller: Caller, body: TestNumberIn, user_id: str) -> TestNumbersOut:
    tenant, most = await tenant_of(request, tx, caller.tenant_id), settings_of(request).customer_test_numbers_max
    mobile = reader_of(request, tenant).read(body.number)
    if isinstance(mobile, NumberRefused):
        raise unprocessable("number", mobile.code, mobile.message)
    if await numbers_for_tests.count_others(tx, caller.tenant_id, user_id) >= most:
        detail = f"{most} numbers are kept for tests, which is the limit. Remove one first."
        raise conflict("too_many_test_numbers", "No more numbers can be kept", detail, limit=most)
    one = TestNumber(uuid7(), mobile, body.name, user_id, caller.user_id)
    await numbers_for_tests.save(tx, caller.tenant_id, one)
    await emit(tx, audit.record(caller, Act.TEST_NUMBER_SET, str(one.test_number_id)))
    return await _all(tx, caller)


async def _all(tx: Tx, caller: Caller) -> TestNumbersOut:
    return TestNumbersOut(numbers=[_out(row) for row in await numbers_for_tests.all_of(tx, caller.tenant_id)])


def _out(row: Record) -> TestNumberOut:
    return TestNumberOut(
        id=row["test_number_id"],
        number=e164(row["number"]),
        name=row["name"],
        user_id=row["user_id"] or None,
        created_at=row["created_at"],
        created_by=row["created_by"],
    )
