"""The HTTP edge of tenant-svc: tokens and their keys, tenants, users, API keys, the audit log."""

from muster.tenant.api import audit, keys, tenants, tokens, users
from muster.tenant.api.laws import laws

ROUTERS = (tokens.router, tenants.router, users.router, keys.router, audit.router, laws)
