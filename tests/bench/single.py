"""BENCH=single: single messages, each a request of its own or so many a request, over some connections at once.

Every connection has one request under way, as who sends codes or reminders has. What is told: CPU of everything for
each message, from the first request to the last row of the report with its receipt; how fast they leave; how long a
request takes, and how long a message takes from its request to the wire (to the intent that is committed just before it
is written, the last one of all that were taken with it).
"""

import asyncio
import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, cast
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import httpx
import uvloop

from bench.cpu import cpu_s, less
from bench.send import CPU_OF, END_WAIT_S, LAWS_WAIT_S, LOOK_S, STILL_MAX_S, WORLD, NotEnded, carrier_of
from muster.client import Connection, Muster
from muster.client.commands.laws import settled_laws
from muster.local.stack import Stack

TEXT: Final = "Hello from the bench, this is a single segment text message with about one hundred characters in it, ok"
WARM_UP: Final = 2_000
ACCEPTED: Final = 202
_REPORTED: Final = "SELECT count(*) FROM message WHERE ended >= 11"
_INTENTS: Final = """
SELECT a.bulk_id::text, max((i->>1)::float8) AS at
FROM attempt a CROSS JOIN jsonb_array_elements(a.intents) AS i GROUP BY 1
"""


@dataclass(slots=True)
class Load:
    """Messages that are still to be asked for, and what became of the requests for those that were: when each was asked
    and answered (monotonic s), when it was asked by the clock on the wall, and the answer."""

    host: str
    head: bytes
    first: int
    count: int
    per_request: int = 1
    issued: int = 0
    answers: list[tuple[float, float, float, bytes]] = field(default_factory=list)
    wrong: bytes = b""

    def next(self) -> bytes:
        """The octets of the next request; none where all were asked for."""
        if self.issued >= self.count or self.wrong:
            return b""
        number = self.first + self.issued
        some = min(self.per_request, self.count - self.issued)
        self.issued += some
        each = [b'{"to":"+614%08d","text":"%s"}' % (number + n, TEXT.encode()) for n in range(some)]
        body = each[0] if self.per_request == 1 else b'{"messages":[%b]}' % b",".join(each)
        return b"%sIdempotency-Key: bench-%d\r\nContent-Length: %d\r\n\r\n%s" % (self.head, number, len(body), body)


class _Caller(asyncio.Protocol):
    """One connection: a request, its answer, the next request."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._transport: asyncio.Transport | None = None
        self._seen = b""
        self._asked = (0.0, 0.0)
        self.over: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)  # uvloop's is one by what it does alone
        self._ask()

    def data_received(self, data: bytes) -> None:
        self._seen += data
        head, found, body = self._seen.partition(b"\r\n\r\n")
        if not found or len(body) < _length(head):
            return
        self._seen = b""
        if int(head[9:12]) != ACCEPTED:
            self._load.wrong = head[:40] + b" " + body[:300]
        self._load.answers.append((*self._asked, time.monotonic(), body))
        self._ask()

    def connection_lost(self, error: Exception | None) -> None:
        if not self.over.done():
            self._load.wrong = self._load.wrong or b"a connection was lost: %r" % (error,)
            self.over.set_result(None)

    def _ask(self) -> None:
        assert self._transport is not None
        request = self._load.next()
        if not request:
            self.over.set_result(None)
            self._transport.close()
            return
        self._asked = time.monotonic(), time.time()
        self._transport.write(request)


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        if line.startswith(b"content-length:"):
            return int(line[15:])
    raise NotEnded(f"an answer has no length: {head!r}")


async def _loaded(load: Load, connections: int) -> None:
    address = urlsplit(load.host)
    loop = asyncio.get_running_loop()
    made = [
        await loop.create_connection(lambda: _Caller(load), address.hostname, address.port) for _ in range(connections)
    ]
    async with asyncio.timeout(END_WAIT_S):
        await asyncio.gather(*(caller.over for _, caller in made))
    if load.wrong:
        raise NotEnded(f"a message was not taken: {load.wrong.decode(errors='replace')}")


def measure(stack: Stack, messages: int, connections: int, per_request: int) -> dict[str, Any]:
    """Send a few to warm up, then measure so many from the first request to the last receipt in the report."""
    run = stack.run
    carrier = carrier_of(run)
    who, tenant = run["operator"], run["tenants"][0]
    with Muster(Connection(run["url"], who["client_id"], who["client_secret"])) as operator:
        operator.top_up(tenant["id"], 2 * (messages + WARM_UP), reason="bench", reference=f"bench-{time.time_ns()}")
        _granted(run, tenant)
        head = _head(run, tenant)
        _send(run, Load(run["url"], head, 10_000_000, WARM_UP, per_request), connections, reported=0)
        load = Load(run["url"], head, 20_000_000, messages, per_request)
        carrier.reset()
        (whole, each), started = cpu_s(run["processes"], WORLD), time.time()
        _send(run, load, connections, reported=WARM_UP)
        ended, (whole_after, each_after) = time.time(), cpu_s(run["processes"], WORLD)
        laws = settled_laws(operator, LAWS_WAIT_S)
    submits = carrier.seen("").submits
    return result(load, asyncio.run(_intents(run["postgres"])), connections, (started, ended), whole_after - whole) | {
        "submits": submits,
        "split_us": {name: round(s * 1e6 / messages, 1) for name, s in less(each_after, each).items()},
        "laws": {law.name: law.violation_count for law in laws},
        "laws_checked": {law.name: law.checked for law in laws},
    }


def _granted(run: dict[str, Any], tenant: dict[str, Any]) -> None:
    with Muster(Connection(run["url"], tenant["client_id"], tenant["client_secret"])) as muster:
        until = time.monotonic() + LAWS_WAIT_S
        while not muster.credits()["available"]:
            if time.monotonic() > until:
                raise NotEnded(f"no credits after {LAWS_WAIT_S:g} s")
            time.sleep(LOOK_S)


def _head(run: dict[str, Any], tenant: dict[str, Any]) -> bytes:
    """What each request begins with."""
    asked = {"grant_type": "client_credentials", **{name: tenant[name] for name in ("client_id", "client_secret")}}
    token = httpx.post(f"{run['url']}/v1/token", json=asked, timeout=10.0).raise_for_status().json()["access_token"]
    return (
        f"POST /v1/messages HTTP/1.1\r\nHost: {urlsplit(run['url']).netloc}\r\n"
        f"Authorization: Bearer {token}\r\nContent-Type: application/json\r\n"
    ).encode()


def _send(run: dict[str, Any], load: Load, connections: int, *, reported: int) -> None:
    """Send all of it, and wait until each has its receipt in the report, which had so many before."""
    uvloop.run(_loaded(load, connections))
    uvloop.run(_until_reported(run["postgres"], reported + load.count))


async def _until_reported(postgres: str, wanted: int) -> None:
    connection = await _connect(postgres, "report")
    try:
        found, moved = -1, time.monotonic()
        while found < wanted:
            before, found = found, await connection.fetchval(_REPORTED)
            now = time.monotonic()
            moved = now if found != before else moved
            if now - moved > STILL_MAX_S:
                raise NotEnded(f"{found} of {wanted} messages have their receipt, and no more since {STILL_MAX_S:g} s")
            await asyncio.sleep(LOOK_S)
    finally:
        await connection.close()


async def _intents(postgres: str) -> dict[str, float]:
    connection = await _connect(postgres, "dispatch")
    try:
        return {row["bulk_id"]: row["at"] for row in await connection.fetch(_INTENTS)}
    finally:
        await connection.close()


async def _connect(postgres: str, database: str) -> Any:
    url = urlunsplit(urlsplit(postgres)._replace(path=f"/{database}"))
    return await asyncpg.connect(url, timeout=10.0, command_timeout=60.0)


def result(
    load: Load, intents: dict[str, float], connections: int, times_s: tuple[float, float], used_s: float
) -> dict[str, Any]:
    """The JSON of the bench."""
    sends, asked = [], []
    for _, at, _, body in load.answers:
        told = json.loads(body)
        some = {one["bulk_id"] for one in told.get("messages", (told,))}
        sends += some
        asked += [at] * len(some)
    written = [intents[bulk_id] for bulk_id in sends]
    waits = list(_waits(load.answers))
    return {
        "bench": "single",
        "messages": load.count,
        "connections": connections,
        "per_request": load.per_request,
        "sms_per_s": round(load.count / (max(written) - min(asked))),
        "end_to_end_per_s": round(load.count / (times_s[1] - times_s[0])),
        "cpu_us_per_sms": round(used_s * 1e6 / load.count, 1),
        "cpu_of": CPU_OF,
        "messages_per_send": round(load.count / len(set(sends)), 1),
        "answer_ms": spread(waits),
        "wire_ms": spread([at - since for at, since in zip(written, asked, strict=True)]),
    }


def _waits(answers: Sequence[tuple[float, float, float, bytes]]) -> Iterator[float]:
    for asked, _, answered, _ in answers:
        yield answered - asked


def spread(seconds: Sequence[float]) -> dict[str, float]:
    """The median and the 99th of a hundred, in ms."""
    ranked = sorted(seconds)
    return {"p50": round(ranked[len(ranked) // 2] * 1e3, 1), "p99": round(ranked[len(ranked) * 99 // 100] * 1e3, 1)}
