"""The rows of the list of faults, by what they break. Importing this registers them."""

from chaos.rows import (
    accounts,
    backlog,
    broker,
    carriers,
    crashes,
    ends,
    events,
    imports,
    limits,
    readers,
    relays,
    restarts,
    senders,
)

__all__ = [
    "accounts",
    "backlog",
    "broker",
    "carriers",
    "crashes",
    "ends",
    "events",
    "imports",
    "limits",
    "readers",
    "relays",
    "restarts",
    "senders",
]
