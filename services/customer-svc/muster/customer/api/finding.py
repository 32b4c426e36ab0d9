"""Queries of customers: what a request asks for, the count of it, and searches that are saved under a name."""

from datetime import datetime
from typing import Annotated
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Path, Query, Request, Response
from pydantic import Field

from muster.customer.api.common import problem_of, settings_of, tenant_of
from muster.customer.domain.query import CHARACTERS_MAX, Node, fields_of, lists_in
from muster.customer.domain.query_reader import read_query
from muster.customer.domain.refusal import Refusal
from muster.customer.store import fields, finding, lists, searches
from muster.customer.store.finding import Search
from muster.kit import audit, clock
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.http import Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.pg import Record
from muster.kit.problems import not_found, unprocessable
from muster.text.merge import clean_value

router = APIRouter(prefix="/v1")

QueryText = Annotated[
    str | None,
    Query(description="words, numbers and conditions (docs/search.md): ana 0412 consent is express and tag is colour"),
]
Saved = Annotated[str | None, Query(min_length=1, max_length=100, description="the name of a saved search")]
SearchName = Annotated[str, Path(min_length=1, max_length=100)]


class CountOut(Model):
    """How many customers fit. exact false: an estimate of two figures, from customers of all ages."""

    count: int
    exact: bool


class SearchIn(Model):
    """A query to keep."""

    query: Annotated[str, Field(min_length=1, max_length=CHARACTERS_MAX)]


class SearchOut(Model):
    """A query under its name."""

    name: str
    query: str
    changed_at: datetime
    changed_by: str


@router.get("/customers/count")
async def count_customers(
    request: Request,
    caller: Annotated[Caller, requires(Permission.READ_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    query: QueryText = None,
    saved: Saved = None,
    exact: Annotated[bool, Query(description="count them all, however long that takes")] = False,  # noqa: FBT002
) -> CountOut:
    """How many customers fit a query: exactly where that is quick, else an estimate that says so."""
    search = await search_asked(request, tx, caller, query, saved)
    found = await finding.count(tx, search, exact=exact)
    return CountOut(count=found.count, exact=found.exact)


@router.get("/searches")
async def list_searches(
    caller: Annotated[Caller, requires(Permission.READ_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[SearchOut]:
    """Saved searches by name."""
    after = decode_cursor(cursor, {"name": str})["name"] if cursor else None
    rows = await searches.page_of_searches(tx, caller.tenant_id, after, limit + 1)
    return page_of(rows, limit, _out, lambda row: {"name": row["name"]})


@router.get("/searches/{name:path}")
async def get_search(
    name: SearchName, caller: Annotated[Caller, requires(Permission.READ_CUSTOMERS)], tx: Annotated[Tx, tenant_tx]
) -> SearchOut:
    """One saved search."""
    return _out(await _saved(tx, caller, name))


@router.put("/searches/{name:path}", response_model=SearchOut)
async def save_search(
    name: SearchName,
    body: SearchIn,
    request: Request,
    caller: Annotated[Caller, requires(Permission.KEEP_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Keep a query under a name, or another one under the same name."""

    async def make() -> tuple[int, Model]:
        if clean_value(name) != name:
            raise unprocessable("name", "not_plain", "a name has no control characters and no spaces around it")
        await _node(request, tx, caller, body.query)
        searches_max = settings_of(request).customer_searches_max
        if await searches.others_saved(tx, caller.tenant_id, name) >= searches_max:
            raise unprocessable("name", "too_many", f"at most {searches_max} searches can be saved")
        if await searches.save_search(tx, caller.tenant_id, name, body.query, caller.user_id):
            await emit(tx, audit.record(caller, Act.SEARCH_SAVED, name))
        return 200, _out(await _saved(tx, caller, name))

    return await once.answer(tx, caller, body, make)


@router.delete("/searches/{name:path}", status_code=204)
async def forget_search(
    name: SearchName, caller: Annotated[Caller, requires(Permission.KEEP_CUSTOMERS)], tx: Annotated[Tx, tenant_tx]
) -> Response:
    """Forget a saved search; the customers stay."""
    if not await searches.forget_search(tx, caller.tenant_id, name):
        raise not_found("search")
    await emit(tx, audit.record(caller, Act.SEARCH_FORGOTTEN, name))
    return Response(status_code=204)


async def search_asked(request: Request, tx: Tx, caller: Caller, query: str | None, saved: str | None) -> Search:
    """The query of a request, written or saved; 422 that names the place of what is wrong with it."""
    if query is not None and saved is not None:
        raise unprocessable("saved", "query_or_saved", "give a query or the name of a saved one, not both")
    written = query or ""
    if saved is not None:
        written = (await _saved(tx, caller, saved))["query"]
    node, time_zone = await _node(request, tx, caller, written)
    return Search(caller.tenant_id, node, time_zone, settings_of(request).customer_search_budget_ms)


async def _node(request: Request, tx: Tx, caller: Caller, written: str) -> tuple[Node, ZoneInfo]:
    tenant = await tenant_of(request, tx, caller.tenant_id)
    time_zone = ZoneInfo(tenant.time_zone or "UTC")
    known = fields_of(await fields.kinds_of_fields(tx, caller.tenant_id))
    today = clock.now().astimezone(time_zone).date()
    node = read_query(written, known, country=tenant.country, today=today)
    if isinstance(node, Refusal):
        raise problem_of(node)
    unknown = await lists.unknown_names(tx, caller.tenant_id, lists_in(node))
    if unknown:
        raise unprocessable("query", "unknown_list", f"there is no list '{unknown[0]}'", unknown=unknown)
    return node, time_zone


async def _saved(tx: Tx, caller: Caller, name: str) -> Record:
    row = await searches.search_of(tx, caller.tenant_id, name)
    if row is None:
        raise not_found("search")
    return row


def _out(row: Record) -> SearchOut:
    return SearchOut(**row)
