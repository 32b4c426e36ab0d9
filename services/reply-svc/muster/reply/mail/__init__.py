"""Replies to receptions by e-mail: what the letters say, and the task that sends them."""

from muster.reply.mail.bag import about_credits, replies
from muster.reply.mail.letter import HeaderRefused, Letter, Postmark, compose, compose_notice, reply_address
from muster.reply.mail.postman import Postman, Relay

__all__ = [
    "HeaderRefused",
    "Letter",
    "Postman",
    "Postmark",
    "Relay",
    "about_credits",
    "compose",
    "compose_notice",
    "replies",
    "reply_address",
]
