"""Which account a chunk goes by: its country and sender lead to a route, weights and the chunk itself to one of its
accounts. The same chunk is led the same way whoever asks, as long as routes and accounts are the same. Pure."""

import hashlib
import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final
from uuid import UUID

# The route of all that no other names; it is always there.
DEFAULT: Final = "default"
# An account that is well gets all of its share.
WHOLE: Final = 100
_TRIED: Final = 1_000


@dataclass(frozen=True, slots=True)
class Target:
    """An account of a route. `weight`: its part of the whole among the others; 0 only when no other can take it."""

    account: str
    weight: int


@dataclass(frozen=True, slots=True)
class Route:
    """Leads what goes to these countries (none: to any) from these senders (none: from any) to its targets, and to the
    route `failover` ("": none) when none of them can take it. One that names neither countries nor senders takes
    nothing but what others fail over, except for the default."""

    name: str
    targets: tuple[Target, ...]
    countries: frozenset[str] = frozenset()
    senders: frozenset[str] = frozenset()
    failover: str = ""
    is_open: bool = True

    @property
    def takes_any(self) -> bool:
        """Whether it is open to what comes first."""
        return self.is_open and bool(self.countries or self.senders or self.name == DEFAULT)

    def takes(self, country: str, sender: str) -> bool:
        """Whether this leads to it first."""
        if not self.takes_any or (self.countries and country not in self.countries):
            return False
        return not self.senders or sender in self.senders

    @property
    def rank(self) -> tuple[bool, bool, str]:
        """Of those that take something the lowest has it: a sender says more than a country, and both more than one."""
        return not self.senders, not self.countries, self.name


@dataclass(frozen=True, slots=True)
class Way:
    """An account as a route sees it. `share`: percent of what is meant for it that it gets now; `reference_bits`: how
    its long messages are split."""

    account: str
    state: str
    reference_bits: int
    share: int = WHOLE


class Hindrance(StrEnum):
    """Why an account does not get a chunk; the least of them first."""

    NONE = ""
    ILL = "ill"
    DRAINING = "draining"
    CLOSED = "closed"
    MISSING = "missing"
    MORE_PARTS = "more_parts"


@dataclass(frozen=True, slots=True)
class Needs:
    """What a chunk needs of its way. `is_long`: a message of it has several parts, split with `reference_bits`; an
    account with more of these could need a part more than was paid for."""

    country: str
    sender: str
    reference_bits: int
    is_long: bool


@dataclass(frozen=True, slots=True)
class Option:
    """An account that a chunk could go by, by way of `route`."""

    route: str
    account: str
    weight: int
    share: int
    hindrance: Hindrance


def key_of(bulk_id: UUID, chunk: int) -> bytes:
    """What draws the account of a chunk."""
    return bulk_id.bytes + chunk.to_bytes(4, "big")


@dataclass(frozen=True, slots=True)
class Table:
    """All routes, and the accounts that there are."""

    routes: Mapping[str, Route]
    ways: Mapping[str, Way]
    _found: dict[tuple[str, str], Route | None] = field(default_factory=dict, compare=False)

    def find(self, country: str, sender: str) -> Route | None:
        """The route that takes it first; None where none does."""
        place = country, sender.removeprefix("+")
        if place not in self._found:
            taking = (route for route in self.routes.values() if route.takes(*place))
            self._found[place] = min(taking, key=lambda route: route.rank, default=None)
        return self._found[place]

    def choose(self, needs: Needs, key: bytes, named: str = "") -> Option | None:
        """The account of a chunk. `named`: the route that it was priced for, where none takes it any more. Where no
        account can take it, it waits where it would have gone; None without any route."""
        options = self.options(needs, named)
        return (_chosen(options, key) or _waiting(options, key)) if options else None

    def options(self, needs: Needs, named: str = "") -> list[Option]:
        """All accounts that it could go by, route after route."""
        first = self.find(needs.country, needs.sender) or self.routes.get(named) or self.routes.get(DEFAULT)
        routes = list(self.chain(first)) if first is not None else []
        return [self._option(route, target, needs) for route in routes for target in route.targets]

    def chain(self, first: Route) -> Iterator[Route]:
        """A route and those it fails over to, each once."""
        seen: set[str] = set()
        route: Route | None = first
        while route is not None and route.name not in seen:
            seen.add(route.name)
            yield route
            route = self.routes.get(route.failover)

    def has_others(self, account: str) -> bool:
        """Whether something that is led to an account could go by another."""
        ways = (list(self.chain(route)) for route in self.routes.values())
        led = ({target.account for route in way for target in route.targets} for way in ways)
        return any(account in names and len(names) > 1 for names in led)

    def _option(self, route: Route, target: Target, needs: Needs) -> Option:
        way = self.ways.get(target.account)
        share = way.share if way else 0
        return Option(route.name, target.account, target.weight, share, _hindrance(way, needs))


def _hindrance(way: Way | None, needs: Needs) -> Hindrance:
    if way is None:
        return Hindrance.MISSING
    if way.state != "open":
        return Hindrance.CLOSED if way.state == "closed" else Hindrance.DRAINING
    if needs.is_long and way.reference_bits > needs.reference_bits:
        return Hindrance.MORE_PARTS
    return Hindrance.ILL if way.share <= 0 else Hindrance.NONE


def _chosen(options: Sequence[Option], key: bytes) -> Option | None:
    """Route after route, and in each those with a weight before those that stand by. What an account does not get since
    it is not well is drawn among the others."""
    for route in dict.fromkeys(option.route for option in options):
        able = [one for one in options if one.route == route and not one.hindrance]
        for tier in ([one for one in able if one.weight], [one for one in able if not one.weight]):
            while tier:
                best = _drawn(tier, key)
                if best.share >= WHOLE or _unit(key, best.account, b"share") * WHOLE < best.share:
                    return best
                tier.remove(best)
    return None


def _waiting(options: Sequence[Option], key: bytes) -> Option:
    """Where nobody can take it: at the account that will soonest, by its own route if that is all the same."""
    return _drawn(_waiting_at(options), key)


def _waiting_at(options: Sequence[Option]) -> list[Option]:
    order = list(Hindrance)
    least = min(order.index(one.hindrance) for one in options)
    alike = [one for one in options if order.index(one.hindrance) == least]
    own = [one for one in alike if one.route == alike[0].route]
    return [one for one in own if one.weight] or own


def _drawn(options: Sequence[Option], key: bytes) -> Option:
    """Weighted rendezvous (Thaler and Ravishankar): each account draws for itself, the highest has it. One that comes
    or goes changes only what is, or was, its own."""
    if len(options) == 1:
        return options[0]
    return max(options, key=lambda one: (one.weight or 1) / -math.log(_unit(key, one.account, b"weight")))


def _unit(key: bytes, account: str, purpose: bytes) -> float:
    """Above 0 and below 1, the same for the same arguments."""
    drawn = hashlib.blake2b(key + account.encode(), digest_size=8, person=purpose).digest()
    # 53 bits are what a float holds, so it is never 1.
    return ((int.from_bytes(drawn, "big") >> 11) + 0.5) / (1 << 53)


def percents(options: Sequence[Option]) -> list[tuple[Option, int]]:
    """How many of a hundred chunks that have these options go by each, as a thousand of them would."""
    found = dict.fromkeys(options, 0)
    for at in range(_TRIED if options else 0):
        key = at.to_bytes(4, "big")
        found[_chosen(options, key) or _waiting(options, key)] += 1
    return [(option, round(100 * count / _TRIED)) for option, count in found.items()]


# -- what may be said of a route --------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Wrong:
    """What is wrong with a route that was given."""

    field: str
    code: str
    message: str


def wrong(given: Route, table: Table) -> Wrong | None:
    """Why a route may not stand among the others; None where it may. `table` has the others, or it as it was before."""
    return _wrong_targets(given, table) or _wrong_reach(given, table) or _wrong_failover(given, table)


def _wrong_targets(given: Route, table: Table) -> Wrong | None:
    names = [target.account for target in given.targets]
    for at, name in enumerate(names):
        if name in names[:at]:
            return Wrong(f"accounts.{at}.account", "twice", f"{name} is named twice")
        way = table.ways.get(name)
        if way is None:
            return Wrong(f"accounts.{at}.account", "not_found", f"there is no carrier account {name}")
        if way.state == "closed":
            return Wrong(f"accounts.{at}.account", "carrier_closed", f"{name} is closed: what is led there would wait")
    if not any(target.weight for target in given.targets):
        return Wrong("accounts", "weight_zero", "an account needs a weight above 0, or nothing is sent by this route")
    return None


def _wrong_reach(given: Route, table: Table) -> Wrong | None:
    if given.name == DEFAULT:
        if given.countries or given.senders:
            field_ = "countries" if given.countries else "senders"
            return Wrong(field_, "default_route", "the default route takes all that no other names, and names none")
        if not given.is_open:
            return Wrong("open", "default_route", "the default route is always open")
    for other in table.routes.values():
        if other.name != given.name and _overlap(given, other):
            return Wrong(
                "countries" if given.countries else "senders",
                "overlaps",
                f"route {other.name} takes some of this already, by as many conditions",
            )
    return None


def _overlap(one: Route, other: Route) -> bool:
    """Whether something would go by both, and nothing but their names says by which."""
    if not (one.takes_any and other.takes_any) or one.rank[:2] != other.rank[:2]:
        return False
    countries, senders = one.countries & other.countries, one.senders & other.senders
    return bool(countries or not one.countries) and bool(senders or not one.senders)


def _wrong_failover(given: Route, table: Table) -> Wrong | None:
    if not given.failover:
        return None
    routes = {**table.routes, given.name: given}
    if given.failover not in routes:
        return Wrong("failover", "not_found", f"there is no route {given.failover}")
    way = [given.name]
    while (name := routes[way[-1]].failover) in routes:
        way.append(name)
        if name in way[:-1]:
            return Wrong("failover", "cycle", f"leads in a circle: {' → '.join(way)}")
    return None
