"""What an operator looks after: carriers, and what could not be applied."""

import asyncio
from typing import Any

from starlette.responses import Response

from muster.console.client import REFUSED, ApiProblem, Json
from muster.console.nav import OPERATOR
from muster.console.routing import Pages
from muster.console.visit import Errors, Visit
from muster.kit import clock
from muster.laws.result import SERVICES

pages = Pages()

_PAGE = 50
_ACTS = ("open", "drain", "close")


@pages.get("/operator/carriers", OPERATOR)
async def carriers(visit: Visit) -> Response:
    return await _carriers(visit)


@pages.get("/operator/carriers/latest", OPERATOR)
async def carriers_now(visit: Visit) -> Response:
    """The table again, with rates since the one before: its moment and its counts are in the query."""
    return visit.page("carriers_table.html", **await _standing(visit))


@pages.post("/operator/carriers/{account}/{act}", OPERATOR)
async def control_carrier(visit: Visit) -> Response:
    account, act = visit.path["account"], visit.path["act"]
    if act not in _ACTS:
        raise ApiProblem(404, {"code": "not_found"})
    try:
        await visit.api.post(f"/v1/carriers/{account}/{act}", {"reason": visit.text("reason").strip()})
    except ApiProblem as problem:
        if problem.status not in REFUSED:
            raise
        return await _carriers(visit, errors=visit.wrong(problem))
    return await _carriers(visit, notice=visit.t(f"operator.told_{act}", account=account))


async def _carriers(visit: Visit, *, errors: Errors | None = None, notice: str = "") -> Response:
    status = 422 if errors else 200
    return visit.page("carriers.html", status=status, errors=errors or [], notice=notice, **await _standing(visit))


async def _standing(visit: Visit) -> dict[str, Any]:
    found = (await visit.api.get("/v1/carriers", limit=500))["items"]
    now = clock.unix_ms()
    since = _number(visit, "at")
    passed_s = (now - since) / 1_000 if since else 0.0
    rates = {}
    for one in found:
        before = _number(visit, f"n.{one['account']}")
        if before is not None and passed_s > 0:
            rates[one["account"]] = max(0, round((one["health"]["answered"] - before) / passed_s))
    return {
        "carriers": found,
        "rates": rates,
        "now": now,
        "acts": {one: _acts(one) for one in ("open", "draining", "closed")},
    }


def _acts(state: str) -> tuple[str, ...]:
    return {"open": ("drain",), "draining": ("open", "close"), "closed": ("open",)}[state]


def _number(visit: Visit, name: str) -> int | None:
    given = visit.request.query_params.get(name, "")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 19 else None


@pages.get("/operator/dead-letters", OPERATOR)
async def dead_letters(visit: Visit) -> Response:
    return await _letters(visit)


@pages.post("/operator/dead-letters/{service}/{id}/{act}", OPERATOR)
async def decide(visit: Visit) -> Response:
    """Apply a record again, or give it up, with a reason."""
    service, letter_id, act = (visit.path[name] for name in ("service", "id", "act"))
    if service not in SERVICES or act not in ("replay", "drop"):
        raise ApiProblem(404, {"code": "not_found"})
    reason = visit.text("reason").strip()
    if not reason:
        return await _letters(visit, errors=[(f"reason-{letter_id}", visit.t("operator.reason_needed"))])
    try:
        await visit.api.post(f"/v1/ops/{service}/dead-letters/{letter_id}/{act}", {"reason": reason})
    except ApiProblem as problem:
        if problem.status not in REFUSED:
            raise
        return await _letters(visit, errors=visit.wrong(problem))
    return await _letters(visit, notice=visit.t(f"operator.told_{act}"))


@pages.post("/operator/dead-letters/{service}/resume", OPERATOR)
async def resume(visit: Visit) -> Response:
    """Read on where a consumer has halted."""
    service = visit.path["service"]
    if service not in SERVICES:
        raise ApiProblem(404, {"code": "not_found"})
    reason = visit.text("reason").strip()
    if not reason:
        return await _letters(visit, errors=[("", visit.t("operator.reason_needed"))])
    body = {"topic": visit.text("topic"), "reason": reason, "accept_loss": visit.text("accept_loss") == "yes"}
    try:
        await visit.api.post(f"/v1/ops/{service}/consumers/resume", body)
    except ApiProblem as problem:
        if problem.status not in REFUSED:
            raise
        return await _letters(visit, errors=visit.wrong(problem))
    return await _letters(visit, notice=visit.t("operator.told_resume"))


async def _letters(visit: Visit, *, errors: Errors | None = None, notice: str = "") -> Response:
    state = visit.asked("state") if visit.asked("state") in ("replayed", "dropped") else "waiting"
    asked = [or_none(visit, f"/v1/ops/{one}/dead-letters", state=state, limit=_PAGE) for one in SERVICES]
    halts = [or_none(visit, f"/v1/ops/{one}/consumers", halted="true", limit=_PAGE) for one in SERVICES]
    told = await asyncio.gather(*asked, *halts)
    letters, halted = told[: len(SERVICES)], told[len(SERVICES) :]
    return visit.page(
        "dead_letters.html",
        status=422 if errors else 200,
        errors=errors or [],
        notice=notice,
        state=state,
        letters=_by_service(letters),
        halted=_by_service(halted),
        away=[service for service, answer in zip(SERVICES, letters, strict=True) if answer is None],
    )


def _by_service(told: list[Json | None]) -> list[Json]:
    return [
        {**one, "service": service}
        for service, answer in zip(SERVICES, told, strict=True)
        for one in (answer["items"] if answer else ())
    ]


async def or_none(visit: Visit, path: str, **query: Any) -> Json | None:
    """A part that does not answer must not take the others with it. A session that has ended must."""
    try:
        return await visit.api.get(path, **query)
    except ApiProblem as problem:
        if problem.status in (401, 403):
            raise
        return None
