"""The HTTP edge of tenant-svc: signing in, tokens and their keys, tenants, users, API keys, the audit log, roles."""

from muster.kit.ops import ops_router
from muster.tenant.api import audit, keys, links, me, roles, sessions, tenants, tokens, users
from muster.tenant.api.laws import laws
from muster.tenant.handlers import HANDLERS

ROUTERS = (
    tokens.router,
    sessions.router,
    links.router,
    me.router,
    roles.router,
    tenants.router,
    users.router,
    keys.router,
    audit.router,
    laws,
    ops_router("tenant", lambda _: HANDLERS),
)
