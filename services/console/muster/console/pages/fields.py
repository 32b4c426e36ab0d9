"""Fields of the business's own: what each is called and what its values are."""

from starlette.responses import Response

from muster.console.client import REFUSED, ApiProblem
from muster.console.nav import TENANT
from muster.console.routing import Pages
from muster.console.visit import Errors, Visit
from muster.kit.permissions import Permission

pages = Pages()

KINDS = ("text", "free", "date", "number")
_MAY = Permission.MERGE_CUSTOMERS.roles & TENANT


@pages.get("/settings/fields", TENANT)
async def fields(visit: Visit) -> Response:
    return await _show(visit, visit.told.get("field", ""))


@pages.post("/settings/fields/{key}", _MAY)
async def change(visit: Visit) -> Response:
    """Another name, or other values, of a field; its key stays, since messages and searches name it by that."""
    key, given = visit.path["key"], {name: visit.text(name).strip() for name in ("name", "kind")}
    try:
        await visit.api.call("PUT", f"/v1/own-fields/{key}", body=given)
    except ApiProblem as problem:
        if problem.status not in REFUSED:
            raise
        errors = [(f"{name}-{key}" if name else "", said) for name, said in visit.wrong(problem, *given)]
        return await _show(visit, key, given=given, errors=errors)
    return visit.tell(visit.t("settings.saved"), field=key)


async def _show(
    visit: Visit,
    changed: str = "",
    *,
    given: dict[str, str] | None = None,
    errors: Errors | None = None,
) -> Response:
    """All fields; the one that was changed stays unfolded, with what was entered or that it is kept."""
    return visit.page(
        "fields.html",
        status=422 if errors else 200,
        fields=(await visit.api.get("/v1/own-fields"))["items"],
        kinds=KINDS,
        changed=changed,
        given=given,
        errors=errors or [],
        notice="",
        may=visit.who.role in _MAY,
    )
