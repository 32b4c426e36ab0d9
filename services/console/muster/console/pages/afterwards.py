"""What is asked of a send once it has left: whom it did not reach, whether what is unknown is charged, why somebody got
it or not."""

from starlette.responses import Response

from muster.console.client import ApiProblem
from muster.console.nav import SENDERS, TENANT
from muster.console.pages.sends import path_of, show
from muster.console.routing import Pages
from muster.console.visit import Visit

pages = Pages()


@pages.post("/sends/{id}/again", SENDERS)
async def again(visit: Visit) -> Response:
    """A quote for those who did not get it; nothing leaves before it is confirmed."""
    body = {"failed": visit.text("failed") == "yes"}
    try:
        quote = await visit.api.post(f"{path_of(visit)}/again", body, key=visit.text("key"))
    except ApiProblem as problem:
        if problem.status not in (409, 422, 503):
            raise
        return await show(visit, errors=[("again", visit.why(problem))])
    return visit.go(f"/check/{quote['id']}")


@pages.post("/sends/{id}/unknown", SENDERS)
async def unknown(visit: Visit) -> Response:
    """Whether messages of which nobody knows are charged; the first answer stands for the whole send."""
    body = {"answer": visit.text("answer"), "reason": visit.text("reason").strip()}
    try:
        told = await visit.api.post(f"{path_of(visit)}/unknown", body, key=visit.text("key"))
    except ApiProblem as problem:
        if problem.status not in (409, 422):
            raise
        return await show(visit, errors=[("reason", visit.why(problem))])
    return await show(visit, visit.t(f"send.told_{told['answer']}", n=told["credits"]))


@pages.post("/sends/{id}/why", TENANT)
async def why(visit: Visit) -> Response:
    """Why everybody who has a number is in the send or out of it."""
    number = visit.text("number").strip()
    if not number:
        return await show(visit, errors=[("number", visit.t("send.why_needed"))])
    try:
        found = await visit.api.get(f"{path_of(visit)}/customers", number=number)
    except ApiProblem as problem:
        if problem.status not in (400, 422):
            raise
        return await show(visit, errors=[("number", visit.why(problem))], number=number)
    return await show(visit, number=number, whys=found["items"])
