"""Lists that others name: who does, and another name for a list wherever a query writes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Final
from uuid import UUID

from muster.customer.domain.query import Field, fields_of
from muster.customer.domain.query_reader import WrittenList, lists_written, with_list_renamed
from muster.customer.store import fields, list_uses, lists
from muster.customer.store.reference import Tenant
from muster.kit.pg import Record, Tx

# Which day it is makes no difference to what names a query has.
_ANY_DAY: Final = date(2026, 1, 1)
_WANTED: Final = ("query",)
_UNWANTED: Final = ("exclude", "query")


@dataclass(frozen=True, slots=True)
class Uses:
    """Saved searches, by name, and schedules that may start again, by id and name, that ask for a list."""

    searches: Sequence[str]
    schedules: Sequence[tuple[UUID, str]]

    def __bool__(self) -> bool:
        return bool(self.searches or self.schedules)


@dataclass(frozen=True, slots=True)
class _Query:
    """A query that has the name of the list at these places. search, or else schedule and path, say where it stands."""

    written: str
    places: Sequence[WrittenList]
    search: str | None = None
    schedule: Record | None = None
    path: tuple[str, ...] = ()


async def uses_of(tx: Tx, tenant: Tenant, list_id: UUID) -> Uses:
    """Who would miss a list."""
    found = await _queries(tx, tenant, list_id)
    schedules = {one.schedule["schedule_id"]: one.schedule["name"] for one in found if one.schedule is not None}
    for row in await list_uses.schedules_with_lists(tx, tenant.tenant_id, list_id):
        if row["by_id"]:
            schedules[row["schedule_id"]] = row["name"]
    return Uses([one.search for one in found if one.search is not None], sorted(schedules.items()))


async def rename(tx: Tx, tenant: Tenant, list_id: UUID, name: str, by: str) -> None:
    """Give a list that is locked another name, which no other has; queries that are kept go on meaning it."""
    for one in await _queries(tx, tenant, list_id):
        query = with_list_renamed(one.written, one.places, name)
        if one.search is not None:
            await list_uses.rewrite_search(tx, tenant.tenant_id, one.search, query)
        elif one.schedule is not None:
            await list_uses.rewrite_schedule(tx, tenant.tenant_id, one.schedule["schedule_id"], one.path, query)
    await lists.rename(tx, tenant.tenant_id, list_id, name, by)


async def _queries(tx: Tx, tenant: Tenant, list_id: UUID) -> list[_Query]:
    """Queries that are kept and ask for the list by its name."""
    known = fields_of(await fields.kinds_of_fields(tx, tenant.tenant_id))
    kept = [
        _Query(row["query"], _places(row["query"], known, tenant), search=row["name"])
        for row in await list_uses.searches_with_lists(tx, tenant.tenant_id)
    ]
    for row in await list_uses.schedules_with_lists(tx, tenant.tenant_id, list_id):
        for written, path in ((row["query"], _WANTED), (row["unwanted"], _UNWANTED)):
            if written is not None:
                kept.append(_Query(written, _places(written, known, tenant), schedule=row, path=path))
    named = {place.name for one in kept for place in one.places}
    ids = await lists.ids_of(tx, tenant.tenant_id, named)
    ours = {name for name, one in ids.items() if one == list_id}
    found = []
    for one in kept:
        places = [place for place in one.places if place.name in ours]
        if places:
            found.append(_Query(one.written, places, one.search, one.schedule, one.path))
    return found


def _places(written: str, known: Mapping[str, Field], tenant: Tenant) -> list[WrittenList]:
    return lists_written(written, known, country=tenant.country, today=_ANY_DAY)
