"""Who did what."""

from starlette.responses import Response

from muster.console.routing import Pages
from muster.console.visit import Visit
from muster.kit.permissions import Permission

pages = Pages()

_MAY = Permission.READ_AUDIT.roles & Permission.READ_SENDS.roles
_PAGE = 50


@pages.get("/settings/audit", _MAY)
async def acts(visit: Visit) -> Response:
    asked = {name: visit.asked(name) for name in ("user_id", "act")}
    found = await visit.api.get("/v1/audit", limit=_PAGE, cursor=visit.asked("cursor"), **asked)
    users = (await visit.api.get("/v1/users", limit=500))["items"]
    return visit.page(
        "audit.html",
        acts=found["items"],
        cursor=found.get("next_cursor"),
        names={one["id"]: one["name"] for one in users},
        users=users,
        asked=asked,
        is_first=visit.asked("cursor") is None,
    )
