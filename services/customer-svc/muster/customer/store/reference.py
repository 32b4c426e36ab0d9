"""What was heard of tenants, balances, rates, routes and senders."""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Final
from uuid import UUID

from muster.customer.domain.hours import Business
from muster.customer.domain.locales import language_of
from muster.customer.domain.notices import Notices, Wordings
from muster.customer.domain.senders import Registration, Sender, Standing, looked_up, written
from muster.customer.domain.tariff import Route, Tariff
from muster.customer.store.notices import others_in
from muster.events import NIL_TENANT, is_sandbox
from muster.kit.pg import Record, Tx
from muster.text import PARTS_MAX
from muster.text.segments import ReferenceBits

ALL_COUNTRIES: Final = "*"
LIMITS: Final = ("range_hourly", "prefix_hourly", "plan_range", "daily")


@dataclass(frozen=True, slots=True)
class Tenant:
    """A tenant's settings as last heard. country: ISO 3166 alpha-2; sender: E.164 or a name; countries: those it sends
    to, "*" for all, none said for its own alone. sender_standing and what follows: of its sender, None before it was
    heard of. clean_since: since when nothing bad was heard of it. set_limits: by an operator, as LIMITS names them.
    parts_max: of how many parts a message of its may be. own_notices: identity, reply and by_link of its `notices`,
    and these in other languages as JSON; None for what is said by default."""

    tenant_id: UUID
    version: int
    name: str
    country: str
    time_zone: str
    sender: str
    closed: bool
    quiet_from_minute: int = 0
    quiet_to_minute: int = 0
    countries: Sequence[str] = ()
    customary_hours: bool = False
    holidays: Sequence[str] = ()
    closed_days: Sequence[date] = ()
    sender_standing: str | None = None
    sender_registration: str | None = None
    sender_reason: str | None = None
    clean_since: datetime = datetime(2000, 1, 1, tzinfo=UTC)
    set_limits: Sequence[int | None] = ()
    parts_max: int = PARTS_MAX
    own_notices: Sequence[str | None] = ()

    @property
    def own_sender(self) -> Sender | None:
        """How the sender of its settings stands; None while that was not heard. A sandbox is what it calls itself."""
        if self.sender_standing is None or self.sender_registration is None:
            return Sender(self.sender) if is_sandbox(self.tenant_id) else None
        standing, registration = Standing(self.sender_standing), Registration(self.sender_registration)
        return Sender(self.sender, standing, registration, self.sender_reason or "")

    @property
    def own_limits(self) -> dict[str, int | None]:
        """What an operator has set for it, by name."""
        return dict(zip(LIMITS, self.set_limits, strict=False))

    @property
    def wordings(self) -> Wordings:
        """What its marketing says by rule."""
        identity, reply, by_link, others = self.own_notices or (None, None, None, None)
        own = Notices(identity, reply, by_link) if identity and reply and by_link else None
        return Wordings(language_of(self.country), own, others_in(others or "{}"))

    @property
    def business(self) -> Business:
        """Its hours."""
        quiet = self.quiet_from_minute, self.quiet_to_minute
        closed = frozenset(self.closed_days)
        return Business(self.time_zone, quiet, closed, self.customary_hours, tuple(self.holidays))

    @property
    def allowed(self) -> frozenset[str] | None:
        """The countries that it sends to: its own unless it says others; None: all."""
        return None if ALL_COUNTRIES in self.countries else frozenset(self.countries or (self.country,))

    def sends_to(self, country: str) -> bool:
        """Whether numbers of this country are texted, if they can be reached."""
        return self.allowed is None or country in self.allowed


_SAVE_TENANT = """
INSERT INTO tenant (tenant_id, version, name, country, time_zone, sender, closed, quiet_from_minute, quiet_to_minute,
    countries, customary_hours, holidays, closed_days, parts_max)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)
ON CONFLICT (tenant_id) DO UPDATE SET version = $2, name = $3, country = $4, time_zone = $5, sender = $6, closed = $7,
    quiet_from_minute = $8, quiet_to_minute = $9, countries = $10, customary_hours = $11, holidays = $12,
    closed_days = $13, parts_max = $14
WHERE tenant.version < $2
"""


async def save_tenant(tx: Tx, tenant: Tenant) -> None:
    """Keep the highest version."""
    await tx.execute(
        _SAVE_TENANT,
        *(
            tenant.tenant_id,
            tenant.version,
            tenant.name,
            tenant.country,
            tenant.time_zone,
            tenant.sender,
            tenant.closed,
            tenant.quiet_from_minute,
            tenant.quiet_to_minute,
            list(tenant.countries),
            tenant.customary_hours,
            list(tenant.holidays),
            list(tenant.closed_days),
            tenant.parts_max,
        ),
    )


_TENANT = """
SELECT t.tenant_id, t.version, t.name, t.country, t.time_zone, t.sender, t.closed, t.quiet_from_minute,
    t.quiet_to_minute, t.countries, t.customary_hours, t.holidays, t.closed_days, t.parts_max,
    s.standing AS sender_standing,
    s.registration AS sender_registration, s.reason AS sender_reason,
    t.clean_since, ARRAY[l.range_hourly, l.prefix_hourly, l.plan_range, l.daily] AS set_limits,
    ARRAY[w.identity, w.reply, w.by_link, w.others::text] AS own_notices
FROM tenant t LEFT JOIN sender s ON s.owner_id = t.tenant_id AND s.sender = ltrim(t.sender, '+')
    LEFT JOIN tenant_limit l ON l.tenant_id = t.tenant_id LEFT JOIN notices w ON w.tenant_id = t.tenant_id
WHERE t.tenant_id = $1
"""


async def tenant_of(tx: Tx, tenant_id: UUID) -> Tenant | None:
    """The tenant's settings; None while they have not been heard."""
    row = await tx.fetchrow(_TENANT, tenant_id)
    return Tenant(**row) if row else None


_TENANTS = _TENANT.replace("= $1", "= ANY ($1)")


async def tenants_of(tx: Tx, tenant_ids: Collection[UUID]) -> dict[UUID, Tenant]:
    """Those of these tenants that were heard of (worker)."""
    rows = await tx.fetch(_TENANTS, list(tenant_ids))
    return {row["tenant_id"]: Tenant(**row) for row in rows}


_SAVE_SUSPENSION = """
INSERT INTO suspension (subject_id, version, suspended, reason) VALUES ($1, $2, $3, $4)
ON CONFLICT (subject_id) DO UPDATE SET version = $2, suspended = $3, reason = $4 WHERE suspension.version < $2
"""


async def save_suspension(tx: Tx, subject_id: UUID, version: int, reason: str, *, suspended: bool) -> None:
    """Keep the highest version. The nil id is the platform."""
    await tx.execute(_SAVE_SUSPENSION, subject_id, version, suspended, reason)


_SUSPENSIONS = "SELECT subject_id, reason FROM suspension WHERE suspended AND subject_id = ANY ($1) ORDER BY subject_id"


async def suspensions(tx: Tx, tenant_ids: Collection[UUID]) -> dict[UUID, str]:
    """Why nothing is sent for these tenants: the reason by id, a tenant's or the platform's (nil); {} if it is."""
    subjects = [*tenant_ids, NIL_TENANT]
    return {row["subject_id"]: row["reason"] for row in await tx.fetch(_SUSPENSIONS, subjects)}


_SAVE_BALANCES = """
INSERT INTO balance (tenant_id, account_version, available)
SELECT DISTINCT ON (t) t, v, a FROM unnest($1::uuid[], $2::bigint[], $3::bigint[]) AS b (t, v, a) ORDER BY t, v DESC
ON CONFLICT (tenant_id) DO UPDATE SET account_version = excluded.account_version, available = excluded.available
WHERE balance.account_version < excluded.account_version
"""


async def save_balances(tx: Tx, balances: Sequence[tuple[UUID, int, int]]) -> None:
    """Each a tenant, an account version and the credits available at it; the highest version stays."""
    if balances:
        await tx.execute(_SAVE_BALANCES, *map(list, zip(*balances, strict=True)))


async def available_credits(tx: Tx, tenant_id: UUID) -> int:
    """Credits available as last heard; 0 before the first word."""
    return await tx.fetchval("SELECT available FROM balance WHERE tenant_id = $1", tenant_id) or 0


_SAVE_RATE = """
INSERT INTO rate (country, version, credits_per_part, valid_from_ms) VALUES ($1, $2, $3, $4)
ON CONFLICT (country) DO UPDATE SET version = $2, credits_per_part = $3, valid_from_ms = $4
WHERE (rate.valid_from_ms, rate.version) < ($4, $2)
"""


async def save_rate(tx: Tx, country: str, version: int, credits_per_part: int, valid_from_ms: int) -> None:
    """Keep the one that began last; of two from the same moment the higher version."""
    await tx.execute(_SAVE_RATE, country, version, credits_per_part, valid_from_ms)


_SAVE_ROUTE = """
INSERT INTO route (route, version, countries, senders, reference_bits, open) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (route) DO UPDATE SET version = $2, countries = $3, senders = $4, reference_bits = $5, open = $6
WHERE route.version < $2
"""


async def save_route(
    tx: Tx,
    route: str,
    version: int,
    countries: Sequence[str],
    senders: Sequence[str],
    reference_bits: int,
    *,
    is_open: bool,
) -> None:
    """Keep the highest version."""
    await tx.execute(_SAVE_ROUTE, route, version, list(countries), list(senders), reference_bits, is_open)


_SAVE_SENDER = """
INSERT INTO sender (sender, version, owner_id, standing, registration, reason) VALUES ($1, $2, $3, $4, $5, $6)
ON CONFLICT (owner_id, sender) DO UPDATE SET version = $2, standing = $4, registration = $5, reason = $6
WHERE sender.version < $2
"""


async def save_sender(tx: Tx, owner_id: UUID, version: int, sender: Sender) -> None:
    """Keep the highest version."""
    how = sender.standing, sender.registration, sender.reason
    await tx.execute(_SAVE_SENDER, looked_up(sender.sender), version, owner_id, *how)


_FIND_SENDER = "SELECT standing, registration, reason FROM sender WHERE owner_id = $1 AND sender = $2"


async def sender_of(tx: Tx, tenant: Tenant, sender: str) -> Sender | None:
    """How a sender of a business stands; None if it never had it."""
    if looked_up(sender) == looked_up(tenant.sender):
        return tenant.own_sender
    row = await tx.fetchrow(_FIND_SENDER, tenant.tenant_id, looked_up(sender))
    if row is None:
        return None
    return Sender(written(sender), Standing(row["standing"]), Registration(row["registration"]), row["reason"])


_OTHER_SENDERS = """
SELECT sender FROM sender WHERE owner_id = $1 AND sender <> $2 AND standing = $3 AND registration <> $4
ORDER BY sender LIMIT $5
"""


async def other_senders(tx: Tx, tenant: Tenant, sender: str, limit: int) -> list[str]:
    """The first of the other senders by which a business may send."""
    given = (tenant.tenant_id, looked_up(sender), Standing.ACTIVE, Registration.REJECTED, limit)
    return [written(row["sender"]) for row in await tx.fetch(_OTHER_SENDERS, *given)]


_FIND_SENDERS = """
SELECT w.place, s.sender, s.standing, s.registration, s.reason
FROM unnest($1::uuid[], $2::text[]) WITH ORDINALITY AS w (owner_id, sender, place)
JOIN sender s USING (owner_id, sender)
"""


async def senders_of(tx: Tx, wanted: Sequence[tuple[UUID, str]]) -> list[Sender | None]:
    """How each of these senders of businesses stands, None for one that its business never had (worker)."""
    found: list[Sender | None] = [None] * len(wanted)
    owners, names = [tenant_id for tenant_id, _ in wanted], [looked_up(name) for _, name in wanted]
    for row in await tx.fetch(_FIND_SENDERS, owners, names):
        how = Standing(row["standing"]), Registration(row["registration"]), row["reason"]
        found[row["place"] - 1] = Sender(written(row["sender"]), *how)
    return found


_ROUTES = "SELECT route, countries, senders, reference_bits FROM route WHERE open"


async def tariff_now(tx: Tx) -> Tariff:
    """Rates and open routes as last heard."""
    rates = {
        row["country"]: row["credits_per_part"] for row in await tx.fetch("SELECT country, credits_per_part FROM rate")
    }
    return Tariff(rates, [_route(row) for row in await tx.fetch(_ROUTES)])


def _route(row: Record) -> Route:
    return Route(row["route"], tuple(row["countries"]), _bits(row), tuple(row["senders"]))


def _bits(row: "object") -> ReferenceBits:
    return 16 if row["reference_bits"] == 16 else 8  # type: ignore[index]
