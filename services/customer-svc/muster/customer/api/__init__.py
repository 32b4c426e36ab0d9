"""The HTTP API of customer-svc."""

from muster.customer.api import customers, imports, laws, quotes, sends, suppressions, texts

ROUTERS = (
    imports.router,  # before customers: /v1/customers/imports is no id
    customers.router,
    suppressions.router,
    texts.router,
    quotes.router,
    sends.router,
    laws.router,
)
