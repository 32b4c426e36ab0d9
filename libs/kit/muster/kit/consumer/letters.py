"""Dead letters: records that can never be applied, parked until an operator replays or drops them.

Parked twice over, in the transaction that stores the offset behind them: in the table that the operator's routes read,
and by the outbox in the topic `<group>-dlq`, for whoever watches there.
"""

import json
import traceback
from collections.abc import Mapping, Sequence
from datetime import timedelta
from hashlib import sha256
from itertools import islice
from typing import Any, Final, NamedTuple, Protocol
from uuid import UUID, uuid5

from google.protobuf.message import DecodeError

from muster.events import NIL_TENANT, TYPES
from muster.kit import metrics, observe
from muster.kit.consumer.decode import decode, headers_of, type_of
from muster.kit.consumer.received import Handler, Poison
from muster.kit.outbox import RECORD_BYTES_MAX, Raw, emit_raw
from muster.kit.pg import Record, Tx

# What of a record is parked, so that it always fits: nothing of ours comes near.
_KEY_BYTES_PARKED_MAX: Final = 65_536
_VALUE_BYTES_PARKED_MAX: Final = RECORD_BYTES_MAX - _KEY_BYTES_PARKED_MAX
_HEADERS_PARKED_MAX, _HEADER_CHARS_PARKED_MAX = 50, 1_000
_THEIRS: Final = "original_"
_TOLD: Final = ("chunk", "chunks", "version")
_FRAMES_OF: Final = "/muster/"
_IDS: Final = UUID("5b8e6a30-3a5c-4c0e-8a38-6a1d1c9f1f5e")

_PARK = """
INSERT INTO dead_letter (tenant_id, id, consumer_group, topic, partition, log_offset, type, event_id, reason, key,
    value, value_bytes, headers)
VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT (tenant_id, id) DO NOTHING RETURNING true
"""
_LIST = """
SELECT tenant_id, id, consumer_group, topic, partition, log_offset, type, event_id, reason, state, attempts, parked_at,
    decided_at, decided_by, decided_why, value_bytes
FROM dead_letter
WHERE ($1::timestamptz IS NULL OR (parked_at, id) < ($1, $2::uuid)) AND ($3::text IS NULL OR state = $3)
    AND ($4::text IS NULL OR topic = $4) AND ($5::text IS NULL OR type = $5) AND ($6::uuid IS NULL OR tenant_id = $6)
ORDER BY parked_at DESC, id DESC LIMIT $7
"""
_FIND = "SELECT * FROM dead_letter WHERE id = $1 -- whatever its tenant_id"
_FIND_TO_DECIDE = "SELECT * FROM dead_letter WHERE id = $1 FOR UPDATE -- whatever its tenant_id"
_DECIDE = """
UPDATE dead_letter SET state = $3, decided_at = kit_now(), decided_by = $4, decided_why = $5, key = '', value = '',
    headers = '{}' WHERE tenant_id = $1 AND id = $2
"""
_FAILED = "UPDATE dead_letter SET attempts = attempts + 1, reason = $3 WHERE tenant_id = $1 AND id = $2"
_WAITING = """
SELECT count(*) AS n, extract(epoch FROM kit_now() - min(parked_at))::float8 AS oldest_s FROM dead_letter
WHERE consumer_group = $1 AND state = 'waiting' -- of every tenant_id
"""
_FORGET = """
DELETE FROM dead_letter WHERE (tenant_id, id) IN (
    SELECT tenant_id, id FROM dead_letter WHERE state <> 'waiting' AND decided_at < kit_now() - $1::interval
    FOR UPDATE SKIP LOCKED)
"""


class LogRecord(Protocol):
    """What is read of a record, whoever read it."""

    @property
    def topic(self) -> str: ...
    @property
    def partition(self) -> int: ...
    @property
    def offset(self) -> int: ...
    @property
    def key(self) -> bytes | None: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def headers(self) -> Sequence[tuple[str, bytes | None]]: ...


class Stored(NamedTuple):
    """A record as it was parked."""

    topic: str
    partition: int
    offset: int
    key: bytes
    value: bytes
    headers: Sequence[tuple[str, bytes | None]]


async def park(tx: Tx, group: str, record: Any, reason: str) -> bool:
    """Keep a record that cannot be applied; whether it is parked for the first time."""
    raw = parked(group, record, reason)
    value = record.value or b""
    digest = sha256(b"\0".join((record.key or b"", value, repr(list(record.headers)).encode())))
    where = (record.topic, record.partition, record.offset)
    letter_id = uuid5(_IDS, "/".join(map(str, (group, *where, digest.hexdigest()))))
    theirs = (pair for pair in raw.headers.items() if pair[0].startswith(_THEIRS))
    headers = {name.removeprefix(_THEIRS): text for name, text in theirs}
    stored = (raw.key, raw.value, len(value), json.dumps(headers))
    new = await tx.fetchval(
        _PARK, raw.tenant_id, letter_id, group, *where, raw.type, _uuid(raw.causation), _storable(reason), *stored
    )
    if new:
        await emit_raw(tx, raw)
    return bool(new)


def parked(group: str, record: Any, reason: str) -> Raw:
    """The record for the dead-letter topic: as it came, with where it came from and why it is there."""
    ours = {
        "dlq_topic": record.topic,
        "dlq_partition": str(record.partition),
        "dlq_offset": str(record.offset),
        "dlq_reason": _storable(reason),
    }
    headers = islice(headers_of(record).items(), _HEADERS_PARKED_MAX)
    theirs = {_storable(name): _storable(value.decode(errors="backslashreplace")) for name, value in headers}
    value = record.value or b""
    if len(value) > _VALUE_BYTES_PARKED_MAX:
        value, ours["dlq_cut_from_bytes"] = value[:_VALUE_BYTES_PARKED_MAX], str(len(value))
    return Raw(
        topic=f"{group}-dlq",
        key=(record.key or b"")[:_KEY_BYTES_PARKED_MAX],
        value=value,
        type=theirs.get("ce_type", ""),
        tenant_id=_uuid(theirs.get("tenant", "")) or NIL_TENANT,
        causation=theirs.get("ce_id", ""),
        headers={f"{_THEIRS}{name}": text for name, text in theirs.items()} | ours,
    )


def reason_of(error: Exception) -> str:
    """Why a record cannot be applied, in words of our own: what others say of it may quote a number or a text."""
    if isinstance(error, Poison):
        return observe.mask_text(f"Poison: {error}")
    ours = [frame for frame in traceback.extract_tb(error.__traceback__) if _FRAMES_OF in frame.filename]
    at = f" at {ours[-1].filename.rpartition(_FRAMES_OF)[2]}:{ours[-1].lineno}" if ours else ""
    return f"{observe.kind_of(error)}{at}"


class Filter(NamedTuple):
    """Which letters: those that agree in each member that is not None."""

    state: str | None = None
    topic: str | None = None
    type: str | None = None
    tenant_id: UUID | None = None


async def letters(tx: Tx, limit: int, after: tuple[Any, UUID] | None, wanted: Filter) -> list[Record]:
    """Those letters, newest first, without what they hold."""
    return await tx.fetch(_LIST, *(after or (None, None)), *wanted, limit)


async def letter(tx: Tx, letter_id: UUID, *, lock: bool = False) -> Record | None:
    """One letter with what it holds; locked until the end of the transaction where it is to be decided."""
    return await tx.fetchrow(_FIND_TO_DECIDE if lock else _FIND, letter_id)


def record_of(row: Record) -> Stored:
    """The record of a letter."""
    headers = [(name, text.encode()) for name, text in json.loads(row["headers"]).items()]
    return Stored(row["topic"], row["partition"], row["log_offset"], row["key"], row["value"], headers)


def ids_of(row: Record) -> dict[str, str | int]:
    """The ids that a letter's message holds, and what tells chunks and versions apart: no numbers, no texts."""
    if row["type"] not in TYPES:
        return {}
    message: Any = TYPES[row["type"]]()
    try:
        message.ParseFromString(row["value"])
    except DecodeError:
        return {}
    found: dict[str, str | int] = {}
    for field, value in message.ListFields():
        if field.name in _TOLD and isinstance(value, int):
            found[field.name] = value
        elif field.name.endswith("_id") and isinstance(value, str) and (known := _uuid(value)) is not None:
            found[field.name] = str(known)
    return found


async def apply_again(tx: Tx, row: Record, handlers: Mapping[str, Handler]) -> None:
    """What a consumer would do with the record, in this transaction; Poison where it still cannot be applied."""
    record: Any = record_of(row)
    if row["value_bytes"] > len(row["value"]):
        raise Poison(f"only {len(row['value'])} of its {row['value_bytes']} bytes were kept")
    event_type = type_of(headers_of(record))
    if event_type not in handlers:
        raise Poison("an event type that is not heard here")
    await handlers[event_type](tx, [decode(record)])


async def decide(tx: Tx, row: Record, state: str, by: str, why: str) -> None:
    """A letter is replayed or dropped for good; what it holds is forgotten."""
    await tx.execute(_DECIDE, row["tenant_id"], row["id"], state, by, _storable(why))
    metrics.dead_letters_decided.labels(group=row["consumer_group"], outcome=state).inc()


async def failed_again(tx: Tx, row: Record, reason: str) -> None:
    """A replay found it still poisonous: it waits with the newer reason."""
    await tx.execute(_FAILED, row["tenant_id"], row["id"], _storable(reason))
    metrics.dead_letters_decided.labels(group=row["consumer_group"], outcome="still_poison").inc()


async def measure(tx: Tx, group: str) -> None:
    """How many wait for an operator, and for how long."""
    row = await tx.fetchrow(_WAITING, group)
    assert row is not None
    metrics.dead_letters_waiting.labels(group=group).set(row["n"])
    metrics.dead_letters_oldest_seconds.labels(group=group).set(row["oldest_s"] or 0)


async def forget(tx: Tx, older_than: timedelta) -> None:
    """Drop the entries of letters that were decided long ago; the audit log keeps who decided what."""
    await tx.execute(_FORGET, older_than)


def _storable(text: str) -> str:
    """PostgreSQL has no NUL in a text: what cannot be stored could never be parked, and would be tried for ever."""
    return text[:_HEADER_CHARS_PARKED_MAX].replace("\0", "\\0")


def _uuid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
