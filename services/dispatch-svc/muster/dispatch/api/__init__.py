"""The HTTP edge: stop, pause, resume and answer for those who send; carriers, senders and laws for the operator."""

from muster.dispatch.api import controls, ops, stuck, unknowns

ROUTERS = (controls.router, unknowns.router, stuck.router, *ops.ROUTERS)
