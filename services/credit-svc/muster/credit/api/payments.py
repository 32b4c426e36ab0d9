"""What money is in credits, and the payment provider's signed calls."""

import json
from datetime import datetime
from typing import Annotated, Any, Literal, NoReturn, TypeVar
from uuid import UUID

from fastapi import APIRouter, Request, Response
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError

from muster.credit.api.amounts import Credits, Currency, MinorUnits
from muster.credit.domain.payments import Call, Failed, Paid, Payment, PaymentRefused, Price, Return
from muster.credit.domain.signature import TOLERANCE_S, Unsigned, verify
from muster.credit.handlers import money
from muster.credit.settings import CreditSettings
from muster.credit.store import payments as store
from muster.kit import audit, clock, metrics
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Tx, public, requires, tenant_tx
from muster.kit.desk import Desk
from muster.kit.forms import Form
from muster.kit.http import Model, Moment, allow
from muster.kit.idempotency import Once, idempotent
from muster.kit.outbox import emit
from muster.kit.pages import Page
from muster.kit.problems import Problem, conflict, not_found, unprocessable

router = APIRouter(prefix="/v1/credits", tags=["credits"])

_BODY_BYTES_MAX = 65_536
_PRICE_MAX = 10**9
Id = Annotated[str, Form(r"[\x21-\x7e]{1,255}", "must be 1 to 255 visible ASCII characters, without spaces")]


_UNSIGNED = {
    Unsigned.HEADERS: "webhook-id, webhook-timestamp or webhook-signature is missing or not well formed",
    Unsigned.TIME: f"webhook-timestamp is more than {TOLERANCE_S} s from now",
    Unsigned.SIGNATURE: "no signature in webhook-signature was made over these bytes with a secret that is known here",
}


class PriceIn(Model):
    """`credits` for each `minor_units` of a currency, from `valid_from` (or now) on."""

    currency: Currency
    minor_units: Annotated[MinorUnits, Field(le=_PRICE_MAX)]
    credits: Annotated[Credits, Field(le=_PRICE_MAX)]
    valid_from: Moment | None = None


class PriceOut(Model):
    """A row of the price table; the newest that has begun is in force."""

    currency: str
    minor_units: int
    credits: int
    valid_from: datetime


class _Told(BaseModel):
    """What a provider says: fields that are not known here are its own business."""

    model_config = ConfigDict(extra="ignore", frozen=True, hide_input_in_errors=True)


M = TypeVar("M", bound=_Told)


class _Succeeded(_Told):
    tenant_id: UUID
    payment_id: Id
    amount: MinorUnits
    currency: Currency
    charge_id: UUID | None = None


class _Returned(_Told):
    tenant_id: UUID
    payment_id: Id
    return_id: Id
    amount: MinorUnits
    currency: Currency


class _Failed(_Told):
    tenant_id: UUID
    charge_id: UUID
    reason: Annotated[str, Field(max_length=100), Form(r"[\x20-\x7e]*", "must be printable ASCII")] = "failed"


class _Call(_Told):
    type: Annotated[str, StringConstraints(min_length=1, max_length=100)]
    timestamp: Moment
    data: dict[str, Any]


_TEXT: dict[str, Any] = {"type": "string"}
_WHOLE: dict[str, Any] = {
    "type": "integer",
    "minimum": 1,
    "description": "in minor units of the currency, such as cents",
}
_DATA: dict[str, Any] = {
    "tenant_id": {"type": "string", "format": "uuid"},
    "payment_id": {**_TEXT, "description": "of succeeded, refunded and disputed: the provider's, the same for ever"},
    "return_id": {**_TEXT, "description": "of refunded and disputed: the provider's name of what went back"},
    "charge_id": {**_TEXT, "format": "uuid", "description": "of what an automatic top-up asked for; needed by failed"},
    "amount": _WHOLE,
    "currency": {**_TEXT, "pattern": "^[A-Z]{3}$"},
    "reason": {**_TEXT, "description": "of failed"},
}
_DOCUMENTED: dict[str, Any] = {
    "parameters": [
        {"name": name, "in": "header", "required": True, "schema": _TEXT}
        for name in ("webhook-id", "webhook-timestamp", "webhook-signature")
    ],
    "requestBody": {
        "required": True,
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["type", "timestamp", "data"],
                    "properties": {
                        "type": {
                            **_TEXT,
                            "description": "payment.succeeded, .refunded, .disputed or .failed; others are ignored",
                        },
                        "timestamp": {**_TEXT, "format": "date-time", "description": "when it happened"},
                        "data": {"type": "object", "required": ["tenant_id"], "properties": _DATA},
                    },
                }
            }
        },
    },
}


class ReceivedOut(Model):
    """What a call was taken for, and the credits that it granted or took back: the same each time it comes."""

    outcome: Literal["granted", "taken_back", "noted", "ignored"]
    credits: int = 0


@router.get("/prices")
async def read_prices(
    _: Annotated[Caller, requires(Permission.READ_PRICES)], tx: Annotated[Tx, tenant_tx]
) -> Page[PriceOut]:
    """The whole price table by currency and time, past and to come; all on one page."""
    return Page(items=[_price(one) for one in await store.prices(tx)])


@router.post("/prices", status_code=201, response_model=PriceOut)
async def add_price(
    body: PriceIn,
    caller: Annotated[Caller, requires(Permission.SELL_CREDITS)],
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Set what a currency is worth from now or a later moment on. Rows are never changed: payments refer to them."""

    async def make() -> tuple[int, PriceOut]:
        told = (body.minor_units, body.credits, caller.user_id)
        price = await store.add_price(tx, body.currency, body.valid_from, *told)
        if price is None:
            return 201, _price(await _set_before(tx, body))
        await emit(tx, audit.record(caller, Act.PRICE_SET, f"{price.currency}/{price.valid_from:%Y-%m-%dT%H:%M:%SZ}"))
        return 201, _price(price)

    return await once.answer(tx, caller, body, make)


@router.post("/payments/webhook", dependencies=[allow(body_bytes_max=_BODY_BYTES_MAX)], openapi_extra=_DOCUMENTED)
@public
async def receive_payment(request: Request) -> ReceivedOut:
    """A call of the payment provider, signed as Standard Webhooks asks, at most five minutes old.

    Each payment is granted once by its own id, whatever the id of the call is. A retry, signed anew with a time of its
    own, is answered the same; a call that was taken and comes again as it was is a replay and refused: 409. A refund
    or a dispute of a payment that was not told of yet is 404: told again later it is taken.
    """
    body = await request.body()
    _verified(request, body)
    try:
        told = _read(body)
        answer = ReceivedOut(outcome="ignored") if told is None else await _apply(request, told)
    except (Problem, RequestValidationError):
        metrics.payment_calls.labels("refused").inc()
        raise
    metrics.payment_calls.labels("ignored" if told is None else "applied").inc()
    return answer


def _verified(request: Request, body: bytes) -> None:
    settings: CreditSettings = request.app.state.settings
    call_id, at, signatures = (request.headers.get(f"webhook-{name}", "") for name in ("id", "timestamp", "signature"))
    wrong = verify(settings.webhook_keys, call_id, at, signatures, body, clock.unix_ms() / 1000)
    if wrong is not None:
        metrics.payment_calls.labels("unsigned").inc()
        detail = f"Not taken for a call of the payment provider: {_UNSIGNED[wrong]}."
        raise Problem(401, "signature_refused", "The signature does not hold", detail, reason=wrong)


def _read(body: bytes) -> Payment | Return | Failed | None:
    return _told(_checked(_Call, _json(body)))


def _told(call: _Call) -> Payment | Return | Failed | None:
    match call.type:
        case "payment.succeeded":
            if call.timestamp.timestamp() > clock.unix_ms() / 1000 + TOLERANCE_S:
                raise unprocessable("timestamp", "in_the_future", "must not be in the future")
            paid = _checked(_Succeeded, call.data, "data")
            return Payment(paid.tenant_id, paid.payment_id, paid.amount, paid.currency, call.timestamp, paid.charge_id)
        case "payment.refunded" | "payment.disputed":
            back = _checked(_Returned, call.data, "data")
            why = "refund" if call.type == "payment.refunded" else "chargeback"
            return Return(back.tenant_id, back.payment_id, back.return_id, back.amount, back.currency, why)
        case "payment.failed":
            failed = _checked(_Failed, call.data, "data")
            return Failed(failed.tenant_id, failed.charge_id, failed.reason)
    return None


def _json(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError) as error:
        errors = [{"field": "body", "code": "malformed_json", "message": "is not JSON"}]
        raise Problem(422, "malformed_json", "The body is not JSON", errors=errors) from error


def _checked(model: type[M], given: Any, *within: str) -> M:
    """What was given as a model; a problem names each field that is wrong, as with any other body."""
    try:
        return model.model_validate(given)
    except ValidationError as error:
        found = error.errors(include_url=False, include_input=False)
        raise RequestValidationError([{**one, "loc": ("body", *within, *one["loc"])} for one in found]) from error


async def _apply(request: Request, told: Payment | Return | Failed) -> ReceivedOut:
    desk: Desk = request.app.state.desk
    call = Call(request.headers["webhook-id"], int(request.headers["webhook-timestamp"]))
    match await desk.ask(lambda tx: money.take(tx, told, call)):
        case PaymentRefused() as refused:
            _refuse(refused)
        case Paid(credits=credits):
            return ReceivedOut(outcome="granted", credits=credits)
        case int(credits):
            return ReceivedOut(outcome="taken_back", credits=credits)
        case None:
            pass
    return ReceivedOut(outcome="noted")


async def _set_before(tx: Tx, body: PriceIn) -> Price:
    """The same row, where it was set before, however long ago."""
    price = await store.find_price(tx, body.currency, body.valid_from) if body.valid_from else None
    if price is None:
        raise unprocessable("valid_from", "in_the_past", "must not be in the past: payments were made by what was then")
    if (price.minor_units, price.credits) != (body.minor_units, body.credits):
        raise conflict("price_exists", "There is another price from that moment", "Rows are never changed.")
    return price


def _price(price: Price) -> PriceOut:
    return PriceOut(
        currency=price.currency, minor_units=price.minor_units, credits=price.credits, valid_from=price.valid_from
    )


def _refuse(refused: PaymentRefused) -> NoReturn:
    match refused:
        case PaymentRefused.REPLAYED:
            detail = "A retry is signed anew, with the time of its own attempt."
            raise conflict("call_replayed", "This very call was taken before", detail, field="webhook-timestamp")
        case PaymentRefused.UNKNOWN_TENANT:
            raise not_found("tenant")
        case PaymentRefused.UNKNOWN_PAYMENT:
            raise not_found("payment")
        case PaymentRefused.CLOSED:
            raise conflict("account_closed", "The account is closed", field="data.tenant_id")
        case PaymentRefused.OTHER_PAYMENT:
            raise conflict("payment_differs", "This payment was told otherwise before", field="data.payment_id")
        case PaymentRefused.OTHER_RETURN:
            raise conflict("return_differs", "This return was told otherwise before", field="data.return_id")
        case PaymentRefused.NO_PRICE:
            raise unprocessable("data.currency", refused, "has no price in credits at that time")
        case PaymentRefused.OTHER_CURRENCY:
            raise unprocessable("data.currency", refused, "is not the payment's")
        case PaymentRefused.TOO_SMALL:
            raise unprocessable("data.amount", refused, "is less than one credit costs")
        case PaymentRefused.TOO_LARGE:
            raise unprocessable("data.amount", refused, "is more than an account can hold")
        case PaymentRefused.BEYOND_PAYMENT:
            raise unprocessable("data.amount", refused, "is more than is left of the payment")
