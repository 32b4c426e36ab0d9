"""The HTTP edge: the inbox, conversations, and the laws for the operator."""

from muster.kit.ops import ops_router
from muster.reply.api import ops, replies
from muster.reply.handlers import HANDLERS

ROUTERS = (replies.router, ops.ROUTER, ops_router("reply", lambda _: HANDLERS))
