"""A file on its way in: its pieces go into the database as they come, so that any process can go on with it."""

import asyncio
import hashlib
from dataclasses import dataclass
from typing import Final
from uuid import UUID

from fastapi import Request
from starlette.datastructures import UploadFile
from starlette.types import Message, Receive

from muster.customer.domain.files.kinds import HEAD_BYTES, Kind, kind_of
from muster.customer.store import import_files as files
from muster.customer.store import imports
from muster.kit import clock
from muster.kit.auth import Begin
from muster.kit.http import exchange
from muster.kit.problems import Problem, conflict, unprocessable

PART_BYTES: Final = 256 << 10
_PARTS_AT_ONCE: Final = 8
_KEPT_EVERY_S: Final = 5.0
_MEDIA_TYPES: Final = frozenset(
    [
        *("text/csv", "text/plain", "text/tab-separated-values", "application/csv", "application/vnd.ms-excel"),
        "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
        "application/octet-stream",
    ]
)


@dataclass(frozen=True, slots=True)
class Received:
    """A file that has come: its SHA-256, its size, and whether it is a workbook, of which little may hold a lot."""

    digest: bytes
    size_bytes: int
    is_workbook: bool


@dataclass(frozen=True, slots=True)
class Pace:
    """How slowly a file may come: within each `window_s` of waiting for it, as much as this."""

    window_s: float
    bytes_per_s_min: int


def paced(incoming: Receive, pace: Pace) -> Receive:
    """The same pieces of a body; Problem 408 where they come too slowly. What we take to store them does not count."""
    waited_s, come = 0.0, 0

    async def steadily() -> Message:
        nonlocal waited_s, come
        coming = asyncio.ensure_future(incoming())
        try:
            while True:
                began = clock.monotonic()
                await asyncio.wait({coming}, timeout=pace.window_s - waited_s)
                waited_s += clock.monotonic() - began
                message = coming.result() if coming.done() else None
                come += len(message.get("body", b"")) if message else 0
                if message is not None and not message.get("more_body"):
                    return message
                if waited_s >= pace.window_s:
                    if come < pace.bytes_per_s_min * pace.window_s:
                        raise _too_slow(pace)
                    waited_s, come = 0.0, 0
                if message is not None:
                    return message
        finally:
            coming.cancel()

    return steadily


def _too_slow(pace: Pace) -> Problem:
    detail = f"Less than {pace.bytes_per_s_min} bytes a second came for {pace.window_s:g} s. Nothing is kept of it."
    title = "The upload stands still"
    return Problem(408, "upload_too_slow", title, detail, bytes_per_s_min=pace.bytes_per_s_min)


async def receive(request: Request, begin: Begin, tenant_id: UUID, import_id: UUID, pace: Pace) -> Received:
    """Store the body, or the one file of a form."""
    request = Request(request.scope, paced(request.receive, pace))
    upload = _Upload(begin, tenant_id, import_id)
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == "multipart/form-data":
        exchange(request).count()
        async with request.form(max_files=1, max_fields=10) as form:
            file = form.get("file")
            if not isinstance(file, UploadFile):
                raise unprocessable("file", "missing", "the form needs a file of this name")
            while chunk := await file.read(PART_BYTES):
                await upload.take(chunk)
    elif media_type in _MEDIA_TYPES:
        async for chunk in request.stream():
            await upload.take(chunk)
    else:
        title = "The body is not of a type that is read here"
        detail = "Send text/csv, text/tab-separated-values, or the type of an .xlsx file."
        raise Problem(415, "unsupported_media_type", title, detail, field="Content-Type")
    await upload.keep()
    return Received(upload.digest.digest(), upload.size, kind_of(upload.head) is Kind.XLSX)


class _Upload:
    """Cuts what comes into pieces, and stores some of them at a time."""

    def __init__(self, begin: Begin, tenant_id: UUID, import_id: UUID) -> None:
        self.digest = hashlib.sha256()
        self.size = 0
        self.head = b""
        self._begin = begin
        self._of = tenant_id, import_id
        self._held = bytearray()
        self._parts = 0
        self._kept_at = clock.monotonic()

    async def take(self, chunk: bytes) -> None:
        """More of the file."""
        self.digest.update(chunk)
        self.size += len(chunk)
        if len(self.head) < HEAD_BYTES:
            self.head += chunk[: HEAD_BYTES - len(self.head)]
        self._held += chunk
        # What comes slowly is told too: it is seen to go on, and nobody thinks that it was given up.
        if len(self._held) >= _PARTS_AT_ONCE * PART_BYTES or clock.monotonic() > self._kept_at + _KEPT_EVERY_S:
            await self.keep()

    async def keep(self) -> None:
        """Store what is held."""
        parts = [bytes(self._held[at : at + PART_BYTES]) for at in range(0, len(self._held), PART_BYTES)]
        self._held.clear()
        async with self._begin(self._of[0]) as tx:
            if not await imports.grown(tx, *self._of, self.size):
                raise conflict("import_given_up", "This upload was given up", "It took too long, or was cancelled.")
            await files.add_parts(tx, *self._of, self._parts, parts)
        self._parts += len(parts)
        self._kept_at = clock.monotonic()
