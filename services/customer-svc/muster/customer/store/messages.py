"""Who single messages of several tenants would go to, each question asked once for all of them (worker)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from uuid import UUID

from muster.customer.domain.customers import Mobile
from muster.kit.pg import Tx

_WAIT: Final = "SELECT set_config('lock_timeout', $1, true)"


async def wait_for_locks(tx: Tx, at_most_ms: int) -> None:
    """Let this transaction wait no longer than that for what another one holds."""
    await tx.execute(_WAIT, str(at_most_ms))


class ByNumber(NamedTuple):
    """A message to a number."""

    tenant_id: UUID
    number_hash: bytes
    marketing: bool


class ByCustomer(NamedTuple):
    """A message to a customer, by the id."""

    tenant_id: UUID
    customer_id: int


@dataclass(frozen=True, slots=True)
class Holder:
    """A customer, by which kind of consent they get marketing ("": they do not consent), and the number they are
    texted at; None: they have none. time_zone: where they are, if somebody has said it."""

    customer_id: int
    consent: str
    time_zone: str | None
    mobile: Mobile | None = None


# A word on the number itself goes before the one on all of the customer's.
_CONSENT: Final = """CASE WHEN o.kind IN ('express', 'inferred') THEN o.kind
    WHEN o.kind IS NULL AND c.allow_bulk_sms IS TRUE AND c.consent IN ('express', 'inferred') THEN c.consent
    ELSE '' END"""
# The oldest customer with the number; for marketing the oldest who consents to it, if anybody does.
_HOLDERS: Final = """
SELECT w.place, h.customer_id, h.consent, h.time_zone
FROM unnest($1::uuid[], $2::bytea[], $3::boolean[]) WITH ORDINALITY AS w (tenant_id, number_hash, marketing, place)
CROSS JOIN LATERAL (
    SELECT customer_id, {consent} AS consent, c.time_zone
    FROM customer_number n JOIN customer c USING (tenant_id, customer_id)
        LEFT JOIN number_consent o USING (tenant_id, customer_id, number_hash)
    WHERE n.tenant_id = w.tenant_id AND n.number_hash = w.number_hash AND c.archived_at IS NULL
    ORDER BY w.marketing AND {consent} <> '' DESC, customer_id LIMIT 1
) h
""".replace("{consent}", _CONSENT)


async def holders(tx: Tx, wanted: Sequence[ByNumber]) -> list[Holder | None]:
    """The customer behind each number, None where it is nobody's."""
    return await _each(tx, _HOLDERS, wanted, lambda row: Holder(row["customer_id"], row["consent"], row["time_zone"]))


_CUSTOMERS: Final = """
SELECT w.place, c.customer_id, {consent} AS consent, c.time_zone, n.number, n.country, n.number_hash
FROM unnest($1::uuid[], $2::bigint[]) WITH ORDINALITY AS w (tenant_id, customer_id, place)
JOIN customer c USING (tenant_id, customer_id)
LEFT JOIN LATERAL (
    SELECT number, country, number_hash FROM customer_number m
    WHERE m.tenant_id = c.tenant_id AND m.customer_id = c.customer_id ORDER BY position LIMIT 1
) n ON true
LEFT JOIN number_consent o ON o.tenant_id = c.tenant_id AND o.customer_id = c.customer_id
    AND o.number_hash = n.number_hash
WHERE c.archived_at IS NULL
""".replace("{consent}", _CONSENT)


async def customers(tx: Tx, wanted: Sequence[ByCustomer]) -> list[Holder | None]:
    """Each customer, None where there is no such one."""
    return await _each(tx, _CUSTOMERS, wanted, _customer)


def _customer(row: Any) -> Holder:
    mobile = Mobile(row["number"], row["country"], row["number_hash"]) if row["number"] is not None else None
    return Holder(row["customer_id"], row["consent"], row["time_zone"], mobile)


_SUPPRESSED: Final = """
SELECT w.place FROM unnest($1::uuid[], $2::bytea[], $3::boolean[]) WITH ORDINALITY
    AS w (tenant_id, number_hash, marketing, place)
JOIN suppression s USING (tenant_id, number_hash)
WHERE s.suppressed AND (w.marketing OR s.scope = 2)
"""


async def suppressed(tx: Tx, wanted: Sequence[ByNumber]) -> list[bool]:
    """Whether each may not be sent."""
    found = await _each(tx, _SUPPRESSED, wanted, lambda _: True)
    return [one is not None for one in found]


async def _each(tx: Tx, query: str, wanted: Sequence[Any], read: Any) -> list[Any]:
    """What `read` makes of the row of each, None where it has none."""
    answers: list[Any] = [None] * len(wanted)
    if wanted:
        for row in await tx.fetch(query, *map(list, zip(*wanted, strict=True))):
            answers[row["place"] - 1] = read(row)
    return answers
