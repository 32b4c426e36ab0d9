"""The whole product as processes, started once for all tests of this folder; each test opens businesses of its own."""

import json
import os
import secrets
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Any

import httpx
import pytest

from muster.client import ApiError, Connection, Muster
from muster.local.collector import Collector, collecting
from muster.local.scratch import scratch

POLL_S = 0.1
WAIT_S = 180.0

_UNUSED = iter(range(10_000_000, 80_000_000))
"""Subscriber numbers that no business has; above them are the senders."""
_SENDERS = iter(range(80_000_000, 89_000_000))


class Running:
    """`python -m muster.local run` and what it wrote to run.json."""

    def __init__(self, var: Path, collector: Collector) -> None:
        """`collector`: who gets the traces of all of its processes."""
        self.var = var
        self.collector = collector
        self._path = var / "run.json"
        command = [sys.executable, "-m", "muster.local", "run"]
        with (var / "run.log").open("w") as log:
            env = {**os.environ, "MUSTER_VAR": str(var), "MUSTER_OTLP_URL": collector.url}
            self._starter = subprocess.Popen(command, env=env, stdout=log, stderr=subprocess.STDOUT)
        eventually(self._is_up, 240)

    def _is_up(self) -> bool:
        assert self._starter.poll() is None, self._path.with_name("run.log").read_text()
        return self._path.exists() and bool(self.run["tenants"])

    @property
    def run(self) -> dict[str, Any]:
        """The content of run.json now."""
        return json.loads(self._path.read_text())

    def kill(self, name: str) -> None:
        """Kill a process with SIGKILL and wait until it was started again and is ready."""
        old = self.run["processes"][name]
        os.kill(old, signal.SIGKILL)
        eventually(lambda: self.run["processes"].get(name, old) != old)

    def stop(self) -> None:
        """End all of it, as Ctrl-C does."""
        self._starter.send_signal(signal.SIGINT)
        self._starter.wait(120)


@dataclass(slots=True)
class World:
    """The running product and what is outside of it: the carrier and the mail catcher."""

    stack: "Running"
    operator: Muster
    http: httpx.Client
    opened: list[Muster] = field(default_factory=list)

    @property
    def run(self) -> dict[str, Any]:
        """The content of run.json."""
        return self.stack.run

    def carrier(self, method: str, path: str, **options: Any) -> Any:
        """Ask the simulator's control port."""
        response = self.http.request(method, self.run["carrier"]["control_url"] + path, **options)
        return response.raise_for_status().json() if response.content else None

    def faults(self, **changed: Any) -> None:
        """Change how the carrier behaves."""
        self.carrier("PUT", "/faults", json=changed)

    def caller(self, tenant_id: str, role: str = "admin") -> Muster:
        """A client with a key of the role."""
        key = self.operator.post("/v1/api-keys", {"tenant_id": tenant_id, "name": "test", "role": role})
        self.opened.append(Muster(Connection(self.run["url"], key["client_id"], key["client_secret"])))
        return self.opened[-1]

    def business(self, credits: int = 1_000, **more: Any) -> "Business":
        """A business of its own with an administrator and credits; more: settings that it has."""
        mark = secrets.token_hex(4)
        sender = f"+614{next(_SENDERS):08d}"
        settings: dict[str, Any] = {"name": f"Test {mark}", "country": "AU", "time_zone": "Australia/Sydney"}
        settings |= {"sender": sender, "allow_sms_replies": True, "reception_email": f"{mark}@test.example", **more}
        tenant = self.operator.post("/v1/tenants", settings)
        business = Business(self, tenant["id"], sender, settings["reception_email"], self.caller(tenant["id"]))
        eventually(lambda: business.ask.get("/v1/customers") is not None)
        if credits:
            eventually(lambda: self._topped_up(tenant["id"], credits, mark))
            eventually(lambda: business.ask.credits()["granted"] == credits)
        return business

    def _topped_up(self, tenant_id: str, credits: int, reference: str) -> bool:
        """Whether credit-svc knows the tenant and has taken it: it may hear of one later than customer-svc does."""
        try:
            self.operator.top_up(tenant_id, credits, reason="test", reference=reference)
        except ApiError as refused:
            if refused.status != 404:
                raise
            return False
        return True

    def stats(self, numbers: list[str]) -> dict[str, int]:
        """How often the carrier accepted something for each of these numbers."""
        counted = self.carrier("GET", "/stats")["accepted_by_destination"]
        return {number: counted.get(number, 0) for number in numbers}


@dataclass(slots=True)
class Business:
    """A tenant of a test."""

    world: World
    id: str
    sender: str
    reception: str
    ask: Muster

    def customers(self, count: int) -> list[str]:
        """Import customers with a number each that no other test has; their numbers in E.164."""
        numbers = [f"+614{number:08d}" for number in islice(_UNUSED, count)]
        rows = "".join(f"Ana{i},Smith,{number},yes\n" for i, number in enumerate(numbers))
        done = self.ask.import_customers(f"First name,Last name,Mobile,Allow Bulk SMS\n{rows}".encode())
        assert done["imported"] == count, done
        return numbers

    def send(self, text: str = "Hello {{first_name}}. STOP to opt out", **options: Any) -> str:
        """Quote and confirm; the id of the send."""
        return self.ask.send(self.ask.quote(text)["id"], **options)["id"]

    def state(self, bulk_id: str) -> str:
        """The state of a send."""
        return self.ask.bulk(bulk_id)["state"]

    def ended(self, bulk_id: str, wait_s: float = WAIT_S) -> dict[str, Any]:
        """A send once it has ended and its report has one final state for each recipient."""
        eventually(lambda: self.state(bulk_id) in ("closed", "refused"), wait_s)
        eventually(lambda: self.progress(bulk_id)["recipients"] and in_flight(self.progress(bulk_id)) == 0, wait_s)
        return dict(self.ask.bulk(bulk_id))

    def progress(self, bulk_id: str) -> dict[str, Any]:
        """Live numbers of a send."""
        return dict(self.ask.progress(bulk_id))


STATES = (
    "queued",
    "submitting",
    "accepted",
    "delivered",
    "undelivered",
    "expired",
    "rejected",
    "stopped",
    "suppressed",
    "unknown",
)


def in_flight(progress: dict[str, Any]) -> int:
    """Messages that have not come to an end."""
    return int(progress["queued"] + progress["submitting"] + progress["accepted"])


def eventually(seen: Callable[[], Any], wait_s: float = WAIT_S, told: Callable[[], Any] | None = None) -> Any:
    """What `seen` answers once it is true; fails with the last answer, or what is `told`, where it stays false."""
    until = time.monotonic() + wait_s
    while not (found := seen()):
        assert time.monotonic() < until, f"not seen within {wait_s} s; last: {told() if told else found!r}"
        time.sleep(POLL_S)
    return found


@pytest.fixture(scope="session")
def stack() -> Iterator["Running"]:
    """Every process of the product, as `make run` starts them, in a folder of its own."""
    with scratch("muster-e2e-") as folder, collecting() as collector:
        running = Running(folder, collector)
        yield running
        running.stop()


@pytest.fixture
def world(stack: Running) -> Iterator[World]:
    """The running product, with a carrier that behaves."""
    who = stack.run["operator"]
    with (
        Muster(Connection(stack.run["url"], who["client_id"], who["client_secret"])) as operator,
        httpx.Client(timeout=60) as http,
    ):
        world = World(stack, operator, http)
        before = world.carrier("GET", "/faults")
        yield world
        world.carrier("PUT", "/faults", json=before)
        for caller in world.opened:
            caller.close()
