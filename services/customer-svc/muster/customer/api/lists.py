"""/v1/lists: lists of customers, and who is on them."""

from collections.abc import Awaitable, Callable
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import APIRouter, Header, Path, Query, Request, Response

from muster.customer.api.common import problem_of, settings_of, tenant_of
from muster.customer.api.customer_changes import wanted_version
from muster.customer.api.customer_shapes import CustomerOut, shown
from muster.customer.api.customers import with_etag
from muster.customer.api.finding import search_asked
from muster.customer.api.list_shapes import (
    KindWord,
    ListIn,
    ListNameIn,
    ListOut,
    MembersIn,
    MembersOut,
    list_exists,
    list_out,
    too_many_lists,
)
from muster.customer.domain.lists import NAME_CHARACTERS_MAX, ListKind, read_name
from muster.customer.domain.refusal import Refusal
from muster.customer.handlers import lists as handlers
from muster.customer.store import customers, lists
from muster.customer.store.query import Sql
from muster.kit import audit
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.http import Model, allow
from muster.kit.idempotency import Once, idempotent
from muster.kit.ids import uuid7
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.pg import Record
from muster.kit.problems import Problem, conflict, not_found, unprocessable

router = APIRouter(prefix="/v1/lists")

_UNKNOWN_SHOWN: Final = 20
_MANY_S: Final = 90.0

ListRef = Annotated[str, Path(min_length=1, max_length=NAME_CHARACTERS_MAX, description="its id, or its name")]
IfMatch = Annotated[
    str | None,
    Header(alias="If-Match", max_length=64, description="the ETag of the list as you have seen it; 412 if changed"),
]


@router.get("")
async def list_lists(
    caller: Annotated[Caller, requires(Permission.READ_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
    search: Annotated[str | None, Query(min_length=1, max_length=NAME_CHARACTERS_MAX, description="in a name")] = None,
    kind: Annotated[KindWord | None, Query()] = None,
) -> Page[ListOut]:
    """Lists by name, each with how many customers are on it."""
    after = decode_cursor(cursor, {"name": str})["name"] if cursor else ""
    of_kind = ListKind(kind) if kind else None
    rows = await lists.page_of_lists(
        tx, caller.tenant_id, after=after, search=search, kind=of_kind, limit=limit + 1
    )  # fmt: skip
    return page_of(rows, limit, list_out, lambda row: {"name": row["name_key"]})


@router.post(
    "", status_code=201, response_model=ListOut, responses={200: {"model": ListOut, "description": "It was there"}}
)
async def make_list(
    body: ListIn,
    request: Request,
    caller: Annotated[Caller, requires(Permission.KEEP_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Make a list, with customers on it if there are some to begin with. They come onto the list of that name where
    there is one, each once; without any, 409 says that there is one."""

    async def make() -> tuple[int, Model]:
        name = _name(body)
        found = await lists.list_named(tx, caller.tenant_id, name)
        if found is not None and body.customer_ids is None:
            raise list_exists(found)
        list_id = found["list_id"] if found is not None else await _made(request, tx, caller, name)
        if body.customer_ids is not None:
            ids = MembersIn(customer_ids=body.customer_ids)
            await _change(request, tx, caller, list_id, ids, Act.LIST_MEMBERS_ADDED)
        return 200 if found is not None else 201, list_out(await _of(tx, caller, list_id))

    return with_etag(await once.answer(tx, caller, body, make))


@router.get("/{list_id}/members")
async def list_members(
    list_id: UUID,
    caller: Annotated[Caller, requires(Permission.READ_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[CustomerOut]:
    """Customers on a list who are not archived, the oldest first. `list is NAME` in a query finds them too."""
    await _of(tx, caller, list_id)
    after = decode_cursor(cursor, {"id": int})["id"] if cursor else 0
    ids = await lists.page_of_members(tx, caller.tenant_id, list_id, after, limit + 1)
    rows = await customers.customers_of(tx, caller.tenant_id, ids)
    return page_of(rows, limit, shown, lambda row: {"id": row["customer_id"]})


@router.post("/{list_id}/members", response_model=MembersOut, dependencies=[allow(timeout_s=_MANY_S)])
async def add_members(
    list_id: UUID,
    body: MembersIn,
    request: Request,
    caller: Annotated[Caller, requires(Permission.KEEP_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Put customers on a list; those on it already stay once."""

    async def make() -> tuple[int, Model]:
        return 200, await _change(request, tx, caller, list_id, body, Act.LIST_MEMBERS_ADDED)

    return await once.answer(tx, caller, body, make)


@router.post("/{list_id}/members/remove", response_model=MembersOut, dependencies=[allow(timeout_s=_MANY_S)])
async def remove_members(
    list_id: UUID,
    body: MembersIn,
    request: Request,
    caller: Annotated[Caller, requires(Permission.KEEP_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Take customers off a list; those who are not on it change nothing."""

    async def make() -> tuple[int, Model]:
        return 200, await _change(request, tx, caller, list_id, body, Act.LIST_MEMBERS_REMOVED)

    return await once.answer(tx, caller, body, make)


@router.get("/{list:path}")
async def get_list(
    list: ListRef,
    response: Response,
    caller: Annotated[Caller, requires(Permission.READ_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
) -> ListOut:
    """A list by its id or its name; the ETag is for the If-Match of a change."""
    found = list_out(await _referred(tx, caller, list))
    response.headers["ETag"] = f'"{found.version}"'
    return found


@router.patch("/{list:path}", response_model=ListOut)
async def rename_list(
    list: ListRef,
    body: ListNameIn,
    request: Request,
    caller: Annotated[Caller, requires(Permission.KEEP_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
    if_match: IfMatch = None,
) -> Response:
    """Give a list another name. Saved searches and schedules that name it go on meaning it."""

    async def make() -> tuple[int, Model]:
        wanted, name = wanted_version(if_match, "a list"), _name(body)
        row = await _locked(tx, caller, list)
        if wanted not in (None, row["version"]):
            raise _changed(row, wanted)
        other = await lists.list_named(tx, caller.tenant_id, name)
        if other is not None and other["list_id"] != row["list_id"]:
            raise list_exists(other)
        if name != row["name"]:
            tenant = await tenant_of(request, tx, caller.tenant_id)
            await handlers.rename(tx, tenant, row["list_id"], name, caller.user_id)
            await emit(tx, audit.record(caller, Act.LIST_RENAMED, str(row["list_id"])))
        return 200, list_out(await _of(tx, caller, row["list_id"]))

    return with_etag(await once.answer(tx, caller, body, make))


@router.delete("/{list:path}", status_code=204)
async def remove_list(
    list: ListRef,
    request: Request,
    caller: Annotated[Caller, requires(Permission.KEEP_CUSTOMERS)],
    tx: Annotated[Tx, tenant_tx],
) -> Response:
    """Forget a list; the customers stay. 409 while a saved search or a schedule asks for it, with which ones."""
    row = await _locked(tx, caller, list)
    uses = await handlers.uses_of(tx, await tenant_of(request, tx, caller.tenant_id), row["list_id"])
    if uses:
        raise _in_use(uses)
    await lists.remove_list(tx, caller.tenant_id, row["list_id"])
    await emit(tx, audit.record(caller, Act.LIST_REMOVED, str(row["list_id"])))
    return Response(status_code=204)


async def _made(request: Request, tx: Tx, caller: Caller, name: str) -> UUID:
    most = settings_of(request).customer_lists_max
    if await lists.count_lists(tx, caller.tenant_id) >= most:
        raise too_many_lists(most)
    list_id = uuid7()
    if not await lists.add_list(tx, caller.tenant_id, list_id, name, ListKind.KEPT, caller.user_id):
        # Somebody has made it this moment.
        found = await lists.list_named(tx, caller.tenant_id, name)
        raise list_exists(found) if found is not None else not_found("list")
    await emit(tx, audit.record(caller, Act.LIST_MADE, str(list_id)))
    return list_id


_BY_IDS: Final = {Act.LIST_MEMBERS_ADDED: lists.add_members, Act.LIST_MEMBERS_REMOVED: lists.remove_members}
_BY_QUERY: Final[dict[Act, Callable[[Tx, UUID, UUID, Sql], Awaitable[int]]]] = {
    Act.LIST_MEMBERS_ADDED: lists.add_found,
    Act.LIST_MEMBERS_REMOVED: lists.remove_found,
}


async def _change(request: Request, tx: Tx, caller: Caller, list_id: UUID, body: MembersIn, act: Act) -> MembersOut:
    """Put those on the list or take them off it, as the act has it."""
    settings = settings_of(request)
    await _locked(tx, caller, str(list_id))
    if body.customer_ids is not None:
        await _refuse_unknown(tx, caller, body.customer_ids)
        changed = await _BY_IDS[act](tx, caller.tenant_id, list_id, body.customer_ids)
    else:
        search = await search_asked(request, tx, caller, body.query, body.saved)
        changed = await _BY_QUERY[act](tx, caller.tenant_id, list_id, search.condition)
    if changed:
        await lists.touch(tx, caller.tenant_id, list_id, caller.user_id)
        await emit(tx, audit.record(caller, act, str(list_id)))
    on_it = (await _of(tx, caller, list_id))["customers"]
    most = settings.customer_list_members_max
    if act is Act.LIST_MEMBERS_ADDED and on_it > most:
        raise unprocessable("customer_ids", "too_many", f"at most {most} customers are on a list", limit=most)
    return MembersOut(changed=changed, customers=on_it)


async def _refuse_unknown(tx: Tx, caller: Caller, ids: list[int]) -> None:
    unknown = await customers.unknown_ids(tx, caller.tenant_id, ids)
    if unknown:
        message = f"there is no customer {unknown[0]}"
        raise unprocessable("customer_ids", "unknown_customer", message, unknown=unknown[:_UNKNOWN_SHOWN])


def _name(body: ListIn | ListNameIn) -> str:
    name = read_name(body.name)
    if isinstance(name, Refusal):
        raise problem_of(name)
    return name


async def _of(tx: Tx, caller: Caller, list_id: UUID) -> Record:
    row = await lists.list_of(tx, caller.tenant_id, list_id)
    if row is None:
        raise not_found("list")
    return row


async def _referred(tx: Tx, caller: Caller, ref: str) -> Record:
    """The list of an id, or else of a name."""
    try:
        row = await lists.list_of(tx, caller.tenant_id, UUID(ref))
    except ValueError:
        row = None
    row = row or await lists.list_named(tx, caller.tenant_id, ref)
    if row is None:
        raise not_found("list")
    return row


async def _locked(tx: Tx, caller: Caller, ref: str) -> Record:
    found = await _referred(tx, caller, ref)
    row = await lists.lock_list(tx, caller.tenant_id, found["list_id"])
    if row is None:
        raise not_found("list")
    return row


def _changed(row: Record, wanted: int | None) -> Problem:
    return Problem(
        412,
        "changed_meanwhile",
        "Somebody has renamed this list meanwhile",
        f"You have version {wanted}; it is version {row['version']} now: '{row['name']}'. Nothing of yours was stored.",
        version=row["version"],
    )


def _in_use(uses: handlers.Uses) -> Problem:
    named = [f"the saved search '{name}'" for name in uses.searches]
    named += [f"the schedule '{name}'" for _, name in uses.schedules]
    more = f" and {len(named) - 3} more" if len(named) > 3 else ""
    used: dict[str, Any] = {
        "searches": list(uses.searches),
        "schedules": [{"id": str(schedule_id), "name": name} for schedule_id, name in uses.schedules],
    }
    return conflict("list_in_use", "This list is asked for elsewhere", f"By {', '.join(named[:3])}{more}.", **used)
