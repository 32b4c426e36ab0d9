"""Searches everything that a running Muster keeps for a person: each column of each table of each database, each record
of each topic, each log file. Numbers in every form that they are kept in, words in any case, compressed or not."""

import asyncio
import re
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from muster.events import TOPICS
from muster.events.personal import PERSONAL_TOPICS
from muster.kit.topics import wanted_topics

DATABASES = ("tenant", "customer", "credit", "dispatch", "reply", "report")
_HEX = re.compile(r"\\x([0-9a-f]{2,})")
_NOT_DIGITS = re.compile(rb"[^0-9]+")
_COLUMNS = """
SELECT c.relname AS table, a.attname AS column FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid
WHERE c.relkind IN ('r', 'p') AND c.relnamespace = 'public'::regnamespace AND a.attnum > 0 AND NOT a.attisdropped
ORDER BY 1, 2
"""


class Needles:
    """What a person is recognised by."""

    def __init__(self, number: str, words: Iterable[str]) -> None:
        """number: in E.164 with the country code of two digits; words: at least five letters each."""
        digits = number.removeprefix("+")
        self._tail = digits[2:].encode()
        self._binary = (int(digits).to_bytes(8, "little"), int(digits).to_bytes(8, "big"))
        self._words = [word.casefold().encode() for word in words]

    def in_bytes(self, held: bytes) -> bool:
        """Whether they are in it: as text, as typed with blanks and dashes, as binary digits, or compressed."""
        return any(self._in(form) for form in (held, *_unpacked(held)))

    def _in(self, held: bytes) -> bool:
        if any(binary in held for binary in self._binary) or any(word in held.lower() for word in self._words):
            return True
        # A number is written in one go: what lies between its digits is short.
        return self._tail in held or self._tail in _NOT_DIGITS.sub(b"", held[:200] if len(held) < 200 else b"")

    def in_text(self, held: str) -> bool:
        """The same of a value as PostgreSQL writes it: octets are hexadecimal there."""
        octets = (bytes.fromhex(found[1]) for found in _HEX.finditer(held) if len(found[1]) % 2 == 0)
        return self._in(held.encode()) or any(map(self.in_bytes, octets))


def _unpacked(held: bytes) -> Iterator[bytes]:
    if held[:1] == b"\x78":
        try:
            yield zlib.decompress(held)
        except zlib.error:
            return


def in_databases(run: dict[str, Any], needles: Needles) -> set[str]:
    """Where they are: database.table.column."""
    return asyncio.run(_in_databases(run, needles))


async def _in_databases(run: dict[str, Any], needles: Needles) -> set[str]:
    found = set()
    for database in DATABASES:
        connection = await asyncpg.connect(run["postgres"].rpartition("/")[0] + f"/{database}")
        try:
            for table, column in await connection.fetch(_COLUMNS):
                query = f'SELECT "{column}"::text FROM "{table}" WHERE "{column}" IS NOT NULL'
                if any(needles.in_text(row[0]) for row in await connection.fetch(query)):
                    found.add(f"{database}.{table}.{column}")
        finally:
            await connection.close()
    return found


def in_topics(run: dict[str, Any], needles: Needles) -> set[str]:
    """The topics, those of dead letters too, of which a record holds them."""
    return asyncio.run(_in_topics(run["kafka"], needles))


async def _in_topics(kafka: str, needles: Needles) -> set[str]:
    names = [topic.name for topic in wanted_topics(TOPICS, laptop=True)]
    consumer = AIOKafkaConsumer(*names, bootstrap_servers=kafka, auto_offset_reset="earliest", group_id=None)
    await consumer.start()
    found = set()
    try:
        partitions = [TopicPartition(name, at) for name in names for at in consumer.partitions_for_topic(name) or ()]
        ends = await consumer.end_offsets(partitions)
        starts = await consumer.beginning_offsets(partitions)
        left = {tp for tp in partitions if starts[tp] < ends[tp]}
        while left:
            for tp, records in (await consumer.getmany(timeout_ms=500)).items():
                for one in records:
                    headers = b" ".join(value or b"" for _, value in one.headers)
                    if any(needles.in_bytes(part) for part in (one.key or b"", one.value or b"", headers)):
                        found.add(tp.topic)
            left = {tp for tp in left if await consumer.position(tp) < ends[tp]}
    finally:
        await consumer.stop()
    return found


def in_logs(folder: Path, needles: Needles) -> set[str]:
    """The log files that hold them."""
    return {path.name for path in folder.rglob("*.log") if needles.in_bytes(path.read_bytes())}


def keep_personal_topics(kafka: str, retention_ms: int | None) -> None:
    """Keep records with numbers and texts, and dead letters, for this long; None: for as long as the registry says."""
    asyncio.run(_keep(kafka, retention_ms))


async def _keep(kafka: str, retention_ms: int | None) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka)
    await admin.start()
    try:
        resources = []
        for topic in wanted_topics(TOPICS, laptop=True):
            if topic.name in PERSONAL_TOPICS or topic.name.endswith("-dlq"):
                config = dict(topic.config) | ({} if retention_ms is None else {"retention.ms": str(retention_ms)})
                resources.append(ConfigResource(ConfigResourceType.TOPIC, topic.name, config))
        await admin.alter_configs(resources)
    finally:
        await admin.close()
