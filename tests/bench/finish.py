"""BENCH=finish: is the finish that is promised after five seconds of sending kept?

Sends of ten seconds to minutes, each of them a story that makes promising hard: by whom a carrier is shared, how slow
it is, whether it throttles, a pause, people whose hours begin later. Every story can be kept as a trace (BENCH_TRACES
names a folder): what senders measured and what there was to send, second by second, as their debug logs say it. The
tests of dispatch-svc replay those that are in its folder `tests/traces`.
"""

import json
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from zoneinfo import ZoneInfo

import httpx

from bench.fair import funded, made
from bench.send import LAWS_WAIT_S, TEXT, NotEnded, promise_missed
from muster.client import Connection, Muster
from muster.client.commands.laws import settled_laws
from muster.local.stack import Stack

LOGS: Final = {"MUSTER_LOG_LEVEL": "debug"}
ACCOUNT: Final = "smpp"
_PLACES: Final = ("Pacific/Auckland", "Australia/Sydney")
_HERE: Final = ZoneInfo(_PLACES[1])
_FIRST_S: Final = 60.0
_END_S: Final = 420.0
_LOOK_S: Final = 0.1
_CHANGED_S: Final = 4.0
_LATER_S: Final = 35.0


@dataclass(frozen=True, slots=True)
class Story:
    """Sends to so many at once, each of a tenant of its own, by a carrier of which the account and the simulator are
    told so. pause_s: after so long the first send is paused, for so long. by_zone: half of its people wait for a minute
    of the clock on their wall."""

    sends: tuple[int, ...]
    account: Mapping[str, Any] = field(default_factory=dict)
    faults: Mapping[str, Any] = field(default_factory=dict)
    pause_s: tuple[float, float] | None = None
    by_zone: bool = False


STORIES: Final[Mapping[str, Story]] = {
    "steady-10": Story((4_000,), {"parts_per_second": 400}),
    "steady-60": Story((24_000,), {"parts_per_second": 400}),
    "steady-200": Story((40_000,), {"parts_per_second": 200}),
    "unlimited": Story((200_000,)),
    "slow": Story((20_000,), {"parts_window": 100}, {"response_delay_ms": 250.0}),
    "million": Story((1_000_000,)),
    "throttled": Story((20_000,), faults={"rate_limit": 400.0}),
    "shared": Story((4_000, 8_000, 12_000), {"parts_per_second": 400}),
    "paused": Story((16_000,), {"parts_per_second": 400}, pause_s=(10, 8)),
    "by-zone": Story((24_000,), {"parts_per_second": 400}, by_zone=True),
}
# One alone takes minutes: played where it is named.
USUAL: Final = tuple(name for name in STORIES if name != "million")
_TENANTS: Final = max(len(story.sends) for story in STORIES.values())
_PLAIN: Final[Mapping[str, Any]] = {"parts_per_second": 0, "parts_window": 1_000}
_SOUND: Final[Mapping[str, Any]] = {"rate_limit": 0.0, "response_delay_ms": 0.0, "receipt_delay_ms": 500.0}


@dataclass(slots=True)
class World:
    """Who plays these stories, and where."""

    operator: Muster
    tenants: Sequence[Muster]
    carrier: httpx.Client
    log: Path


def measure(stack: Stack, names: Sequence[str], traces: Path | None) -> dict[str, Any]:
    """Play these stories one after the other: by how much each promise was missed."""
    run = stack.run
    who = run["operator"]
    with Muster(Connection(run["url"], who["client_id"], who["client_secret"])) as operator:
        largest = [max(sizes, default=0) for sizes in _sizes(names)]
        senders = [made(operator, run["url"], at, size) for at, size in enumerate(largest) if size]
        world = World(
            operator,
            [sender.client for sender in senders],
            httpx.Client(base_url=run["carrier"]["control_url"], timeout=10.0),
            stack.var / "log",
        )
        try:
            funded(operator, senders, len(names))
            for sender in senders:
                sender.client.import_customers(_people(sender.recipients, names))
            missed = {name: _play(world, name, STORIES[name], traces) for name in names}
        finally:
            for sender in senders:
                sender.client.close()
            world.carrier.close()
        laws = settled_laws(operator, LAWS_WAIT_S)
    return {
        "bench": "finish",
        "promise_missed": missed,
        "laws": {law.name: law.violation_count for law in laws},
        "laws_checked": {law.name: law.checked for law in laws},
    }


def _sizes(names: Sequence[str]) -> Iterator[list[int]]:
    for tenant in range(_TENANTS):
        yield [STORIES[name].sends[tenant] for name in names if tenant < len(STORIES[name].sends)]


def _people(count: int, names: Sequence[str]) -> bytes:
    """Customers in two time zones by turns; a tag for each number of people that a story sends to."""
    tags = sorted({size for name in names for size in STORIES[name].sends})
    lines = (f"Ana{i % 997},Smith,+614{10_000_000 + i:08d},yes,{_tags(tags, i)},{_PLACES[i % 2]}" for i in range(count))
    return "\n".join(("First name,Last name,Mobile,Allow Bulk SMS,Tags,Time zone", *lines)).encode()


def _tags(sizes: Sequence[int], customer: int) -> str:
    return ";".join(f"s{size}" for size in sizes if customer < size)


def _play(world: World, name: str, story: Story, traces: Path | None) -> list[float | None]:
    world.operator.change_carrier(ACCOUNT, {**_PLAIN, **story.account})
    world.carrier.put("/faults", json={**_SOUND, **story.faults}).raise_for_status()
    time.sleep(_CHANGED_S)
    since = datetime.now(UTC)
    with ThreadPoolExecutor(len(story.sends)) as pool:
        found = list(pool.map(lambda at: _send(world.tenants[at], story, at), range(len(story.sends))))
    if traces is not None:
        bulks = [bulk_id for bulk_id, _ in found]
        (traces / f"{name}.json").write_text(json.dumps(_trace(world.log, since, bulks), indent=None) + "\n")
    return [missed for _, missed in found]


def _send(muster: Muster, story: Story, at: int) -> tuple[str, float | None]:
    """One send of a story to its end: its id and by how much its promise was missed."""
    options = {}
    if story.by_zone:
        later = datetime.now(_HERE) + timedelta(seconds=_LATER_S)
        options["local_time"] = f"{later + timedelta(minutes=later.second > 0):%Y-%m-%dT%H:%M}"
    quote = muster.quote(TEXT, {"tag": f"s{story.sends[at]}"}, **options)
    bulk_id = str(muster.send(quote["id"])["id"])
    first_s = _until(muster, bulk_id, lambda progress: progress["sent"], _FIRST_S)
    if story.pause_s and not at:
        threading.Event().wait(story.pause_s[0])
        muster.control(bulk_id, "pause")
        threading.Event().wait(story.pause_s[1])
        muster.control(bulk_id, "resume")
        first_s = time.time()
    _until(muster, bulk_id, lambda progress: progress["pace"] and progress["pace"]["finished_at"], _END_S)
    return bulk_id, promise_missed(muster, bulk_id, first_s)


def _until(muster: Muster, bulk_id: str, holds: Any, wait_s: float) -> float:
    until = time.monotonic() + wait_s
    while not holds(progress := muster.progress(bulk_id)):
        if time.monotonic() > until:
            raise NotEnded(f"send {bulk_id} waited {wait_s:.0f} s: {json.dumps(progress)}")
        time.sleep(_LOOK_S)
    return time.time()


# -- traces -----------------------------------------------------------------------------------------------------------


def _trace(log: Path, since: datetime, bulks: Sequence[str]) -> dict[str, Any]:
    """What happened since then to these sends, in seconds since then; sends by their place, and tenants by theirs."""
    taken: list[Any] = []
    looks: list[Any] = []
    ended: list[Any] = []
    tenants: dict[str, int] = {}
    for at, line in _lines(log, since):
        if line["event"] == "pace.taken":
            taken.append([at, *(line[of] for of in ("account", "limit", "parts", "refused", "hungry", "arriving"))])
        elif line["event"] == "pace.looked":
            pieces = [
                [tenants.setdefault(tenant, len(tenants)), bulks.index(bulk), account, *figures, rank, until]
                for tenant, bulk, account, *figures, rank, until in line["pieces"]
            ]
            looks.append([at, pieces, *(sorted(map(bulks.index, line[of])) for of in ("begun", "coming"))])
        elif line["event"] == "pace.ended":
            last = None if line["last"] is None else round(line["last"] - since.timestamp(), 3)
            ended.append([at, bulks.index(line["bulk_id"]), line["why"], last])
    return {"taken": taken, "looks": looks, "ended": ended}


def _lines(log: Path, since: datetime) -> Iterator[tuple[float, dict[str, Any]]]:
    for path in sorted(log.glob("dispatch.*.log*")):
        for text in path.read_text(encoding="utf-8").splitlines():
            if '"pace.' in text:
                line = json.loads(text)
                at = datetime.fromisoformat(line["time"])
                if at >= since:
                    yield round((at - since).total_seconds(), 3), line
