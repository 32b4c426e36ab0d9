"""The simulated carrier, as the product's own session sees it."""

import asyncio
import json
from collections import Counter
from typing import Any

import pytest

from muster.local.carrier import CarrierOptions
from muster.smpp import (
    Accepted,
    BindMode,
    BindRefused,
    Message,
    NotSent,
    NotSentReason,
    Outcome,
    ReceiptState,
    Rejected,
    Unknown,
    UnknownReason,
    read_concat,
)
from muster.text import Encoding, decode, encoding_of, split

from .conftest import TEMPLATE, Phonebook, Stager, messages

MIX = {
    "throttle_ratio": 0.2,
    "reject_ratio": 0.1,
    "response_loss": 0.1,
    "receipt_loss": 0.1,
    "receipt_duplicate": 0.1,
    "undelivered_ratio": 0.1,
}


async def test_each_message_is_accepted_counted_and_receipted_once(staged: Stager) -> None:
    stage, book = await staged(), Phonebook()
    session = await stage.connect(book)

    outcomes = await session.submit(messages(200))
    receipts = await book.receipts(200)

    ids = [outcome.carrier_id for outcome in outcomes if isinstance(outcome, Accepted)]
    assert len(set(ids)) == 200
    assert sorted(receipt.id for receipt in receipts) == sorted(ids)
    assert {receipt.state for receipt in receipts} == {ReceiptState.DELIVERED}
    await session.unbind()
    stats = await stage.stats()
    assert stats["accepted_by_destination"] == {f"+6141234{n:04d}": 1 for n in range(200)}
    expected = {"submits": 200, "accepted": 200, "responses": 200, "receipts_sent": 200, "receipts_acked": 200}
    assert {name: stats[name] for name in expected} == expected
    assert stats["duplicates"] == 0
    assert 0 < stats["t_first"] <= stats["t_last"]


async def test_binds_are_refused_while_it_is_told_to(staged: Stager) -> None:
    stage = await staged(bind_refused=1.0)
    with pytest.raises(BindRefused) as refusal:
        await stage.connect()
    assert refusal.value.status == 0x0D
    await stage.http.put("/faults", json={"bind_refused": 0.0})
    session = await stage.connect()
    assert session.bound


async def test_destinations_can_be_left_out_of_the_stats_and_reset_forgets(staged: Stager) -> None:
    stage = await staged()
    session = await stage.connect(Phonebook())
    await session.submit(messages(2))

    brief = (await stage.http.get("/stats?destinations=0")).json()
    await stage.http.post("/reset")
    stats = await stage.stats()

    assert "accepted_by_destination" not in brief
    assert brief["by_destination_total"] == 2
    assert (stats["accepted"], stats["accepted_by_destination"], stats["binds"]) == (0, {}, 1)


async def test_a_message_accepted_twice_is_a_duplicate_and_another_part_is_not(staged: Stager) -> None:
    stage = await staged()
    session = await stage.connect(Phonebook())
    part = Message(TEMPLATE, b"61412345678", b"\x05\x00\x03\x01\x02\x01same", 0, 0x40)

    await session.submit([part, part._replace(payload=b"\x05\x00\x03\x01\x02\x02same"), part])

    assert (await stage.stats())["duplicates"] == 1


@pytest.mark.parametrize(("system_id", "password", "status"), [("muster", "wrong", 0x0E), ("stranger", "secret", 0x0F)])
async def test_a_stranger_may_not_bind(staged: Stager, system_id: str, password: str, status: int) -> None:
    stage = await staged()

    with pytest.raises(BindRefused) as refusal:
        await stage.connect(system_id=system_id, password=password)

    assert refusal.value.status == status
    assert (await stage.stats())["binds_refused"] == 1


async def test_a_receiver_may_not_submit(staged: Stager) -> None:
    stage = await staged()
    session = await stage.connect(Phonebook(), mode=BindMode.RECEIVER)

    assert await session.submit(messages(1)) == [Rejected(0x04)]


async def _run(staged: Stager, **options: Any) -> tuple[list[Outcome], dict[str, Any]]:
    stage = await staged(**options)
    session = await stage.connect(Phonebook(), response_timeout_s=1.5)
    outcomes = await session.submit(messages(400))
    return outcomes, await stage.stats()


async def test_the_same_seed_gives_the_same_run_and_another_seed_another(staged: Stager) -> None:
    first, stats = await _run(staged, seed=7, **MIX)
    again, stats_again = await _run(staged, seed=7, **MIX)
    other, _ = await _run(staged, seed=8, **MIX)

    assert first == again
    assert first != other
    faults = ("throttled", "rejected", "responses_lost", "receipts_lost", "receipts_repeated")
    assert [stats[name] for name in faults] == [stats_again[name] for name in faults]
    assert all(stats[name] > 0 for name in faults)
    counts = Counter(map(type, first))
    assert (counts[NotSent], counts[Rejected], counts[Unknown]) == (
        stats["throttled"], stats["rejected"], stats["responses_lost"])  # fmt: skip


async def test_a_throttled_message_gets_through_in_the_end(staged: Stager) -> None:
    stage = await staged(throttle_ratio=0.5)
    session = await stage.connect(Phonebook())
    waiting, rounds = messages(100), 0

    while waiting and rounds < 100:
        outcomes = await session.submit(waiting)
        waiting = [message for message, outcome in zip(waiting, outcomes, strict=True) if isinstance(outcome, NotSent)]
        rounds += 1

    stats = await stage.stats()
    assert rounds > 1
    assert stats["throttled"] > 0
    assert set(stats["accepted_by_destination"].values()) == {1}
    assert stats["by_destination_total"] == 100


async def test_above_the_rate_limit_submits_are_throttled(staged: Stager) -> None:
    stage = await staged(rate_limit=50)
    session = await stage.connect(Phonebook())

    outcomes = await session.submit(messages(100))

    assert NotSent(NotSentReason.THROTTLED, 0x58) in outcomes
    assert any(isinstance(outcome, Accepted) for outcome in outcomes)


async def test_a_disconnect_in_a_full_window_makes_it_unknown_and_the_receipts_tell_what_was_taken(
    staged: Stager,
) -> None:
    stage, book = await staged(disconnect_every=40, receipt_delay_ms=100), Phonebook()
    session = await stage.connect(window=100)

    outcomes = await session.submit(messages(100))

    assert outcomes == [Unknown(UnknownReason.CONNECTION_LOST)] * 100
    stats = await stage.stats()
    assert (stats["accepted"], stats["disconnects"], stats["binds"]) == (40, 1, 0)
    await stage.connect(book)
    assert len({receipt.number for receipt in await book.receipts(40)}) == 40


async def test_everybody_can_be_disconnected_at_will(staged: Stager) -> None:
    stage = await staged()
    sessions = [await stage.connect() for _ in range(2)]

    answer = await stage.http.post("/disconnect")

    assert answer.json() == {"disconnected": 2}
    async with asyncio.timeout(120):
        assert [await session.closed for session in sessions] == ["connection lost"] * 2


async def test_a_paused_carrier_takes_and_does_not_answer_until_resumed(staged: Stager) -> None:
    stage, book = await staged(), Phonebook()
    session = await stage.connect(book)
    await stage.http.post("/pause")
    sending = asyncio.create_task(session.submit(messages(3)))
    async with asyncio.timeout(120):
        while (await stage.stats())["accepted"] < 3:
            pass  # each turn is a request to the control port
    assert not sending.done()
    assert book.heard == []

    await stage.http.post("/resume")

    assert len(await sending) == 3
    assert len(await book.receipts(3)) == 3


async def test_a_lost_response_times_out_and_leaks_no_slot(staged: Stager) -> None:
    stage = await staged(response_loss=1.0)
    session = await stage.connect(window=5, response_timeout_s=0.05)

    for _ in range(3):
        assert await session.submit(messages(5)) == [Unknown(UnknownReason.TIMEOUT)] * 5

    assert session.free_slots == 5


async def test_a_guard_that_says_no_leaves_no_trace_at_the_carrier(staged: Stager) -> None:
    stage = await staged()
    session = await stage.connect()

    await session.submit(messages(10), guard=lambda: False)
    await session.unbind()

    assert (await stage.stats())["submits"] == 0


@pytest.mark.parametrize("options", [{}, {"reference_bits": 16}, {"reversed": True}, {"parts": False}])
@pytest.mark.parametrize("text", ["STOP", "tschüß " * 60, "好的 👍 " * 40])
async def test_an_inbound_text_arrives_in_its_parts(staged: Stager, text: str, options: dict[str, Any]) -> None:
    stage, book = await staged(), Phonebook()
    await stage.connect(book)
    values = {"from": "+61412345678", "to": "+61400000000", "text": text, **options}

    answer = await stage.http.post("/inbound", json=values)

    parts = [read_concat(deliver) for deliver in book.heard]
    parts.sort(key=lambda part: part[0].number if part[0] else 0)
    octets = b"".join(octets for _, octets in parts)
    assert answer.json() == {"delivered": True, "status": 0, "parts": len(book.heard)}
    assert decode(octets, book.heard[0].data_coding) == text
    assert {(deliver.source, deliver.destination) for deliver in book.heard} == {("61412345678", "61400000000")}


async def test_an_inbound_text_that_is_not_taken_says_so(staged: Stager) -> None:
    stage, book = await staged(), Phonebook()
    values = {"from": "+61412345678", "to": "80808", "text": "STOP"}
    nobody = await stage.http.post("/inbound", json=values)
    book.fails = 1
    await stage.connect(book)

    refused = await stage.http.post("/inbound", json=values)

    assert nobody.status_code == 503
    assert refused.json() == {"delivered": False, "status": 0x64, "parts": 1}


async def test_accepted_texts_can_be_read_back_with_parts_joined(staged: Stager) -> None:
    stage = await staged()
    session = await stage.connect(Phonebook())
    long = "Grüße aus Wien 👋 " * 20
    coding = 8 if encoding_of(long) is Encoding.UCS2 else 0
    parts = split(long, 8)
    heads = [bytes((5, 0, 3, 9, len(parts), n + 1)) for n in range(len(parts))]
    sent = [
        Message(TEMPLATE, b"61412345678", head + part, coding, 0x40) for head, part in zip(heads, parts, strict=True)
    ]

    await session.submit([*sent, *messages(2)])
    await session.submit(
        [Message(TEMPLATE, b"61412345678", heads[0][:3] + b"\x0a" + heads[0][4:] + parts[0], coding, 0x40)]
    )
    found = (await stage.http.get("/messages", params={"destination": "+61412345678"})).json()
    last = (await stage.http.get("/messages?limit=1")).json()

    assert [(message["text"], message["parts"], message["parts_seen"]) for message in found] == [
        (long, len(parts), len(parts)),
        (decode(parts[0], coding) + "[…]", len(parts), 1),
    ]
    assert len(last) == 1


@pytest.mark.parametrize(
    ("method", "path", "body", "field"),
    [
        ("PUT", "/faults", b'{"throttle_ratio": 2}', "throttle_ratio"),
        ("PUT", "/faults", b'{"throttle_ratio": true}', "throttle_ratio"),
        ("PUT", "/faults", b'{"disconnect_every": 1.5}', "disconnect_every"),
        ("PUT", "/faults", b'{"receipt_delay_ms": -1}', "receipt_delay_ms"),
        ("PUT", "/faults", b'{"reject_ratio": 0.7, "expired_ratio": 0.7}', "reject_ratio"),
        ("PUT", "/faults", b'{"seed": 2}', "seed"),
        ("PUT", "/faults", b'{"id_format": "octal"}', "id_format"),
        ("PUT", "/faults", b'{"rate_limit": "x"}', "rate_limit"),
        ("PUT", "/faults", b'{"rate_limit": NaN}', "rate_limit"),
        ("PUT", "/faults", b"[]", None),
        ("PUT", "/faults", b"{", None),
        ("POST", "/inbound", b"{}", "from"),
        ("POST", "/inbound", b'{"from": "+1", "to": "+2", "text": ""}', "text"),
        ("POST", "/inbound", b'{"from": "+1", "to": 2, "text": "hi"}', "to"),
        ("POST", "/inbound", '{"from": "ÜÜ", "to": "+2", "text": "hi"}'.encode(), "from"),
        ("GET", "/messages?limit=x", b"", "limit"),
        ("GET", "/messages?limit=0", b"", "limit"),
    ],
)
async def test_wrong_requests_are_told_which_field_is_wrong_and_change_nothing(
    staged: Stager, method: str, path: str, body: bytes, field: str | None
) -> None:
    stage = await staged()
    before = (await stage.http.get("/faults")).json()

    answer = await stage.http.request(method, path, content=body)

    assert answer.status_code == 400
    assert answer.json()["error"]
    assert answer.json().get("field") == field
    assert (await stage.http.get("/faults")).json() == before


async def test_a_route_that_is_none_is_told_those_there_are(staged: Stager) -> None:
    stage = await staged()

    answer = await stage.http.get("/nothing")

    assert answer.status_code == 404
    assert "GET /stats" in answer.json()["routes"]


async def test_the_control_port_survives_what_is_not_http(staged: Stager) -> None:
    stage = await staged()
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.carrier.control_port)
    writer.write(b"nonsense\r\n\r\n")

    answer = await reader.read()

    assert b" 400 " in answer
    writer.close()
    assert (await stage.http.get("/faults")).json()["throttle_ratio"] == 0


async def test_garbage_on_the_smpp_port_closes_that_connection_only(staged: Stager) -> None:
    stage = await staged()
    session = await stage.connect(Phonebook())
    reader, writer = await asyncio.open_connection("127.0.0.1", stage.carrier.port)
    writer.write(b"\xff" * 64)

    assert await reader.read() == b""

    writer.close()
    assert len(await session.submit(messages(1))) == 1


def test_options_are_plain_values_and_hide_the_password() -> None:
    assert "hunter2" not in repr(CarrierOptions(password="hunter2"))
    assert json.dumps(CarrierOptions().seed) == "1"
