"""The audience of a request: one shape, wherever a send is quoted or scheduled."""

from datetime import date
from typing import Annotated, Any, Final
from uuid import UUID

from fastapi import Request
from pydantic import BeforeValidator, Field, StringConstraints, model_validator

from muster.customer.api.common import problem_of, settings_of, tenant_of
from muster.customer.domain.audience import CAP_MESSAGES_MAX, DAYS_MAX, NAMES_MAX, NOBODY, Audience, Cap, Exclude, Seen
from muster.customer.domain.customers import TAG_CHARACTERS_MAX, field_key
from muster.customer.domain.query import CHARACTERS_MAX
from muster.customer.domain.refusal import Refusal
from muster.customer.handlers.audiences import understand
from muster.customer.store import customers, lists
from muster.kit import clock
from muster.kit.auth import Caller, Tx
from muster.kit.http import Flag, Int, Model
from muster.kit.problems import Problem, unprocessable

_UNKNOWN_SHOWN_MAX: Final = 20

CustomerIds = Annotated[list[Annotated[Int, Field(ge=1)]], Field(min_length=1)]
_Tag = Annotated[str, Field(min_length=1, max_length=TAG_CHARACTERS_MAX)]
_Tags = Annotated[list[_Tag], Field(min_length=1, max_length=NAMES_MAX)]
_Names = Annotated[list[Annotated[str, Field(min_length=1, max_length=100)]], Field(min_length=1, max_length=NAMES_MAX)]
_Query = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=CHARACTERS_MAX)]
_Days = Annotated[Int, Field(ge=1, le=DAYS_MAX)]


def _written(given: Any) -> Any:
    if isinstance(given, str | date):
        return given
    raise ValueError("must be a day such as 2026-05-01")


_Day = Annotated[date, BeforeValidator(_written)]


class SeenIn(Model):
    """Whose last visit, say, was on that day or later. field: an own field that holds dates, by its name or key."""

    field: Annotated[str, Field(min_length=1, max_length=100)]
    since: _Day


class CapIn(Model):
    """A number is texted at most so often in so many days, the day of the send among them."""

    messages: Annotated[Int, Field(ge=1, le=CAP_MESSAGES_MAX)]
    days: _Days


class ExcludeIn(Model):
    """Who is left out, each with a reason of its own in the quote's `left_out`; of several, the first in this order:
    lists (`in_excluded_list`), tags (`has_excluded_tag`), query (`excluded_by_query`), seen_since (`seen_since`),
    messaged_in_days (`recently_messaged`), cap (`frequency_cap`).

    lists (by name or id), tags: who is in one of them. messaged_in_days: whose number was messaged today or in the
    days before, so many in all, by the calendar of the business: by a bulk send or a single marketing message,
    certainly or perhaps.
    """

    lists: _Names | None = None
    tags: _Tags | None = None
    query: _Query | None = None
    seen_since: SeenIn | None = None
    messaged_in_days: _Days | None = None
    cap: CapIn | None = None


class AudienceIn(Model):
    """Everyone, or those who fit each rule that is given, minus those who are excluded.

    list, lists: by name or id; those on one of them at least. A `list` that there is not is a tag. tag: who has it;
    tags: who has one of them. query: in the words of docs/search.md. saved_search: by its name; a
    quote keeps its words, and a schedule reads them anew at each start.
    """

    all: Flag | None = None
    list: _Tag | None = None
    tag: _Tag | None = None
    search: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=100)] | None = None
    customer_ids: CustomerIds | None = None
    lists: _Names | None = None
    tags: _Tags | None = None
    query: _Query | None = None
    saved_search: Annotated[str, Field(min_length=1, max_length=100)] | None = None
    exclude: ExcludeIn | None = None

    @model_validator(mode="after")
    def _some_rule(self) -> "AudienceIn":
        if self.list is not None and self.lists is not None:
            raise ValueError("list is for one list, lists for several: give one of them")
        rules = (self.list, self.tag, self.search, self.customer_ids, self.lists, self.tags, self.query)
        if (self.all is not True) == all(rule is None for rule in (*rules, self.saved_search)) or self.all is False:
            raise ValueError(
                'say {"all": true}, or whom by list, tag, lists, tags, query, saved_search, search or customer_ids'
            )
        return self


async def audience_of(request: Request, tx: Tx, caller: Caller, body: AudienceIn) -> Audience:
    """Whom a request asks for; 422 for customers and lists that there are not."""
    tag, listed = body.tag, await _list_or_tag(tx, caller, body)
    if body.list is not None and listed is None:
        tag = body.list
    return Audience(
        tag,
        body.search,
        await _customer_ids(request, tx, caller, body.customer_ids),
        lists=await _lists(tx, caller, body.lists, "lists") if listed is None else (listed,),
        tags=tuple(body.tags or ()),
        query=body.query,
        saved_search=body.saved_search,
        exclude=await _exclude_of(tx, caller, body.exclude) if body.exclude else NOBODY,
    )


async def _exclude_of(tx: Tx, caller: Caller, body: ExcludeIn) -> Exclude:
    seen, cap = body.seen_since, body.cap
    return Exclude(
        lists=await _lists(tx, caller, body.lists, "exclude.lists"),
        tags=tuple(body.tags or ()),
        query=body.query,
        seen_since=Seen(field_key(seen.field), seen.since) if seen else None,
        messaged_in_days=body.messaged_in_days,
        cap=Cap(cap.messages, cap.days) if cap else None,
    )


async def _list_or_tag(tx: Tx, caller: Caller, body: AudienceIn) -> UUID | None:
    """The list that `list` names; None where it is a tag, as lists were once."""
    if body.list is None:
        return None
    found = await lists.lists_given(tx, caller.tenant_id, [body.list])
    if not found and body.tag not in (None, body.list):
        raise _unknown_list("list", body.list)
    return found.get(body.list)


async def _lists(tx: Tx, caller: Caller, given: list[str] | None, field: str) -> tuple[UUID, ...]:
    found = await lists.lists_given(tx, caller.tenant_id, given or ())
    unknown = [name for name in given or () if name not in found]
    if unknown:
        raise _unknown_list(field, unknown[0])
    return tuple(dict.fromkeys(found[name] for name in given or ()))


def _unknown_list(field: str, name: str) -> Problem:
    return unprocessable(f"audience.{field}", "unknown_list", f"there is no list '{name}'")


async def lasting_audience_of(request: Request, tx: Tx, caller: Caller, body: AudienceIn) -> Audience:
    """The same of what is asked for later, and anew each time: 422 for what could not be asked for now."""
    audience = await audience_of(request, tx, caller, body)
    tenant = await tenant_of(request, tx, caller.tenant_id)
    found = await understand(tx, tenant, audience, clock.now(), marketing=False)
    if isinstance(found, Refusal):
        raise problem_of(found)
    return audience


async def _customer_ids(request: Request, tx: Tx, caller: Caller, ids: list[int] | None) -> tuple[int, ...] | None:
    if ids is None:
        return None
    ids_max = settings_of(request).customer_audience_ids_max
    if len(ids) > ids_max:
        raise unprocessable("audience.customer_ids", "too_many", f"at most {ids_max} ids")
    unknown = await customers.unknown_ids(tx, caller.tenant_id, ids)
    if unknown:
        message = f"there is no customer {unknown[0]}"
        raise unprocessable("audience.customer_ids", "unknown_customer", message, unknown=unknown[:_UNKNOWN_SHOWN_MAX])
    return tuple(ids)
