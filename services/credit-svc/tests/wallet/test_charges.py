"""Automatic top-ups against a provider that is a real HTTP server: one charge for each fall, through every crash."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import pytest

from muster.credit.payment.charger import Charger, pause_s
from muster.credit.payment.port import Became, Charge, HttpProvider, read
from muster.kit import clock
from muster.kit.testing import facts

World = Any


@dataclass
class Provider:
    """Takes money once for each Idempotency-Key, remembers it, and answers as it is told to."""

    answers: list[bytes] = field(default_factory=list)
    asked: list[dict[str, Any]] = field(default_factory=list)
    taken: dict[str, str] = field(default_factory=dict)
    url: str = ""

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = dict(line.lower().split(": ", 1) for line in head.splitlines()[1:] if ": " in line)
        body = json.loads(await reader.readexactly(int(headers["content-length"])))
        key = headers["idempotency-key"]
        self.asked.append({**body, "key": key, "authorization": headers.get("authorization")})
        answer = self.answers.pop(0) if self.answers else b""
        if b" 402 " not in answer:
            self.taken.setdefault(key, f"pay_{len(self.taken) + 1}")
        if answer != b"hang up":
            writer.write(answer or _http(200, {"status": "succeeded", "payment_id": self.taken[key]}))
            await writer.drain()
        writer.close()


def _http(status: int, body: Any) -> bytes:
    content = json.dumps(body).encode()
    return f"HTTP/1.1 {status} X\r\nContent-Length: {len(content)}\r\nConnection: close\r\n\r\n".encode() + content


@pytest.fixture
async def provider() -> AsyncIterator[Provider]:
    found = Provider()
    server = await asyncio.start_server(found.serve, "127.0.0.1", 0)
    found.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/charges"
    async with server:
        yield found


@pytest.fixture
async def port(provider: Provider) -> AsyncIterator[HttpProvider]:
    found = HttpProvider(provider.url, "secret-token", timeout_s=5)
    yield found
    await found.close()


def charger(world: World, port: HttpProvider | None, **limits: float) -> Charger:
    return Charger(world.db, port, **{"lease_s": 60, "given_up_h": 24, **limits})


async def wanted(world: World, **changes: Any) -> None:
    """100 credits, and 50 more for 500 cents each time they fall below 40."""
    await world.price(10)
    await world.top_up(world.tenant, 100)
    body = {"below": 40, "amount": 500, "currency": "EUR", "monthly_max": 1_000, **changes}
    answer = await world.ask("admin", "PATCH", "/settings", {"automatic_top_up": body})
    assert answer.status_code == 200, answer.text
    assert answer.json()["automatic_top_up"] == body


async def due_now(world: World) -> None:
    async with world.db.worker() as tx:
        await tx.execute("UPDATE charge SET due_at = kit_now()")


async def charges(world: World) -> list[tuple[str, str]]:
    return [(one["state"], one["reason"]) for one in (await world.ask("staff", "GET", "/charges")).json()["items"]]


async def failures(world: World) -> list[str]:
    async with world.db.worker() as tx:
        return [fact.message.reason for fact in await facts(tx, "AutomaticTopUpFailed")]


async def test_a_fall_below_the_threshold_is_charged_once_and_granted(
    world: World, provider: Provider, port: HttpProvider
) -> None:
    await wanted(world)
    await world.reserve(world.tenant, 70)
    await world.reserve(world.tenant, 5)

    await asyncio.gather(*(charger(world, port).charge_due() for _ in range(4)))

    assert [(one["amount"], one["currency"], one["authorization"]) for one in provider.asked] == [
        (500, "EUR", "bearer secret-token")
    ]
    assert provider.asked[0]["key"] == provider.asked[0]["charge_id"]
    assert await charges(world) == [("paid", "")]
    assert (await world.account(world.tenant)).available == 75
    assert await failures(world) == []
    await world.check()


async def test_each_fall_is_a_charge_up_to_the_months_maximum_and_then_it_is_told(
    world: World, provider: Provider, port: HttpProvider
) -> None:
    await wanted(world)
    for credits in (70, 50, 70, 1):  # of 100, 80, 80: 30, 30 and 10 are left, and the third is one too many
        await world.reserve(world.tenant, credits)
        await charger(world, port).charge_due()

    assert [one["amount"] for one in provider.asked] == [500, 500]
    assert await charges(world) == [("paid", ""), ("paid", "")]
    assert await failures(world) == ["monthly_maximum"]


async def test_an_answer_that_did_not_come_is_asked_for_again_with_the_same_key_and_taken_once(
    world: World, provider: Provider, port: HttpProvider
) -> None:
    await wanted(world)
    await world.reserve(world.tenant, 70)
    provider.answers += [b"hang up", _http(503, {}), _http(200, "?"), _http(200, {"status": "pending"})]

    for _ in range(5):
        await charger(world, port).charge_due()
        await due_now(world)

    assert len(provider.asked) == 5
    assert len({one["key"] for one in provider.asked}) == len(provider.taken) == 1
    assert await charges(world) == [("paid", "")]
    assert (await world.account(world.tenant)).available == 80


async def test_a_crash_after_the_money_was_taken_grants_it_at_the_next_attempt(
    world: World, provider: Provider, port: HttpProvider
) -> None:
    await wanted(world)
    await world.reserve(world.tenant, 70)

    class Crash(Exception):
        pass

    class Crashing:
        async def charge(self, charge: Any) -> Any:
            await port.charge(charge)
            raise Crash

    with pytest.raises(Crash):
        await Charger(world.db, Crashing(), lease_s=60, given_up_h=24).charge_due()
    assert (await world.account(world.tenant)).available == 30
    await charger(world, port).charge_due()
    assert len(provider.asked) == 1, "leased until the lease has ended"
    await due_now(world)
    await charger(world, port).charge_due()

    assert (len(provider.taken), await charges(world)) == (1, [("paid", "")])
    assert await world.entries(world.tenant) == [("top_up", 100), ("pending", 70), ("top_up", 50)]


async def test_a_refusal_is_told_once_and_not_tried_again(world: World, provider: Provider, port: HttpProvider) -> None:
    await wanted(world)
    await world.reserve(world.tenant, 70)
    provider.answers += [_http(402, {"status": "failed", "reason": "card declined\n"})]

    for _ in range(3):
        await charger(world, port).charge_due()
        await due_now(world)
        await world.reserve(world.tenant, 1)

    assert (len(provider.asked), await charges(world)) == (1, [("failed", "card declined?")])
    assert await failures(world) == ["card declined?"]


async def test_no_outcome_within_the_bound_is_a_failure_and_the_webhook_still_grants_what_was_taken(
    world: World, provider: Provider, port: HttpProvider
) -> None:
    await wanted(world)
    await world.reserve(world.tenant, 70)
    provider.answers += [_http(500, {})]
    await charger(world, port, given_up_h=0.0).charge_due()
    assert (await charges(world), await failures(world)) == ([("failed", "no_answer")], ["no_answer"])

    ids = {"tenant_id": str(world.tenant), "payment_id": "pay_1", "charge_id": provider.asked[0]["charge_id"]}
    data = {**ids, "amount": 500, "currency": "EUR"}
    await world.told({"type": "payment.succeeded", "timestamp": clock.now().isoformat(), "data": data})

    assert await charges(world) == [("paid", "")]
    assert (await world.account(world.tenant)).available == 80


async def test_the_webhook_and_the_answer_of_one_payment_grant_once(
    world: World, provider: Provider, port: HttpProvider
) -> None:
    await wanted(world)
    await world.reserve(world.tenant, 70)
    data = {"tenant_id": str(world.tenant), "payment_id": "pay_1", "amount": 500, "currency": "EUR"}
    body = {"type": "payment.succeeded", "timestamp": clock.now().isoformat(), "data": data}

    await asyncio.gather(world.told(body), charger(world, port).charge_due(), world.told(body))

    assert await charges(world) == [("paid", "")]
    assert (await world.account(world.tenant)).available == 80


async def test_a_failure_told_by_the_webhook_ends_the_charge_once(world: World) -> None:
    await wanted(world)
    await world.reserve(world.tenant, 70)
    charge = (await world.ask("staff", "GET", "/charges")).json()["items"][0]["id"]
    data = {"tenant_id": str(world.tenant), "charge_id": charge, "reason": "expired card"}
    body = {"type": "payment.failed", "timestamp": clock.now().isoformat(), "data": data}

    answers = [await world.told(body) for _ in range(2)]

    assert [answer.json()["outcome"] for answer in answers] == ["noted", "noted"]
    assert (await charges(world), await failures(world)) == ([("failed", "expired card")], ["expired card"])


async def test_without_a_provider_nothing_is_charged_and_it_is_told(world: World) -> None:
    await wanted(world)
    await world.reserve(world.tenant, 70)

    await charger(world, None).charge_due()

    assert (await charges(world), await failures(world)) == ([("failed", "no_provider")], ["no_provider"])


async def test_automatic_top_ups_that_cannot_work_are_refused_with_their_field(world: World) -> None:
    await world.price(10)
    right = {"below": 40, "amount": 500, "currency": "EUR", "monthly_max": 1_000}
    for change, field_ in (
        ({"monthly_max": 499}, "automatic_top_up.monthly_max"),
        ({"currency": "USD"}, "automatic_top_up.currency"),
        ({"amount": 9, "monthly_max": 9}, "automatic_top_up.amount"),
        ({"amount": "5.00"}, "automatic_top_up.amount"),
        ({"below": 0}, "automatic_top_up.below"),
    ):
        refused = await world.ask("admin", "PATCH", "/settings", {"automatic_top_up": {**right, **change}})
        assert (refused.status_code, refused.json()["errors"][0]["field"]) == (422, field_)
    assert (await world.ask("staff", "GET", "/settings")).json()["automatic_top_up"] is None


@pytest.mark.parametrize(
    ("status", "answer", "became"),
    [
        (200, b'{"status": "succeeded", "payment_id": "p"}', Became.PAID),
        (201, b'{"status": "succeeded", "payment_id": ""}', Became.OPEN),
        (200, b'{"status": "succeeded"}', Became.OPEN),
        (200, b'{"status": "failed", "reason": "no"}', Became.FAILED),
        (200, b"[" * 100_000, Became.OPEN),
        (200, b"\xff", Became.OPEN),
        (302, b"{}", Became.OPEN),
        (400, b"", Became.FAILED),
        (402, b"", Became.FAILED),
        (401, b"", Became.OPEN),
        (404, b"", Became.OPEN),
        (409, b"", Became.OPEN),
        (429, b"", Became.OPEN),
        (500, b'{"status": "succeeded", "payment_id": "p"}', Became.OPEN),
    ],
)
def test_only_what_is_certain_is_an_outcome(status: int, answer: bytes, became: Became) -> None:
    assert read(status, answer).became is became


def test_it_is_asked_for_later_and_later_and_never_later_than_ten_minutes() -> None:
    assert [pause_s(n) for n in (1, 2, 3, 20, 1_000)] == [2, 4, 8, 600, 600]


async def test_an_answer_that_drips_is_given_up_within_the_time_for_all_of_it() -> None:
    ended = asyncio.Event()

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        asked = asyncio.create_task(reader.read())  # until the one who asked hangs up
        while not asked.done():
            writer.write(b" ")
            await asyncio.wait([asked], timeout=0.02)
        await asyncio.gather(asked, return_exceptions=True)
        writer.close()
        ended.set()

    async with await asyncio.start_server(drip, "127.0.0.1", 0) as server:
        port = HttpProvider(f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/", "", timeout_s=0.2)
        outcome = await port.charge(Charge(uuid4(), uuid4(), 5, "EUR"))
        await port.close()
        await asyncio.wait_for(ended.wait(), 120)

    assert (outcome.became, outcome.reason) == (Became.OPEN, "TimeoutError")


async def test_success_and_failure_of_one_charge_told_at_once_end_it_as_paid(world: World) -> None:
    await wanted(world)
    await world.reserve(world.tenant, 70)
    charge = (await world.ask("staff", "GET", "/charges")).json()["items"][0]["id"]
    ids = {"tenant_id": str(world.tenant), "charge_id": charge}
    paid = {**ids, "payment_id": "pay_1", "amount": 500, "currency": "EUR"}
    at = clock.now().isoformat()

    answers = await world.at_once(
        *(world.told({"type": "payment.succeeded", "timestamp": at, "data": paid}) for _ in range(4)),
        *(world.told({"type": "payment.failed", "timestamp": at, "data": ids}) for _ in range(4)),
    )

    assert {answer.status_code for answer in answers} == {200}
    assert await charges(world) == [("paid", "")]
    assert (await world.account(world.tenant)).available == 80


async def test_a_reversal_by_the_operator_is_a_fall_too(world: World, provider: Provider, port: HttpProvider) -> None:
    await wanted(world)
    grant = await world.top_up(world.tenant, 10)
    await world.reserve(world.tenant, 70)
    body = {"tenant_id": str(world.tenant), "reason": "mistake"}

    await world.ask("op", "POST", f"/top-ups/{grant}/reversal", body)
    await charger(world, port).charge_due()

    assert (len(provider.taken), (await world.account(world.tenant)).available) == (1, 80)
