"""The HTTP edge: stop, pause, resume and answer for those who send; carriers, senders and laws for the operator."""

from muster.dispatch.api import controls, ops, unknowns

ROUTERS = (controls.router, unknowns.router, *ops.ROUTERS)
