"""The HTTP edge: stop, pause, resume and answer for those who send; carriers, senders, suspensions and laws for
the operator."""

from muster.dispatch.api import carriers, controls, ops, stuck, suspending, unknowns

ROUTERS = (
    *(controls.router, unknowns.router, stuck.router, suspending.router, carriers.router),
    *ops.ROUTERS,
)
