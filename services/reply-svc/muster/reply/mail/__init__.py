"""E-mails to receptions: what the letters say, and the queues that they are sent from."""

from muster.reply.mail.bag import about_credits, replies
from muster.reply.mail.letter import compose, compose_notice, reply_address

__all__ = ["about_credits", "compose", "compose_notice", "replies", "reply_address"]
