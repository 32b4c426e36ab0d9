"""What some histories have besides: several carrier accounts, schedules, quiet hours, suspensions.

Each tenth seed has one of them, and some have two; the others are as they are without this.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, Final
from uuid import UUID
from zoneinfo import ZoneInfo

from simulation.client import OPERATOR, admin, ask

if TYPE_CHECKING:
    from simulation.story import Send, Tenant
    from simulation.world import World

CHAPTERS: Final = ("accounts", "schedule", "hours", "suspension")
# What a run of many seeds must have come to, or a chapter does not show what it is for.
TOLD: Final = (
    "an account was away",
    "chunks led to another account",
    "sends by two accounts",
    "starts of schedules",
    "starts of schedules that were missed",
    "schedulers with a wrong clock",
    "sends that waited for an hour",
    "tenants suspended",
    "platform stopped",
)
EVERY: Final = 10
OTHER_ACCOUNT, OTHER_PORT = "east", 2776
# When faults begin, by most seeds: the minute turns a little later where that matters.
_FAULTS_FROM_S: Final = 14.0
_MINUTE: Final = timedelta(minutes=1)
_PATH: Final = "/v1/ops/dispatch"
ZONES: Final = ("Australia/Sydney", "Australia/Adelaide")

Ask = Callable[..., Awaitable[Any]]


def chapters_of(seed: int) -> frozenset[str]:
    """Of a seed, as `World` has it."""
    if not seed or seed % EVERY:
        return frozenset()
    also = Random(f"{seed}/chapters").choice(("", "", *CHAPTERS))
    return frozenset({CHAPTERS[seed // EVERY % len(CHAPTERS)], also} - {""})


def first_seeds_with(chapter: str, count: int) -> list[int]:
    """The first seeds that have this chapter."""
    return [seed for seed in range(EVERY, EVERY * len(CHAPTERS) * count + 1, EVERY) if chapter in chapters_of(seed)][
        :count
    ]


def hours_of(turn: Random) -> str:
    """Which hours a history with the chapter of that name has; see `Hours`."""
    return turn.choice(("ends", "begins", "recipients"))


@dataclass(frozen=True, slots=True)
class Turn:
    """A minute that begins in the middle of the faults: `at` is when by the clock on the wall, `at_s` by the seed's."""

    at: datetime
    at_s: float

    @staticmethod
    def of(rng: Random, kind: str) -> "Turn":
        """Nine o'clock in Adelaide where hours are the recipient's."""
        hour, minute = (22, 30) if kind == "recipients" else (2, 1)
        day = datetime(2026, 1, 14 if kind == "recipients" else 15, hour, minute, tzinfo=UTC)
        return Turn(day, _FAULTS_FROM_S + rng.uniform(1.0, 9.0))

    @property
    def start_us(self) -> int:
        """When the history begins, in microseconds since 1970."""
        return round((self.at.timestamp() - self.at_s) * 1e6)

    def wall(self, minutes: int = 0) -> str:
        """The time of the day, so many minutes later."""
        return (self.at + minutes * _MINUTE).strftime("%H:%M")


@dataclass(slots=True)
class Hours:
    """When one tenant's recipients may not be texted. `kind`: its quiet hours end or begin at the turn of the minute,
    or what is usual where each recipient is begins for half of them."""

    kind: str
    turn: Turn

    def settings(self) -> dict[str, Any]:
        """As a tenant has them."""
        match self.kind:
            case "ends":
                return {"quiet_hours": {"from": self.turn.wall(-60), "to": self.turn.wall()}}
            case "begins":
                return {"quiet_hours": {"from": self.turn.wall(), "to": self.turn.wall(1)}}
        return {"customary_hours": True}

    def quiet_s(self, number: str, moment_s: float) -> float | None:
        """For how long it is quiet for whom has this number, at a moment of the seed's time; None if it is not."""
        since_s = moment_s - self.turn.at_s
        match self.kind:
            case "ends":
                return since_s + 3600 if -3600 <= since_s < 0 else None
            case "begins":
                return since_s if 0 <= since_s < 60 else None
        local = (self.turn.at + timedelta(seconds=since_s)).astimezone(ZoneInfo(zone_of(number)))
        return None if 9 <= local.hour < 20 else (local.hour - 20) % 24 * 3600.0 + local.minute * 60


def zone_of(number: str) -> str:
    """Where the customer with this number is."""
    return ZONES[int(number[-1]) % 2]


@dataclass(frozen=True, slots=True)
class Silence:
    """Nothing leaves for a tenant (None: for anybody) between two moments; `exact`: with nothing on its way before."""

    tenant_id: UUID | None
    since: float
    until: float
    exact: bool


@dataclass(slots=True)
class Schedule:
    """Two starts of one text, at a turn of the minute and one minute later."""

    tenant: "Tenant"
    mark: str
    schedule_id: UUID
    made_at: float
    late_max_s: float


class Chapters:
    """Those of one history, and what came of them."""

    def __init__(self, world: "World", ask_for: Ask) -> None:
        self.world = world
        self.ask = ask_for
        self.told: Counter[str] = Counter()
        self.schedules: list[Schedule] = []
        self.silences: list[Silence] = []
        self._rng = world.rng("told")
        self._has = world.chapters

    async def begin(self, tenants: list["Tenant"]) -> None:
        """What is made before anything goes wrong."""
        if "accounts" in self._has:
            await self._open_account()
        if "schedule" in self._has:
            await self._schedule(tenants[0])

    def acts(self, tenants: list["Tenant"]) -> list[Coroutine[Any, Any, None]]:
        """What is done while things go wrong."""
        found = []
        if "accounts" in self._has:
            found.append(self._lose_account())
        if "suspension" in self._has:
            found.append(self._suspend(tenants))
        if "schedule" in self._has and self.schedules[0].late_max_s < 3600:
            found.append(self._oversleep())
        return found

    # -- accounts -----------------------------------------------------------------------------------------------------

    async def _open_account(self) -> None:
        world, rng = self.world, self._rng
        smpp = {"host": "127.0.0.1", "port": OTHER_PORT, "system_id": "other", "response_timeout_s": 5.0}
        body = {"account": OTHER_ACCOUNT, "smpp": smpp, "password": "other", "parts_window": 20}
        await self.ask(OPERATOR, "POST", "/v1/carriers", body, service="dispatch", expect=201)
        weights = rng.choice(((1, 1), (2, 1), (1, 0)))
        accounts = [{"account": name, "weight": part} for name, part in zip(world.carriers, weights, strict=True)]
        route = {"accounts": accounts}
        await self.ask(OPERATOR, "PATCH", "/v1/routes/default", route, service="dispatch", expect=200)

    async def _lose_account(self) -> None:
        """A carrier is away for longer than its account is waited for; chunks that wait for it go elsewhere."""
        rng = self._rng
        await asyncio.sleep(rng.uniform(0.0, 5.0))
        name = rng.choice(("smpp", "smpp", OTHER_ACCOUNT))
        self.told["an account was away"] += 1
        self.world.carriers[name].leave(rng.uniform(4.0, 10.0))

    # -- schedules ----------------------------------------------------------------------------------------------------

    async def _schedule(self, tenant: "Tenant") -> None:
        world, rng = self.world, self._rng
        assert world.turn is not None
        mark = f"Offer by the clock of {tenant.sender}"
        when = {
            "repeat": {"frequency": "daily", "times": [world.turn.wall(), world.turn.wall(1)]},
            "starts_on": world.turn.at.date().isoformat(), "ends_on": world.turn.at.date().isoformat(),
        }  # fmt: skip
        late_max = rng.choice((1, 60))
        body = {
            "name": "By the clock", "when": when,
            "text": f"{mark} for {{{{first_name}}}}, {tenant.name}. STOP to opt out",
            "audience": {"all": True}, "credits_max": 1_000, "partial": rng.choice(("nothing", "first_n")),
            "late_max_minutes": late_max,
        }  # fmt: skip
        made = await self.ask(admin(tenant.id), "POST", "/v1/schedules", body, service="customer", expect=201)
        place = UUID(made["id"]), world.loop.time(), late_max * 60.0
        self.schedules.append(Schedule(tenant, mark, *place))
        self.told["schedulers with a wrong clock"] += bool(world.wrong_by_s)

    async def _oversleep(self) -> None:
        """The only process that starts schedules sleeps until it is too late for the first start, by its own clock, and
        so does each that is started in its place."""
        world, loop = self.world, self.world.loop
        assert world.turn is not None
        until = world.turn.at_s + self._rng.uniform(62.0, 90.0) + max(0.0, -world.wrong_by_s)
        await asyncio.sleep(max(0.0, world.turn.at_s - 1.0 - loop.time()))
        world.oversleep("customer.worker", until)

    # -- suspensions --------------------------------------------------------------------------------------------------

    async def _suspend(self, tenants: list["Tenant"]) -> None:
        rng = self._rng
        for _ in range(rng.choice((1, 2))):
            await asyncio.sleep(rng.uniform(0.0, 5.0))
            tenant = rng.choice((None, *tenants))
            what = "platform stopped" if tenant is None else "tenants suspended"
            stop, go = ("platform/stop", "platform/start")
            if tenant is not None:
                stop, go = (f"tenants/{tenant.id}/{word}" for word in ("suspend", "reinstate"))
            exact = await self._say(stop) == 200
            since = self.world.loop.time()
            await asyncio.sleep(rng.uniform(1.5, 7.0))
            self.silences.append(Silence(tenant.id if tenant else None, since, self.world.loop.time(), exact))
            self.told[what] += 1
            await self._say(go)

    async def _say(self, word: str) -> int:
        """The status of the answer."""
        key, body = f"{word}-{self._rng.getrandbits(64):x}", {"reason": "told to"}
        status, found = await ask(self.world, OPERATOR, "POST", f"{_PATH}/{word}", body, service="dispatch", key=key)
        assert status in (200, 202), f"{word}: {status} {found}"
        return status

    # -- afterwards ---------------------------------------------------------------------------------------------------

    def to_come(self) -> str:
        """What a schedule has still to start; empty if nothing."""
        if self.schedules and self.world.cluster.look("customer", "SELECT FROM schedule WHERE next_at IS NOT NULL"):
            return "a schedule has a start to come"
        return ""

    def count(self, sends: list["Send"]) -> None:
        """What the carriers and the databases show of it, at the end."""
        world, told = self.world, self.told
        by = {name: {one.text for one in carrier.taken} for name, carrier in world.carriers.items()}
        if "accounts" in self._has:
            marks = [send.mark for send in sends]
            by_each = [
                {mark for mark in marks if any(text.startswith(mark) for text in texts)} for texts in by.values()
            ]
            told["sends by two accounts"] += len(set.intersection(*by_each))
            told["chunks led to another account"] += world.rerouted
        for row in world.cluster.look("customer", "SELECT outcome FROM schedule_start"):
            told["starts of schedules that were missed" if row[0] == "missed" else "starts of schedules"] += 1
        if world.hours is not None:
            self._count_hours(sends, world.hours)

    def _count_hours(self, sends: list["Send"], hours: Hours) -> None:
        for send in sends:
            if send.tenant.hours is None:
                continue
            times = [one.at for one in self.world.writes if one.text.startswith(send.mark)]
            waited = any(at >= hours.turn.at_s for at in times) and send.asked_at < hours.turn.at_s
            self.told["sends that waited for an hour"] += waited
