"""The HTTP edge: stop, pause and resume for those who send; carriers, senders and laws for the operator."""

from muster.dispatch.api import controls, ops

ROUTERS = (controls.router, *ops.ROUTERS)
