"""Credits for one part, by country."""

from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Query, Response
from pydantic import AfterValidator, Field

from muster.credit.domain.rates import ANY_COUNTRY, Rate
from muster.credit.store import rates as store
from muster.kit import audit, clock
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.http import Int, Model, Moment
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit
from muster.kit.pages import Page
from muster.kit.problems import unprocessable
from muster.text import is_region

router = APIRouter(prefix="/v1/rates", tags=["credits"])

CREDITS_PER_PART_MAX = 1_000


def _a_country(code: str) -> str:
    if code != ANY_COUNTRY and not is_region(code):
        raise ValueError(f"must be an ISO 3166 code of two capitals, such as AU, or {ANY_COUNTRY} for all others")
    return code


Country = Annotated[str, AfterValidator(_a_country)]


class RateOut(Model):
    """A rate; the country "*" stands for all without one of their own."""

    country: str
    version: int
    credits_per_part: int
    valid_from: datetime


class RateIn(Model):
    """A country's next rate, from now on or from `valid_from`."""

    country: Country = ANY_COUNTRY
    credits_per_part: Annotated[Int, Field(ge=1, le=CREDITS_PER_PART_MAX)]
    valid_from: Moment | None = None


@router.get("")
async def read_rates(
    _: Annotated[Caller, requires(Permission.READ_PRICES)],
    tx: Annotated[Tx, tenant_tx],
    coming: Annotated[bool, Query(description="also the rates that are still to begin")] = False,  # noqa: FBT002
) -> Page[RateOut]:
    """The rate in force of each country; all on one page."""
    found = await store.rates(tx) + (await store.coming(tx) if coming else [])
    return Page(items=[_out(rate) for rate in sorted(found, key=lambda rate: (rate.country, rate.valid_from))])


@router.put("", response_model=RateOut)
async def put_rate(
    body: RateIn,
    caller: Annotated[Caller, requires(Permission.SELL_CREDITS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Set a country's rate, from now on or from a time to come. Quotes that were given keep theirs.

    Rates that were set for later begin at their time nevertheless; set again for the same time, the newer word counts.
    """

    async def make() -> tuple[int, RateOut]:
        if body.valid_from is not None and body.valid_from < clock.now():
            raise unprocessable("valid_from", "in_the_past", "is in the past; without it a rate is valid from now on")
        rate = await store.add_rate(tx, body.country, body.credits_per_part, body.valid_from, caller.user_id)
        await emit(tx, audit.record(caller, Act.RATE_SET, f"{rate.country}/{rate.version}"))
        return 200, _out(rate)

    return await once.answer(tx, caller, body, make)


def _out(rate: Rate) -> RateOut:
    return RateOut(
        country=rate.country,
        version=rate.version,
        credits_per_part=rate.credits_per_part,
        valid_from=rate.valid_from,
    )
