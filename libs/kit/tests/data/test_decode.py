"""What a record must be to be an event."""

from uuid import uuid4

import pytest

from muster.events.v1.credits_pb2 import CreditsReserved
from muster.kit.consumer import Poison
from muster.kit.consumer.decode import decode
from muster.kit.consumer.letters import Stored

TENANT = str(uuid4())


def record(topic: str) -> Stored:
    headers = {"ce_id": str(uuid4()), "ce_type": "CreditsReserved", "ce_time": "2026-11-27T01:00:00Z", "tenant": TENANT}
    value = CreditsReserved(tenant_id=TENANT, bulk_id=str(uuid4()), credits=5).SerializeToString()
    return Stored(topic, 0, 7, b"key", value, [(name, text.encode()) for name, text in headers.items()])


def test_an_event_is_believed_only_on_the_topic_that_its_service_alone_writes() -> None:
    """reply-svc may write `replies`; it may not reserve credits by that."""
    assert decode(record("credits")).message.credits == 5
    with pytest.raises(Poison, match="CreditsReserved is not said on replies"):
        decode(record("replies"))
