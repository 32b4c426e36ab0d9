"""SQL of prices and payments. A payment is told before its tenant is known: what is about one runs as the worker."""

from datetime import datetime
from uuid import UUID

from muster.credit.domain.payments import Call, Paid, Payment, Price, Return
from muster.credit.domain.signature import TOLERANCE_S
from muster.kit.pg import Tx

_PRICES = """
SELECT currency, valid_from, minor_units, credits FROM price
WHERE $1::text IS NULL OR currency = $1 ORDER BY currency, valid_from
"""


async def prices(tx: Tx, currency: str | None = None) -> list[Price]:
    """All prices of a currency or of all of them, past and future."""
    return [Price(**row) for row in await tx.fetch(_PRICES, currency)]


# A row of the past would change what payments are worth that are on their way.
_ADD_PRICE = """
INSERT INTO price (currency, valid_from, minor_units, credits, actor)
SELECT $1, coalesce($2::timestamptz, kit_now()), $3, $4, $5 WHERE $2::timestamptz IS NULL OR $2 >= kit_now()
ON CONFLICT (currency, valid_from) DO NOTHING
RETURNING currency, valid_from, minor_units, credits
"""
_FIND_PRICE = "SELECT currency, valid_from, minor_units, credits FROM price WHERE currency = $1 AND valid_from = $2"


async def add_price(
    tx: Tx, currency: str, valid_from: datetime | None, minor_units: int, credits: int, actor: str
) -> Price | None:
    """A price from that moment on, from now where none is given; None for the past, and where there is one already."""
    row = await tx.fetchrow(_ADD_PRICE, currency, valid_from, minor_units, credits, actor)
    return Price(**row) if row else None


async def find_price(tx: Tx, currency: str, valid_from: datetime) -> Price | None:
    """The price from that very moment, where there is one."""
    row = await tx.fetchrow(_FIND_PRICE, currency, valid_from)
    return Price(**row) if row else None


# Over tenants, and before the account's lock everywhere: who tells of a payment twice at once waits here.
_LOCK_PAYMENT = "SELECT pg_advisory_xact_lock(hashtextextended('payment/' || $1, 0))"
_PAYMENT = """
SELECT tenant_id, payment_id, amount, currency, credits, charge_id, paid_at, returned FROM payment WHERE payment_id = $1
"""


async def lock_payment(tx: Tx, payment_id: str) -> Paid | None:
    """What is known of a payment, which nobody else works on until the transaction ends."""
    await tx.execute(_LOCK_PAYMENT, payment_id)
    # allow tenant-in-tenant-sql: whose the payment is, is what is asked
    row = await tx.fetchrow(_PAYMENT, payment_id)
    if row is None:
        return None
    told = (row["tenant_id"], payment_id, row["amount"], row["currency"], row["paid_at"], row["charge_id"])
    return Paid(Payment(*told), row["credits"], row["returned"])


_ADD_PAYMENT = """
INSERT INTO payment (tenant_id, payment_id, amount, currency, credits, top_up_id, charge_id, paid_at)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
"""


async def add_payment(tx: Tx, tenant_id: UUID, paid: Paid) -> None:
    """A payment that was taken."""
    one = paid.payment
    told = (one.payment_id, one.amount, one.currency, paid.credits, one.top_up_id, one.charge_id, one.paid_at)
    await tx.execute(_ADD_PAYMENT, tenant_id, *told)


_RETURN = """
SELECT amount, why, credits FROM payment_return WHERE tenant_id = $1 AND payment_id = $2 AND return_id = $3
"""


async def find_return(tx: Tx, tenant_id: UUID, payment_id: str, return_id: str) -> tuple[int, str, int] | None:
    """(amount, why, credits taken) of money that went back; ask only with its payment locked."""
    row = await tx.fetchrow(_RETURN, tenant_id, payment_id, return_id)
    return (row["amount"], row["why"], row["credits"]) if row else None


_ADD_RETURN = """
INSERT INTO payment_return (tenant_id, payment_id, return_id, amount, credits, why) VALUES ($1, $2, $3, $4, $5, $6)
"""
_ADD_RETURNED = "UPDATE payment SET returned = returned + $3 WHERE tenant_id = $1 AND payment_id = $2"


async def add_return(tx: Tx, tenant_id: UUID, told: Return, credits: int) -> None:
    """Money that went back, and the credits that were taken for it."""
    await tx.execute(_ADD_RETURN, tenant_id, told.payment_id, told.return_id, told.amount, credits, told.why)
    await tx.execute(_ADD_RETURNED, tenant_id, told.payment_id, told.amount)


# Signed up to the tolerance ahead, a call holds for twice as long; after that its time refuses it.
_FORGET_CALLS = """
DELETE FROM payment_call WHERE (call_id, signed_at) IN (
    SELECT call_id, signed_at FROM payment_call WHERE heard_at < kit_now() - make_interval(secs => $1)
    ORDER BY call_id, signed_at LIMIT 100 FOR UPDATE SKIP LOCKED)
"""
_ADD_CALL = "INSERT INTO payment_call (call_id, signed_at) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING true"


async def add_call(tx: Tx, call: Call) -> bool:
    """Whether this is the first time that the very call is taken."""
    await tx.execute(_FORGET_CALLS, 2.0 * TOLERANCE_S)
    return await tx.fetchval(_ADD_CALL, call.id, call.signed_at) is not None
