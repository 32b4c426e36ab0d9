"""The table of roles: who may do what."""

from starlette.responses import Response

from muster.console.routing import Pages
from muster.console.visit import Visit

pages = Pages()


@pages.get("/settings/roles")
async def roles(visit: Visit) -> Response:
    return visit.page("roles.html", **await visit.api.get("/v1/roles"))
