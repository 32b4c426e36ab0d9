"""Single messages that are sent together: which share a send, which share a chunk, in which order."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from uuid import UUID

from muster.customer.domain.customers import Mobile
from muster.customer.domain.planning import CHUNK_RECIPIENTS_MAX, Chunk, FrozenChunk, Totals, make_chunk
from muster.customer.domain.pricing import Verbatim
from muster.customer.domain.tariff import Destination


@dataclass(frozen=True, slots=True)
class Sendable:
    """A message that may go. `place`: which of the group it is. customer_id 0: nobody's number. `send_by` None: as
    long as a message has by default. `by`: the user who sends it. message_class and kind as in the events.
    allowed: as of a frozen chunk. warnings: what whoever sends it should know. test: it is one."""

    place: int
    tenant_id: UUID
    by: str
    kind: int
    message_class: int
    sender: str
    send_by: datetime | None
    customer_id: int
    mobile: Mobile
    destination: Destination
    text: str
    allowed: tuple[int, ...] = ()
    warnings: Sequence[Mapping[str, str]] = ()
    test: bool = False


@dataclass(frozen=True, slots=True)
class Together:
    """Messages of one send, in its order: those of a chunk follow one another."""

    first: Sendable
    messages: Sequence[Sendable]
    frozen: Sequence[FrozenChunk]
    chunks: Sequence[Chunk]

    @property
    def parts(self) -> int:
        """Of all of them."""
        return sum(sum(chunk.parts) for chunk in self.chunks)

    @property
    def credits(self) -> int:
        """Of all of them."""
        return self.chunks[-1].uptos[-1]

    @property
    def text(self) -> str:
        """The text, where all have the same."""
        texts = {message.text for message in self.messages}
        return texts.pop() if len(texts) == 1 else ""


_SendKey = tuple[UUID, str, int, int, str, datetime | None, tuple[int, ...], bool, int]


def group(messages: Sequence[Sendable], texts: Verbatim) -> list[Together]:
    """The sends of these messages. Of one send are those of one business that one user sends with the same kind, class,
    sender, end of time and hours, in the order in which they came; a number is in it once."""
    sends: dict[_SendKey, list[Sendable]] = {}
    again: dict[tuple[object, ...], int] = {}
    for one in messages:
        shared = (one.tenant_id, one.by, one.kind, one.message_class, one.sender, one.send_by, one.allowed, one.test)
        times = again[(*shared, one.mobile.number)] = again.get((*shared, one.mobile.number), 0) + 1
        sends.setdefault((*shared, times), []).append(one)
    return [_together(some, texts) for some in sends.values()]


def _together(messages: list[Sendable], texts: Verbatim) -> Together:
    """`sorted` keeps the order of those that compare equal."""
    ordered = sorted(messages, key=_road)
    frozen: list[FrozenChunk] = []
    chunks: list[Chunk] = []
    before = Totals()
    for destination, same in groupby(ordered, key=lambda one: one.destination):
        some = list(same)
        for start in range(0, len(some), CHUNK_RECIPIENTS_MAX):
            part = _freeze(len(chunks) + 1, some[start : start + CHUNK_RECIPIENTS_MAX])
            chunk = make_chunk(before, part, destination, texts)
            before = before.after(len(part), sum(chunk.parts), sum(chunk.prices))
            frozen.append(part)
            chunks.append(chunk)
    return Together(messages[0], ordered, frozen, chunks)


def _road(message: Sendable) -> tuple[str, str]:
    return message.destination.route, message.destination.country


def _freeze(number: int, messages: Sequence[Sendable]) -> FrozenChunk:
    """Their membership, with each one's own text where merge values stand for a bulk send."""
    return FrozenChunk(
        number,
        messages[0].destination.country,
        [one.customer_id for one in messages],
        [one.mobile.number for one in messages],
        [one.mobile.number_hash for one in messages],
        [one.text for one in messages],
        messages[0].allowed,
    )
