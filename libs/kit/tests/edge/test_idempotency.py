"""Idempotency keys on a real database: one effect, one answer, however often and however many at once."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from typing import Annotated, Any
from uuid import UUID

import httpx
import pytest
from fastapi import APIRouter, Response

from muster.kit.auth import Caller, Permission, Tx, Verifier, requires, tenant_tx
from muster.kit.http import Model
from muster.kit.idempotency import Once, _forget, idempotent, idempotent_required
from muster.kit.pg import Database
from muster.kit.problems import conflict
from muster.kit.settings import ServiceSettings

Member = Annotated[Caller, requires(Permission.KEEP_CUSTOMERS)]


class Thing(Model):
    name: str
    size: int = 1


MIGRATION = """
CREATE TABLE thing (tenant_id uuid NOT NULL, id bigint GENERATED ALWAYS AS IDENTITY, name text NOT NULL,
                    PRIMARY KEY (tenant_id, id));
CALL kit_tenant_table('thing', worker => true);
"""


def routes() -> APIRouter:
    router = APIRouter()

    async def add(tx: Tx, caller: Caller, body: Thing) -> tuple[int, dict[str, Any]]:
        sql = "INSERT INTO thing (tenant_id, name) VALUES ($1, $2) RETURNING id"
        number = await tx.fetchval(sql, caller.tenant_id, body.name)
        if body.name == "refused":
            raise conflict("refused", "No")
        if body.name == "noted":
            return 409, conflict("noted", "No").document()
        await asyncio.sleep(0.05)  # the others arrive meanwhile
        return 201, {"id": number, "name": body.name}

    @router.post("/things")
    async def things(
        body: Thing, caller: Member, tx: Annotated[Tx, tenant_tx], once: Annotated[Once, idempotent]
    ) -> Response:
        return await once.answer(tx, caller, body, lambda: add(tx, caller, body))

    @router.post("/things/{thing_id}/copies")
    async def copies(
        thing_id: int,
        body: Thing,
        caller: Member,
        x: int = 0,
        *,
        tx: Annotated[Tx, tenant_tx],
        once: Annotated[Once, idempotent],
    ) -> Response:
        return await once.answer(tx, caller, body, lambda: add(tx, caller, body))

    @router.post("/must")
    async def must(
        body: Thing, caller: Member, tx: Annotated[Tx, tenant_tx], once: Annotated[Once, idempotent_required]
    ) -> Response:
        return await once.answer(tx, caller, b"digest", lambda: add(tx, caller, body))

    return router


class Api:
    """The app, and what is done just before the head of each answer leaves it."""

    def __init__(self, client: httpx.AsyncClient, db: Database, issuer: Any) -> None:
        self.client, self.db, self.issuer = client, db, issuer
        self.before_answer: Callable[[], Awaitable[None]] | None = None
        transport: Any = client._transport
        self._app, transport.app = transport.app, self._watched

    async def _watched(self, scope: Any, receive: Any, send: Any) -> None:
        async def watched(message: Any) -> None:
            if message["type"] == "http.response.start" and self.before_answer is not None:
                await self.before_answer()
            await send(message)

        await self._app(scope, receive, watched)

    async def post(self, path: str, body: dict[str, Any], key: str | None = None, tenant: int = 1) -> httpx.Response:
        token = self.issuer.token(tenant=str(UUID(int=tenant)))
        headers = {"Authorization": f"Bearer {token}"} | ({"Idempotency-Key": key} if key is not None else {})
        return await self.client.post(path, json=body, headers=headers)

    async def things(self) -> int:
        async with self.db.worker() as tx:
            count: int = await tx.fetchval("SELECT count(*) FROM thing")
        return count


@pytest.fixture
async def api(
    service_database: Callable[..., Awaitable[Database]],
    client_of: Callable[..., httpx.AsyncClient],
    issuer: Any,
    tmp_path: Any,
) -> Api:
    (tmp_path / "0001_thing.sql").write_text(MIGRATION)
    db = await service_database("kit_edge", files=tmp_path)
    verifier = Verifier.of(ServiceSettings(), fetch=issuer.fetch)
    return Api(client_of(routes(), db=db, verifier=verifier), db, issuer)


async def test_a_repeated_request_gets_the_same_answer_and_has_one_effect(api: Api) -> None:
    first = await api.post("/things", {"name": "a"}, "k")
    again = await api.post("/things", {"name": "a"}, "k")
    same_meaning = await api.post("/things", {"size": 1, "name": "a"}, "k")
    assert (first.status_code, again.status_code) == (201, 201)
    assert again.content == same_meaning.content == first.content
    assert "idempotent-replayed" not in first.headers
    assert again.headers["idempotent-replayed"] == "true"
    assert await api.things() == 1


async def test_many_at_once_have_one_effect(api: Api) -> None:
    answers = await asyncio.gather(*(api.post("/things", {"name": "a"}, "k") for _ in range(6)))
    assert {(answer.status_code, answer.text) for answer in answers} == {(201, answers[0].text)}
    assert sum("idempotent-replayed" not in answer.headers for answer in answers) == 1
    assert await api.things() == 1


async def test_what_an_answer_says_is_committed_before_it_leaves(api: Api) -> None:
    """FastAPI ends a `yield` dependency after the answer has left, unless its scope is the function."""
    seen: list[int] = []

    async def look() -> None:
        seen.append(await api.things())

    api.before_answer = look
    assert (await api.post("/things", {"name": "a"})).status_code == 201
    assert seen == [1]


async def test_an_answer_that_was_lost_after_the_commit_is_there_for_the_retry(api: Api) -> None:
    """Fault 2: the process or the connection ends between commit and answer."""

    async def gone() -> None:
        raise ConnectionResetError("gone")

    api.before_answer = gone
    with pytest.raises(ConnectionError):
        await api.post("/things", {"name": "a"}, "k")
    api.before_answer = None

    again = await api.post("/things", {"name": "a"}, "k")
    assert (again.status_code, again.json()["name"], again.headers["idempotent-replayed"]) == (201, "a", "true")
    assert await api.things() == 1


async def test_a_request_that_is_cancelled_anywhere_has_one_effect_once_it_is_repeated(api: Api) -> None:
    """Cancelling is not rolling back: some of these have committed, and nobody but the key can tell which."""
    chance, cancelled, replayed = random.Random(3), 0, 0

    async def cancel() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()

    for number in range(30):
        api.before_answer = cancel if number < 3 else None
        asked = asyncio.create_task(api.post("/things", {"name": "a"}, f"k{number}"))
        if number >= 3:
            await asyncio.sleep(chance.uniform(0.03, 0.1))
            asked.cancel()
        (outcome,) = await asyncio.gather(asked, return_exceptions=True)
        cancelled += isinstance(outcome, asyncio.CancelledError)
        api.before_answer = None
        again = await api.post("/things", {"name": "a"}, f"k{number}")
        assert again.status_code == 201
        replayed += again.headers.get("idempotent-replayed") == "true"

    assert await api.things() == 30
    assert cancelled >= 3
    assert replayed >= 3


async def test_another_request_with_the_same_key_is_refused(api: Api) -> None:
    await api.post("/things/1/copies", {"name": "a"}, "k")
    for path, body in [
        ("/things/1/copies", {"name": "b"}),
        ("/things/2/copies", {"name": "a"}),
        ("/things/1/copies?x=1", {"name": "a"}),
    ]:
        answer = await api.post(path, body, "k")
        assert (answer.status_code, answer.json()["code"]) == (409, "idempotency_key_reused")
    assert await api.things() == 1


async def test_a_key_belongs_to_tenant_and_route(api: Api) -> None:
    answers = [
        await api.post("/things", {"name": "a"}, "k"),
        await api.post("/things", {"name": "b"}, "k", tenant=2),
        await api.post("/must", {"name": "c"}, "k"),
    ]
    assert [answer.status_code for answer in answers] == [201, 201, 201]


async def test_without_a_key_each_request_counts(api: Api) -> None:
    await api.post("/things", {"name": "a"})
    await api.post("/things", {"name": "a"})
    assert await api.things() == 2
    missing = await api.post("/must", {"name": "a"})
    assert (missing.status_code, missing.json()["errors"][0]["field"]) == (422, "Idempotency-Key")


@pytest.mark.parametrize("key", ["", " ", "a b", "k" * 256, "\x7f"])
async def test_a_key_that_is_none_is_refused(api: Api, key: str) -> None:
    answer = await api.post("/things", {"name": "a"}, key)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "Idempotency-Key")
    assert await api.things() == 0


async def test_a_problem_leaves_no_trace_and_the_key_is_free(api: Api) -> None:
    assert (await api.post("/things", {"name": "refused"}, "k")).status_code == 409
    assert await api.things() == 0
    assert (await api.post("/things", {"name": "a"}, "k")).status_code == 201


async def test_a_refusal_that_is_an_answer_is_repeated(api: Api) -> None:
    first = await api.post("/things", {"name": "noted"}, "k")
    again = await api.post("/things", {"name": "noted"}, "k")
    assert (again.status_code, again.json()) == (409, first.json())
    assert again.headers["content-type"] == "application/problem+json"
    assert again.headers["idempotent-replayed"] == "true"


async def test_old_answers_are_forgotten_and_young_ones_kept(api: Api) -> None:
    async def asked() -> str | None:
        return (await api.post("/things", {"name": "a"}, "k")).headers.get("idempotent-replayed")

    assert await asked() is None
    assert not await _forget(api.db, 24)
    assert await asked() == "true"
    assert not await _forget(api.db, 0)
    assert await asked() is None


async def test_what_cannot_be_stored_is_422_that_names_the_field_and_rolled_back(api: Api) -> None:
    for name in ("a\x00b", "\ud800"):
        headers = {"Authorization": f"Bearer {api.issuer.token()}", "Content-Type": "application/json"}
        content = b'{"name": "%s"}' % name.encode("unicode-escape").replace(b"\\x00", b"\\u0000")
        answer = await api.client.post("/things", content=content, headers=headers)
        assert answer.status_code == 422
        assert [error["field"] for error in answer.json()["errors"]] == ["name"]
    assert await api.things() == 0
