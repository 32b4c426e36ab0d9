"""API keys: made and shown once, used when, revoked for good."""

from starlette.responses import Response

from muster.console.client import REFUSED, ApiProblem, Json
from muster.console.routing import Pages
from muster.console.visit import Visit
from muster.kit.permissions import Permission
from muster.kit.tokens import Role

pages = Pages()

_MAY = Permission.MANAGE_KEYS.roles & Permission.READ_SENDS.roles
ROLES = (Role.MANAGER, Role.STAFF, Role.ADMIN)


@pages.get("/settings/keys", _MAY)
async def keys(visit: Visit) -> Response:
    return await _show(visit)


@pages.post("/settings/keys", _MAY)
async def make(visit: Visit) -> Response:
    """A new key. Its secret is on this page and never again."""
    given = {name: visit.text(name).strip() for name in ("name", "role")}
    try:
        made = await visit.api.post("/v1/api-keys", given, key=visit.text("key"))
    except ApiProblem as problem:
        if problem.status not in REFUSED:
            raise
        return await _show(visit, errors=visit.wrong(problem, *given), given=given)
    return await _show(visit, made=made)


@pages.post("/settings/keys/{id}/revoke", _MAY)
async def revoke(visit: Visit) -> Response:
    try:
        await visit.api.call("DELETE", f"/v1/api-keys/{visit.path['id']}")
    except ApiProblem as problem:
        if problem.status not in REFUSED:
            raise
        return await _show(visit, errors=visit.wrong(problem))
    return await _show(visit, notice=visit.t("keys.revoked"))


async def _show(
    visit: Visit,
    *,
    errors: list[tuple[str, str]] | None = None,
    notice: str = "",
    given: dict[str, str] | None = None,
    made: Json | None = None,
) -> Response:
    found = await visit.api.get("/v1/api-keys", limit=100, cursor=visit.asked("cursor"))
    return visit.page(
        "keys.html",
        status=422 if errors else 200,
        keys=found["items"],
        cursor=found.get("next_cursor"),
        errors=errors or [],
        notice=notice,
        given=given or {"name": "", "role": Role.MANAGER.value},
        made=made,
        roles=ROLES,
        key=visit.new_key(),
    )
