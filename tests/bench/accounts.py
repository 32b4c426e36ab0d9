"""BENCH=accounts: the same business sends by 1, 2, 4 … carrier accounts, each with its own process and its own rate.

Each account is one with a carrier of its own and takes RATE parts a second, so that what several do together is several
times that for as long as the machine can carry it; each send is as long as ten seconds of its accounts. What is told of
each: the rate, as a share of what its accounts allow, and the CPU of an SMS, which should stay what it is.
"""

import itertools
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Final

import httpx

from bench.carrier import Seen, Simulator
from bench.cpu import cpu_s
from bench.send import LAWS_WAIT_S, WARM_UP, WORLD, NotEnded, load, send
from muster.client import Connection, Muster
from muster.client.commands.laws import settled_laws
from muster.local.stack import Stack

RATE: Final = 1_000
_SECONDS: Final = 10
_READY_WAIT_S: Final = 120.0
_LOOK_S: Final = 0.2


def steps(most: int) -> list[int]:
    """1, 2, 4 … up to `most` accounts."""
    return list(itertools.takewhile(lambda count: count <= most, (1 << power for power in itertools.count())))


@contextmanager
def carriers(count: int, first: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """Where so many carriers are: the stack's own, and others that run meanwhile. Two accounts with one carrier would
    get each other's receipts."""
    command = [sys.executable, "-m", "muster.client", "carrier", "simulate", "--port", "0", "--max-seconds", "900"]
    env = {**os.environ, "MUSTER_CARRIER_PASSWORD": first["password"]}
    with ExitStack() as stack:
        found = [first]
        for _ in range(count - 1):
            process = stack.enter_context(subprocess.Popen(command, env=env, stdout=subprocess.PIPE))
            stack.callback(process.terminate)
            assert process.stdout is not None
            found.append(first | json.loads(process.stdout.readline()))
        yield found


def measure(stack: Stack, most: int) -> dict[str, Any]:
    """Send by one account, then by twice as many, and so on up to `most`."""
    run = stack.run
    who, tenant = run["operator"], run["tenants"][0]
    largest = steps(most)[-1]
    with (
        Muster(Connection(run["url"], who["client_id"], who["client_secret"])) as operator,
        Muster(Connection(run["url"], tenant["client_id"], tenant["client_secret"])) as muster,
        carriers(largest, run["carrier"]) as found,
    ):
        granted = 10 * (largest * RATE * _SECONDS + WARM_UP)
        operator.top_up(tenant["id"], granted, reason="bench", reference=f"bench-{time.time_ns()}")
        at = {"smpp": found[0]} | {f"bench-{number}": one for number, one in enumerate(found[1:], 2)}
        operator.change_carrier("smpp", {"parts_per_second": RATE})
        for name, carrier in itertools.islice(at.items(), 1, None):
            operator.create_carrier(_account(name, carrier))
        load(muster, WARM_UP)
        send(muster, "warm", WARM_UP)
        rounds = [
            _round(run["processes"], operator, muster, dict(itertools.islice(at.items(), count)))
            for count in steps(most)
        ]
        laws = settled_laws(operator, LAWS_WAIT_S)
    return {
        "bench": "accounts",
        "rate_of_each": RATE,
        "rounds": rounds,
        "laws": {law.name: law.violation_count for law in laws},
        "laws_checked": {law.name: law.checked for law in laws},
    }


def _account(name: str, carrier: dict[str, Any]) -> dict[str, Any]:
    at = {"host": carrier["host"], "port": carrier["port"], "system_id": carrier["system_id"]}
    return {"account": name, "smpp": at, "password": carrier["password"], "parts_per_second": RATE}


def _round(
    processes: dict[str, int], operator: Muster, muster: Muster, accounts: dict[str, dict[str, Any]]
) -> dict[str, Any]:
    """One send by these accounts, to customers of its own."""
    operator.change_route("default", {"accounts": [{"account": name} for name in accounts]})
    _until(lambda: all(_takes(operator, name) for name in accounts), f"{len(accounts)} accounts to be open")
    recipients, tag = len(accounts) * RATE * _SECONDS, f"by-{len(accounts)}"
    load(muster, recipients, first=WARM_UP + recipients, tag=tag)
    simulators = [Simulator(carrier["control_url"]) for carrier in accounts.values()]
    for one in simulators:
        one.reset()
    before = cpu_s(processes, WORLD)[0]
    try:
        bulk_id, _ = send(muster, tag, recipients)
    except NotEnded as stuck:
        raise NotEnded(f"{stuck}; {_standing(operator, accounts)}") from stuck
    used = cpu_s(processes, WORLD)[0] - before
    return told([one.seen(bulk_id) for one in simulators], recipients, used)


def _standing(operator: Muster, accounts: dict[str, dict[str, Any]]) -> str:
    """How each account stands, and what its carrier has counted: who has, or has not, brought or taken a receipt."""
    return "; ".join(
        f"{name}: standing {json.dumps(operator.carrier(name)['standing'])}, carrier "
        + json.dumps(httpx.get(f"{carrier['control_url']}/stats", params={"destinations": 0}, timeout=10.0).json())
        for name, carrier in accounts.items()
    )


def told(seen: list[Seen], recipients: int, used_s: float) -> dict[str, Any]:
    """What a send by these accounts shows: together they take what each may take, times their number."""
    submits = sum(one.submits for one in seen)
    seconds = max(one.last_s for one in seen) - min(one.first_s for one in seen)
    rate = submits / max(seconds, 1e-9)
    return {
        "accounts": len(seen),
        "recipients": recipients,
        "submits": [one.submits for one in seen],
        "sms_per_s": round(rate),
        "share_of_rate": round(rate / (len(seen) * RATE), 3),
        "cpu_us_per_sms": round(used_s * 1e6 / recipients, 1),
    }


def _takes(operator: Muster, name: str) -> bool:
    carrier = operator.carrier(name)
    return bool(carrier["standing"]["applied"] and not carrier["health"]["why"])


def _until(seen: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + _READY_WAIT_S
    while not seen():
        if time.monotonic() > until:
            raise NotEnded(f"waited {_READY_WAIT_S:g} s for {what}")
        time.sleep(_LOOK_S)
