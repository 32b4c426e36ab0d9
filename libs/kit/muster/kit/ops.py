"""What an operator sees and does of a service's events: dead letters, and how far its consumers have read.

`/v1/ops/{service}/dead-letters`: listed, read, replayed, dropped. `/v1/ops/{service}/consumers`: what is halted, and
resumed. Nothing here shows a number or a text: a letter is told by its type, its ids, and why it is there.
"""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Annotated, Any, Final, Literal, Protocol
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field, StringConstraints

from muster.events import TYPES
from muster.kit import audit
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, requires, tenant_tx
from muster.kit.consumer import halts, letters
from muster.kit.consumer.apply import is_poison
from muster.kit.consumer.received import Handler
from muster.kit.desk import Desk
from muster.kit.forms import Form
from muster.kit.http import Flag, Int, Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.pg import Record, Tx
from muster.kit.problems import Problem, conflict, not_found

Reason = Annotated[str, StringConstraints(min_length=1, max_length=200, strip_whitespace=True)]
_TopicName = Annotated[
    str,
    Form("[A-Za-z0-9._-]+", "must be the name of a topic: letters, digits, dots, hyphens and underscores"),
]
Name = Annotated[_TopicName, Query(max_length=249)]
State = Literal["waiting", "replayed", "dropped"]
Answer = tuple[int, Model | dict[str, Any]]
_ACTS: Final = {"replayed": Act.LETTER_REPLAYED, "dropped": Act.LETTER_DROPPED}
Handlers = Callable[[Any], Mapping[str, Handler]]
"""The handlers of a service by its settings: what its consumers apply, and what a replay applies again."""


class LetterOut(Model):
    """A record that could not be applied: where it stood, why, and what has become of it."""

    id: UUID
    state: State
    group: str
    topic: str
    partition: int
    offset: int
    type: str = Field(description="of the event; empty where it names none that is known")
    event_id: UUID | None
    tenant_id: UUID
    reason: str
    attempts: int = Field(description="replays that found it still poisonous")
    value_bytes: int
    parked_at: datetime
    decided_at: datetime | None
    decided_by: str
    decided_why: str


class LetterDetail(LetterOut):
    """The same, with the ids that it holds where it can be read. No numbers, no texts."""

    ids: dict[str, str | int]


class WhyIn(Model):
    """Why a letter is replayed or dropped, for the audit log."""

    reason: Reason


class PlaceOut(Model):
    """How far a group has read a partition, and why it reads no further where it is halted."""

    group: str
    topic: str
    partition: int
    next_offset: int | None
    epoch: int | None
    updated_at: datetime | None
    halted: Literal["poison_flood", "log_mismatch"] | None
    reason: str
    halted_at: datetime | None
    loss_accepted: bool


class ResumeIn(Model):
    """Which halted partitions are read on, and why. All of the topic where no partition is named."""

    topic: Annotated[_TopicName, Field(max_length=249)]
    partition: Annotated[Int, Field(ge=0, le=2**31 - 1)] | None = None
    reason: Reason
    accept_loss: Flag = Field(
        default=False, description="what the log does not hold any more is lost: it is read from its start"
    )


class ResumedOut(Model):
    """The partitions that are read on."""

    topic: str
    partitions: list[int]


class Places(Protocol):
    """How far a service has read, and what is halted, in order of group, topic and partition."""

    async def __call__(self, tx: Tx, after: halts.Place | None, limit: int, *, halted_only: bool) -> list[Record]:
        """As `halts.places`."""


def ops_router(service: str, handlers: Handlers, places: Places = halts.places) -> APIRouter:
    """The operator's routes of `service` ("credit"), by app.state.desk. `places`: for one whose consumers are no
    `muster.kit.consumer`."""
    router = APIRouter(prefix=f"/v1/ops/{service}", tags=["ops"])
    _add_letters(router, handlers)
    _add_consumers(router, service, places)
    return router


def _add_letters(router: APIRouter, handlers: Handlers) -> None:
    operator = requires(Permission.RUN_PLATFORM)

    @router.get("/dead-letters", summary="Records that could not be applied")
    async def read_dead_letters(
        request: Request,
        _: Annotated[Caller, operator],
        limit: Limit = 50,
        cursor: CursorText = None,
        state: State | None = None,
        topic: Name | None = None,
        type: Name | None = None,
        tenant_id: UUID | None = None,
    ) -> Page[LetterOut]:
        """Newest first."""
        place = decode_cursor(cursor, {"at": datetime.fromisoformat, "id": UUID}) if cursor else None
        after = (place["at"], place["id"]) if place else None
        wanted = letters.Filter(state, topic, type, tenant_id)
        rows = await _desk(request).ask(lambda tx: letters.letters(tx, limit + 1, after, wanted))
        return page_of(rows, limit, _letter, lambda row: {"at": row["parked_at"], "id": row["id"]})

    @router.get("/dead-letters/{letter_id}", summary="One of them")
    async def read_dead_letter(
        request: Request, letter_id: Annotated[UUID, Path()], _: Annotated[Caller, operator]
    ) -> LetterDetail:
        """Its ids and why it is there; what it says is not shown."""
        row = await _desk(request).ask(lambda tx: letters.letter(tx, letter_id))
        if row is None:
            raise not_found("dead-letter")
        return _detail(row)

    @router.post("/dead-letters/{letter_id}/replay", response_model=LetterOut, summary="Apply it again")
    async def replay_dead_letter(
        request: Request,
        letter_id: Annotated[UUID, Path()],
        body: WhyIn,
        caller: Annotated[Caller, operator],
        tx: Annotated[Tx, tenant_tx],
        once: Annotated[Once, idempotent],
    ) -> Response:
        """As its consumer would, once; what still cannot be applied stays, with the newer reason: 409."""
        known = handlers(request.app.state.settings)

        async def act() -> Answer:
            return await _desk(request).ask(lambda work: _replay(work, letter_id, known, caller, body.reason))

        return await once.answer(tx, caller, body, act)

    @router.post("/dead-letters/{letter_id}/drop", response_model=LetterOut, summary="Give it up")
    async def drop_dead_letter(
        request: Request,
        letter_id: Annotated[UUID, Path()],
        body: WhyIn,
        caller: Annotated[Caller, operator],
        tx: Annotated[Tx, tenant_tx],
        once: Annotated[Once, idempotent],
    ) -> Response:
        """It is never applied, and what it holds is forgotten."""

        async def act() -> Answer:
            return await _desk(request).ask(lambda work: _drop(work, letter_id, caller, body.reason))

        return await once.answer(tx, caller, body, act)


def _add_consumers(router: APIRouter, service: str, places: Places) -> None:
    operator = requires(Permission.RUN_PLATFORM)

    @router.get("/consumers", summary="How far each consumer has read, and what is halted")
    async def read_consumers(
        request: Request,
        _: Annotated[Caller, operator],
        limit: Limit = 50,
        cursor: CursorText = None,
        halted: Annotated[bool, Query(description="only what is halted")] = False,  # noqa: FBT002
    ) -> Page[PlaceOut]:
        """In order of group, topic and partition."""
        place = decode_cursor(cursor, {"group": str, "topic": str, "partition": int}) if cursor else None
        after = (place["group"], place["topic"], place["partition"]) if place else None
        rows = await _desk(request).ask(lambda tx: places(tx, after, limit + 1, halted_only=halted))
        return page_of(rows, limit, _place, _after_place)

    @router.post("/consumers/resume", response_model=ResumedOut, summary="Read on where a consumer is halted")
    async def resume_consumer(
        request: Request,
        body: ResumeIn,
        caller: Annotated[Caller, operator],
        tx: Annotated[Tx, tenant_tx],
        once: Annotated[Once, idempotent],
    ) -> Response:
        """A log that is not the one that was read needs `accept_loss`, and is read from its start."""

        async def act() -> Answer:
            return await _desk(request).ask(lambda work: _resume(work, service, caller, body))

        return await once.answer(tx, caller, body, act)


async def _replay(tx: Tx, letter_id: UUID, handlers: Mapping[str, Handler], caller: Caller, why: str) -> Answer:
    row = await _to_decide(tx, letter_id, "replayed")
    if row["state"] == "replayed":
        return 200, _letter(row)
    try:
        async with tx.savepoint():
            await letters.apply_again(tx, row, handlers)
    except Exception as error:
        if not is_poison(error):
            raise
        reason = letters.reason_of(error)
        await letters.failed_again(tx, row, reason)
        await _record(tx, row, Act.LETTER_STILL_POISON, caller, why)
        refused = conflict("still_poison", "It still cannot be applied", reason, attempts=row["attempts"] + 1)
        return 409, refused.document()
    await _decided(tx, row, "replayed", caller, why)
    return 200, _letter(await _again(tx, letter_id))


async def _drop(tx: Tx, letter_id: UUID, caller: Caller, why: str) -> Answer:
    row = await _to_decide(tx, letter_id, "dropped")
    if row["state"] == "waiting":
        await _decided(tx, row, "dropped", caller, why)
    return 200, _letter(await _again(tx, letter_id))


async def _to_decide(tx: Tx, letter_id: UUID, wanted: str) -> Record:
    """The letter, locked; 404, or 409 where it was decided otherwise."""
    row = await letters.letter(tx, letter_id, lock=True)
    if row is None:
        raise not_found("dead-letter")
    if row["state"] not in ("waiting", wanted):
        raise conflict("already_decided", f"It was {row['state']} already", state=row["state"])
    return row


async def _decided(tx: Tx, row: Record, state: str, caller: Caller, why: str) -> None:
    await letters.decide(tx, row, state, caller.user_id, why)
    await _record(tx, row, _ACTS[state], caller, why)


async def _record(tx: Tx, row: Record, act: Act, caller: Caller, why: str) -> None:
    await emit(tx, audit.record(caller, act, str(row["id"]), why, tenant_id=row["tenant_id"]))


async def _again(tx: Tx, letter_id: UUID) -> Record:
    row = await letters.letter(tx, letter_id)
    assert row is not None, "it is locked"
    return row


async def _resume(tx: Tx, group: str, caller: Caller, body: ResumeIn) -> Answer:
    found = await halts.find(tx, group, body.topic, body.partition)
    if not found:
        raise not_found("halted consumer")
    if not body.accept_loss and (lost := [one for one in found if one.kind is halts.HaltKind.LOG_MISMATCH]):
        raise _loss_not_accepted(lost)
    for one in found:
        await halts.resume(tx, group, body.topic, one)
    where = f"{group}/{body.topic}" + ("" if body.partition is None else f"/{body.partition}")
    act = Act.LOSS_ACCEPTED if body.accept_loss else Act.CONSUMER_RESUMED
    await emit(tx, audit.record(caller, act, where, body.reason))
    return 200, ResumedOut(topic=body.topic, partitions=[one.partition for one in found])


def _loss_not_accepted(lost: list[halts.Halt]) -> Problem:
    return conflict(
        "loss_not_accepted",
        "The log is not the one that was read",
        f"Partition {lost[0].partition}: {lost[0].reason}. With accept_loss what is there is read from its start.",
        partitions=[one.partition for one in lost],
        field="accept_loss",
    )


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def _letter(row: Record) -> LetterOut:
    return LetterOut(**_members(row))


def _members(row: Record) -> dict[str, Any]:
    same = ("id", "state", "topic", "partition", "event_id", "tenant_id", "reason", "attempts", "value_bytes")
    when = ("parked_at", "decided_at", "decided_by", "decided_why")
    event_type = row["type"] if row["type"] in TYPES else ""
    return {name: row[name] for name in (*same, *when)} | {
        "group": row["consumer_group"],
        "offset": row["log_offset"],
        "type": event_type,
    }


def _detail(row: Record) -> LetterDetail:
    return LetterDetail(**_members(row), ids=letters.ids_of(row))


def _place(row: Record) -> PlaceOut:
    same = ("topic", "partition", "next_offset", "epoch", "updated_at", "halted_at", "loss_accepted")
    told = {"group": row["consumer_group"], "halted": row["kind"], "reason": row["reason"] or ""}
    return PlaceOut(**{name: row[name] for name in same}, **told)


def _after_place(row: Record) -> dict[str, Any]:
    return {"group": row["consumer_group"], "topic": row["topic"], "partition": row["partition"]}
