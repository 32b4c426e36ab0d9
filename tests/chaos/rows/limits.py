"""Processes that may open next to nothing, and peers that say a byte at a time."""

import os
import re
import resource
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import httpx

from chaos.nemesis import Chaos, eventually, is_our_child, must
from chaos.proxy import ONE_BYTE
from chaos.registry import row
from chaos.storm import Storm, one_more_send, open_tenant, tenant_balances, until_ended
from muster.client import ApiError

STARVED = ("customer.api.0", "dispatch.api.0", "dispatch.sender.0", "dispatch.worker.0", "report.worker.0")
HUNGER_S = 4.0
CROWD = 8
PEOPLE = 20_000
SLOW_CLIENTS = 150
_REQUEST = b"POST /v1/quotes HTTP/1.1\r\nHost: muster\r\nContent-Type: application/json\r\nContent-Length: 5000\r\n\r\n"


@row("31", "few file handles, carriers and clients of one byte at a time", fires=len(STARVED) + 500)
def starves(chaos: Chaos) -> None:
    """Who is starved lives on or is started again, and works again by itself; who is slow slows nobody else."""
    with Storm(chaos, tenants=2) as storm:
        eventually(lambda: storm.done["send"] > 2, "the storm is on")
        with slow_clients(chaos):
            goes_on(storm, "beside clients of a byte at a time")
        with seen_to(chaos, "no file handle", r"Errno 24|Too many open files|out of system resource"):
            with few_handles(chaos):
                chaos.terminate_backends("dispatch")  # who has lost a connection needs another
                crowd(chaos, storm)
            goes_on(storm, "after there were few file handles")
    carrier_of_one_byte(chaos)
    chaos.check_when_quiet(storm.balances)


def goes_on(storm: Storm, when: str) -> None:
    """Sends are made and answered."""
    before = storm.done["send"]
    eventually(lambda: storm.done["send"] > before + 3 or storm.findings, f"sends go on {when}")
    must(not storm.findings, f"{when}: {storm.findings[:3]}")


@contextmanager
def slow_clients(chaos: Chaos) -> Iterator[None]:
    """Clients that begin a request and say a byte of it now and then."""
    url, over = urlsplit(chaos.stack.run["url"]), threading.Event()

    def drip() -> None:
        clients = [socket.create_connection((url.hostname, url.port), timeout=10) for _ in range(SLOW_CLIENTS)]
        at = 0
        while not over.wait(0.3):
            for client in clients:
                try:
                    client.send(_REQUEST[at : at + 1] or b"x")
                    chaos.fired["slow bytes"] += 1
                except OSError:  # it was shown the door
                    chaos.fired["slow clients turned away"] += 1
            at += 1
        for client in clients:
            client.close()

    dripping = threading.Thread(target=drip)
    dripping.start()
    try:
        eventually(lambda: chaos.fired["slow bytes"] > 3 * SLOW_CLIENTS, "the clients are slow")
        yield
    finally:
        over.set()
        dripping.join()


@contextmanager
def few_handles(chaos: Chaos) -> Iterator[None]:
    """Processes that may open no file more than they have."""
    with limited(chaos, resource.RLIMIT_NOFILE, "few handles", _handles):
        yield


@contextmanager
def limited(chaos: Chaos, kind: int, called: str, limit_of: Callable[[int], int]) -> Iterator[None]:
    """Set a soft limit of some processes, and take it away again where they still are."""
    before: dict[int, tuple[int, int]] = {}
    for name in STARVED:
        pid = chaos.stack.pid(name)
        must(is_our_child(pid), f"{name} runs")
        before[pid] = resource.prlimit(pid, kind)
        resource.prlimit(pid, kind, (limit_of(pid), before[pid][1]))
        chaos.fired[called] += 1
    try:
        yield
    finally:
        for pid, limits in before.items():
            if is_our_child(pid):
                resource.prlimit(pid, kind, limits)
    chaos.until_ready(*STARVED)


@contextmanager
def seen_to(chaos: Chaos, what: str, words: str) -> Iterator[None]:
    """Count what the starved say of it in their logs, and those that ended by it."""

    def counted() -> int:
        logs = [(chaos.var / "log" / f"{name}.log").read_text(errors="replace") for name in STARVED]
        ended = sum(len(chaos.stack.supervisor.codes.get(name, [])) for name in STARVED)
        return ended + sum(len(re.findall(words, log)) for log in logs)

    before = counted()
    yield
    chaos.fired[what] += counted() - before
    must(chaos.fired[what] > 0, f"somebody had {what}")


def crowd(chaos: Chaos, storm: Storm) -> None:
    """Many at once who import and ask; those whose service is not starved are answered."""
    asks = [tenant.business.ask for tenant in storm.tenants]
    people = "".join(f"Ana{at},Smith,+614{at:08d},no\n" for at in range(PEOPLE))
    until = time.monotonic() + HUNGER_S

    def one(at: int) -> None:
        while time.monotonic() < until:
            try:
                asks[at % 2].import_customers(f"First name,Last name,Mobile,Allow Bulk SMS\n{people}".encode())
            except (ApiError, OSError, httpx.HTTPError):
                chaos.fired["imports refused"] += 1

    threads = [threading.Thread(target=one, args=(at,)) for at in range(CROWD)]
    for thread in threads:
        thread.start()
    while time.monotonic() < until:
        for ask in asks:
            must(ask.credits()["granted"] > 0, "who is not starved answers")
        time.sleep(0.2)
    for thread in threads:
        thread.join()


def _handles(pid: int) -> int:
    """Up to which number every file handle is in use."""
    used = {int(name) for name in os.listdir(f"/proc/{pid}/fd")}
    return next(number for number in range(len(used) + 1) if number not in used)


def carrier_of_one_byte(chaos: Chaos) -> None:
    """A carrier that hears and answers a byte at a time; nothing gets out of step."""
    tenant = open_tenant(chaos, 200)
    proxy = chaos.proxies["dispatch", "carrier"]
    proxy.use(ONE_BYTE)
    bulk_id = one_more_send(chaos, tenant)
    until_ended(chaos, tenant, bulk_id)
    proxy.heal()
    reached = chaos.accepted(tenant.numbers)
    must(set(reached.values()) == {1} and reached.total() == 200, f"each gets it once: {reached.total()}")
    chaos.check_when_quiet(lambda: tenant_balances(chaos, tenant))
