"""A queue of letters of one kind: where they are leased, how they are written, and where it is noted what became of
them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Generic, Protocol, TypeVar
from uuid import UUID

from muster.kit.pg import Tx
from muster.reply.domain import Forward, Notice
from muster.reply.mail.letter import Letter, Postmark, compose, compose_notice
from muster.reply.store import emails, notices


class Post(Protocol):
    """A letter to be sent, whatever it is about."""

    @property
    def tenant_id(self) -> UUID:
        """Whose reception gets it."""
        ...

    @property
    def letter_id(self) -> UUID:
        """What names it, once for each thing that it is about."""
        ...

    @property
    def attempts(self) -> int:
        """How often it was tried, this time included."""
        ...

    @property
    def since(self) -> datetime:
        """When what it is about happened."""
        ...


P = TypeVar("P", bound=Post)


@dataclass(frozen=True, slots=True)
class Bag(Generic[P]):
    """`tell` adds to a letter what it says besides."""

    lease: Callable[[Tx, int, float], Awaitable[list[P]]]
    tell: Callable[[Tx, P], Awaitable[P]]
    compose: Callable[[P, Postmark], Letter]
    end: Callable[[Tx, UUID, UUID, int, str, str], Awaitable[None]]
    postpone: Callable[[Tx, UUID, UUID, int, float, str], Awaitable[None]]


def replies(tell: Callable[[Tx, Forward], Awaitable[Forward]]) -> Bag[Forward]:
    """Replies on their way to receptions."""
    return Bag(emails.lease, tell, compose, emails.end, emails.postpone)


async def _as_it_is(_: Tx, notice: Notice) -> Notice:
    return notice


def about_credits() -> Bag[Notice]:
    """What receptions are told of their credits."""
    return Bag(notices.lease, _as_it_is, compose_notice, notices.end, notices.postpone)
