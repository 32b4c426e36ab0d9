"""The HTTP edge: the inbox, conversations, and the laws for the operator."""

from muster.reply.api import ops, replies

ROUTERS = (replies.router, ops.ROUTER)
