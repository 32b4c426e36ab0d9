"""BENCH=accounts: the same business sends by 1, 2, 4 … carrier accounts, each with its own process and its own rate.

Each account takes RATE parts a second, so that what several do together is several times that for as long as the
machine can carry it; each send is as long as ten seconds of its accounts. What is told of each: the rate, as a share of
what its accounts allow, and the CPU of an SMS, which should stay what it is.
"""

import itertools
import time
from collections.abc import Callable
from typing import Any, Final

from bench.cpu import cpu_s
from bench.send import LAWS_WAIT_S, WARM_UP, WORLD, NotEnded, carrier_of, load, send
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


def measure(stack: Stack, most: int) -> dict[str, Any]:
    """Send by one account, then by twice as many, and so on up to `most`."""
    run = stack.run
    who, tenant = run["operator"], run["tenants"][0]
    largest = steps(most)[-1] * RATE * _SECONDS
    with (
        Muster(Connection(run["url"], who["client_id"], who["client_secret"])) as operator,
        Muster(Connection(run["url"], tenant["client_id"], tenant["client_secret"])) as muster,
    ):
        operator.top_up(tenant["id"], 10 * (largest + WARM_UP), reason="bench", reference=f"bench-{time.time_ns()}")
        names = ["smpp", *(f"bench-{number}" for number in range(2, steps(most)[-1] + 1))]
        operator.change_carrier("smpp", {"parts_per_second": RATE})
        for name in names[1:]:
            operator.create_carrier(_account(name, run["carrier"]))
        load(muster, WARM_UP)
        send(muster, "warm", WARM_UP)
        rounds = [_round(stack, operator, muster, names[:count]) for count in steps(most)]
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


def _round(stack: Stack, operator: Muster, muster: Muster, names: list[str]) -> dict[str, Any]:
    """One send by these accounts, to customers of its own."""
    operator.change_route("default", {"accounts": [{"account": name} for name in names]})
    _until(lambda: all(_takes(operator, name) for name in names), f"{len(names)} accounts to be open")
    recipients, tag = len(names) * RATE * _SECONDS, f"by-{len(names)}"
    carrier = carrier_of(stack.run)
    load(muster, recipients, first=WARM_UP + recipients, tag=tag)
    carrier.reset()
    before = cpu_s(stack.run["processes"], WORLD)[0]
    bulk_id, _ = send(muster, tag, recipients)
    used = cpu_s(stack.run["processes"], WORLD)[0] - before
    seen = carrier.seen(bulk_id)
    rate = seen.submits / max(seen.last_s - seen.first_s, 1e-9)
    return {
        "accounts": len(names),
        "recipients": recipients,
        "sms_per_s": round(rate),
        "share_of_rate": round(rate / (len(names) * RATE), 3),
        "cpu_us_per_sms": round(used * 1e6 / recipients, 1),
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
