"""POST /v1/messages: many at once in few transactions, each with its own answer, and none twice."""

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import Any

import asyncpg
import httpx
import pytest
from fastapi import FastAPI
from gathering import KEY, SECRETS, gatherer_of

from muster.customer.events import MessageKind
from muster.customer.handlers import messages
from muster.customer.handlers.asks import Asked, Said
from muster.kit import clock
from muster.kit.idempotency import Stored
from muster.kit.outbox import emit
from muster.kit.pg import Database, Tx

HI = {"text": "Your table is ready"}


class Counted:
    """A database that counts its transactions, and may lose the answer to a commit."""

    def __init__(self, db: Database) -> None:
        self.db = db
        self.transactions = 0
        self.lose_answer = False

    @asynccontextmanager
    async def worker(self) -> AsyncIterator[Tx]:
        self.transactions += 1
        async with self.db.worker() as tx:
            yield tx
        if self.lose_answer:
            self.lose_answer = False
            raise asyncpg.InterfaceError("connection was closed in the middle of operation")


@pytest.fixture
def counted(salon: Any, app: FastAPI) -> Counted:
    found = Counted(salon.db)
    app.state.gatherer = gatherer_of(found)  # type: ignore[arg-type]
    return found


async def send(
    salon: Any, to: str, key: str = "", by: str = "admin", traceparent: str = "", **members: Any
) -> httpx.Response:
    headers = {"Idempotency_Key": key} if key else {}
    headers |= {"traceparent": traceparent} if traceparent else {}
    return await salon.ask("POST", "/v1/messages", {**HI, "to": to, **members}, by=by, **headers)


async def chunks(salon: Any) -> list[Any]:
    return [fact.message for fact in await salon.said("BulkRecipientsAttached")]


async def test_a_hundred_messages_at_once_take_a_few_transactions_and_each_has_its_own_id(
    salon: Any, counted: Counted
) -> None:
    answers = await asyncio.gather(
        *(send(salon, f"0412 000 {n:03}", f"k{n}", text=f"Table {n} is ready") for n in range(100))
    )
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 100
    assert counted.transactions <= 10
    said = await chunks(salon)
    assert len(said) <= counted.transactions
    told = {number: chunk.text[index] for chunk in said for number, index in _texts(chunk)}
    assert told == {61412000000 + n: f"Table {n} is ready" for n in range(100)}


def _texts(chunk: Any) -> list[tuple[int, int]]:
    return list(zip(chunk.number, chunk.text_index or [0] * len(chunk.number), strict=True))


async def test_what_is_taken_together_is_one_record_for_each_business_and_one_chunk_for_each_road(
    salon: Any,
) -> None:
    asks = [
        *(salon.asked(f"0412000{n:03}") for n in range(3)),
        salon.asked("+64211234567"),
        salon.asked("07400123456", by="other"),
    ]
    async with salon.db.worker() as tx:
        taken = await messages.take(tx, asks, SECRETS)
    requested = {fact.tenant_id: fact.message for fact in await salon.said("BulkSmsRequested")}
    assert {tenant: (one.recipients, one.chunks, one.credits) for tenant, one in requested.items()} == {
        salon.tenant_id: (4, 2, 5),
        salon.other_id: (1, 1, 1),
    }
    told = [(chunk.country, list(chunk.seq), list(chunk.upto)) for chunk in await chunks(salon)]
    assert told == [("AU", [1, 2, 3], [1, 2, 3]), ("NZ", [4], [5]), ("GB", [1], [1])]
    ids = [json.loads(one.document)["id"] for one in taken if isinstance(one, Said)]
    assert [int(one.rpartition("-")[2]) for one in ids] == [1, 2, 3, 4, 1]
    assert len(await salon.said("ActRecorded")) == 2
    laws = (await salon.ask("GET", "/v1/ops/customer/laws", by="operator")).json()["laws"]
    assert [law["violation_count"] for law in laws] == [0, 0]


async def test_what_is_taken_together_goes_on_in_the_trace_of_its_own_business(salon: Any) -> None:
    first, second, other = (f"00-{trace:032x}-{1:016x}-01" for trace in (1, 2, 3))
    asks = [
        salon.asked("0412000001", traceparent=first),
        salon.asked("0412000002", traceparent=second),
        salon.asked("07400123456", by="other", traceparent=other),
    ]
    async with salon.db.worker() as tx:
        await messages.take(tx, asks, SECRETS)
        stored = await tx.fetch("SELECT tenant_id, traceparent FROM bulk ORDER BY traceparent")
        told = await tx.fetch("SELECT tenant_id, traceparent, count(*) FROM outbox GROUP BY 1, 2 ORDER BY traceparent")
    assert [tuple(row) for row in stored] == [(salon.tenant_id, first), (salon.other_id, other)]
    assert [tuple(row) for row in told] == [(salon.tenant_id, first, 3), (salon.other_id, other, 3)]
    answer = await send(salon, "0412000003", traceparent=second)
    sent = await salon.bulk(answer.json()["bulk_id"])
    assert sent["trace_id"] == answer.headers["X-Trace-Id"] == f"{2:032x}"


async def test_class_kind_time_and_person_keep_sends_apart_and_a_number_is_in_each_once(salon: Any) -> None:
    await salon.load("Ana,Smith,0412000001,yes\n")
    later = clock.now() + timedelta(hours=1)
    asks = [
        salon.asked("0412000001"),
        salon.asked("0412000001", text="And again"),
        salon.asked("0412000001", marketing=True),
        salon.asked("0412000001", kind=MessageKind.REMINDER),
        salon.asked("0412000001", send_by=later),
        salon.asked("0412000001", by="manager"),
    ]
    async with salon.db.worker() as tx:
        await messages.take(tx, asks, SECRETS)
    said = await chunks(salon)
    assert len({chunk.bulk_id for chunk in said}) == 6
    assert [len(chunk.number) for chunk in said] == [1] * 6
    assert sum(chunk.send_by_unix_ms == later.timestamp() * 1000 // 1 for chunk in said) == 1


async def test_where_credits_may_be_short_a_group_goes_as_far_as_they_do_and_one_alone_goes_whole_or_not(
    salon: Any,
) -> None:
    for asks in ([salon.asked("0412000001")], [salon.asked("0412000002"), salon.asked("0412000003")]):
        async with salon.db.worker() as tx:
            await messages.take(tx, asks, SECRETS)
    rules = [fact.message.partial for fact in await salon.said("BulkSmsRequested")]
    assert rules == [messages.Partial.NOTHING, messages.Partial.FIRST_N]


async def test_the_same_key_sends_once_however_often_and_at_once_it_comes(salon: Any, counted: Counted) -> None:
    answers = await asyncio.gather(*(send(salon, "0412000001", "same") for _ in range(20)))
    answers.append(await send(salon, "0412 000 001", "other"))
    answers.append(await send(salon, "0412000001", "same"))
    assert {answer.status_code for answer in answers} == {202}
    assert len({answer.json()["id"] for answer in answers}) == 2
    replayed = [answer.headers.get("Idempotent-Replayed") for answer in answers]
    assert replayed.count("true") == 20
    assert await salon.count("bulk") == 2


async def test_a_key_that_comes_with_another_message_is_refused_and_the_first_stands(
    salon: Any, counted: Counted
) -> None:
    answers = await asyncio.gather(*(send(salon, f"041200000{n}", "same") for n in range(5)))
    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409, 409]
    refused = next(answer for answer in answers if answer.status_code == 409)
    assert refused.json()["code"] == "idempotency_key_reused"
    assert await salon.count("bulk") == 1


async def test_a_key_belongs_to_its_business(salon: Any) -> None:
    ours = await send(salon, "+61412000001", "same")
    theirs = await send(salon, "+447400123456", "same", by="other")
    assert (ours.status_code, theirs.status_code) == (202, 202)
    assert ours.json()["id"] != theirs.json()["id"]


async def test_a_stored_answer_is_given_again_also_when_the_number_has_opted_out_since(salon: Any) -> None:
    first = await send(salon, "0412000001", "k")
    opted_out = {"number": "0412000001", "scope": "all"}
    assert (await salon.ask("POST", "/v1/suppressions", opted_out)).status_code == 201
    again = await send(salon, "0412000001", "k")
    assert (again.status_code, again.json()) == (202, first.json())
    new = await send(salon, "0412000001", "new")
    assert (new.status_code, new.json()["code"]) == (422, "opted_out")


async def test_a_process_that_dies_after_the_commit_has_sent_it_once_and_the_key_tells(
    salon: Any, counted: Counted
) -> None:
    counted.lose_answer = True
    lost = await send(salon, "0412000001", "k")
    assert lost.status_code == 503
    again = await send(salon, "0412000001", "k")
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (202, "true")
    assert len(await chunks(salon)) == 1


async def test_what_is_not_committed_is_not_answered_and_leaves_nothing(salon: Any, app: FastAPI) -> None:
    async def dies(tx: Tx, asks: Sequence[Asked], secrets: messages.Secrets) -> Any:
        await messages.take(tx, asks, secrets)
        raise ConnectionError

    app.state.gatherer = gatherer_of(salon.db, take=dies)
    assert (await send(salon, "0412000001", "k")).status_code == 503
    assert await salon.count("bulk") + await salon.count("outbox") + await salon.count("idempotency") == 0


async def test_one_message_that_cannot_be_stored_harms_no_other_of_its_group(salon: Any, app: FastAPI) -> None:
    async def poisoned(tx: Tx, asks: Sequence[Asked], secrets: messages.Secrets) -> Any:
        answers = await messages.take(tx, asks, secrets)
        if any(ask.text == "poison" for one in asks for ask in one.asks):
            await emit(tx, None)  # type: ignore[arg-type]
        return answers

    app.state.gatherer = gatherer_of(salon.db, take=poisoned)
    answers = await asyncio.gather(
        *(send(salon, f"04120000{n:02}", text="poison" if n == 13 else "Hi") for n in range(30))
    )
    assert [n for n, answer in enumerate(answers) if answer.status_code != 202] == [13]
    assert answers[13].status_code == 500
    assert sum(len(chunk.number) for chunk in await chunks(salon)) == 29


async def test_a_key_that_another_process_holds_keeps_nobody_else_waiting(
    salon: Any, app: FastAPI, service_database: Any
) -> None:
    impatient = await Database.connect(*service_database.dsns(salon.db, "customer"), lock_timeout_ms=50)
    app.state.gatherer = gatherer_of(impatient)
    holder = await asyncpg.connect(salon.admin_dsn)
    await holder.execute("BEGIN")
    await holder.execute(
        "INSERT INTO idempotency (tenant_id, route, key, body_hash) VALUES ($1, 'POST /v1/messages', 'held', '')",
        salon.tenant_id,
    )
    answers = await asyncio.gather(*(send(salon, f"041200000{n}", "held" if n == 4 else f"k{n}") for n in range(8)))
    assert [answer.status_code for answer in answers] == [202] * 4 + [503] + [202] * 3
    await holder.execute("ROLLBACK")
    await holder.close()
    assert (await send(salon, "0412000004", "held")).status_code == 202
    await impatient.close()


async def test_of_two_processes_with_the_same_key_at_once_one_sends_and_both_answer_the_same(
    salon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The second has looked for a stored answer before the first has committed one."""
    ask = salon.asked("0412000001", key="same")
    first = await gatherer_of(salon.db).ask(ask)
    looked = []

    async def looks_too_early(tx: Tx, claims: Any) -> Any:
        looked.append(claims)
        return {} if len(looked) == 1 else await found(tx, claims)

    found = messages.stored_answers
    monkeypatch.setattr(messages, "stored_answers", looks_too_early)
    second = await gatherer_of(salon.db).ask(ask)
    assert isinstance(first, Said)
    assert isinstance(second, Stored)
    assert (second.answer, len(looked)) == (first.document, 2)
    assert len(await chunks(salon)) == 1


async def test_more_than_may_wait_are_refused_and_may_come_again(salon: Any) -> None:
    gatherer = gatherer_of(salon.db, waiting_max=3)
    answers = await asyncio.gather(
        *(gatherer.ask(salon.asked(f"041200000{n}")) for n in range(5)), return_exceptions=True
    )
    assert [type(answer).__name__ for answer in answers] == ["Said"] * 3 + ["DeskFull"] * 2


async def test_long_texts_are_spread_over_groups_so_that_each_chunk_fits_into_a_record(salon: Any) -> None:
    gatherer = gatherer_of(salon.db)
    text = "€" * 16_000
    answers = await asyncio.gather(
        *(gatherer.ask(salon.asked(f"04120000{n:02}", text=f"{n} {text}")) for n in range(40))
    )
    assert all(isinstance(answer, Said) for answer in answers)
    assert [len(chunk.number) for chunk in await chunks(salon)] == [24, 16]


async def test_a_reminder_is_a_reminder_in_the_report(salon: Any) -> None:
    answer = await send(salon, "0412000001", kind="reminder")
    assert answer.status_code == 202, answer.text
    [requested] = await salon.said("BulkSmsRequested")
    [chunk] = await chunks(salon)
    assert requested.message.kind == chunk.kind == MessageKind.REMINDER
    assert (await salon.bulk(answer.json()["bulk_id"]))["kind"] == "reminder"


async def test_a_business_that_was_made_a_moment_ago_is_waited_for_and_a_closed_one_sends_nothing(
    salon: Any,
) -> None:
    assert (await send(salon, "+61412000001", by="stranger")).json()["code"] == "tenant_not_heard_of"
    async with salon.db.worker() as tx:
        await tx.execute("UPDATE tenant SET closed = true WHERE tenant_id = $1", salon.other_id)
    refused = await send(salon, "+447400123456", by="other")
    assert (refused.status_code, refused.json()["code"]) == (409, "tenant_closed")


async def test_staff_send_nothing(salon: Any) -> None:
    assert (await send(salon, "0412000001", by="staff")).status_code == 403
    assert (await send(salon, "0412000001", by="nobody")).status_code == 401


BAD = [
    (b'{"to": "0412000001"}', "text", "missing"),
    (b'{"to": "0412000001", "text": "Hi", "when": 1}', "when", "unknown_field"),
    (b'{"to": "0412000001", "text": "Hi", "kind": "bulk"}', "kind", "literal_error"),
    (b'{"to": 412000001, "text": "Hi"}', "to", "string_type"),
    (b'{"customer_id": 0, "text": "Hi"}', "customer_id", "greater_than_equal"),
    (b'{"customer_id": 99999999999999999999, "text": "Hi"}', "customer_id", "less_than_equal"),
    (b'{"to": "0412000001", "text": "Hi", "send_by": "tomorrow"}', "send_by", "value_error"),
    (b'{"to": "0412000001", "text": "Hi", "send_by": "2001-01-01T00:00:00Z"}', "send_by", "past"),
    (b'{"to": "0412000001", "text": "Hi\\u0000"}', "text", "control_character"),
    (b'{"to": "0412000001", "text": "Hi\\ud800"}', "text", "unpaired_surrogate"),
    (b'{"to": "0412000001", "text": "Hi"', "body", "malformed_json"),
    (b'{"to": "0412000001", "text": "\xff"}', "body", "malformed_json"),
    (b"[]", "body", "object_type"),
    (b"", "body", "missing"),
]


@pytest.mark.parametrize(("body", "field", "code"), BAD)
async def test_a_message_that_cannot_be_read_names_its_field(salon: Any, body: bytes, field: str, code: str) -> None:
    answer = await salon.ask("POST", "/v1/messages", body, Content_Type="application/json")
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert (error["field"], error["code"]) == (field, code)
    assert KEY not in answer.text
    assert await salon.count("bulk") == 0


async def test_what_is_not_said_to_be_json_is_refused_as_that(salon: Any) -> None:
    answer = await salon.ask("POST", "/v1/messages", b"to=0412000001", Content_Type="text/plain")
    assert answer.status_code == 415
