"""Routes, for the operator: which carrier accounts take what, by which weights, and where to when none of them can."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Annotated, Any, Final, Literal

from fastapi import APIRouter, Request, Response
from pydantic import AfterValidator, Field

from muster.dispatch.api.carrier_models import NAME, SENDER
from muster.dispatch.domain import routing
from muster.dispatch.domain.routing import DEFAULT, Hindrance, Needs, Option, Route, Table, Target
from muster.dispatch.handlers.routes import said
from muster.dispatch.settings import DispatchSettings
from muster.dispatch.store import routes
from muster.dispatch.store.routes import Stored
from muster.kit import audit
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.forms import Form
from muster.kit.http import Flag, Int, Model
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.problems import conflict, not_found, unprocessable
from muster.text import Number, country_of, is_region, read_number

router = APIRouter(prefix="/v1/routes", tags=["routes"])

Operator = Annotated[Caller, requires(Permission.RUN_CARRIERS)]


def _a_country(given: str) -> str:
    if not is_region(given):
        raise ValueError("must be a country as ISO 3166 writes it, such as AU")
    return given


Name = Annotated[str, NAME]
Country = Annotated[str, AfterValidator(_a_country)]
Sender = Annotated[str, SENDER]
Countries = Annotated[list[Country], Field(max_length=250, description="that it takes; none: any")]
Senders = Annotated[list[Sender], Field(max_length=500, description="numbers or names that it takes; none: any")]
Failover = Annotated[
    str,
    Form("([a-z0-9][a-z0-9-]{0,29})?", "must be the name of a route, or empty"),
    Field(description="the route to take when no account can; empty: none"),
]
Open = Annotated[Flag, Field(description="whether anything is led to it first")]


class AccountIn(Model):
    """An account, and its part among the others. With weight 0 it stands by, for when no other can take it."""

    account: Name
    weight: Annotated[Int, Field(ge=0, le=1_000)] = 1


Accounts = Annotated[list[AccountIn], Field(min_length=1, max_length=20)]


class RouteIn(Model):
    """A new route."""

    route: Annotated[Name, Field(description="its name for good: a-z, 0-9 and hyphens")]
    accounts: Accounts
    countries: Countries = Field(default_factory=list)
    senders: Senders = Field(default_factory=list)
    failover: Failover = ""
    open: Open = True


class RouteChange(Model):
    """What is to be different about a route; what is left out stays. Lists are replaced as a whole."""

    accounts: Accounts | None = None
    countries: Countries | None = None
    senders: Senders | None = None
    failover: Failover | None = None
    open: Open | None = None


class RouteOut(Model):
    """A route. `reference_bits`: of the references by which messages for it are priced; `parts_per_second`: what its
    accounts take together, 0 for as fast as one of them answers."""

    route: str
    accounts: list[AccountIn]
    countries: list[str]
    senders: list[str]
    failover: str
    open: bool
    reference_bits: int
    parts_per_second: int
    version: int


class RouteTest(Model):
    """A message that might be sent; it is not. `parts`: how many it has, split with references of `reference_bits`."""

    to: Annotated[str, Field(max_length=30, description="a number with its +")]
    sender: Sender
    parts: Annotated[Int, Field(ge=1, le=255)] = 1
    reference_bits: Literal[8, 16] | None = Field(default=None, description="those of its route if left out")


class OptionOut(Model):
    """An account that it could go by. `percent`: of such messages that go by it now; `why`: why none do, or fewer
    than its weight says."""

    route: str
    account: str
    weight: int
    percent: int
    why: str


class RouteTested(Model):
    """Which route takes it, and by which accounts it may go, in the order in which they are asked."""

    country: str
    sender: str
    route: str
    why: str
    options: list[OptionOut]


@router.get("")
async def read_routes(
    _: Operator, tx: Annotated[Tx, tenant_tx], limit: Limit = 50, cursor: CursorText = None
) -> Page[RouteOut]:
    """Routes by name."""
    after = decode_cursor(cursor, {"route": str})["route"] if cursor else ""
    found = await routes.page(tx, after, limit + 1)
    return page_of(found, limit, _out, lambda one: {"route": one.route.name})


@router.post("/test")
async def try_route(body: RouteTest, _: Operator, tx: Annotated[Tx, tenant_tx]) -> RouteTested:
    """Which account a message would go by, and why. Nothing is sent, nothing is changed."""
    number = read_number(body.to, "US") if body.to.startswith("+") else None
    if not isinstance(number, Number):
        raise unprocessable("to", "not_textable", "must be a mobile number that begins with + and its country")
    country = country_of(number.e164)
    table = Table({one.route.name: one.route for one in await routes.every(tx)}, await routes.ways(tx))
    first = table.find(country, body.sender)
    if first is None:
        raise conflict("no_route", "There is no route yet", "The worker makes the default one when it starts.")
    stored = await routes.read(tx, first.name)
    bits = body.reference_bits or (stored.reference_bits if stored else 8)
    needs = Needs(country, body.sender, bits, body.parts > 1)
    found = routing.percents(table.options(needs))
    return RouteTested(
        country=country,
        sender=body.sender,
        route=first.name,
        why=_why_first(first),
        options=[_option(option, percent) for option, percent in found],
    )


@router.get("/{route}")
async def read_route(route: str, _: Operator, tx: Annotated[Tx, tenant_tx]) -> RouteOut:
    """One route."""
    return await _read(tx, route)


@router.post("", response_model=RouteOut, status_code=201)
async def create_route(
    request: Request, body: RouteIn, caller: Operator, tx: Annotated[Tx, tenant_tx], once: Annotated[Once, idempotent]
) -> Response:
    """Make a route. What is planned from then on is priced for it; what comes from then on goes by it."""
    settings: DispatchSettings = request.app.state.settings

    async def make() -> tuple[int, RouteOut]:
        table = await _locked(tx)
        if body.route in table.routes:
            raise conflict("already_there", "There is a route of this name", field="route")
        if len(table.routes) >= settings.routes_max:
            raise conflict("too_many", "There are too many routes", f"At most {settings.routes_max}.")
        await _store(tx, _given(body), table, caller, Act.ROUTE_CREATED)
        return 201, await _read(tx, body.route)

    return await once.answer(tx, caller, body, make)


@router.patch("/{route}", response_model=RouteOut)
async def change_route(
    route: str,
    body: RouteChange,
    caller: Operator,
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Change a route. The default one can lead to other accounts and fail over, and goes on taking all that no other
    names; once it was changed the environment has no say in it. What is as it was changes nothing."""

    async def make() -> tuple[int, RouteOut]:
        table = await _locked(tx)
        if route not in table.routes:
            raise not_found("route")
        given = body.model_dump(exclude_none=True)
        changes = {name: given[name] for name in body.model_fields_set if name in given}
        changed = replace(table.routes[route], **_members(changes))
        if changed != table.routes[route]:
            await _store(tx, changed, table, caller, Act.ROUTE_CHANGED)
        return 200, await _read(tx, route)

    return await once.answer(tx, caller, body, make)


@router.delete("/{route}", response_model=RouteOut)
async def delete_route(
    route: str, caller: Operator, tx: Annotated[Tx, tenant_tx], once: Annotated[Once, idempotent]
) -> Response:
    """Lead nothing by a route any more; what was planned for it goes as if it were planned now. 409 while another fails
    over to it."""
    return await once.answer(tx, caller, None, _deleted(tx, caller, route))


def _deleted(tx: Tx, caller: Caller, name: str) -> Callable[[], Awaitable[tuple[int, RouteOut]]]:
    async def make() -> tuple[int, RouteOut]:
        table = await _locked(tx)
        gone = await _read(tx, name)
        if name == DEFAULT:
            raise conflict("default_route", "The default route stays", "It takes all that no other route names.")
        leading = [route.name for route in table.routes.values() if route.failover == name]
        if leading:
            raise conflict("routes_lead_here", "Routes fail over to this one", ", ".join(leading), routes=leading)
        await routes.delete(tx, name)
        await emit(tx, *[said(one) for one in await routes.every(tx, deleted=True) if one.route.name == name])
        await emit(tx, audit.record(caller, Act.ROUTE_DELETED, name))
        return 200, gone

    return make


async def _locked(tx: Tx) -> Table:
    """Routes and accounts as they stay until this transaction ends."""
    await routes.lock(tx)
    return Table({one.route.name: one.route for one in await routes.every(tx)}, await routes.ways(tx))


async def _store(tx: Tx, route: Route, table: Table, caller: Caller, act: Act) -> None:
    """422 where it may not stand among the others."""
    wrong = routing.wrong(route, table)
    if wrong is not None:
        raise unprocessable(wrong.field, wrong.code, wrong.message)
    await routes.save(tx, route)
    changed = {one.route.name for one in await routes.refresh(tx)} | {route.name}
    await emit(tx, *[said(one) for one in await routes.every(tx) if one.route.name in changed])
    await emit(tx, audit.record(caller, act, route.name))


def _given(body: RouteIn) -> Route:
    members = _members(body.model_dump(exclude={"route"}))
    return Route(name=body.route, **members)


def _members(given: Mapping[str, Any]) -> dict[str, Any]:
    """As the domain has them."""
    found = dict(given)
    if "accounts" in found:
        found["targets"] = tuple(Target(one["account"], one["weight"]) for one in found.pop("accounts"))
    if "senders" in found:
        found["senders"] = frozenset(sender.removeprefix("+") for sender in found["senders"])
    if "countries" in found:
        found["countries"] = frozenset(found["countries"])
    if "open" in found:
        found["is_open"] = found.pop("open")
    return found


async def _read(tx: Tx, name: str) -> RouteOut:
    found = await routes.read(tx, name)
    if found is None:
        raise not_found("route")
    return _out(found)


def _out(found: Stored) -> RouteOut:
    route = found.route
    return RouteOut(
        route=route.name,
        accounts=[AccountIn(account=target.account, weight=target.weight) for target in route.targets],
        countries=sorted(route.countries),
        senders=sorted(route.senders),
        failover=route.failover,
        open=route.is_open,
        reference_bits=found.reference_bits,
        parts_per_second=found.parts_per_second,
        version=found.version,
    )


def _why_first(route: Route) -> str:
    named = [what for what, given in (("sender", route.senders), ("country", route.countries)) if given]
    return f"it names the {' and the '.join(named)}" if named else "no other route names the country or the sender"


_WHY: Final[Mapping[Hindrance, str]] = {
    Hindrance.NONE: "",
    Hindrance.ILL: "is not well: its carrier fails",
    Hindrance.DRAINING: "is draining",
    Hindrance.CLOSED: "is closed",
    Hindrance.MISSING: "there is no such account",
    Hindrance.MORE_PARTS: "could need more parts than are paid for",
}


def _option(option: Option, percent: int) -> OptionOut:
    why = _WHY[option.hindrance]
    if not why and option.share < routing.WHOLE:
        why = f"is getting well: takes {option.share} percent of its own"
    if not why and not option.weight:
        why = "stands in for the others" if percent else "stands by"
    return OptionOut(route=option.route, account=option.account, weight=option.weight, percent=percent, why=why)
