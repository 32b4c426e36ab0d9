"""The HTTP edge: stop, pause, resume and answer for those who send; carriers, senders, suspensions and laws for
the operator; calls of carriers."""

from muster.dispatch.api import callbacks, carriers, controls, ops, stuck, suspending, unknowns

ROUTERS = (
    *(controls.router, unknowns.router, stuck.router, suspending.router, carriers.router),
    callbacks.router,
    *ops.ROUTERS,
)
