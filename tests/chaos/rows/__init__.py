"""The rows of the list of faults, by what they break. Importing this registers them."""

from chaos.rows import (
    accounts,
    broker,
    carriers,
    crashes,
    ends,
    events,
    limits,
    readers,
    relays,
    restarts,
    senders,
)

__all__ = [
    "accounts",
    "broker",
    "carriers",
    "crashes",
    "ends",
    "events",
    "limits",
    "readers",
    "relays",
    "restarts",
    "senders",
]
