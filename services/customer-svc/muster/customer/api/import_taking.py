"""The file of a request on its way to become an import or a list: taken once, and waited for as long as is asked."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final
from uuid import UUID

import orjson
from fastapi import Request, Response

from muster.customer.api.common import settings_of, tenant_of
from muster.customer.api.import_upload import Pace, receive
from muster.customer.importer.turns import Importer
from muster.customer.store import imports
from muster.kit import audit
from muster.kit.acts import Act
from muster.kit.auth import Begin, Caller, Tx
from muster.kit.http import Model, exchange
from muster.kit.idempotency import Once
from muster.kit.ids import uuid7
from muster.kit.outbox import emit
from muster.kit.problems import Problem, conflict

_XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
_BINARY: Final = {"schema": {"type": "string", "format": "binary"}}
FILE_BODY: Final = {
    "required": True,
    "content": {
        "text/csv": {"schema": {"type": "string"}},
        "text/tab-separated-values": {"schema": {"type": "string"}},
        _XLSX: _BINARY,
        "application/octet-stream": _BINARY,
        "multipart/form-data": {
            "schema": {
                "type": "object",
                "required": ["file"],
                "properties": {"file": {"type": "string", "format": "binary"}},
            }
        },
    },
}
_ASYNC: Final = re.compile(r"(?:^|[,;\s])respond-async(?:$|[,;\s])", re.IGNORECASE)


class Taken(Model):
    """What is stored under an idempotency key: how the import stands is looked up each time."""

    id: UUID


@dataclass(frozen=True, slots=True)
class Taking:
    """A file that comes: to know it again, what the audit log calls it, whether it waits to be started, whether nobody
    waits for its end unless it is small, and what is looked at before it is taken, which raises a Problem."""

    file_name: str
    act: Act
    preview: bool
    at_once: bool
    check: Callable[[Tx], Awaitable[None]] | None = None


def asynchronous(prefer: str) -> bool:
    """Whether a Prefer header (RFC 7240) asks for an answer before the file is read."""
    return _ASYNC.search(prefer) is not None


async def take_file(
    request: Request, caller: Caller, begin: Begin, once: Once, stored: Mapping[str, Any], file: Taking
) -> tuple[UUID, Response]:
    """Take the file of a request, and wait for its end as long as that is asked for; its import, and the answer that
    the idempotency key has. stored: its options, as JSON has them."""
    settings = settings_of(request)
    bytes_max, upload_s_max = settings.customer_import_bytes_max, settings.customer_import_upload_s_max
    exchange(request).allow(body_bytes_max=bytes_max, timeout_s=upload_s_max)
    exchange(request).count()  # one that says it is too large is not waited for
    import_id = uuid7()
    async with begin(caller.tenant_id) as tx:
        await tenant_of(request, tx, caller.tenant_id)
        if await imports.count_open(tx, caller.tenant_id) >= settings.customer_import_open_max:
            raise _too_many(settings.customer_import_open_max)
        await imports.begin(tx, caller.tenant_id, import_id, file.file_name, caller.user_id)
    try:
        pace = Pace(settings.customer_import_slow_s, settings.customer_import_bytes_per_s_min)
        received = await receive(request, begin, caller.tenant_id, import_id, pace)
        answer = await _take(begin, caller, once, import_id, received.digest, stored, file)
    except BaseException:
        await _drop(begin, caller.tenant_id, import_id)
        raise
    taken = UUID(orjson.loads(answer.body)["id"])
    if taken != import_id:
        await _drop(begin, caller.tenant_id, import_id)
    importer: Importer = request.app.state.importer
    # A workbook of 200 KiB may unpack to what takes seconds: that is left to a child of the worker.
    if received.size_bytes <= settings.customer_import_once_bytes and not received.is_workbook:
        await importer.drive(caller.tenant_id, taken, settings.customer_import_wait_s)
    elif not file.at_once:
        await importer.ended(caller.tenant_id, taken, settings.customer_import_answer_s)
    return taken, answer


async def _take(
    begin: Begin, caller: Caller, once: Once, import_id: UUID, digest: bytes, stored: Mapping[str, Any], file: Taking
) -> Response:
    async with begin(caller.tenant_id) as tx:

        async def make() -> tuple[int, Model]:
            if file.check is not None:
                await file.check(tx)
            if not await imports.uploaded(tx, caller.tenant_id, import_id, stored, preview=file.preview):
                raise conflict("import_given_up", "This upload was given up", "It took too long, or was cancelled.")
            await emit(tx, audit.record(caller, file.act, str(import_id)))
            return 202, Taken(id=import_id)

        return await once.answer(tx, caller, digest, make)


async def _drop(begin: Begin, tenant_id: UUID, import_id: UUID) -> None:
    async with begin(tenant_id) as tx:
        await imports.drop(tx, tenant_id, import_id)


def _too_many(most: int) -> Problem:
    detail = f"At most {most} imports of a business are under way at a time."
    return conflict("too_many_imports", "Too many imports are under way", detail, limit=most)
