"""The registry and the schemas agree, and what was once written can be read for ever."""

import json
from pathlib import Path

import pytest
from google.protobuf import json_format
from hypothesis import given
from hypothesis import strategies as st

import muster.events as events
from muster.events.catalog import duration_ms, read_registry
from muster.events.v1 import common_pb2

PROTO = Path(__file__).resolve().parents[3] / "proto"
EXAMPLES = sorted((PROTO / "examples").glob("*.json"))
ALL_SERVICES = {"tenant", "customer", "credit", "dispatch", "reply", "report"}


def test_every_event_of_the_registry_has_a_schema_with_tenant_id_as_field_one() -> None:
    named = {event for topic in events.TOPICS.values() for event in topic.events}
    assert named == set(events.TYPES)
    for name, message in events.TYPES.items():
        assert message.DESCRIPTOR.fields_by_number[1].name == "tenant_id", name


def test_every_message_of_the_schemas_is_in_the_registry() -> None:
    written = {
        line.split()[1]
        for path in PROTO.glob("muster/events/v1/*.proto")
        for line in path.read_text().splitlines()
        if line.startswith("message ")
    }
    assert written == set(events.TYPES)


def test_every_topic_has_one_producer_and_known_consumers() -> None:
    for topic in events.TOPICS.values():
        assert topic.producer in ALL_SERVICES | {"all"}, topic.name
        assert set(topic.consumers) <= ALL_SERVICES, topic.name
        assert topic.consumers, topic.name


def test_topics_with_numbers_or_texts_are_internal_and_short_lived() -> None:
    for topic in events.TOPICS.values():
        if topic.personal == "number and text":
            assert topic.internal, topic.name
            assert topic.retention_ms == 60 * 3_600_000, topic.name


def test_the_lane_decides_the_topic_of_recipients() -> None:
    assert events.topic_of("BulkRecipientsAttached", common_pb2.LANE_SMALL) == "bulk-recipients-small"
    assert events.topic_of("BulkRecipientsAttached", common_pb2.LANE_LARGE) == "bulk-recipients"
    with pytest.raises(KeyError):
        events.topic_of("BulkRecipientsAttached")


def test_the_copy_in_the_package_is_the_registry() -> None:
    assert read_registry((PROTO / "topics.yaml").read_text()) == dict(events.TOPICS)


def test_there_is_an_example_of_each_event() -> None:
    assert {path.stem for path in EXAMPLES} == set(events.TYPES)


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.stem)
def test_golden_bytes_decode_to_the_example(path: Path) -> None:
    example = json.loads(path.read_text())
    message = events.TYPES[path.stem].FromString(bytes.fromhex(example["wire_hex"]))
    assert json_format.MessageToDict(message, preserving_proto_field_name=True) == example["json"]


@given(st.integers(0, 10_000), st.sampled_from(["ms", "s", "m", "h", "d"]))
def test_durations_are_read(count: int, unit: str) -> None:
    assert (
        duration_ms(f"{count}{unit}")
        == count * {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}[unit]
    )


@pytest.mark.parametrize("written", ["", "h", "5", "5 h", "-5h", "5w"])
def test_a_duration_that_is_none_is_refused_by_name(written: str) -> None:
    with pytest.raises(ValueError, match="not a duration"):
        duration_ms(written)
