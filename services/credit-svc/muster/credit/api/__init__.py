"""The HTTP edge: what tenants see of their credits, what the operator grants, and what is asked of the whole ledger."""

from muster.credit.api import credits, ops, rates

ROUTERS = (credits.router, rates.router, *ops.ROUTERS)
