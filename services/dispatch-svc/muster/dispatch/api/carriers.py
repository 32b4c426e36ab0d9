"""Carrier accounts, for the operator: made, changed, drained, closed and tried, while everything runs."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import asdict, replace
from typing import Annotated, Any, Final, Literal
from uuid import UUID

from fastapi import APIRouter, Request, Response

from muster.dispatch.api.carrier_models import (
    ActIn,
    CarrierChange,
    CarrierIn,
    CarrierOut,
    Health,
    HttpOut,
    SmppIn,
    Standing,
    TestIn,
    TestOut,
)
from muster.dispatch.api.http_profiles import checked_profile, plain_secrets
from muster.dispatch.domain.carriers import State, read_options
from muster.dispatch.handlers.carriers import Seal
from muster.dispatch.handlers.hosts import HostRefused, address_of
from muster.dispatch.handlers.routes import follow_carriers
from muster.dispatch.settings import DispatchSettings
from muster.dispatch.store import carriers, routes, trials
from muster.dispatch.store.carriers import Row
from muster.kit import audit
from muster.kit.acts import Act
from muster.kit.auth import Caller, Permission, Tx, requires, tenant_tx
from muster.kit.idempotency import Once, idempotent
from muster.kit.ids import uuid7
from muster.kit.outbox import emit
from muster.kit.pages import CursorText, Limit, Page, decode_cursor, page_of
from muster.kit.problems import conflict, not_found, unprocessable
from muster.text import Number, TextRefused, read_number, split

router = APIRouter(prefix="/v1/carriers", tags=["carriers"])

Operator = Annotated[Caller, requires(Permission.RUN_CARRIERS)]
# A sender speaks every second; what it said last is of no use after some that were missed.
_FRESH_S: Final = 10.0
_RESOLVE_S: Final = 3.0
_PARTS_MAX: Final = 10


@router.get("")
async def read_carriers(
    _: Operator,
    tx: Annotated[Tx, tenant_tx],
    limit: Limit = 50,
    cursor: CursorText = None,
) -> Page[CarrierOut]:
    """Carrier accounts by name, and how each stands."""
    after = decode_cursor(cursor, {"account": str})["account"] if cursor else ""
    found = await carriers.standings(tx, _FRESH_S, after, limit + 1)
    return page_of(found, limit, _out, lambda one: {"account": one.row.account})


@router.get("/{account}")
async def read_carrier(account: str, _: Operator, tx: Annotated[Tx, tenant_tx]) -> CarrierOut:
    """One account, and how it stands."""
    return await _read(tx, account)


@router.post("", response_model=CarrierOut, status_code=201)
async def create_carrier(
    request: Request, body: CarrierIn, caller: Operator, tx: Annotated[Tx, tenant_tx], once: Annotated[Once, idempotent]
) -> Response:
    """Make an account. A sender that has none yet adopts it within seconds; without one it waits (`standing`)."""
    settings: DispatchSettings = request.app.state.settings
    kind, options, plain = await _given(body, settings)

    async def make() -> tuple[int, CarrierOut]:
        if await carriers.count(tx) >= settings.carriers_max:
            raise conflict("too_many", "There are too many carrier accounts", f"At most {settings.carriers_max}.")
        row = Row(
            account=body.account,
            kind=kind,
            state=body.state,
            parts_window=body.parts_window,
            parts_per_second=body.parts_per_second,
            reference_bits=body.reference_bits,
            options=options,
            secret=_sealed(settings, body.account, plain),
        )
        if not await carriers.add(tx, row):
            raise conflict("already_there", "There is an account of this name", field="account")
        await emit(tx, audit.record(caller, Act.CARRIER_CREATED, body.account))
        return 201, await _read(tx, body.account)

    return await once.answer(tx, caller, body, make)


@router.patch("/{account}", response_model=CarrierOut)
async def change_carrier(
    request: Request,
    account: str,
    body: CarrierChange,
    caller: Operator,
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
) -> Response:
    """Change an account. Its sender waits for the answers to what it has written, then connects again by the new
    settings, within seconds; nothing becomes unknown by it. What is as it was changes nothing."""
    settings: DispatchSettings = request.app.state.settings

    async def make() -> tuple[int, CarrierOut]:
        row = await _locked(tx, account)
        given = body.model_dump(exclude_unset=True, exclude={"smpp", "http", "password"}, exclude_none=True)
        _of_its_kind(row, body)
        if body.http is not None and body.http.profile is not None:
            given["options"] = await checked_profile(body.http.profile, settings)
        if body.http is not None and body.http.secrets is not None:
            secrets = plain_secrets(body.http.secrets, given.get("options", row.options))
            given["secret"] = _sealed(settings, account, secrets)
        if body.smpp is not None:
            options = body.smpp.model_dump(mode="json", exclude_unset=True)
            smpp = SmppIn.model_validate({**row.options, **options})
            await _check(smpp, settings, account)
            given["options"] = smpp.model_dump(mode="json")
        if body.password is not None:
            given["secret"] = _sealed(settings, account, body.password.get_secret_value())
        changed = replace(row, **given)
        if changed != row:
            await _store(tx, changed)
            await emit(tx, audit.record(caller, Act.CARRIER_CHANGED, account))
        return 200, await _read(tx, account)

    return await once.answer(tx, caller, body, make)


@router.post("/{account}/drain", response_model=CarrierOut)
async def drain_carrier(
    account: str,
    caller: Operator,
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
    body: ActIn | None = None,
) -> Response:
    """Send nothing more by an account. It stays connected, for receipts and replies; what waits for it goes on waiting.
    It is drained once `standing` is applied and has nothing in flight."""
    return await once.answer(tx, caller, body, _moved(tx, caller, account, State.DRAINING, body))


@router.post("/{account}/open", response_model=CarrierOut)
async def open_carrier(
    account: str,
    caller: Operator,
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
    body: ActIn | None = None,
) -> Response:
    """Let an account send."""
    return await once.answer(tx, caller, body, _moved(tx, caller, account, State.OPEN, body))


@router.post("/{account}/close", response_model=CarrierOut)
async def close_carrier(
    account: str,
    caller: Operator,
    tx: Annotated[Tx, tenant_tx],
    once: Annotated[Once, idempotent],
    body: ActIn | None = None,
) -> Response:
    """Disconnect an account: no receipt of it is heard any more. 409 while a route leads to it."""
    return await once.answer(tx, caller, body, _moved(tx, caller, account, State.CLOSED, body))


@router.post("/{account}/tests", response_model=TestOut, status_code=202)
async def test_carrier(
    account: str, body: TestIn, caller: Operator, tx: Annotated[Tx, tenant_tx], once: Annotated[Once, idempotent]
) -> Response:
    """Try an account with one real message, at most once; what became of it is there to be read within seconds."""
    number = read_number(body.to, "US") if body.to.startswith("+") else None
    if not isinstance(number, Number):
        raise unprocessable("to", "not_textable", "must be a mobile number that begins with + and its country")
    try:
        parts = len(split(body.text, 8))
    except TextRefused as refused:
        raise unprocessable("text", "not_textable", str(refused)) from refused
    if parts > _PARTS_MAX:
        raise unprocessable("text", "too_long", f"has {parts} parts; at most {_PARTS_MAX} are tried")

    async def make() -> tuple[int, TestOut]:
        row = await _locked(tx, account)
        if row.state == State.CLOSED:
            raise conflict("carrier_closed", "This account is closed", "Open it, or let it drain, to try it.")
        test_id = uuid7()
        words = {"number": number.e164, "sender": body.sender, "body": body.text, "user_id": caller.user_id}
        await trials.add(tx, test_id, account, **words)
        await emit(tx, audit.record(caller, Act.CARRIER_TESTED, account))
        return 202, await _trial(tx, account, test_id)

    return await once.answer(tx, caller, body, make)


@router.get("/{account}/tests/{test_id}")
async def read_test(account: str, test_id: UUID, _: Operator, tx: Annotated[Tx, tenant_tx]) -> TestOut:
    """What became of a test message, for three days."""
    return await _trial(tx, account, test_id)


def _moved(
    tx: Tx, caller: Caller, account: str, state: Literal[State.OPEN, State.DRAINING, State.CLOSED], body: ActIn | None
) -> Callable[[], Awaitable[tuple[int, CarrierOut]]]:
    acts = {
        State.OPEN: Act.CARRIER_OPENED,
        State.DRAINING: Act.CARRIER_DRAINED,
        State.CLOSED: Act.CARRIER_CLOSED,
    }

    async def make() -> tuple[int, CarrierOut]:
        row = await _locked(tx, account)
        if state is State.CLOSED:
            await _no_route_leads_to(tx, account)
        if row.state != state:
            await _store(tx, replace(row, state=state))
            await emit(tx, audit.record(caller, acts[state], account, body.reason if body else ""))
        return 200, await _read(tx, account)

    return make


async def _no_route_leads_to(tx: Tx, account: str) -> None:
    await routes.lock(tx)
    leading = [stored.route for stored in await routes.every(tx)]
    names = [route.name for route in leading if account in (target.account for target in route.targets)]
    if names:
        raise conflict(
            "routes_lead_here",
            "Routes lead to this account",
            f"What is sent by {', '.join(names)} would wait for ever. Drain it instead.",
            routes=names,
        )


async def _store(tx: Tx, row: Row) -> None:
    await carriers.change(tx, row)
    await follow_carriers(tx)


async def _locked(tx: Tx, account: str) -> Row:
    row = await carriers.read(tx, account, lock=True)
    if row is None:
        raise not_found("carrier")
    return row


async def _read(tx: Tx, account: str) -> CarrierOut:
    found = await carriers.standing(tx, account, _FRESH_S)
    if found is None:
        raise not_found("carrier")
    return _out(found)


async def _trial(tx: Tx, account: str, test_id: UUID) -> TestOut:
    found = await trials.read(tx, test_id, account)
    if found is None:
        raise not_found("test")
    return TestOut(
        id=found.test_id,
        account=found.account,
        outcome=found.outcome,
        error=found.error,
        receipts=found.receipts,
        created_at=found.created_at,
        answered_at=found.answered_at,
    )


async def _check(smpp: SmppIn, settings: DispatchSettings, account: str = "") -> None:
    """422 for a host outside the operator's networks, or settings that contradict each other."""
    for name in ("tls_server_name", "tls_ca"):
        if getattr(smpp, name) and not smpp.tls:
            raise unprocessable(f"smpp.{name}", "without_tls", "is of no use without tls")
    try:
        async with asyncio.timeout(_RESOLVE_S):
            await address_of(settings, account, smpp.host)
    except HostRefused:
        raise unprocessable(
            "smpp.host", "not_allowed", "is outside the networks that carriers may be in (MUSTER_CARRIER_NETWORKS)"
        ) from None
    except OSError:
        raise unprocessable("smpp.host", "not_found", "this name has no address") from None


async def _given(body: CarrierIn, settings: DispatchSettings) -> tuple[str, dict[str, Any], str]:
    """kind, options and secret of a new account."""
    if (body.smpp is None) == (body.http is None):
        raise unprocessable("smpp", "one_kind", "an account has either smpp or http")
    if body.http is not None:
        if body.password.get_secret_value():
            raise unprocessable("password", "one_kind", "is for smpp; an HTTP account has http.secrets")
        profile = await checked_profile(body.http.profile, settings)
        return "http", profile, plain_secrets(body.http.secrets, profile)
    assert body.smpp is not None
    await _check(body.smpp, settings)
    return "smpp", body.smpp.model_dump(mode="json"), body.password.get_secret_value()


def _of_its_kind(row: Row, body: CarrierChange) -> None:
    wrong = ("smpp", "password") if row.kind == "http" else ("http",)
    for name in wrong:
        if getattr(body, name) is not None:
            raise unprocessable(name, "one_kind", f"this account is of the kind {row.kind}")


def _sealed(settings: DispatchSettings, account: str, plain: str) -> bytes | None:
    return Seal(settings.seal_secret).seal(account, plain) if plain else None


def _out(found: carriers.Standing) -> CarrierOut:
    row, connected = found.row, found.connected
    return CarrierOut(
        account=row.account,
        kind=row.kind,
        state=row.state,
        version=row.version,
        parts_window=row.parts_window,
        parts_per_second=row.parts_per_second,
        reference_bits=row.reference_bits,
        smpp=SmppIn.model_construct(**asdict(read_options(row.kind, row.options))) if row.kind == "smpp" else None,
        http=HttpOut(profile=dict(row.options)) if row.kind == "http" else None,
        has_password=row.secret is not None,
        routes=found.routes,
        binds_as=found.binds_as,
        standing=Standing(
            adopted=found.is_fresh,
            applied=found.is_fresh and found.applied_version == row.version,
            connections=connected.connections if found.is_fresh else 0,
            in_flight=connected.in_flight if found.is_fresh else 0,
            parts_per_second_now=connected.parts_per_second if found.is_fresh else 0,
            why=connected.why,
            said_at=found.said_at,
        ),
        health=Health(
            share=found.share,
            why=found.failing,
            since=found.since,
            answered=connected.answered,
            failed=connected.failed,
            not_taken=connected.not_taken,
        ),
        created_at=found.created_at,
        changed_at=found.changed_at,
    )
