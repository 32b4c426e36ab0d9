"""Progress as server-sent events: when a stream speaks and ends, how many there may be, and readers who do not read."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any
from uuid import uuid4

import httpx
import pytest
from report_world import ACCEPTED, STOPPED, SUBMITTING, Send

from muster.kit import clock
from muster.kit.auth import Caller, Role
from muster.kit.pg import Database
from muster.kit.problems import Problem
from muster.kit.testing import app_of, apply
from muster.report import domain
from muster.report.api import ROUTERS
from muster.report.api.progress import EventStream, Reader, events_of
from muster.report.api.readers import Readers
from muster.report.api.watching import Shown, Watching
from muster.report.handlers import HANDLERS
from muster.report.settings import ReportSettings

TENANT = uuid4()
SCOPE = {"type": "http", "method": "GET", "asgi": {"spec_version": "2.3"}}
QUICK = {"report_events_poll_s": 0.01, "report_events_beat_s": 0.02, "report_events_quiet_s": 0.1}


class Verifier:
    async def verify(self, token: str) -> Caller:
        caller = Caller(TENANT, token, Role.STAFF, "")
        return replace(caller, expires_s=clock.unix_ms() // 1000) if token == "expiring" else caller


def client(db: Database, readers: Readers | None = None, **limits: float) -> httpx.AsyncClient:
    settings = ReportSettings(bulk_id_key="00" * 32, **{**QUICK, **limits})  # type: ignore[arg-type]
    readers = readers or Readers(tenant_max=1, all_max=1)
    state = {
        "db": db, "verifier": Verifier(), "settings": settings, "readers": readers, "watching": Watching(settings),
    }  # fmt: skip
    app = app_of("report", ROUTERS, state)
    headers = {"Authorization": "Bearer sam", "Accept": "text/event-stream"}
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://report", headers=headers)


async def hear(db: Database, *messages: Any) -> None:
    for message in messages:
        await apply(db, HANDLERS[message.DESCRIPTOR.name], message)


async def stream(http: httpx.AsyncClient, send: Send) -> list[str]:
    """The names of the events of a stream that ended; "" for a sign of life."""
    answer = await http.get(f"/v1/bulk-sms/{send.bulk}/progress")
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"].startswith("text/event-stream")
    blocks = answer.text.split("\n\n")
    assert blocks[0] == "retry: 2000"
    return [name(block) for block in blocks[1:] if block]


def name(block: str) -> str:
    return block.partition("event: ")[2].partition("\n")[0]


SLOW = {"report_events_poll_s": 0.02, "report_events_poll_s_max": 0.02}


class Story:
    """A send as it looks at each look, the last for ever; `looks` counts them."""

    def __init__(self, *steps: Shown, **limits: float) -> None:
        self.steps, self.looks = list(steps), 0
        self.settings = ReportSettings(**{**SLOW, **limits})  # type: ignore[arg-type]
        self.watching = Watching(self.settings)
        self.readers = Readers(tenant_max=50, all_max=50)

    async def look(self) -> Shown:
        self.looks += 1
        return self.steps[min(self.looks, len(self.steps) - 1)]

    async def read(self, seen: str = "", s: float = 60) -> list[str]:
        reader = Reader(self.watching, self.readers, (TENANT, TENANT), self.look, self.steps[0])
        with reader:
            return [block async for block in events_of(reader, seen, clock.monotonic() + s, self.settings)][1:]


LEAVING, LEFT = Shown("leaving", over=False, waits=False), Shown("left", over=False, waits=True)
CLOSED, DELIVERED = Shown("closed", over=True, waits=True), Shown("delivered", over=True, waits=False)


async def test_a_stream_speaks_at_each_change_and_ends_when_the_send_and_its_receipts_are_in() -> None:
    spoken = await Story(LEAVING, LEAVING, LEFT, CLOSED, DELIVERED).read()

    told = [(name(block), block.partition("data: ")[2].strip()) for block in spoken]
    steps = [("progress", data) for data in ("leaving", "left", "closed", "delivered")]
    assert told == [*steps, ("end", "delivered")]
    assert len({block.partition("\n")[0] for block in spoken}) == 4, "equal numbers have equal ids, and no others"


async def test_a_hundred_readers_of_a_send_cost_one_look_a_tick_and_the_last_one_ends_the_looking() -> None:
    story = Story(LEAVING, LEFT, CLOSED, DELIVERED)

    told = await asyncio.gather(*(story.read() for _ in range(50)))

    assert {tuple(map(name, one)) for one in told} == {("progress",) * 4 + ("end",)}
    assert story.looks == 3
    assert story.watching.known((TENANT, TENANT)) is None
    story.readers.check(TENANT)


async def test_who_comes_back_with_the_last_id_is_told_only_what_is_new() -> None:
    assert [name(one) for one in await Story(DELIVERED).read(seen=DELIVERED.id)] == ["end"]
    assert [name(one) for one in await Story(DELIVERED).read(seen=LEFT.id)] == ["progress", "end"]


async def test_streams_end_at_once_and_without_a_last_word_when_the_process_ends() -> None:
    story = Story(LEAVING)
    reading = [asyncio.create_task(story.read()) for _ in range(3)]
    await asyncio.sleep(0.01)

    await story.watching.close()

    assert [name(one) for told in await asyncio.gather(*reading) for one in told] == ["progress"] * 3
    assert [name(one) for one in await story.read()] == [], "nor does a new one begin"


async def test_a_look_that_fails_for_good_ends_its_streams_and_one_without_a_database_does_not() -> None:
    class Failing(Story):
        error: Exception = OSError("the database is away")

        async def look(self) -> Shown:
            shown = await super().look()
            if self.looks == 2:
                raise self.error
            return shown

    assert [name(one) for one in await Failing(LEAVING, LEFT, LEFT, DELIVERED).read()] == ["progress"] * 3 + ["end"]
    broken = Failing(LEAVING, LEFT, LEFT, DELIVERED)
    broken.error = ValueError("a bug")
    assert [name(one) for one in await broken.read()] == ["progress"] * 2


async def test_a_stream_gives_signs_of_life_and_does_not_wait_for_ever_for_a_receipt(db: Database) -> None:
    send = Send(TENANT)
    await hear(db, send.requested(1), send.dispatched([ACCEPTED]), send.accounted(1, closed=True))

    async with client(db) as http:
        spoken = await stream(http, send)

    assert (spoken[0], spoken[-1]) == ("progress", "end")
    assert set(spoken[1:-1]) == {""}


async def test_a_refused_send_ends_its_stream_though_it_is_never_closed(db: Database) -> None:
    send = Send(TENANT)
    await hear(db, send.requested(2), send.dispatched([STOPPED, STOPPED]))

    async with client(db) as http:
        assert await stream(http, send) == ["progress", "end"]


async def test_a_send_that_was_stopped_while_it_was_planned_is_closed_and_ends_its_stream(db: Database) -> None:
    send = Send(TENANT)
    await hear(db, send.withdrawn(), send.withdrawn())

    async with client(db) as http:
        path = f"/v1/bulk-sms/{send.bulk}/progress"
        found = (await http.get(path, headers={"Accept": "application/json"})).json()
        assert (found["closed"], found["recipients"]) == (True, 0)
        assert await stream(http, send) == ["progress", "end"]


async def test_a_stream_ends_without_a_last_word_when_its_time_is_over(db: Database) -> None:
    send = Send(TENANT)
    await hear(db, send.requested(2), send.dispatched([SUBMITTING, STOPPED]))

    async with client(db, report_events_s_max=0.05) as http:
        assert "end" not in await stream(http, send)


async def test_a_stream_ends_with_the_token_that_it_was_asked_for_with(db: Database) -> None:
    send = Send(TENANT)
    await hear(db, send.requested(2), send.dispatched([SUBMITTING, STOPPED]))

    async with client(db) as http:
        http.headers["Authorization"] = "Bearer expiring"
        assert await stream(http, send) == ["progress"]


async def test_one_stream_too_many_is_refused_with_the_limit_and_json_is_not(db: Database) -> None:
    send = Send(TENANT)
    await hear(db, send.requested(1))
    path = f"/v1/bulk-sms/{send.bulk}/progress"
    readers = Readers(tenant_max=1, all_max=1)
    with Place(readers):
        async with client(db, readers) as http:
            problem = await http.get(path)
            plain = await http.get(path, headers={"Accept": "application/json"})

    assert problem.status_code == 429
    assert (problem.json()["code"], problem.json()["limit"]) == ("too_many_streams", 1)
    assert problem.headers["retry-after"] == "5"
    assert plain.status_code == 200


class Place:
    """One of the streams that are counted."""

    def __init__(self, readers: Readers) -> None:
        self._readers = readers

    def __enter__(self) -> None:
        self._readers.enter(TENANT)

    def __exit__(self, *_: object) -> None:
        self._readers.leave(TENANT)


async def words() -> AsyncIterator[str]:
    while True:
        yield ": still here\n\n"
        await asyncio.sleep(0)


async def never() -> dict[str, Any]:
    await asyncio.Event().wait()
    return {}


async def test_a_reader_who_takes_nothing_is_left_and_its_place_is_free() -> None:
    readers = Readers(tenant_max=1, all_max=1)
    answer = EventStream(words(), Place(readers), 0.05)

    async def stuck(message: Any) -> None:
        if message["type"] == "http.response.body":
            with pytest.raises(Problem, match="429"):
                readers.check(TENANT)
            await never()

    await asyncio.wait_for(answer(SCOPE, never, stuck), 120)

    readers.check(TENANT)


async def test_a_reader_who_vanished_frees_its_place() -> None:
    readers = Readers(tenant_max=1, all_max=1)
    gone = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await gone.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        gone.set()

    await asyncio.wait_for(EventStream(words(), Place(readers), 600)(SCOPE, receive, send), 120)

    readers.check(TENANT)


def test_streams_of_all_tenants_together_are_limited() -> None:
    readers = Readers(tenant_max=2, all_max=3)
    for tenant in (TENANT, TENANT, uuid4()):
        readers.check(tenant)
        readers.enter(tenant)

    with pytest.raises(Problem, match="503"):
        readers.check(uuid4())
    readers.leave(TENANT)
    readers.check(uuid4())


@pytest.mark.parametrize(
    ("requested", "ends", "closed", "over"),
    [
        (2, ["delivered", "stopped"], False, True),
        (2, ["delivered"], False, False),
        (0, ["delivered"], False, False),
        (1, ["unknown"], False, False),
        (1, ["unknown"], True, True),
        (0, [], False, False),
        (0, [], True, True),
    ],
)
def test_a_send_is_over_when_it_says_so_or_everyone_has_an_end(
    requested: int, ends: list[str], closed: bool, over: bool
) -> None:
    counts = [0] * domain.CODES
    for name in ends:
        counts[domain.ENDS[name]] += 1

    assert domain.over(requested, counts, closed=closed) is over
