"""What a request for messages is, and how it is answered.

`msgspec` reads a body that is well written in a fiftieth of the time; what it refuses is judged by the models that are
documented, in the words of all other routes.
"""

import json
import re
from datetime import datetime
from typing import Annotated, Any, Final, Literal
from uuid import UUID

import msgspec
from fastapi import Request
from pydantic import Field, TypeAdapter, ValidationError

from muster.customer.api.quotes import WarningOut
from muster.kit.direct import read_body
from muster.kit.http import Int, Model, Moment

MESSAGES_MAX: Final = 100  # of a request, as many as the public APIs of others take

_MOMENT: Final[TypeAdapter[datetime]] = TypeAdapter(Moment)
_SEVERAL: Final = re.compile(rb'\s*\{\s*"messages"')

ClassWord = Literal["marketing", "factual"]
KindWord = Literal["single", "reminder"]


class MessageIn(Model):
    """One message, to a number as people write it or to a customer. The text is taken as it stands. sender: one of the
    business's own, that of its settings unless said."""

    to: Annotated[str, Field(min_length=1, max_length=64)] | None = None
    customer_id: Annotated[Int, Field(ge=1)] | None = None
    text: str
    message_class: Annotated[ClassWord, Field(alias="class")] = "factual"
    kind: KindWord = "single"
    send_by: Moment | None = None
    sender: Annotated[str, Field(min_length=1, max_length=16)] | None = None


class MessagesIn(Model):
    """Several messages, each with a text and a person of its own."""

    messages: Annotated[list[MessageIn], Field(min_length=1, max_length=MESSAGES_MAX)]


class MessageOut(Model):
    """A message that was taken, and until when it may leave. id: as in the report, where it shows what became of it;
    warnings: as a quote gives them."""

    id: str
    bulk_id: UUID
    state: str
    parts: int
    credits: int
    send_by: datetime
    warnings: tuple[WarningOut, ...] = ()


class TakenOut(MessageOut):
    """One of several that was taken. index: its place in the request, from 0; state: `waiting`."""

    index: int


class RefusedOut(Model):
    """One of several that was not taken, and will not be sent. problem: what its own request would have been answered,
    its fields named from the whole request (`messages.3.to`)."""

    index: int
    state: Literal["refused"]
    problem: dict[str, Any]


class MessagesOut(Model):
    """Each message of a request in its order, and how many were taken and refused."""

    messages: tuple[TakenOut | RefusedOut, ...]
    accepted: int
    refused: int


class Written(msgspec.Struct, forbid_unknown_fields=True):
    """A message as it is written in a request."""

    text: str
    to: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] | None = None
    customer_id: Annotated[int, msgspec.Meta(ge=1, le=2**63 - 1)] | None = None
    message_class: ClassWord = msgspec.field(default="factual", name="class")
    kind: KindWord = "single"
    send_by: str | None = None
    sender: Annotated[str, msgspec.Meta(min_length=1, max_length=16)] | None = None


class _Several(msgspec.Struct, forbid_unknown_fields=True):
    messages: Annotated[list[Written], msgspec.Meta(min_length=1, max_length=MESSAGES_MAX)]


_ONE: Final = msgspec.json.Decoder(Written)
_MANY: Final = msgspec.json.Decoder(_Several)

Read = tuple[Written, datetime | None]
"""A message, and its `send_by` as a time."""


def read(request: Request, raw: bytes) -> Read | list[Read]:
    """The message of a request, or its messages; a Problem that names each field that cannot be read."""
    try:
        if _SEVERAL.match(raw):
            return [_timed(one) for one in _MANY.decode(raw).messages]
        return _timed(_ONE.decode(raw))
    except (msgspec.MsgspecError, UnicodeDecodeError, ValidationError):
        if _has_several(raw):
            return [_written(one) for one in read_body(MessagesIn, request, raw).messages]
        return _written(read_body(MessageIn, request, raw))


def _timed(written: Written) -> Read:
    return written, _MOMENT.validate_python(written.send_by) if written.send_by is not None else None


def _written(read: MessageIn) -> Read:
    written = Written(read.text, read.to, read.customer_id, read.message_class, read.kind, sender=read.sender)
    return written, read.send_by


def _has_several(raw: bytes) -> bool:
    try:
        given = json.loads(raw)
    except (ValueError, RecursionError):
        return False  # to be refused in the words for that
    return isinstance(given, dict) and "messages" in given
