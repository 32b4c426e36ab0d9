"""`make bench`: measure the whole product and print one JSON object as the last line.

BENCH names the bench: send; single (messages of a request each, or BENCH_PER_REQUEST, over BENCH_CONNECTIONS at once);
stop (a send is stopped at BENCH_STOPS random moments, by SEED: are its sums exact?); fair (BENCH_TENANTS of mixed sizes
at once); accounts (by 1, 2, 4 … up to BENCH_ACCOUNTS carrier accounts); finish (BENCH_STORIES, or the usual: are
finishes kept as promised? BENCH_TRACES names a folder for what was seen); ledger (reservations and settlements a
second); audience (import, search, count and freeze BENCH_CUSTOMERS of one business beside BENCH_TENANTS small ones);
quote (what is quoted while twenty people type, and right after somebody changed, and the plan, of BENCH_CUSTOMERS);
parts (count and cut texts of 160 characters).
BENCH_RECIPIENTS is the size of a send, of all of them together, or how many messages (several, with commas
between, are measured one after the other, each on a system of its own), BENCH_CARRIER=host:port an SMPP server that is
not ours, PEERS a command that prints the JSON lines of other systems, measured in the same run. Ends with 0; with 2 for
a value that will not do; with 1 and the reason where something did not come to its end in time, was not exact, or a law
was broken.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import accounts, fair, finish, ledger, parts, quote, send, single, stop
from bench.audience import measure as audience
from bench.peers import PeersFailed, ratios, run_peers
from bench.wanted import Refused, Wanted
from muster.client import ApiError
from muster.local.process import PartError
from muster.local.stack import Stack


def main() -> int:
    """Run what the environment asks for."""
    try:
        wanted = Wanted.read()
    except Refused as refused:
        print(refused, file=sys.stderr)
        return 2
    try:
        peers = run_peers(wanted.peers)
        if wanted.bench == "ledger":
            return of_ledger(peers)
        if wanted.bench == "parts":
            print(json.dumps(parts.measure()))
            return 0
        if wanted.bench == "audience":
            print(json.dumps(audience.measure(wanted.customers, wanted.tenants, wanted.seed)))
            return 0
        if wanted.bench == "quote":
            print(json.dumps(quote.measure(wanted.customers, wanted.seed)))
            return 0
        runs = [asyncio.run(measured(wanted, size)) for size in wanted.sizes]
    except (PeersFailed, PartError, send.NotEnded, ApiError) as failed:
        print(f"bench: {failed}", file=sys.stderr)
        return 1
    for one in (*peers, *runs[:-1]):
        print(json.dumps(one))
    more = marginal(runs) if wanted.bench == "send" else {}
    more |= ratios(runs[-1], peers) if wanted.bench in ("send", "single") else {}
    print(json.dumps(runs[-1] | more))
    return broken(runs) or int(any(run.get("inexact") for run in runs))


MEASURES: Final[dict[str, Callable[[Stack, int, Wanted], dict[str, Any]]]] = {
    "send": lambda stack, size, _: send.measure(stack, size),
    "stop": lambda stack, size, wanted: stop.measure(stack, size, wanted.stops, wanted.seed),
    "single": lambda stack, size, wanted: single.measure(stack, size, wanted.connections, wanted.per_request),
    "accounts": lambda stack, _, wanted: accounts.measure(stack, wanted.accounts),
    "fair": lambda stack, size, wanted: fair.measure(stack, size, wanted.tenants),
    "finish": lambda stack, _, wanted: finish.measure(stack, wanted.stories or finish.USUAL, wanted.traces),
}


async def measured(wanted: Wanted, size: int) -> dict[str, Any]:
    """One bench on a system of its own, in a folder that is removed."""
    with tempfile.TemporaryDirectory(prefix="muster-bench-") as folder:
        env = finish.LOGS if wanted.bench == "finish" else {}
        senders = wanted.accounts if wanted.bench == "accounts" else 1
        say, carrier = (lambda line: print(line, file=sys.stderr)), account(wanted)
        async with Stack(Path(folder), say=say, carrier=carrier, env=env, senders=senders) as stack:
            return await asyncio.to_thread(MEASURES[wanted.bench], stack, size, wanted)


def of_ledger(peers: list[dict[str, Any]]) -> int:
    """The ledger alone, on a database of its own."""
    run = ledger.measure()
    for one in (*peers, run):
        print(json.dumps(one))
    return broken([run])


def account(wanted: Wanted) -> dict[str, Any] | None:
    """The SMPP server that BENCH_CARRIER names, with any account; None: our simulator."""
    if wanted.carrier is None:
        return None
    host, port = wanted.carrier
    return {"host": host, "port": port, "system_id": "bench", "password": "bench", "control_url": ""}


def marginal(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """CPU for each further SMS between the smallest and the largest run, in microseconds; nothing for one size."""
    small, large = (pick(runs, key=lambda run: run["recipients"]) for pick in (min, max))
    more = large["recipients"] - small["recipients"]
    if not more:
        return {}
    spent = large["cpu_us_per_sms"] * large["recipients"] - small["cpu_us_per_sms"] * small["recipients"]
    each = spent / more
    return {"marginal_us_per_sms": round(each, 1), "marginal_ratio": round(each / small["cpu_us_per_sms"], 3)}


def broken(runs: list[dict[str, Any]]) -> int:
    """1 if any law was broken in any run, or checked on nothing."""
    wrong = {
        (_what(run), name): (violations, run["laws_checked"][name])
        for run in runs
        for name, violations in run["laws"].items()
        if violations or not run["laws_checked"][name]
    }
    for (what, name), (violations, checked) in wrong.items():
        print(f"bench: law {name!r} {what}: {violations} of {checked} wrong", file=sys.stderr)
    return 1 if wrong else 0


def _what(run: dict[str, Any]) -> str:
    return f"with {run['recipients']} recipients" if "recipients" in run else f"of the {run['bench']}"


if __name__ == "__main__":
    sys.exit(main())
