"""Records whose header names are not UTF-8 can be read: aiokafka decodes names alone, strictly, and raises.

It would raise at the same record for ever, and lose what it had fetched of other partitions. Where a name does not
decode the fetched bytes are parsed again from the record that is next, with such names spelled out (`\\xff`); nobody
asks for a header of such a name. Nothing changes for all other records.
"""

import struct
from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.errors import CorruptRecordException
from aiokafka.record import memory_records
from aiokafka.record.default_records import _DefaultRecordBatchPy

_MAGIC_AT, _LENGTH_AT, _OVERHEAD = 16, 8, 12


class _Bytes(bytearray):
    """Slices of it decode whatever they hold."""

    def __getitem__(self, at: Any) -> Any:
        found = super().__getitem__(at)
        return _Bytes(found) if isinstance(at, slice) else found

    def decode(self, encoding: str = "utf-8", errors: str = "backslashreplace") -> str:
        return super().decode(encoding, errors)


class _LenientBatch(_DefaultRecordBatchPy):  # type: ignore[misc]
    _buffer: bytearray

    def _maybe_uncompress(self) -> None:
        super()._maybe_uncompress()
        if not isinstance(self._buffer, _Bytes):
            self._buffer = _Bytes(self._buffer)


class _LenientRecords:
    """The batches of a fetched buffer, in the part of aiokafka's interface that its iterator uses."""

    def __init__(self, data: bytes) -> None:
        self._batches = list(_batches(data))[::-1]

    def has_next(self) -> bool:
        return bool(self._batches)

    def next_batch(self) -> Any:
        return _LenientBatch(self._batches.pop())


def _batches(data: bytes) -> Iterator[bytearray]:
    """Whole batches alone: a fetch may end in a part of one."""
    at = 0
    while at + _MAGIC_AT < len(data):
        end = at + _OVERHEAD + struct.unpack_from(">i", data, at + _LENGTH_AT)[0]
        if end > len(data) or data[at + _MAGIC_AT] < 2:  # records had no headers before version 2
            return
        yield bytearray(data[at:end])
        at = end


class _Kept(memory_records.MemoryRecords):  # type: ignore[misc]
    """As it is, with the bytes that it was made of."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data


class _LenientPartition(fetcher.PartitionRecords):  # type: ignore[misc]
    _records: Any

    def __next__(self) -> Any:
        try:
            return super().__next__()
        except (UnicodeDecodeError, CorruptRecordException):
            if not isinstance(self._records, _Kept):
                raise
            # What has been handed out is behind next_fetch_offset, and passed by.
            self._records = _LenientRecords(self._records.data)
            self._records_iterator = self._unpack_records()
            return super().__next__()


def install() -> None:
    """For every consumer of this process, whoever made it."""
    fetcher.MemoryRecords = _Kept
    fetcher.PartitionRecords = _LenientPartition
