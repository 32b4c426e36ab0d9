"""The HTTP edge: what tenants see of their credits, what the operator grants, and what is asked of the whole ledger."""

from muster.credit.api import credits, ops, payments, rates, statement, top_ups, wallet

ROUTERS = (credits.router, statement.router, top_ups.router, payments.router, wallet.router, rates.router, *ops.ROUTERS)
