"""Which countries can be texted, by which route, for how many credits a part."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Self

from muster.text.segments import ReferenceBits

ANY_COUNTRY: Final = "*"


@dataclass(frozen=True, slots=True)
class Destination:
    """A country that can be texted: its route, the bits of the route's references, and the credits for one part."""

    country: str
    route: str
    reference_bits: ReferenceBits
    credits_per_part: int


@dataclass(frozen=True, slots=True)
class Route:
    """An open route. Without countries it takes all that no other route names; with senders, digits or names, only what
    these send, and that before any route without."""

    name: str
    countries: tuple[str, ...]
    reference_bits: ReferenceBits
    senders: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Reach:
    """Which countries can be texted: those listed, and all that neither list names if `others`. `allowed`: those that
    the business sends to; None: all."""

    open: tuple[str, ...]
    closed: tuple[str, ...]
    others: bool
    allowed: tuple[str, ...] | None = None


class Tariff:
    """Rates (credits for one part by country, "*" for the rest), open routes and the countries that a business sends to
    (None: all), as they were at one moment, for one sender; "" for one that no route names."""

    def __init__(
        self,
        rates: Mapping[str, int],
        routes: Sequence[Route],
        allowed: Iterable[str] | None = None,
        sender: str = "",
    ) -> None:
        self._allowed = None if allowed is None else tuple(sorted(allowed))
        self._rates = dict(rates)
        self._routes = tuple(sorted(routes, key=lambda route: route.name))
        self._sender = sender.removeprefix("+")
        theirs = [route for route in self._routes if self._sender in route.senders]
        tiers = (theirs, [route for route in self._routes if not route.senders])
        # A route that names the sender goes before one that names the country, and that before one that names neither.
        self._tiers = [(_by_country(tier), next((one for one in tier if not one.countries), None)) for tier in tiers]
        self._known: dict[str, Destination] = {}
        self._by_sender: dict[str, Tariff] = {}

    def within(self, allowed: Iterable[str] | None) -> "Tariff":
        """The same for a business that sends to these countries alone; None: to all."""
        return Tariff(self._rates, self._routes, allowed, self._sender)

    def of(self, sender: str) -> "Tariff":
        """The same for what this sender sends."""
        if not any(route.senders for route in self._routes):
            return self
        known = self._by_sender.get(sender)
        if known is None:
            known = self._by_sender[sender] = Tariff(self._rates, self._routes, self._allowed, sender)
        return known

    def allows(self, country: str) -> bool:
        """Whether the business sends to this country, if it can be reached."""
        return self._allowed is None or country in self._allowed

    def destination(self, country: str) -> Destination:
        """How a country is reached; KeyError for one outside `reach`."""
        known = self._known.get(country)
        if known is None:
            found = self._find(country)
            if found is None:
                raise KeyError(country)
            known = self._known[country] = found
        return known

    @property
    def reach(self) -> Reach:
        """The countries that have a rate and a route, of those that the business sends to."""
        if self._allowed is not None:
            reached = tuple(country for country in self._allowed if self._find(country))
            return Reach(reached, (), others=False, allowed=self._allowed)
        named = sorted({*self._rates, *(country for by_country, _ in self._tiers for country in by_country)})
        named = [country for country in named if country != ANY_COUNTRY]
        reached = tuple(country for country in named if self._find(country))
        missed = tuple(country for country in named if country not in reached)
        return Reach(reached, missed, self._find(ANY_COUNTRY) is not None)

    def _find(self, country: str) -> Destination | None:
        found = (by_country.get(country, rest) for by_country, rest in self._tiers)
        route = next((one for one in found if one is not None), None)
        credits_per_part = self._rates.get(country, self._rates.get(ANY_COUNTRY))
        if route is None or credits_per_part is None or not (country == ANY_COUNTRY or self.allows(country)):
            return None
        return Destination(country, route.name, route.reference_bits, credits_per_part)

    def pinned(self) -> dict[str, Any]:
        """As plain values, for a quote to keep."""
        routes = [[one.name, list(one.countries), one.reference_bits, list(one.senders)] for one in self._routes]
        return {"rates": self._rates, "routes": routes, "allowed": self._allowed, "sender": self._sender}

    @classmethod
    def unpin(cls, pinned: Mapping[str, Any]) -> Self:
        """The tariff that a quote kept."""
        # Quotes of before there were such lists have none, nor senders.
        routes = [
            Route(name, tuple(countries), bits, tuple(*senders)) for name, countries, bits, *senders in pinned["routes"]
        ]
        return cls(pinned["rates"], routes, pinned.get("allowed"), pinned.get("sender", ""))


def _by_country(routes: Sequence[Route]) -> dict[str, Route]:
    return {country: route for route in reversed(routes) for country in route.countries}
