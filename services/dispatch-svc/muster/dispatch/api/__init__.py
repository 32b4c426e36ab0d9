"""The HTTP edge: stop, pause, resume and answer for those who send; carriers, routes, senders, suspensions and laws for
the operator; calls of carriers."""

from muster.dispatch.api import (
    callbacks,
    carriers,
    controls,
    messages,
    ops,
    routes,
    senders,
    stuck,
    suspending,
    unknowns,
)

ROUTERS = (
    *(controls.router, messages.router, unknowns.router, stuck.router, suspending.router, carriers.router),
    *(routes.router, senders.router, callbacks.router),
    *ops.ROUTERS,
)
