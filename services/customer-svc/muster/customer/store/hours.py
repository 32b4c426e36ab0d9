"""Which recipients have which hours, as SQL sees it: by their own time zone, else by what their number says.

A statement about an audience takes these fragments and their arguments; where nobody has hours they come to nothing.
"""

from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

from muster.customer.domain.hours import Classes, Hours, classify
from muster.customer.store.audience_counts import counts
from muster.kit.pg import Tx
from muster.text.zones import prefix_zones

# The index of the last bound that is not above the number, its digits filled up to 15.
_NUMBER_ZONES: Final = "({names}::text[])[1 + width_bucket(rpad(n.number::text, 15, '0')::bigint, {bounds}::bigint[])]"


@dataclass(frozen=True, slots=True)
class HoursSql:
    """Fragments for a statement whose arguments end with `arguments`; classes None: everybody at any time."""

    classes: Classes | None
    countries: list[str] | None = None

    def fragments(self, first: int) -> dict[str, str]:
        """With the numbers of the arguments, the first of which is `first`."""
        if self.classes is None:
            return {"number_zones": "NULL::text", "hours": "0", "hours_join": "", "allowed": "NULL"}
        bounds, names, countries, zones, numbers, other, spans = (f"${first + at}" for at in range(7))
        ruled = f"m.country = ANY({countries}::text[])"
        own = _NUMBER_ZONES.format(names=names, bounds=bounds)
        return {
            "number_zones": f"CASE WHEN n.country = ANY({countries}::text[]) THEN {own} ELSE '' END",
            "hours": f"CASE WHEN {ruled} THEN coalesce(h.number, -1) ELSE {other}::integer END",
            "hours_join": f"LEFT JOIN unnest({countries}::text[], {zones}::text[], {numbers}::integer[])"
            " AS h (country, zones, number) ON h.country = m.country AND h.zones = coalesce(c.time_zone, m.zones)",
            "allowed": f"CASE WHEN reason = 0 THEN string_to_array(({spans}::text[])[span + 1], ',')::bigint[] END",
        }

    @property
    def arguments(self) -> tuple[Any, ...]:
        """What the fragments refer to, but for that of `allowed`."""
        if self.classes is None:
            return ()
        bounds, names = prefix_zones(None if self.countries is None else frozenset(self.countries))
        pairs = self.classes.class_of
        countries, zones = [country for country, _ in pairs], [zones for _, zones in pairs]
        return bounds, names, countries, zones, list(pairs.values()), self.classes.other

    @property
    def spans(self) -> tuple[list[str], ...]:
        """What `allowed` refers to after them."""
        if self.classes is None:
            return ()
        return ([",".join(f"{first},{last}" for first, last in each) for each in self.classes.spans],)


AT_ANY_HOUR: Final = HoursSql(None)


_ZONES: Final = f"""
SELECT DISTINCT n.country, coalesce(c.time_zone, {_NUMBER_ZONES.format(names="$4", bounds="$3")}) AS zones
FROM customer_number n JOIN customer c USING (tenant_id, customer_id)
WHERE n.tenant_id = $1 AND ($2::text[] IS NULL OR n.country = ANY($2))
"""  # noqa: S608 - constants alone

_ANY_RULED: Final = """
SELECT EXISTS (SELECT FROM customer_number n WHERE n.tenant_id = $1 AND n.country = ANY($2)) AS found
"""


async def hours_of_customers(tx: Tx, tenant_id: UUID, hours: Hours) -> HoursSql:
    """The hours of the tenant's customers; AT_ANY_HOUR where neither the business nor a country of theirs has any."""
    # Nobody has any, nearly always: to say all prefixes of the world to the server costs as much as a whole small plan.
    ruled = hours.countries
    some = hours.everybodys or ruled is None
    if not some and (True,) not in await counts.gather(tx, tenant_id, _ANY_RULED, tenant_id, ruled):
        return AT_ANY_HOUR
    # Those of before are among them: an audience is asked for in the same words while somebody types.
    found = sorted(await counts.gather(tx, tenant_id, _ZONES, *_zoned(tenant_id, ruled)))
    if not found and not hours.everybodys:
        return AT_ANY_HOUR
    return HoursSql(classify(hours, found), ruled)


async def zones_of_customers(tx: Tx, tenant_id: UUID, countries: list[str] | None) -> list[tuple[str, str]]:
    """Every (country, zones) of the tenant's customers in these countries (None: in all)."""
    rows = await counts.fetch(tx, tenant_id, _ZONES, *_zoned(tenant_id, countries))
    return [(row["country"], row["zones"]) for row in rows]


def _zoned(tenant_id: UUID, countries: list[str] | None) -> tuple[Any, ...]:
    return tenant_id, countries, *prefix_zones(None if countries is None else frozenset(countries))
