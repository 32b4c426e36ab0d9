"""What is asked for with `POST /v1/messages`, one message or some, and what it comes to."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import Enum
from typing import TypeAlias
from uuid import UUID

import orjson

from muster.customer.domain.refusal import Refusal
from muster.customer.events import MessageKind
from muster.kit import trace
from muster.kit.idempotency import Claim, Stored
from muster.kit.tokens import Caller


class No(Enum):
    """Why a message was not taken, where no field of it is at fault."""

    NOT_HEARD_OF = "its business has not been heard of here"
    CLOSED = "its business is closed"
    SENDER_NOT_HEARD_OF = "whether its business has its sender has not been heard here"
    NO_CUSTOMER = "there is no such customer"


@dataclass(frozen=True, slots=True)
class Suspended:
    """Nothing is sent for this business, or (the nil id) for anybody: the reasons, by id."""

    reasons: Mapping[UUID, str]


@dataclass(frozen=True, slots=True)
class Limited:
    """Too many were sent already: why, and when it may be asked again."""

    refusal: Refusal
    until: datetime


@dataclass(frozen=True, slots=True)
class Taken:
    """A message that will be sent, and what whoever sends it should know."""

    bulk_id: UUID
    seq: int
    parts: int
    credits: int
    send_by: datetime
    warnings: Sequence[Mapping[str, str]] = ()

    @property
    def members(self) -> str:
        """The answer to who has asked, as the members of a JSON object."""
        return (
            f'"id":"{self.bulk_id}-{self.seq}","bulk_id":"{self.bulk_id}","state":"waiting","parts":{self.parts},'
            f'"credits":{self.credits},"send_by":"{self.send_by:%Y-%m-%dT%H:%M:%S.%fZ}",'
            f'"warnings":{orjson.dumps(self.warnings).decode() if self.warnings else "[]"}'
        )


@dataclass(frozen=True, slots=True)
class Said:
    """What is answered to a request of which something was taken, or which was of several messages."""

    status: int
    document: bytes
    taken: int


Why: TypeAlias = Refusal | No | Suspended | Limited
Each: TypeAlias = Taken | Why
Answer: TypeAlias = Said | Stored | Why


@dataclass(frozen=True, slots=True)
class Ask:
    """A message that somebody asks for: to a number as people write it, or to a customer. `send_by` None: the default.
    `claim`: the idempotency key of a request of this message alone, None without. `sender` None: that of the business's
    settings. `test`: to somebody of the business, as a customer would get it; nobody's consent is asked. `traceparent`:
    the trace of the request that it was made in."""

    caller: Caller
    to: str | None
    customer_id: int
    text: str
    marketing: bool
    kind: MessageKind
    send_by: datetime | None
    claim: Claim | None
    sender: str | None = None
    test: bool = False
    traceparent: str = field(default_factory=trace.current)

    @property
    def to_field(self) -> str:
        """The field of the request that says whom it is for."""
        return "to" if self.to is not None else "customer_id"

    @property
    def asks(self) -> "tuple[Ask, ...]":
        """The messages of its request."""
        return (self,)

    @property
    def characters(self) -> int:
        """Of its text."""
        return len(self.text)

    def answer(self, answers: Sequence[Each]) -> Said | Why:
        """What its request is answered."""
        [answer] = answers
        return Said(202, b"{%b}" % answer.members.encode(), 1) if isinstance(answer, Taken) else answer


@dataclass(frozen=True, slots=True)
class Several:
    """Messages of one request and caller, in its order. `say`: what is answered where each has an answer of its own."""

    asks: tuple[Ask, ...]
    claim: Claim | None
    say: Callable[[Sequence[Each]], Said]

    @property
    def characters(self) -> int:
        """Of all texts."""
        return sum(len(ask.text) for ask in self.asks)

    def answer(self, answers: Sequence[Each]) -> Said | Why:
        """What the request is answered: once, where the business may send nothing whatever it asks for."""
        for ask, answer in zip(self.asks, answers, strict=True):
            if isinstance(answer, Taken) or not _of_the_business(ask, answer):
                return self.say(answers)
            why = answer
        return why if answers else self.say(answers)


Asked: TypeAlias = Ask | Several


def _of_the_business(ask: Ask, why: Why) -> bool:
    if isinstance(why, Refusal):
        return why.field == "sender" and ask.sender is None
    return isinstance(why, Suspended) or (isinstance(why, No) and why is not No.NO_CUSTOMER)
