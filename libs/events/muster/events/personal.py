"""Which events hold what a person was sent or wrote, and how that is taken out of them while the rest stays.

An event is of before an erasure where what it says was begun until then: a send by the time in its id, an inbound
message and an answer by their own times. What is of after it is about somebody who came back.
"""

from collections.abc import Callable, Collection, Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Any, Final
from uuid import UUID

from muster.events.catalog import TOPICS
from muster.events.v1.common_pb2 import TEXT_ENCODING_GSM7
from muster.events.v1.recipients_pb2 import AnswerRequested, BulkRecipientsAttached, SmsReceived

_LAST_MS: Final = 253_402_300_799_000  # of the year 9999

PERSONAL_TOPICS: Final = frozenset(topic.name for topic in TOPICS.values() if topic.personal == "number and text")
"""The topics whose events hold numbers and texts."""

_HASH_BYTES: Final = 17

Gone = Mapping[bytes, int]
"""When each number (by its hash) of one tenant was erased, in unix milliseconds."""


def born_unix_ms(bulk_id: UUID) -> int:
    """When a send was begun, by its id; 0 for an id that does not say so: before every erasure."""
    return bulk_id.int >> 80 if bulk_id.version == 7 else 0


def born_at(bulk_id: UUID) -> datetime:
    """The same as a time."""
    return datetime.fromtimestamp(min(born_unix_ms(bulk_id), _LAST_MS) / 1000, UTC)


def blank_recipients(message: BulkRecipientsAttached, places: Collection[int]) -> None:
    """Take number, customer and text of the recipients at these places (from 0) out of a chunk; ValueError where its
    columns do not fit together. Nobody else's text is lost, and every column keeps its length."""
    count = len(message.seq)
    for column in (message.number, message.customer_id, message.text_index):
        if len(column) not in (0, count):
            raise ValueError("columns of different lengths")
    index = list(message.text_index) or [0] * count
    if max(index, default=0) >= max(len(message.text), 1):
        raise ValueError("an index of no text")
    for place in places:
        index[place] = len(message.text)
        for column in (message.number, message.customer_id):
            if column:
                column[place] = 0
    used = set(index)
    texts = [text if at in used else "" for at, text in enumerate(message.text)]
    del message.text[:], message.text_index[:]
    message.text.extend([*texts, ""])
    if message.encoding:
        message.encoding.append(TEXT_ENCODING_GSM7)
    message.text_index.extend(index)


def _from_recipients(message: BulkRecipientsAttached, gone: Gone) -> bool:
    if len(message.number_hash) != len(message.seq):
        raise ValueError("columns of different lengths")
    for one in message.number_hash:
        _check(one)
    born = born_unix_ms(UUID(message.bulk_id))
    named = (place for place, one in enumerate(message.number_hash) if born <= gone.get(one, -1))
    places = [place for place in named if not message.number or message.number[place]]
    if places:
        blank_recipients(message, places)
    return bool(places)


def _check(number_hash: bytes) -> None:
    if len(number_hash) != _HASH_BYTES:
        raise ValueError("a number without its hash")


def _from_received(message: SmsReceived, gone: Gone) -> bool:
    _check(message.number_hash)
    if not message.number or message.received_at_unix_ms > gone.get(message.number_hash, -1):
        return False
    message.number = message.text = ""
    return True


def _from_answer(message: AnswerRequested, gone: Gone) -> bool:
    _check(message.number_hash)
    if not message.number or message.at_unix_ms > gone.get(message.number_hash, -1):
        return False
    message.number = message.text = ""
    return True


PERSONAL_TYPES: Final[Mapping[str, Callable[[Any, Gone], bool]]] = MappingProxyType(
    {
        "BulkRecipientsAttached": _from_recipients,
        "SmsReceived": _from_received,
        "AnswerRequested": _from_answer,
    }
)
"""By event type: takes those who are gone out of a message of it, and answers whether any was in it. ValueError where
nobody can say whose is what in it."""
