"""Money that came in or went back, and what it is in credits. Pure. Money is counted in minor units (cents)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID, uuid5

from muster.credit.domain.account import CREDITS_MAX

MINOR_UNITS_MAX = 2**53 - 1


@dataclass(frozen=True, slots=True)
class Price:
    """From a moment on, so many credits for so many minor units of a currency (ISO 4217)."""

    currency: str
    valid_from: datetime
    minor_units: int
    credits: int


@dataclass(frozen=True, slots=True)
class Call:
    """A call of the provider by the id and the Unix seconds it was signed with; a retry has the id and a later time."""

    id: str
    signed_at: int


@dataclass(frozen=True, slots=True)
class Payment:
    """A payment as the provider tells it; `payment_id` is the provider's, and made once."""

    tenant_id: UUID
    payment_id: str
    amount: int
    currency: str
    paid_at: datetime
    charge_id: UUID | None = None

    @property
    def top_up_id(self) -> UUID:
        """The grant that it becomes."""
        return uuid5(self.tenant_id, f"payment/{self.payment_id}")


@dataclass(frozen=True, slots=True)
class Paid:
    """A payment that was taken, the credits that it became, and what of the money went back since."""

    payment: Payment
    credits: int
    returned: int = 0


@dataclass(frozen=True, slots=True)
class Return:
    """Money that went back, as a whole or in part: a refund or a chargeback. `return_id` is the provider's."""

    tenant_id: UUID
    payment_id: str
    return_id: str
    amount: int
    currency: str
    why: str


@dataclass(frozen=True, slots=True)
class Failed:
    """A charge that came to nothing; `reason` is the provider's."""

    tenant_id: UUID
    charge_id: UUID
    reason: str


class PaymentRefused(StrEnum):
    """Why a call about money changed nothing."""

    REPLAYED = "replayed"
    UNKNOWN_TENANT = "unknown_tenant"
    CLOSED = "closed"
    NO_PRICE = "no_price"
    TOO_SMALL = "too_small"
    TOO_LARGE = "too_large"
    OTHER_PAYMENT = "other_payment"
    UNKNOWN_PAYMENT = "unknown_payment"
    OTHER_RETURN = "other_return"
    OTHER_CURRENCY = "other_currency"
    BEYOND_PAYMENT = "beyond_payment"


def credits_for(amount: int, currency: str, at: datetime, prices: Iterable[Price]) -> int | PaymentRefused:
    """What money is worth by the price that was in force when it was paid; a part of a credit is not given."""
    in_force = [price for price in prices if price.currency == currency and price.valid_from <= at]
    if not in_force:
        return PaymentRefused.NO_PRICE
    price = max(in_force, key=lambda one: one.valid_from)
    credits = amount * price.credits // price.minor_units
    if credits < 1:
        return PaymentRefused.TOO_SMALL
    return credits if credits <= CREDITS_MAX else PaymentRefused.TOO_LARGE


def same_payment(known: Paid, told: Payment) -> bool:
    """Whether a payment is told again, and not another one under its id."""
    one = known.payment
    return (one.tenant_id, one.amount, one.currency) == (told.tenant_id, told.amount, told.currency)


def taken_after(known: Paid, told: Return) -> int | PaymentRefused:
    """The credits that are taken back in all once this money went back too.

    In proportion and rounded down, of the sum: parts of a payment take together what the whole takes, and the last one
    takes the rest.
    """
    if told.currency != known.payment.currency:
        return PaymentRefused.OTHER_CURRENCY
    returned = known.returned + told.amount
    if returned > known.payment.amount:
        return PaymentRefused.BEYOND_PAYMENT
    return known.credits * returned // known.payment.amount
