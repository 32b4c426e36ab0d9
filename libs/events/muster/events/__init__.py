"""The events of Muster: which types there are, on which topic each is said, by whom, to whom.

The protobuf modules `muster.events.v1.*_pb2` and the registry `topics.yaml` are made from the folder `proto/` by
`libs/events/generate.py`; neither is committed.
"""

from muster.events.catalog import (
    NIL_TENANT,
    TOPICS,
    TYPES,
    Topic,
    consumed_by,
    is_sandbox,
    key_of_bulk,
    key_of_number,
    key_of_tenant,
    produced_by,
    topic_of,
)

__all__ = [
    "NIL_TENANT",
    "TOPICS",
    "TYPES",
    "Topic",
    "consumed_by",
    "is_sandbox",
    "key_of_bulk",
    "key_of_number",
    "key_of_tenant",
    "produced_by",
    "topic_of",
]
