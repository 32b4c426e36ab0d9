"""A send by HTTP: the same claim, intent and record as by SMPP, against a real server on loopback."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from functools import partial

import dispatch_world as world
import http_world
import pytest
from dispatch_world import Send

from muster.events.v1 import common_pb2
from muster.kit.pg import Database
from muster.kit.testing import eventually
from muster.local.carrier.options import CarrierOptions
from muster.local.carrier.server import Carrier

ACCEPTED, UNKNOWN, REJECTED = common_pb2.LEFT_ACCEPTED, common_pb2.LEFT_UNKNOWN, common_pb2.LEFT_REJECTED
THREE_PARTS = "Our salon moves to the other side of the road. " * 7


@pytest.fixture
async def carrier() -> AsyncIterator[Carrier]:
    async with Carrier(CarrierOptions(http_port=0)) as server:
        yield server


async def test_a_send_goes_out_by_http_once_each_and_is_charged_by_part(db: Database, carrier: Carrier) -> None:
    send = Send(recipients=200, text=THREE_PARTS, chunk_size=100)
    await world.queue(db, send)

    async with world.sending(db, http_world.settings(carrier)):
        await eventually(partial(world.closed, db, send))

    assert await world.lefts(db, send) == {ACCEPTED: 200}
    assert Counter(carrier.stats.by_destination.values()) == {1: 200}
    assert {one["text"] for one in carrier.stats.last_messages(None, 200)} == {THREE_PARTS}
    assert await world.money(db, send) == (600, 600, 0, 0)
    await world.assert_laws(db)


async def test_a_message_of_more_parts_than_there_are_connections_goes_out(db: Database, carrier: Carrier) -> None:
    send = Send(recipients=5, text="a" * 153 * 20)
    await world.queue(db, send)

    async with world.sending(db, http_world.settings(carrier, window=1)):
        await eventually(partial(world.closed, db, send))

    assert await world.money(db, send) == (100, 100, 0, 0)
    assert carrier.stats.accepted == 5


async def test_what_the_carrier_refuses_is_released_with_its_status(db: Database, carrier: Carrier) -> None:
    send = Send(recipients=200, price=3)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, reject_ratio=0.2))

    async with world.sending(db, http_world.settings(carrier)):
        await eventually(partial(world.closed, db, send))

    left = await world.lefts(db, send)
    assert left[REJECTED] == carrier.stats.rejected > 10
    assert await world.money(db, send) == (600, left[ACCEPTED] * 3, left[REJECTED] * 3, 0)
    facts = await world.said(db, "SmsDispatched")
    assert {error for fact in facts for error, how in zip(fact.error, fact.left, strict=True) if how == REJECTED} == {
        400
    }
    await world.assert_laws(db)


async def test_a_carrier_that_is_too_busy_gets_everything_in_the_end_and_once(db: Database, carrier: Carrier) -> None:
    send = Send(recipients=100, text=THREE_PARTS)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, throttle_ratio=0.3))

    conf = http_world.settings(carrier, dispatch_retry_s_min=0.02, dispatch_retry_s_max=0.1)
    async with world.sending(db, conf):
        await eventually(partial(world.closed, db, send))

    assert carrier.stats.throttled > 10
    assert await world.lefts(db, send) == {ACCEPTED: 100}
    assert Counter(carrier.stats.by_destination.values()) == {1: 100}
    assert await world.money(db, send) == (300, 300, 0, 0)
    await world.assert_laws(db)


async def test_a_connection_that_is_cut_leaves_its_message_unknown_and_it_is_not_sent_again(
    db: Database, carrier: Carrier
) -> None:
    send = Send(recipients=100)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, disconnect_every=10))

    async with world.sending(db, http_world.settings(carrier)):
        await eventually(partial(all_said, db, send))

    assert carrier.stats.disconnects == 10
    assert await world.lefts(db, send) == {ACCEPTED: 90, UNKNOWN: 10}
    assert Counter(carrier.stats.by_destination.values()) == {1: 100}
    assert await world.money(db, send) == (100, 90, 0, 10)
    await world.assert_laws(db)


async def all_said(db: Database, send: Send) -> bool:
    return (await world.lefts(db, send)).total() == send.recipients


async def test_an_answer_that_does_not_come_in_time_leaves_its_message_unknown(db: Database, carrier: Carrier) -> None:
    send = Send(recipients=40)
    await world.queue(db, send)
    carrier.use(replace(carrier.options, response_loss=0.2))

    conf = http_world.settings(carrier, window=20, profile={"response_timeout_s": 1})
    async with world.sending(db, conf):
        await eventually(partial(all_said, db, send))

    left = await world.lefts(db, send)
    assert left[UNKNOWN] == carrier.stats.responses_lost > 0
    assert left[ACCEPTED] == 40 - left[UNKNOWN]
    assert Counter(carrier.stats.by_destination.values()) == {1: 40}
    await world.assert_laws(db)


async def answered_with(db: Database, answer: bytes, *, then_close: bool = False) -> tuple[Counter[int], list[bytes]]:
    """A send of one to a server that answers so: how it was left, and what was asked."""
    heads: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                await reader.readexactly(int(head.lower().partition(b"content-length: ")[2].split(b"\r")[0]))
                heads.append(head)
                writer.write(answer)
                await writer.drain()
                if then_close:
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    send = Send(recipients=1)
    await world.queue(db, send)
    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        async with Carrier(CarrierOptions(http_port=0)) as carrier:
            carrier.http_port = port
            async with world.sending(db, http_world.settings(carrier, window=1, profile={"response_timeout_s": 1})):
                await eventually(partial(all_said, db, send))
    await world.assert_laws(db)
    return await world.lefts(db, send), heads


def reply(body: bytes, *headers: bytes, status: bytes = b"202 Accepted") -> bytes:
    lines = [b"HTTP/1.1 " + status, b"Content-Length: %d" % len(body), *headers, b"", body]
    return b"\r\n".join(lines)


@pytest.mark.parametrize(
    ("answer", "then_close"),
    [
        (b"\x00\x01\x02 not http at all\r\n\r\n", False),
        (b"HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\n{}", False),
        (b"HTTP/1.1 202 Accepted\r\nContent-Length: 10\r\n\r\n{}", True),
        (b"HTTP/1.1 202 Accepted\r\nX: " + b"a" * 70_000, False),
        (reply(b'{"id": "' + b"a" * 70_000 + b'"}'), False),
        (reply(b'{"id": null}'), False),
        (reply(b"", status=b"502 Bad Gateway"), False),
        (reply(b"", status=b"503 Service Unavailable"), False),
        (b"HTTP/1.1 100 Continue\r\n\r\n", True),
        (b"", True),
    ],
)
async def test_an_answer_that_cannot_be_read_within_bounds_is_unknown_and_asked_for_once(
    db: Database, answer: bytes, then_close: bool
) -> None:
    left, heads = await answered_with(db, answer, then_close=then_close)
    assert left == {UNKNOWN: 1}
    assert len(heads) == 1


@pytest.mark.parametrize(
    ("answer", "then_close"),
    [
        (reply(b'{"id": "a-1"}'), False),
        (reply(b'{"id": "a-1"}', b"Connection: close"), True),
        (b'HTTP/1.1 202 Accepted\r\n\r\n{"id": "a-1"}', True),
        (b'HTTP/1.0 200 OK\r\n\r\n{"id": "a-1"}', True),
        (b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"id"\r\n8\r\n: "a-1"}\r\n0\r\n\r\n', False),
        (b"HTTP/1.1 103 Early Hints\r\n\r\n" + reply(b'{"id": "a-1"}'), False),
    ],
)
async def test_an_answer_may_have_any_form_that_http_has(db: Database, answer: bytes, then_close: bool) -> None:
    left, heads = await answered_with(db, answer, then_close=then_close)
    assert left == {ACCEPTED: 1}
    assert heads[0].startswith(b"POST /v1/messages HTTP/1.1\r\n")


async def test_a_redirect_is_not_followed(db: Database) -> None:
    followed = 0

    async def elsewhere(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal followed
        followed += 1
        writer.close()

    async with await asyncio.start_server(elsewhere, "127.0.0.1", 0) as other:
        location = b"Location: http://127.0.0.1:%d/" % other.sockets[0].getsockname()[1]
        send = asyncio.ensure_future(answered_with(db, reply(b"", location, status=b"307 Temporary Redirect")))
        done, _ = await asyncio.wait([send], timeout=2)
        assert not done, "it is asked again later, and not lost"
        send.cancel()
        await asyncio.gather(send, return_exceptions=True)
    assert followed == 0
