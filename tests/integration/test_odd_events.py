"""An event that says what cannot be is parked by whoever hears it: it never ends a process, which would read it again
as soon as it is back, and stand still for all tenants.
"""

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message

from muster.credit.handlers import HANDLERS as CREDIT
from muster.customer.handlers.facts import handlers as customer_handlers
from muster.dispatch.handlers import HANDLERS as DISPATCH
from muster.events import TYPES, consumed_by
from muster.events.v1.tenants_pb2 import TenantChanged
from muster.kit.consumer.apply import is_poison
from muster.kit.consumer.received import Handler, Received
from muster.kit.testing import apply, received
from muster.reply.handlers import HANDLERS as REPLY
from muster.report.handlers import HANDLERS as REPORT
from muster.tenant.handlers import HANDLERS as TENANT

HANDLERS: Mapping[str, Mapping[str, Handler]] = {
    "tenant": TENANT,
    "customer": customer_handlers(b"k" * 32),
    "credit": CREDIT,
    "dispatch": DISPATCH,
    "reply": REPLY,
    "report": REPORT,
}
_FIELD = FieldDescriptor
_LARGEST = {
    _FIELD.CPPTYPE_INT32: 2**31 - 1,
    _FIELD.CPPTYPE_INT64: 2**63 - 1,
    _FIELD.CPPTYPE_UINT32: 2**32 - 1,
    _FIELD.CPPTYPE_UINT64: 2**64 - 1,
    _FIELD.CPPTYPE_ENUM: 99,
    _FIELD.CPPTYPE_BOOL: True,
    _FIELD.CPPTYPE_DOUBLE: math.inf,
}
_SMALLEST = {
    **_LARGEST,
    _FIELD.CPPTYPE_INT32: -(2**31),
    _FIELD.CPPTYPE_INT64: -(2**63),
    _FIELD.CPPTYPE_ENUM: -1,
    _FIELD.CPPTYPE_DOUBLE: math.nan,
}
_ONES: dict[int, int] = dict.fromkeys(_LARGEST, 1)


def odd(event_type: str) -> Iterator[Message]:
    """Only a tenant; then every field with something that cannot be, once with ids and once without."""
    yield _filled(event_type, lambda _: None)
    for numbers in (_LARGEST, _SMALLEST, _ONES):
        for text in ("", "+61412345678 words", "a\0b"):
            yield _filled(event_type, lambda field, n=numbers, t=text: _value(field, n, t))  # type: ignore[misc]
            yield _filled(event_type, lambda field, n=numbers, t=text: _with_ids(field, n, t))  # type: ignore[misc]


def _value(field: Any, numbers: Mapping[int, int], text: str) -> Any:
    if field.type == _FIELD.TYPE_BYTES:
        return text.encode()
    return text if field.type == _FIELD.TYPE_STRING else numbers[field.cpp_type]


def _with_ids(field: Any, numbers: Mapping[int, int], text: str) -> Any:
    is_id = field.type == _FIELD.TYPE_STRING and field.name.endswith("_id")
    return str(uuid4()) if is_id else _value(field, numbers, text)


def _filled(event_type: str, value_of: Callable[[Any], Any]) -> Message:
    message: Any = TYPES[event_type]()
    _fill(message, value_of)
    message.tenant_id = str(uuid4())
    return message  # type: ignore[no-any-return]


def _received(message: Any) -> Received[Any]:
    return replace(received(TenantChanged(tenant_id=message.tenant_id)), message=message, topic="any")


def _fill(message: Any, value_of: Callable[[Any], Any]) -> None:
    for field in message.DESCRIPTOR.fields:
        if field.message_type is not None:
            _fill(getattr(message, field.name).add() if field.is_repeated else getattr(message, field.name), value_of)
        elif (value := value_of(field)) is not None:
            if field.is_repeated:
                getattr(message, field.name).extend([value, value])
            else:
                setattr(message, field.name, value)


@pytest.mark.parametrize("service", HANDLERS)
async def test_no_event_ends_a_process_whatever_it_says(service: str, service_database: Any) -> None:
    db = await service_database(service)
    heard = {event for topic in consumed_by(service) for event in topic.events} & set(HANDLERS[service])
    outcomes = {"applied": 0, "parked": 0}

    for event_type in sorted(heard):
        for message in odd(event_type):
            try:
                await apply(db, HANDLERS[service][event_type], _received(message))
                outcomes["applied"] += 1
            except Exception as error:
                if not is_poison(error):
                    raise AssertionError(f"{event_type} ends {service}: {error!r}, by {message}") from error
                outcomes["parked"] += 1

    assert heard == set(HANDLERS[service]), "what is handled is heard"
    assert min(outcomes.values()) > 0, outcomes
