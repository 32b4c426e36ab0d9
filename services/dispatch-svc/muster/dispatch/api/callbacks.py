"""Calls of HTTP carriers: receipts, and what people write. Signed, at most five minutes old, each with effect once."""

from collections.abc import Sequence
from typing import Annotated, Any, Final, TypeVar

from fastapi import APIRouter, Path, Request, Response

from muster.dispatch.api.carrier_models import NAME
from muster.dispatch.domain.carriers import Account, State
from muster.dispatch.domain.http import MIXED, adapter_of
from muster.dispatch.domain.http.model import Adapter, Call, Ended, Http, Malformed, NotGenuine, Written
from muster.dispatch.domain.http.read import read_secrets
from muster.dispatch.handlers import callbacks
from muster.dispatch.handlers.carriers import Seal, SealBroken, account_of
from muster.dispatch.handlers.signatures import genuine
from muster.dispatch.settings import DispatchSettings
from muster.dispatch.store import carriers
from muster.kit import clock, metrics
from muster.kit.auth import public
from muster.kit.desk import Desk
from muster.kit.http import allow
from muster.kit.problems import Problem, not_found, unavailable

router = APIRouter(prefix="/v1", tags=["carriers"])

T = TypeVar("T")

_BODY_BYTES_MAX: Final = 256 * 1024
_TAKEN: Final = 204

CarrierName = Annotated[str, NAME, Path(description="name of the carrier account")]
_DOCUMENTED: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "description": "as the carrier writes it, signed by its own scheme (docs/carriers-http.md)",
        "content": {
            "application/json": {"schema": {"type": "object"}},
            "application/x-www-form-urlencoded": {"schema": {"type": "object"}},
        },
    },
    "security": [],
}
_ROUTE: dict[str, Any] = {
    "status_code": _TAKEN,
    "response_class": Response,
    "dependencies": [allow(body_bytes_max=_BODY_BYTES_MAX)],
    "openapi_extra": _DOCUMENTED,
}


@router.post("/receipts/{carrier}", **_ROUTE)
@public
async def receive_receipts(carrier: CarrierName, request: Request) -> Response:
    """What became of messages. 204 is said when it is stored; a call that comes again is answered the same and changes
    nothing. 401 without a reason where it is not signed by this carrier; 404 where there is none of this name."""
    account, http, adapter = await _account(request, carrier)
    call, key = await _genuine(request, account, http, adapter)
    ended = _readable(adapter.receipts(http, call))
    written = _readable(adapter.inbound(http, call)) if http.adapter in MIXED else []
    return await _take(request, account, key, ended, written)


@router.post("/inbound/{carrier}", **_ROUTE)
@public
async def receive_inbound(carrier: CarrierName, request: Request) -> Response:
    """What people wrote. When 204 is said it is stored, and where it may be an opt-out nothing more goes to its number;
    as for receipts otherwise."""
    account, http, adapter = await _account(request, carrier)
    call, key = await _genuine(request, account, http, adapter)
    written = _readable(adapter.inbound(http, call))
    ended = _readable(adapter.receipts(http, call)) if http.adapter in MIXED else []
    return await _take(request, account, key, ended, written)


async def _take(
    request: Request, account: Account, key: bytes, ended: Sequence[Ended], written: Sequence[Written]
) -> Response:
    desk, settings = request.app.state.desk, request.app.state.settings
    _count(first=await desk.ask(lambda tx: callbacks.take(tx, settings, account.name, key, ended, written)))
    return Response(status_code=_TAKEN)


async def _account(request: Request, carrier: str) -> tuple[Account, Http, Adapter]:
    settings: DispatchSettings = request.app.state.settings
    desk: Desk = request.app.state.desk
    row = await desk.ask(lambda tx: carriers.read(tx, carrier))
    if row is None or row.kind != "http" or row.state == State.CLOSED:
        metrics.carrier_calls.labels("nobody").inc()
        raise not_found("carrier")
    try:
        account = account_of(row, Seal(settings.seal_secret))
    except SealBroken as broken:
        raise unavailable("seal_broken", "What the calls of this carrier are signed with cannot be read.") from broken
    assert isinstance(account.options, Http)
    return account, account.options, adapter_of(account.options)


async def _genuine(request: Request, account: Account, http: Http, adapter: Adapter) -> tuple[Call, bytes]:
    """The call, and what makes it unlike any other. Who is not the carrier is told nothing else."""
    body = await request.body()
    url, query = http.callback_url.rstrip("/") + request.url.path, request.url.query
    call = Call(f"{url}?{query}" if query else url, dict(request.headers), body)
    known = genuine(adapter.verify(http, read_secrets(account.secret), call, clock.unix_ms() / 1000))
    if isinstance(known, NotGenuine):
        metrics.carrier_calls.labels(known.value).inc()
        raise Problem(401, "not_genuine", "Not taken for a call of this carrier")
    return call, request.url.path.encode() + b"\0" + known


def _readable(read: list[T] | Malformed) -> list[T]:
    if isinstance(read, Malformed):
        metrics.carrier_calls.labels("malformed").inc()
        raise Problem(422, "malformed", "The call cannot be read", f"Signed by the carrier, but {read.why}.")
    return read


def _count(*, first: bool) -> None:
    metrics.carrier_calls.labels("taken" if first else "replayed").inc()
