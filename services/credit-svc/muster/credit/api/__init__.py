"""The HTTP edge: what tenants see of their credits, what the operator grants, and what is asked of the whole ledger."""

from muster.credit.api import credits, ops, payments, rates, top_ups, wallet

ROUTERS = (credits.router, top_ups.router, payments.router, wallet.router, rates.router, *ops.ROUTERS)
