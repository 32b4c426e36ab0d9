"""Whom a rule names, as of now: its saved search, lists, fields and queries are found and read, or named as wrong."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final
from uuid import UUID
from zoneinfo import ZoneInfo

from muster.customer.domain.audience import Audience, Cap, Seen
from muster.customer.domain.fields import Kind
from muster.customer.domain.query import Field, Node, fields_of, lists_in
from muster.customer.domain.query_reader import read_query
from muster.customer.domain.refusal import Refusal
from muster.customer.store import fields, lists, messaged, searches
from muster.customer.store.audience_rules import Understood
from muster.customer.store.reference import Tenant
from muster.kit.pg import Tx

_NOWHERE: Final = "UTC"


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads queries of a business as of a moment."""

    tenant: Tenant
    at: datetime
    kinds: Mapping[str, Kind]
    known: Mapping[str, Field]

    @property
    def time_zone(self) -> ZoneInfo:
        return ZoneInfo(self.tenant.time_zone or _NOWHERE)

    def read(self, written: str, field: str) -> Node | Refusal:
        """A query; where it is wrong, `field` says which of the request."""
        today = self.at.astimezone(self.time_zone).date()
        node = read_query(written, self.known, country=self.tenant.country, today=today)
        return replace(node, field=field) if isinstance(node, Refusal) else node


async def understand(
    tx: Tx, tenant: Tenant, audience: Audience, at: datetime, *, marketing: bool
) -> Understood | Refusal:
    """An audience as the statement that judges it takes it, with the words of its saved search pinned; or what of it
    there is not. marketing: the business's own cap applies."""
    pinned = await _pinned(tx, tenant.tenant_id, audience)
    if isinstance(pinned, Refusal):
        return pinned
    kinds = await fields.kinds_of_fields(tx, tenant.tenant_id) if _reads_fields(pinned) else {}
    reader = _Reader(tenant, at, kinds, fields_of(kinds))
    exclude, nodes = pinned.exclude, dict[str, Node]()
    written = {"query": pinned.query, "saved_search": pinned.saved_query, "exclude.query": exclude.query}
    for field, query in written.items():
        node = reader.read(query, f"audience.{field}") if query else None
        if isinstance(node, Refusal):
            return node
        if node is not None:
            nodes[field] = node
    named = await lists.ids_of(tx, tenant.tenant_id, set().union(*map(lists_in, nodes.values())))
    amiss = _names_amiss(pinned, nodes, named) or await _ids_amiss(tx, tenant.tenant_id, pinned)
    amiss = amiss or (_unknown_day(exclude.seen_since, kinds) if exclude.seen_since else None)
    if amiss is not None:
        return amiss
    unwanted = nodes.pop("exclude.query", None)
    own: Cap | None = await messaged.cap_of(tx, tenant.tenant_id) if marketing else None
    pinned = replace(pinned, named_lists=tuple(sorted(named.items())))
    return Understood(pinned, at, reader.time_zone, tuple(nodes.values()), unwanted, (exclude.cap, own))


def _reads_fields(audience: Audience) -> bool:
    exclude = audience.exclude
    return any((audience.query, audience.saved_query, exclude.query, exclude.seen_since))


async def _pinned(tx: Tx, tenant_id: UUID, audience: Audience) -> Audience | Refusal:
    if audience.saved_search is None or audience.saved_query is not None:
        return audience
    row = await searches.search_of(tx, tenant_id, audience.saved_search)
    if row is None:
        message = f"there is no saved search '{audience.saved_search}'"
        return Refusal("audience.saved_search", "unknown_search", message)
    return replace(audience, saved_query=row["query"])


def _names_amiss(audience: Audience, nodes: Mapping[str, Node], named: Mapping[str, UUID]) -> Refusal | None:
    """A name in a query that no list has, or that another list has now than when it was quoted."""
    before = dict(audience.named_lists)
    for field, node in nodes.items():
        for name in sorted(lists_in(node)):
            if name not in named:
                return Refusal(f"audience.{field}", "unknown_list", f"there is no list '{name}'")
            if before.get(name, named[name]) != named[name]:
                message = f"another list is called '{name}' now"
                return Refusal(f"audience.{field}", "unknown_list", message)
    return None


async def _ids_amiss(tx: Tx, tenant_id: UUID, audience: Audience) -> Refusal | None:
    """A list that is not there any more."""
    for field, ids in (("lists", audience.lists), ("exclude.lists", audience.exclude.lists)):
        known = await lists.names_of(tx, tenant_id, ids)
        gone = [one for one in ids if one not in known]
        if gone:
            return Refusal(f"audience.{field}", "unknown_list", f"there is no list {gone[0]} any more")
    return None


def _unknown_day(seen: Seen, kinds: Mapping[str, Kind]) -> Refusal | None:
    field = "audience.exclude.seen_since.field"
    if seen.field not in kinds:
        return Refusal(field, "unknown_field", f"no customer has the field '{seen.field}'")
    if kinds[seen.field] is not Kind.DATE:
        message = f"'{seen.field}' holds {kinds[seen.field].value}s: say with PUT /v1/own-fields that it holds dates"
        return Refusal(field, "not_a_date", message)
    return None
