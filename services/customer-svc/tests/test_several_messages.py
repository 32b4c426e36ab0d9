"""`messages` of POST /v1/messages: each answered by itself, all committed at once, once for each idempotency key."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from functools import partial
from typing import Any

import httpx
import pytest
from fastapi import FastAPI
from gathering import SECRETS, gatherer_of

from muster.customer.domain.limits import Limits
from muster.customer.gatherer import Gatherer
from muster.customer.handlers import messages
from muster.customer.handlers.asks import Asked, Said, Several
from muster.kit import clock
from muster.kit.outbox import emit
from muster.kit.pg import Tx

GOOD = {"to": "0412000001", "text": "Your table is ready"}


def to(number: int, **members: Any) -> dict[str, Any]:
    return {**GOOD, "to": f"0412000{number:03}", **members}


async def send(salon: Any, asked: Sequence[Any], key: str = "", by: str = "admin") -> httpx.Response:
    headers = {"Idempotency_Key": key} if key else {}
    answer: httpx.Response = await salon.ask("POST", "/v1/messages", {"messages": list(asked)}, by=by, **headers)
    return answer


async def numbers_said(salon: Any) -> list[int]:
    return sorted(number for fact in await salon.said("BulkRecipientsAttached") for number in fact.message.number)


async def test_a_hundred_messages_of_a_request_are_one_send_in_their_order_with_an_id_and_a_text_each(
    salon: Any,
) -> None:
    answer = await send(salon, [to(n, text=f"Table {n} is ready") for n in range(100)])
    found = answer.json()
    assert (answer.status_code, found["accepted"], found["refused"]) == (202, 100, 0)
    assert [one["index"] for one in found["messages"]] == [*range(100)]
    [bulk_id] = {one["bulk_id"] for one in found["messages"]}
    [chunk] = [fact.message for fact in await salon.said("BulkRecipientsAttached")]
    told = dict(
        zip((f"{bulk_id}-{seq}" for seq in chunk.seq), zip(chunk.number, chunk.text_index, strict=True), strict=True)
    )
    for n, one in enumerate(found["messages"]):
        number, text = told[one["id"]]
        assert (number, chunk.text[text]) == (61412000000 + n, f"Table {n} is ready")


async def test_an_answer_to_one_of_several_is_the_answer_to_a_request_of_its_own_with_its_place(salon: Any) -> None:
    [several] = (await send(salon, [GOOD])).json()["messages"]
    alone = (await salon.ask("POST", "/v1/messages", GOOD)).json()
    own = ("id", "bulk_id", "send_by")
    assert {k: v for k, v in several.items() if k not in own} == {
        "index": 0,
        **{k: v for k, v in alone.items() if k not in own},
    }


async def test_each_that_cannot_go_is_refused_in_its_place_and_keeps_none_of_the_others_back(salon: Any) -> None:
    await salon.load("Ana,Smith,0412000091,no\n")
    assert (await salon.ask("POST", "/v1/suppressions", {"number": "0412000003", "scope": "all"})).status_code == 201
    answer = await send(
        salon,
        [
            to(0),
            to(1, to="12"),
            to(2, text=" "),
            to(3),
            {"text": "Hi"},
            {"text": "Hi", "customer_id": 4711},
            to(91, **{"class": "marketing"}),
            to(7, text="Hi\0"),
            to(8, send_by="2001-01-01T00:00:00Z"),
            to(9, kind="reminder", text=""),
            to(10),
        ],
    )
    assert answer.status_code == 207, answer.text
    found = answer.json()
    assert (found["accepted"], found["refused"]) == (2, 9)
    problems = {one["index"]: one["problem"] for one in found["messages"] if one["state"] == "refused"}
    assert problems.pop(5)["code"] == "not_found"
    assert {index: (one["errors"][0]["field"], one["errors"][0]["code"]) for index, one in problems.items()} == {
        1: ("messages.1.to", "invalid"),
        2: ("messages.2.text", "empty"),
        3: ("messages.3.to", "opted_out"),
        4: ("messages.4.to", "to_or_customer"),
        6: ("messages.6.to", "no_consent"),
        7: ("messages.7.text", "control_character"),
        8: ("messages.8.send_by", "past"),
        9: ("messages.9.text", "empty"),
    }
    assert await numbers_said(salon) == [61412000000, 61412000010]


async def test_where_every_one_is_refused_nothing_is_sent_and_the_same_key_may_come_again(salon: Any) -> None:
    suppression = (await salon.ask("POST", "/v1/suppressions", {"number": "0412000001", "scope": "all"})).json()
    first = await send(salon, [GOOD, {"text": "Hi"}], "k")
    assert (first.status_code, first.json()["accepted"], await salon.count("bulk")) == (207, 0, 0)
    none = await send(salon, [{"text": "Hi"}], "k2")
    assert (none.status_code, none.json()["refused"]) == (207, 1)
    lifted = await salon.ask("DELETE", f"/v1/suppressions/{suppression['id']}?reason=slip")
    assert lifted.status_code == 204, lifted.text
    again = await send(salon, [GOOD, {"text": "Hi"}], "k")
    assert (again.status_code, again.json()["accepted"]) == (207, 1)


async def test_the_same_key_sends_all_of_them_once_and_answers_the_same_also_what_was_refused(salon: Any) -> None:
    asked = [to(1), to(2, to="12"), to(3)]
    answers = await asyncio.gather(*(send(salon, asked, "same") for _ in range(5)))
    assert (await salon.ask("POST", "/v1/suppressions", {"number": "0412000003", "scope": "all"})).status_code == 201
    answers.append(await send(salon, asked, "same"))
    assert {answer.status_code for answer in answers} == {207}
    assert len({answer.content for answer in answers}) == 1
    assert [answer.headers.get("Idempotent-Replayed") for answer in answers].count("true") == 5
    assert await numbers_said(salon) == [61412000001, 61412000003]


async def test_a_key_that_came_with_other_messages_or_with_one_alone_is_refused(salon: Any) -> None:
    assert (await send(salon, [to(1), to(2)], "k")).status_code == 202
    for other in ([to(2), to(1)], [to(1)], [to(1), to(2), to(3)]):
        assert (await send(salon, other, "k")).json()["code"] == "idempotency_key_reused"
    assert (await salon.ask("POST", "/v1/messages", to(1), Idempotency_Key="k")).status_code == 409
    assert await numbers_said(salon) == [61412000001, 61412000002]


async def test_an_answer_is_given_again_after_the_time_of_its_messages_is_over(
    salon: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    soon = (clock.now() + timedelta(minutes=1)).isoformat()
    first = await send(salon, [to(1, send_by=soon)], "k")
    alone = await salon.ask("POST", "/v1/messages", to(2, send_by=soon), Idempotency_Key="k2")
    later = clock.now() + timedelta(hours=1)
    monkeypatch.setattr(clock, "now", lambda: later)
    again = await send(salon, [to(1, send_by=soon)], "k")
    assert (first.status_code, again.status_code, again.content) == (202, 202, first.content)
    assert (await salon.ask("POST", "/v1/messages", to(2, send_by=soon), Idempotency_Key="k2")).content == alone.content
    assert (await send(salon, [to(1, send_by=soon)])).json()["refused"] == 1


async def test_the_same_number_twice_is_texted_twice(salon: Any) -> None:
    answer = await send(salon, [to(1), to(1, text="And bring a friend")])
    assert answer.status_code == 202
    assert len({one["id"] for one in answer.json()["messages"]}) == 2
    assert await numbers_said(salon) == [61412000001] * 2


async def test_what_is_too_many_is_refused_from_where_it_is_too_many(salon: Any, app: FastAPI) -> None:
    limited = partial(messages.take, limits=Limits(range_hourly=2))
    app.state.gatherer = gatherer_of(salon.db, take=limited)
    answer = await send(salon, [to(n) for n in range(4)])
    found = answer.json()["messages"]
    assert [one["state"] for one in found] == ["waiting", "waiting", "refused", "refused"]
    assert {one["problem"]["status"] for one in found[2:]} == {429}
    assert found[3]["problem"]["errors"][0]["field"] == "messages.3.to"
    assert await numbers_said(salon) == [61412000000, 61412000001]


async def test_what_holds_for_the_whole_business_is_answered_once_for_the_request(salon: Any) -> None:
    assert (await send(salon, [GOOD, GOOD], by="stranger")).json()["code"] == "tenant_not_heard_of"
    async with salon.db.worker() as tx:
        await tx.execute("UPDATE tenant SET closed = true WHERE tenant_id = $1", salon.tenant_id)
    closed = await send(salon, [GOOD, GOOD])
    assert (closed.status_code, closed.json()["code"]) == (409, "tenant_closed")
    assert (await send(salon, [GOOD], by="staff")).status_code == 403


async def test_a_request_is_committed_whole_or_not_at_all(salon: Any, app: FastAPI) -> None:
    """One of its messages cannot be stored: nothing of it is, and those who came with it are not held back."""

    async def poisoned(tx: Tx, asked: Sequence[Asked], secrets: messages.Secrets) -> Any:
        answers = await messages.take(tx, asked, secrets)
        if any(ask.text == "poison" for one in asked for ask in one.asks):
            await emit(tx, None)  # type: ignore[arg-type]
        return answers

    app.state.gatherer = gatherer_of(salon.db, take=poisoned)
    whole, alone, broken = await asyncio.gather(
        send(salon, [to(1), to(2)], "a"),
        salon.ask("POST", "/v1/messages", to(3)),
        send(salon, [to(4), to(5, text="poison"), to(6)], "b"),
    )
    assert (whole.status_code, alone.status_code, broken.status_code) == (202, 202, 500)
    assert await numbers_said(salon) == [61412000001, 61412000002, 61412000003]
    assert await salon.count("idempotency") == 1


async def test_requests_gather_up_to_as_many_messages_as_a_transaction_takes(salon: Any) -> None:
    groups: list[int] = []

    async def counted(tx: Tx, asked: Sequence[Asked]) -> Any:
        groups.append(sum(len(one.asks) for one in asked))
        return await messages.take(tx, asked, SECRETS)

    gatherer = Gatherer(salon.db, counted, wait_ms=1, wait_ms_max=50, group_max=250, waiting_max=1_000)
    asked = [_several(salon, range(n * 100, n * 100 + 100)) for n in range(4)]
    await asyncio.gather(*(gatherer.ask(one) for one in asked))
    assert groups == [200, 200]


def _several(salon: Any, numbers: Sequence[int]) -> Any:
    asks = tuple(salon.asked(f"0412000{number:03}") for number in numbers)
    return Several(asks, None, lambda answers: Said(202, b"", len(answers)))


async def test_a_request_that_is_larger_than_what_may_wait_is_taken_where_nobody_waits(salon: Any) -> None:
    gatherer = gatherer_of(salon.db, waiting_max=3)
    first, second = await asyncio.gather(
        *(gatherer.ask(_several(salon, range(5))) for _ in range(2)), return_exceptions=True
    )
    assert (type(first).__name__, type(second).__name__) == ("Said", "DeskFull")


BAD: list[tuple[Any, str, str]] = [
    ([], "messages", "too_short"),
    ([GOOD] * 101, "messages", "too_long"),
    ([GOOD, {**GOOD, "when": 1}], "messages.1.when", "unknown_field"),
    ([GOOD, {"to": "0412000001"}], "messages.1.text", "missing"),
    ([{**GOOD, "to": 1}], "messages.0.to", "string_type"),
    ([{**GOOD, "messages": [GOOD]}], "messages.0.messages", "unknown_field"),
    ([GOOD, "0412000001"], "messages.1", "object_type"),
    ([{**GOOD, "text": "x" * 39_000}] * 11, "messages", "too_long"),
    (GOOD, "messages", "list_type"),
]


@pytest.mark.parametrize(("asked", "field", "code"), BAD)
async def test_a_request_that_cannot_be_read_is_refused_whole_and_names_the_message(
    salon: Any, asked: Any, field: str, code: str
) -> None:
    answer = await salon.ask("POST", "/v1/messages", {"messages": asked})
    assert answer.status_code == 422, answer.text
    [error] = answer.json()["errors"]
    assert (error["field"], error["code"]) == (field, code)
    assert await salon.count("bulk") == 0


@pytest.mark.parametrize("body", [b'{"text": "Hi", "messages": []}', b'{"\\u006dessages": [{"text": "Hi", "x": 1}]}'])
async def test_several_are_known_however_they_are_written(salon: Any, body: bytes) -> None:
    answer = await salon.ask("POST", "/v1/messages", body, Content_Type="application/json")
    assert answer.status_code == 422
    assert {error["field"].partition(".")[0] for error in answer.json()["errors"]} <= {"text", "messages"}
    written = b'{"\\u006dessages": [{"text": "Hi", "to": "0412000001"}]}'
    assert (await salon.ask("POST", "/v1/messages", written, Content_Type="application/json")).status_code == 202


async def test_half_a_surrogate_pair_is_the_fault_of_its_message_alone(salon: Any) -> None:
    body = b'{"messages": [{"to": "0412000001", "text": "Hi \\ud83d"}, {"to": "0412000002", "text": "Hi"}]}'
    answer = await salon.ask("POST", "/v1/messages", body, Content_Type="application/json")
    assert answer.status_code == 207, answer.text
    first, second = answer.json()["messages"]
    assert (first["problem"]["errors"][0]["field"], second["state"]) == ("messages.0.text", "waiting")
