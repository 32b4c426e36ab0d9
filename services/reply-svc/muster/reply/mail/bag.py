"""The queues of letters to receptions: replies, and what they are told of credits and sends."""

from collections.abc import Awaitable, Callable

from muster.kit.mail import Bag
from muster.kit.pg import Tx
from muster.reply.domain import Forward, Notice
from muster.reply.mail.letter import compose, compose_notice
from muster.reply.store import emails, notices


def replies(tell: Callable[[Tx, Forward], Awaitable[Forward]]) -> Bag[Forward]:
    """Replies on their way to receptions."""
    return Bag(emails.QUEUE, emails.lease, tell, compose, emails.pending)


async def _as_it_is(_: Tx, notice: Notice) -> Notice:
    return notice


def about_credits() -> Bag[Notice]:
    """What receptions are told of their credits."""
    return Bag(notices.QUEUE, notices.lease, _as_it_is, compose_notice, emails.pending)
