"""Each service tells how far its data keeps the laws of the design: GET /v1/ops/{service}/laws, for the operator."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Annotated, Any, cast
from uuid import UUID

from fastapi import APIRouter, Request

from muster.kit.auth import Caller, Permission, requires
from muster.kit.desk import Desk
from muster.kit.http import Model
from muster.kit.law_watch import note
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, encode_cursor, page_of
from muster.kit.pg import Tx
from muster.kit.problems import unprocessable
from muster.laws.report import Message
from muster.laws.result import LawResult

Law = Callable[[Tx], Awaitable[list[LawResult]]]
"""Checks laws in a worker transaction."""

Sums = Callable[[Tx], Awaitable[Mapping[str, Any]]]
"""What laws across services need of this one, as JSON values."""


Find = Callable[[Tx, tuple[UUID, UUID] | None, int], Awaitable[Sequence[Mapping[str, Any]]]]
"""The sums of at most so many sends, in order of (tenant id, bulk id), after the one that is named."""


async def _no_sums(_: Tx) -> Mapping[str, Any]:
    return {}


def laws_router(service: str, check: Law, sums: Sums = _no_sums) -> APIRouter:
    """The route of `service` ("credit"). Both functions run in one worker transaction, by app.state.desk."""
    router = APIRouter()

    async def work(tx: Tx) -> dict[str, Any]:
        results = await check(tx)
        note(results)
        return {"laws": [result.document() for result in results], **await sums(tx)}

    @router.get(f"/v1/ops/{service}/laws", name=f"{service}_laws", summary="How far the laws hold here")
    async def laws(request: Request, _: Annotated[Caller, requires(Permission.RUN_PLATFORM)]) -> dict[str, Any]:
        desk: Desk = request.app.state.desk
        return await desk.ask(work)

    return router


def sums_router(service: str, shape: type[Model], find: Find) -> APIRouter:
    """GET /v1/ops/{service}/bulks, for the operator: what `find` has for each send, as `shape`, by app.state.desk."""
    router = APIRouter(prefix=f"/v1/ops/{service}", tags=["ops"])

    @router.get("/bulks", response_model=cast(Any, Page)[shape])
    async def read_bulks(
        request: Request,
        _: Annotated[Caller, requires(Permission.RUN_PLATFORM)],
        limit: Limit = 50,
        cursor: CursorText = None,
    ) -> Page[Model]:
        """The sums of every send of every tenant, to be held against those of the other services."""
        place = decode_cursor(cursor, {"tenant_id": UUID, "bulk_id": UUID}) if cursor else None
        after = (place["tenant_id"], place["bulk_id"]) if place else None
        desk: Desk = request.app.state.desk
        rows = await desk.ask(lambda tx: find(tx, after, limit + 1))
        return page_of(rows, limit, lambda row: shape(**{name: row[name] for name in shape.model_fields}), _place)

    return router


class ComparedMessage(Model):
    """A message as the laws compare it between services: numbers as the events have them."""

    tenant_id: UUID
    bulk_id: UUID
    message: int
    left: int
    accepted: int
    credits: int
    receipt: int


Messages = Callable[[Tx, UUID, UUID, int], Awaitable[tuple[Sequence[Message], int | None]]]
"""What became of some messages of a send, after a place of its own kind; and the place to go on after."""


def messages_router(service: str, find: Messages) -> APIRouter:
    """GET /v1/ops/{service}/messages, for the operator: what became of each message of a send, by app.state.desk."""
    router = APIRouter(prefix=f"/v1/ops/{service}", tags=["ops"])

    @router.get("/messages")
    async def read_messages(
        request: Request,
        _: Annotated[Caller, requires(Permission.RUN_PLATFORM)],
        tenant_id: UUID,
        bulk_id: UUID,
        cursor: CursorText = None,
    ) -> Page[ComparedMessage]:
        """What became of each message of a send, to be held against what other services say; no numbers, no texts."""
        after = decode_cursor(cursor, {"after": int})["after"] if cursor else 0
        if not 0 <= after < 1 << 31:
            raise unprocessable("cursor", "cursor_not_valid", "is not one that this list gave")
        desk: Desk = request.app.state.desk
        found, last = await desk.ask(lambda tx: find(tx, tenant_id, bulk_id, after))
        items = [ComparedMessage(**asdict(one)) for one in found]
        return Page(items=items, next_cursor=None if last is None else encode_cursor({"after": last}))

    return router


def _place(row: Mapping[str, Any]) -> dict[str, Any]:
    return {"tenant_id": row["tenant_id"], "bulk_id": row["bulk_id"]}
