"""What is said and heard of people who were erased."""

from datetime import datetime
from typing import Final
from uuid import UUID

from muster.customer.events import moment, uuid_of
from muster.events import key_of_number
from muster.events.v1.recipients_pb2 import AnswerRequested
from muster.events.v1.suppressions_pb2 import PersonErased
from muster.events.v1.suppressions_pb2 import PersonForgotten as PersonForgotten
from muster.kit.consumer import Received
from muster.kit.erasure import Erasure, Gone, unix_ms
from muster.kit.outbox import Fact

_ERASED: Final = b"/erased"


def person_erased(erasure: Erasure) -> Fact:
    """A number of somebody who asked to be forgotten. Its key differs from that of the number's suppression, which the
    compacted topic must keep beside it."""
    message = PersonErased(
        tenant_id=str(erasure.tenant_id),
        number_hashes=[erasure.number_hash],
        version=erasure.version,
        at_unix_ms=round(erasure.at.timestamp() * 1000),
    )
    return Fact(message, key=key_of_number(erasure.tenant_id, erasure.number_hash) + _ERASED)


def is_to_erased(message: AnswerRequested, gone: Gone) -> bool:
    """Whether an answer is to somebody who was erased since it was asked for: nobody gets it."""
    return not message.number or message.at_unix_ms <= unix_ms(gone).get(message.number_hash, -1)


def forgotten_of(received: Received[PersonForgotten]) -> tuple[UUID, bytes, str, int, datetime]:
    """tenant, hash, service, version, when."""
    message = received.message
    at = moment(message.at_unix_ms or received.time_unix_ms)
    return uuid_of(message.tenant_id), message.number_hash, message.service, message.version, at
