"""Idempotency keys: the same key, route and body give the same answer and one effect.

For example, in a route with `once: Annotated[Once, idempotent]`:

    async def make() -> tuple[int, BaseModel]:
        return 201, await service.create(tx, body)

    return await once.answer(tx, caller, body, make)

The key is inserted first, in the request's own transaction: a second request with the same key waits for the first
one's end at the unique index. A key belongs to tenant and route (method and path template); the path's own ids, the
query and the body are what must not change.
"""

import json
import re
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Annotated, Any, Final, NamedTuple, NoReturn, Protocol
from uuid import UUID

from fastapi import Depends, Header, Request
from pydantic import BaseModel, WithJsonSchema
from starlette.responses import Response

from muster.kit import metrics
from muster.kit.edge import route_template
from muster.kit.pg import Database, Tx
from muster.kit.problems import MEDIA_TYPE, Problem, conflict, unprocessable
from muster.kit.repeat import repeat
from muster.kit.tokens import Caller

_KEY_CHARS_MAX: Final = 255
_KEY_WORDS: Final = f"1 to {_KEY_CHARS_MAX} visible ASCII characters"
_KEY: Final = re.compile("^[!-~]+$")
HEADER: Final = "Idempotency-Key"
KEY_SCHEMA: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": _KEY_CHARS_MAX,
    "pattern": _KEY.pattern,
    "description": _KEY_WORDS,
}
_FORGET_EVERY_S = 3_600
_FORGET_AT_ONCE = 10_000

Make = Callable[[], Awaitable[tuple[int, BaseModel | Mapping[str, Any]]]]

_CLAIM = """
INSERT INTO idempotency (tenant_id, route, key, body_hash) VALUES ($1, $2, $3, $4)
ON CONFLICT (tenant_id, route, key) DO NOTHING
RETURNING true
"""

_FIND = "SELECT body_hash, status, answer FROM idempotency WHERE tenant_id = $1 AND route = $2 AND key = $3"

_STORE = "UPDATE idempotency SET status = $4, answer = $5 WHERE tenant_id = $1 AND route = $2 AND key = $3"

_FIND_ALL = """
SELECT tenant_id, route, key, body_hash, status, answer FROM idempotency
WHERE (tenant_id, route, key) IN (SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[]))
"""

_STORE_ALL = """
INSERT INTO idempotency (tenant_id, route, key, body_hash, status, answer)
SELECT * FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::smallint[], $6::bytea[]) ORDER BY 1, 2, 3
ON CONFLICT (tenant_id, route, key) DO NOTHING
"""

# allow ordered-locks: one process at a time forgets, and what it forgets nobody else changes any more
_FORGET = """
DELETE FROM idempotency WHERE (tenant_id, route, key) IN (
    SELECT tenant_id, route, key FROM idempotency WHERE created_at < kit_now() - make_interval(hours => $1) LIMIT $2)
"""


_FORGET_ALONE = "SELECT pg_try_advisory_xact_lock(hashtextextended('idempotency.forget', 0))"


class Sealer(Protocol):
    """Encrypts stored answers."""

    def seal(self, plain: bytes) -> bytes:
        """What may be stored."""
        ...

    def open(self, sealed: bytes) -> bytes | None:
        """What was sealed; None where the key has changed since."""
        ...


class Claim(NamedTuple):
    """A key of one request of a group, and the digest of what must not change under it."""

    tenant_id: UUID
    route: str
    key: str
    digest: bytes

    @property
    def identity(self) -> tuple[UUID, str, str]:
        """What the key belongs to, with the key."""
        return self[:3]


class Stored(NamedTuple):
    """What was answered to a key before, and to what."""

    digest: bytes
    status: int
    answer: bytes


async def stored_answers(tx: Tx, claims: Sequence[Claim]) -> dict[tuple[UUID, str, str], Stored]:
    """Those of the keys that were answered before (worker)."""
    if not claims:
        return {}
    rows = await tx.fetch(_FIND_ALL, *_columns([claim.identity for claim in claims]))
    return {
        (row["tenant_id"], row["route"], row["key"]): Stored(row["body_hash"], row["status"], row["answer"])
        for row in rows
    }


async def store_answers(tx: Tx, answers: Sequence[tuple[Claim, int, bytes]]) -> bool:
    """Store what is answered to these keys (worker), which must differ; False where another transaction has answered
    one of them meanwhile. Then this one must be rolled back, and its keys looked up again."""
    if not answers:
        return True
    tag = await tx.execute(_STORE_ALL, *_columns([(*claim, status, answer) for claim, status, answer in answers]))
    return int(tag.rpartition(" ")[2]) == len(answers)


def replay(stored: Stored, digest: bytes) -> Response:
    """The stored answer, for the same request; Problem 409 for another one."""
    if stored.digest != digest:
        raise key_reused()
    metrics.idempotent_replays.inc()
    response = _response(stored.status, stored.answer)
    response.headers["Idempotent-Replayed"] = "true"
    return response


def key_reused() -> Problem:
    """409: the key came before, with another request."""
    metrics.idempotency_conflicts.inc()
    return conflict(
        "idempotency_key_reused", "This idempotency key was used before",
        "The same key came with another request. Use a new key for a new request.", field=HEADER,
    )  # fmt: skip


@dataclass(frozen=True, slots=True)
class Once:
    """The request's idempotency key, None where it has none, and what it belongs to."""

    key: str | None
    route: str
    target: bytes

    async def answer(
        self,
        tx: Tx,
        caller: Caller,
        body: BaseModel | bytes | None,
        make: Make,
        *,
        tenant_id: UUID | None = None,
        sealer: Sealer | None = None,
    ) -> Response:
        """The stored answer, or what `make` gives, stored in the same transaction.

        `body`: the model, or a digest of a body that was streamed. A Problem raised by `make` rolls all of it back;
        a refusal that is to be repeated is returned as (status, problem.document()). `tenant_id` where the
        transaction is not the caller's tenant's; `sealer` where the answer holds a secret that no dump may show.
        Problem 409 "idempotency_key_reused" for the same key with another body.
        """
        if self.key is None:
            return _response(*_rendered(*await make()))
        identity = (tenant_id or caller.tenant_id, self.route, self.key)
        digest = self._digest(body)
        if not await tx.fetchval(_CLAIM, *identity, digest):
            return await self._replay(tx, identity, digest, sealer)
        status, answer = _rendered(*await make())
        await tx.execute(_STORE, *identity, status, sealer.seal(answer) if sealer else answer)
        return _response(status, answer)

    def claim(self, tenant_id: UUID, body: BaseModel) -> Claim | None:
        """For a request that is answered among others (`store_answers`); None where it has no key."""
        return None if self.key is None else Claim(tenant_id, self.route, self.key, self._digest(body))

    async def _replay(self, tx: Tx, identity: tuple[UUID, str, str], digest: bytes, sealer: Sealer | None) -> Response:
        row = await tx.fetchrow(_FIND, *identity)
        assert row is not None, "a claimed key is there"
        same = bytes(row["body_hash"]) == digest
        answer = sealer.open(row["answer"]) if sealer and same else row["answer"]
        if answer is None:
            raise conflict("answer_not_readable", "The stored answer cannot be opened any more")
        return replay(Stored(row["body_hash"], row["status"], answer), digest)

    def _digest(self, body: BaseModel | bytes | None) -> bytes:
        raw = body if isinstance(body, bytes) else _canonical(body).encode("utf-8", "surrogatepass")
        return sha256(self.target + b"\n" + raw).digest()


_Key = WithJsonSchema(KEY_SCHEMA), Header(alias=HEADER)


async def _once(request: Request, key: Annotated[str | None, *_Key] = None) -> Once:
    check_key(key)
    target = f"{request.url.path}?{request.url.query}".encode()
    return Once(key, f"{request.method} {route_template(request.scope)}", target)


async def _once_at_least(request: Request, key: Annotated[str, *_Key]) -> Once:
    return await _once(request, key)


def check_key(key: str | None) -> None:
    """Problem 422 for a key that cannot be one."""
    if key is not None and not (len(key) <= _KEY_CHARS_MAX and _KEY.fullmatch(key)):
        raise unprocessable(HEADER, "not_valid", f"must be {_KEY_WORDS}")


idempotent: Any = Depends(_once)
"""`once: Annotated[Once, idempotent]`: honours an Idempotency-Key where there is one."""

idempotent_required: Any = Depends(_once_at_least)
"""The same, and 422 where there is none."""


async def forget_old_answers(db: Database, kept_h: int) -> NoReturn:
    """Delete stored answers older than `kept_h` hours, each hour, for ever: a supervised part of a process."""
    await repeat("idempotency.forget", _FORGET_EVERY_S, lambda: _forget(db, kept_h))


async def _forget(db: Database, kept_h: int) -> bool:
    """Delete some; whether there may be more."""
    async with db.worker() as tx:
        if not await tx.fetchval(_FORGET_ALONE):
            return False
        count = int((await tx.execute(_FORGET, kept_h, _FORGET_AT_ONCE)).rpartition(" ")[2])
    metrics.idempotency_forgotten.inc(count)
    return count == _FORGET_AT_ONCE


def _columns(rows: Sequence[Sequence[object]]) -> tuple[list[object], ...]:
    return tuple(map(list, zip(*rows, strict=True)))


def _rendered(status: int, content: BaseModel | Mapping[str, Any]) -> tuple[int, bytes]:
    if isinstance(content, BaseModel):
        return status, content.model_dump_json(by_alias=True).encode()
    return status, json.dumps(content, default=_plain, ensure_ascii=False, separators=(",", ":")).encode()


def _response(status: int, answer: bytes) -> Response:
    return Response(answer, status, media_type=MEDIA_TYPE if status >= 400 else "application/json")


def _canonical(body: BaseModel | None) -> str:
    return "" if body is None else json.dumps(body.model_dump(mode="json"), sort_keys=True)


def _plain(value: object) -> Any:
    return value.model_dump(mode="json", by_alias=True) if isinstance(value, BaseModel) else str(value)
