"""The check before a send: the exact bill, what blocks and what warns, a test, a second person, Send."""

import asyncio

from starlette.responses import Response

from muster.console.client import ApiProblem, Json
from muster.console.draft import Draft
from muster.console.nav import SENDERS
from muster.console.quoted import shown
from muster.console.routing import Pages
from muster.console.visit import Errors, Visit

pages = Pages()


@pages.get("/check/{quote}", SENDERS)
async def check(visit: Visit) -> Response:
    return await show(visit, await _quote(visit))


@pages.post("/check/{quote}/send", SENDERS)
async def send(visit: Visit) -> Response:
    """Send, once: the key belongs to the quote, so that a second click, tab or page of before finds the same send."""
    quote_id = visit.path["quote"]
    body: Json = {"quote_id": quote_id, "overrides": _overrides(visit)}
    if visit.text("partial") == "first_n":
        body["partial"] = "first_n"
    try:
        sent = await visit.api.post("/v1/bulk-sms", body, key=f"console-{quote_id}")
    except ApiProblem as problem:
        if problem.status not in (402, 403, 409, 422):
            raise
        quote = await _quote(visit)
        if quote.get("used_by"):
            return visit.go(f"/sends/{quote['used_by']}")
        return await show(visit, quote, errors=[("", visit.why(problem))])
    return visit.go(f"/sends/{sent['id']}")


@pages.post("/check/{quote}/test", SENDERS)
async def test(visit: Visit) -> Response:
    """The message to one's own phone."""
    quote = await _quote(visit)
    number = visit.text("own_number").strip()
    try:
        if number:
            await visit.api.call("PUT", "/v1/test-numbers/own", body={"number": number, "name": visit.who.name})
        told = await visit.api.post("/v1/test-messages", {"quote_id": quote["id"]}, key=visit.text("test_key"))
    except ApiProblem as problem:
        if problem.status not in (404, 409, 422, 429):
            raise
        return await show(visit, quote, errors=[("own_number", visit.why(problem))])
    if told["accepted"]:
        return await show(visit, quote, notice=visit.t("check.test_sent", n=told["credits"]))
    refused = told["messages"][0]["problem"]
    message = str(refused.get("detail") or refused.get("title", ""))
    return await show(visit, quote, errors=[("own_number", message)])


@pages.post("/check/{quote}/approval", SENDERS)
async def ask(visit: Visit) -> Response:
    """Ask a second person."""
    quote = await _quote(visit)
    try:
        await visit.api.post("/v1/approvals", {"quote_id": quote["id"], "note": visit.text("note").strip()})
    except ApiProblem as problem:
        if problem.status not in (409, 422):
            raise
        return await show(visit, quote, errors=[("note", visit.why(problem))])
    return await show(visit, quote, notice=visit.t("check.asked"))


async def show(visit: Visit, quote: Json, *, errors: Errors | None = None, notice: str = "") -> Response:
    """The page of a quote; one that was used leads to its send."""
    if quote.get("used_by"):
        return visit.go(f"/sends/{quote['used_by']}")
    own, approval = await asyncio.gather(_own_number(visit), _approval(visit, quote))
    blocked = [one for one in quote["checks"] if one["status"] == "blocked"]
    return visit.page(
        "check.html",
        status=422 if errors else 200,
        errors=errors or [],
        notice=notice,
        draft=Draft.of_quote(quote),
        blocked=blocked,
        warned=[one for one in quote["checks"] if one["status"] == "warning"],
        warnings=[one for one in quote.get("warnings", []) if one["code"] != "approval_needed"],
        may_override=visit.who.role == "admin" and not any(one["absolute"] for one in blocked),
        short=max(0, -quote["balance_after"]),
        approval=approval,
        own_number=own,
        test_key=visit.new_key(),
        **shown(quote, is_bill=True),
    )


async def _quote(visit: Visit) -> Json:
    return await visit.api.get(f"/v1/quotes/{visit.path['quote']}")


async def _own_number(visit: Visit) -> str:
    try:
        numbers = (await visit.api.get("/v1/test-numbers"))["numbers"]
    except ApiProblem as problem:
        if problem.status == 401:
            raise
        return ""
    return next((str(one["number"]) for one in numbers if one["user_id"] == visit.who.user_id), "")


async def _approval(visit: Visit, quote: Json) -> str:
    """ "" where nobody needs to be asked, else "needed" or the state of the request."""
    if not any(one["code"] == "approval_needed" for one in quote.get("warnings", [])):
        return ""
    found = (await visit.api.get("/v1/approvals", subject_id=quote["id"]))["items"]
    state = found[0]["state"] if found else "needed"
    return state if state in ("open", "approved", "refused") else "needed"


def _overrides(visit: Visit) -> list[Json]:
    found = []
    for name, reason in visit.form.multi_items():
        if name.startswith("override.") and isinstance(reason, str) and reason.strip():
            _, check_, country = name.split(".", 2)
            found.append({"check": check_, "country": country, "reason": reason.strip()})
    return found
