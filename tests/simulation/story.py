"""What people do in one history: businesses with a few customers, sends, controls, opt-outs; then calm, and the end."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass, field
from random import Random
from typing import Any, Final
from uuid import UUID

from simulation.chapters import Chapters, Hours, zone_of
from simulation.client import OPERATOR, admin, ask
from simulation.world import World

CALM_S: Final = 16.0
QUIET_LIMIT_S: Final = 600.0
_LOOK_S: Final = 3.0
# Which seeds, by their remainder of 50, have businesses that chose at least once, and such that have a rate.
_AT_LEAST_ONCE: Final = 5
_RATES: Final = 7
_NOTICE: Final = "Notice"
_UNSETTLED: Final = """
SELECT bulk_id, state, ending, parked, reserved, held, unknown, account_version, settled_version FROM saga
WHERE state NOT IN ('closed', 'refused') OR account_version > settled_version OR sweep
"""

_UNPLANNED: Final = "SELECT FROM plan WHERE step IN ('freeze', 'add_up', 'publish') LIMIT 1"


@dataclass(slots=True)
class Send:
    """A send that somebody asked for. `mark` begins its text; the times are of answers that promised something."""

    tenant: "Tenant"
    mark: str
    bulk_id: str
    asked_at: float
    stopped_at: float | None = None
    silent: list[tuple[float, float]] = field(default_factory=list)


@dataclass(slots=True)
class Tenant:
    """A business and its customers' numbers. `hours`: when they are texted, if not at any. `notices`: what it sends is
    no marketing, and it has chosen at least once. `rate`: parts that may leave for it a second, 0 for any. `name`: in
    each of its texts, so that nothing is put before what it sends."""

    id: UUID
    name: str
    sender: str
    numbers: list[str]
    hours: Hours | None = None
    notices: bool = False
    rate: int = 0


class Story:
    """Acts for everybody, by the seed."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._rng: Random = world.rng("story")
        self.tenants: list[Tenant] = []
        self.sends: list[Send] = []
        self.granted = 0
        self.chapters = Chapters(world, self._ask)

    async def tell(self) -> bool:
        """From the first tenant to the last settlement; False if that does not come within the bound."""
        world, rng = self._world, self._rng
        made = [await self._open(at) for at in range(rng.choice((1, 2)))]
        await self._until(self._quiet, 60.0)
        self.tenants += made
        for tenant in self.tenants:
            await self._fill(tenant)
        await self._until(self._quiet, 60.0)
        if world.chapters:
            await self.chapters.begin(self.tenants)
            await self._until(lambda: self._heard() and all(one.is_bound for one in world.carriers.values()), 60.0)
        world.faults.start()
        acts: list[Coroutine[Any, Any, None]] = []
        for tenant in self.tenants:
            acts += [self._send(tenant, at) for at in range(rng.choice((1, 1, 2)))]
            acts += [self._opt_out(tenant) for _ in range(rng.choice((0, 1, 2)))]
            acts += [self._grant(tenant) for _ in range(rng.choice((0, 0, 1)))]
        world.loop.call_later(CALM_S, self._calm, context=world.context)
        acts.append(self._disturb())
        if any(tenant.notices for tenant in self.tenants):
            world.carrier.loses = _NOTICE
        acts += self.chapters.acts(self.tenants)
        await asyncio.gather(*acts)
        await asyncio.sleep(max(0.0, CALM_S + 3.0 - world.loop.time()))
        return await self._until(self._settled, QUIET_LIMIT_S)

    # -- acts ---------------------------------------------------------------------------------------------------------

    async def _open(self, at: int) -> Tenant:
        rng = self._rng
        sender = f"+6140000000{at}"
        body = {
            "name": f"Salon {at}", "country": "AU", "time_zone": "UTC", "sender": sender,
            "allow_sms_replies": rng.random() < 0.5, "reception_email": "desk@salon.example",
            "unknown_rule": rng.choice(("release", "charge")), "failed_rule": rng.choice(("release", "charge")),
        }  # fmt: skip
        hours = None if at else self._world.hours
        body |= hours.settings() if hours else {}
        # In some seeds: of two businesses that chose at least once the second sends marketing all the same.
        once, limited = int(self._world.seed) % 50 == _AT_LEAST_ONCE, int(self._world.seed) % 50 == _RATES
        rate = self._world.rng(f"rate {at}").choice((1, 2, 5)) if limited else 0
        body |= {"at_least_once": once, "parts_per_second": rate}
        made = await self._ask(OPERATOR, "POST", "/v1/tenants", body, service="tenant", expect=201)
        count = rng.randrange(4, 15)
        numbers = [f"+6141{at}{rng.randrange(100):02d}{number:04d}" for number in range(count)]
        return Tenant(UUID(made["id"]), str(body["name"]), sender, numbers, hours, notices=once and not at, rate=rate)

    async def _fill(self, tenant: Tenant) -> None:
        """Give it credits and customers."""
        await self._grant(tenant)
        allowed = [(n, number, self._rng.random() > 0.1) for n, number in enumerate(tenant.numbers)]
        rows = [f"P{n},{number},{'yes' if allows else 'no'}" for n, number, allows in allowed]
        header = "first name,mobile,allow bulk sms"
        if tenant.hours:
            header += ",time zone"
            rows = [f"{row},{zone_of(number)}" for row, number in zip(rows, tenant.numbers, strict=True)]
        content = "".join(f"{line}\n" for line in (header, *rows)).encode()
        await self._ask(
            admin(tenant.id), "POST", "/v1/customers/imports", content, service="customer", content_type="text/csv",
            expect=201,
        )  # fmt: skip

    async def _grant(self, tenant: Tenant) -> None:
        credits = self._rng.choice((6, 40, 100, 100))
        body = {"tenant_id": str(tenant.id), "credits": credits, "reason": "paid"}
        await asyncio.sleep(self._rng.uniform(0.0, 3.0))
        await self._ask(OPERATOR, "POST", "/v1/credits/top-ups", body, service="credit", expect=201)
        self.granted += credits

    async def _send(self, tenant: Tenant, at: int) -> None:
        world, rng, token = self._world, self._rng, admin(tenant.id)
        mark = f"{_NOTICE if tenant.notices else 'Offer'} {at} of {tenant.sender}"
        await asyncio.sleep(rng.uniform(0.0, 4.0))
        asked = {"text": f"{mark} for {{{{first_name}}}}, {tenant.name}. STOP to opt out", "audience": {"all": True}}
        asked |= {"class": "factual"} if tenant.notices else {}
        quote = await self._ask(
            token, "POST", "/v1/quotes", asked, service="customer", expect=201, none="audience_empty"
        )
        if not quote.get("recipients"):
            return
        body = {"quote_id": quote["id"], "partial": rng.choice(("nothing", "first_n"))}
        asked_at = world.loop.time()
        made = await self._ask(
            token, "POST", "/v1/bulk-sms", body, service="customer", expect=202, none="tenant_suspended"
        )
        if "id" not in made:
            return  # suspended
        send = Send(tenant, mark, made["id"], asked_at)
        self.sends.append(send)
        story = rng.choice(("none", "none", "none", "stop", "pause", "pause and stop"))
        if story != "none":
            await asyncio.sleep(rng.choice((0.0, 0.2, 1.0, 3.0)) * rng.random() * 2)
        if "pause" in story:
            if (since := await self._control(send, "pause")) is not None:
                await asyncio.sleep(rng.uniform(0.5, 6.0))
                send.silent.append((since, world.loop.time()))
            if "stop" not in story:
                await self._control(send, "resume")
        if "stop" in story:
            send.stopped_at = await self._control(send, "stop")

    async def _control(self, send: Send, word: str) -> float | None:
        """When it was answered with exact counts, from which moment nothing may leave."""
        path = f"/v1/bulk-sms/{send.bulk_id}/{word}"
        status, _ = await ask(
            self._world, admin(send.tenant.id), "POST", path, {}, service="dispatch", key=f"{word}-{send.bulk_id}"
        )
        assert status in (200, 202, 409), f"{word}: {status}"
        return self._world.loop.time() if status == 200 else None

    async def _opt_out(self, tenant: Tenant) -> None:
        world, rng = self._world, self._rng
        number = rng.choice(tenant.numbers)
        await asyncio.sleep(rng.uniform(0.0, 9.0))
        if rng.random() < 0.5:
            world.carrier.inbound(number, tenant.sender, rng.choice(("STOP", "Stop please", "thanks!")))
        else:
            body = {"number": number, "scope": rng.choice(("marketing", "all"))}
            await self._ask(admin(tenant.id), "POST", "/v1/suppressions", body, service="customer", expect=201)

    async def _disturb(self) -> None:
        """What hits from outside, at any moment: the carrier hangs up, somebody restarts a process."""
        world, rng = self._world, self._rng
        for _ in range(rng.choice((0, 1, 2, 3))):
            await asyncio.sleep(rng.uniform(0.5, 8.0))
            if rng.random() < 0.5:
                world.faults.fired["carrier hung up"] += 1
                world.carrier.disconnect()
            else:
                node = rng.choice(sorted(world.alive(), key=lambda one: one.name))
                world.faults.fired["killed at any moment"] += 1
                world.crash(node)

    def _calm(self) -> None:
        self._world.faults.calm()
        self._world.end_surplus()

    # -- quiet --------------------------------------------------------------------------------------------------------

    async def _ask(
        self, token: str, method: str, path: str, body: Any, *, expect: int, none: str = "", **options: Any
    ) -> Any:
        """What is answered, which is `expect`, or the problem `none` where that may be."""
        key = f"{path}-{self._rng.getrandbits(64):x}"
        status, found = await ask(self._world, token, method, path, body, key=key, **options)
        assert status == expect or (none and found.get("code") == none), f"{method} {path}: {status} {found}"
        return found

    async def _until(self, condition: Any, limit_s: float) -> bool:
        until = self._world.loop.time() + limit_s
        while not condition():
            if self._world.loop.time() > until:
                return False
            await asyncio.sleep(_LOOK_S)
        return True

    def _settled(self) -> bool:
        """Every send has its end, its settlement is heard, and nothing is on its way."""
        return not self.unsettled()

    def _quiet(self) -> bool:
        return not self._moving()

    def _heard(self) -> bool:
        """Quiet but for what a schedule has still to start."""
        return self._moving() in ("", self.chapters.to_come())

    def unsettled(self) -> str:
        """What has not come to its end, empty if all has."""
        rows = self._world.cluster.look("dispatch", _UNSETTLED)
        return "; ".join(", ".join(f"{name} {value}" for name, value in row.items()) for row in rows) or self._moving()

    def _moving(self) -> str:
        """All processes live, all sends are planned, all outboxes are empty, all events are applied, nothing more is to
        be given back, and the carrier has nothing to bring."""
        world = self._world
        if waiting := sum(carrier.waiting for carrier in world.carriers.values()):
            return f"the carrier still brings {waiting}"
        if len(world.alive()) < len(world.specs):
            return "not every process lives"
        if world.cluster.look("customer", _UNPLANNED):
            return "a send is being planned"
        for service in world.services():
            if world.cluster.look(service, "SELECT FROM outbox LIMIT 1"):
                return f"the outbox of {service} is not empty"
        if world.cluster.look("dispatch", "SELECT FROM refund_due LIMIT 1"):
            return "a refund is due"
        return world.lag() or self.chapters.to_come()
