"""For the operator: sends that wait longer than they should, and what can be done about one, with a reason."""

from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response
from pydantic import StringConstraints

from muster.dispatch import events
from muster.dispatch.domain.saga import Bulk, Ended, Fact, GivenUp, Unparked
from muster.dispatch.domain.waits import PATIENCE_S, Wait, wait_of
from muster.dispatch.handlers.sagas import advance_locked
from muster.dispatch.store import sagas
from muster.dispatch.store.sagas import SagaKey
from muster.events import NIL_TENANT
from muster.kit import audit, clock
from muster.kit.acts import Act
from muster.kit.auth import Begin, Caller, Permission, Tx, requires, tx_of_tenant
from muster.kit.desk import Desk
from muster.kit.http import Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.pg import Record
from muster.kit.problems import Problem, conflict, not_found

router = APIRouter(prefix="/v1/ops/dispatch", tags=["ops"])

WaitWord = Literal["parked", "paused", "request", "credits", "chunks", "outcomes", "settlement"]
Action = Literal["unpark", "end", "give_up_chunks", "say_totals"]
Reason = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]

_ACTS: Final[dict[Action, Act]] = {
    "unpark": Act.BULK_UNPARKED,
    "end": Act.BULK_ENDED,
    "give_up_chunks": Act.CHUNKS_GIVEN_UP,
    "say_totals": Act.TOTALS_SAID,
}
_FACT: dict[str, Fact] = {"unpark": Unparked(), "end": Ended(), "give_up_chunks": GivenUp()}


class StuckOut(Model):
    """A send that waits, for what and since when, and what there is of it. `parked`: what contradicted what."""

    tenant_id: UUID
    bulk_id: UUID
    waits_for: WaitWord
    since: datetime
    state: str
    parked: str
    ending: str
    send_by: datetime | None
    recipients: int
    chunks: int
    chunks_arrived: int
    chunks_done: int
    reserved: int
    held: int
    version: int
    settled_version: int


class ResolutionIn(Model):
    """What is done about a send, and why; both are kept in the tenant's audit log.

    unpark: facts that contradicted each other were looked at, and it goes on. end: nothing more of it is sent, and
    nothing that is missing is waited for. give_up_chunks: what is here is sent, chunks that never came are not waited
    for. say_totals: what it came to is said to the ledger again, at once.
    """

    action: Action
    reason: Reason


class ResolutionOut(Model):
    """How the send stands after it."""

    tenant_id: UUID
    bulk_id: UUID
    action: Action
    state: str
    waits_for: WaitWord | None
    version: int


@router.get("/stuck")
async def read_stuck(
    request: Request,
    _: Annotated[Caller, requires(Permission.RUN_PLATFORM)],
    limit: Limit = 50,
    cursor: CursorText = None,
    waits_for: Annotated[WaitWord | None, Query(description="only these")] = None,
    older_than_s: Annotated[
        int | None, Query(ge=0, le=10**9, description="instead of what is given to each kind of wait")
    ] = None,
) -> Page[StuckOut]:
    """Sends of all tenants that wait for longer than they should."""
    place = decode_cursor(cursor, {"tenant_id": UUID, "bulk_id": UUID}) if cursor else {}
    after = (place.get("tenant_id", NIL_TENANT), place.get("bulk_id", NIL_TENANT))
    patience: dict[str, float] = {
        wait.value: patience_s if older_than_s is None else older_than_s
        for wait, patience_s in PATIENCE_S.items()
        if waits_for in (None, wait.value)
    }
    desk: Desk = request.app.state.desk
    rows = await desk.ask(lambda tx: sagas.stuck(tx, patience, after, limit + 1))
    return page_of(rows, limit, _stuck, lambda row: {"tenant_id": row["tenant_id"], "bulk_id": row["bulk_id"]})


def _stuck(row: Record) -> StuckOut:
    return StuckOut(
        tenant_id=row["tenant_id"],
        bulk_id=row["bulk_id"],
        waits_for=row["wait"],
        since=row["wait_since"],
        state=row["state"],
        parked=row["parked"],
        ending=row["ending"],
        send_by=row["send_by"],
        recipients=row["recipients"],
        chunks=row["chunks"],
        chunks_arrived=row["arrived"],
        chunks_done=row["done"],
        reserved=row["reserved"],
        held=row["held"],
        version=row["account_version"],
        settled_version=row["settled_version"],
    )


@router.post("/bulks/{tenant_id}/{bulk_id}/resolution", response_model=ResolutionOut)
async def resolve(
    tenant_id: UUID,
    bulk_id: UUID,
    body: ResolutionIn,
    caller: Annotated[Caller, requires(Permission.RUN_PLATFORM)],
    begin: Annotated[Begin, tx_of_tenant],
    once: Annotated[Once, idempotent],
) -> Response:
    """Do something about a send that waits too long."""
    async with begin(tenant_id) as tx:

        async def make() -> tuple[int, Model]:
            bulk = await _resolve(tx, caller, SagaKey(tenant_id, bulk_id), body)
            return 200, _resolution(tenant_id, bulk_id, body.action, bulk)

        return await once.answer(tx, caller, body, make, tenant_id=tenant_id)


async def _resolve(tx: Tx, caller: Caller, key: SagaKey, body: ResolutionIn) -> Bulk:
    # Only facts about a send make its row, never a mistyped id.
    if await sagas.read(tx, *key) is None:
        raise not_found("bulk-sms")
    before = await sagas.lock(tx, [key])
    bulk = before[key]
    refusal = _why_not(bulk, body.action)
    if refusal is not None:
        raise refusal
    if body.action == "say_totals":
        await emit(tx, events.accounted(*key, bulk, closed=bulk.ended, at_unix_ms=clock.unix_ms()))
    else:
        facts = {key: [_FACT[body.action]]}
        bulk = (await advance_locked(tx, before, facts, user_id=caller.user_id, by_operator=True))[key]
    await emit(tx, audit.record(caller, _ACTS[body.action], str(key.bulk_id), body.reason, tenant_id=key.tenant_id))
    return bulk


def _why_not(bulk: Bulk, action: Action) -> Problem | None:
    if action == "unpark":
        return None if bulk.parked else conflict("not_parked", "This send is not parked", "Nothing holds it back.")
    if action == "say_totals":
        return None if bulk.account_version else conflict("nothing_said", "This send has no totals yet")
    if bulk.ended:
        return conflict("already_ended", "This send has ended", f"Its state is {bulk.state}.")
    if action == "give_up_chunks" and not _is_short(bulk):
        detail = f"{bulk.arrived} of {bulk.chunks} chunks are here."
        return conflict("nothing_missing", "This send waits for no chunks", detail)
    return None


def _is_short(bulk: Bulk) -> bool:
    return bulk.waits_for_chunks and (not bulk.requested or bulk.arrived < bulk.chunks)


def _resolution(tenant_id: UUID, bulk_id: UUID, action: Action, bulk: Bulk) -> ResolutionOut:
    wait = wait_of(bulk)
    values: dict[str, Any] = {"waits_for": wait.value if wait is not Wait.NOTHING else None}
    return ResolutionOut(
        tenant_id=tenant_id,
        bulk_id=bulk_id,
        action=action,
        state=bulk.state.value,
        version=bulk.account_version,
        **values,
    )
