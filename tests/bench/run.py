"""`make bench`: measure the whole product and print one JSON object as the last line.

BENCH names the bench (send), BENCH_RECIPIENTS its size (several, with commas between, are measured one after the
other on one system), BENCH_CARRIER=host:port an SMPP server that is not ours, PEERS a command that prints the JSON
lines of other systems, measured in the same run.
"""

import asyncio
import json
import os
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from bench import send
from muster.local.stack import Stack

BENCHES = {"send": send.measure}
PEERS_TIMEOUT_S = 1800


def main() -> int:
    """Run the bench that BENCH names; 2 for a name that is none."""
    name = os.environ.get("BENCH", "send")
    if name not in BENCHES:
        print(f"BENCH: {name!r} is none; there is: {', '.join(BENCHES)}", file=sys.stderr)
        return 2
    sizes = [int(size) for size in os.environ.get("BENCH_RECIPIENTS", "50000").split(",")]
    peers = run_peers(os.environ.get("PEERS", ""))
    runs = [asyncio.run(measured(name, size)) for size in sizes]
    for one in (*peers, *runs[:-1]):
        print(json.dumps(one))
    print(json.dumps(runs[-1] | marginal(runs) | ratios(runs[-1], peers)))
    return 0


async def measured(name: str, size: int) -> dict[str, Any]:
    """One bench on a system of its own, in a folder that is removed."""
    with tempfile.TemporaryDirectory(prefix="muster-bench-") as folder:
        async with Stack(Path(folder), say=lambda line: print(line, file=sys.stderr), carrier=other_carrier()) as stack:
            return await asyncio.to_thread(BENCHES[name], stack, size)


def other_carrier() -> dict[str, Any] | None:
    """The SMPP server that BENCH_CARRIER names, with any account; None: our simulator."""
    written = os.environ.get("BENCH_CARRIER")
    if not written:
        return None
    host, _, port = written.rpartition(":")
    return {"host": host, "port": int(port), "system_id": "bench", "password": "bench", "control_url": ""}


def run_peers(command: str) -> list[dict[str, Any]]:
    """The JSON lines that other systems' command prints; none where no command is given."""
    if not command:
        return []
    done = subprocess.run(shlex.split(command), stdout=subprocess.PIPE, text=True, timeout=PEERS_TIMEOUT_S, check=True)
    return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]


def marginal(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """CPU for each further SMS between the smallest and the largest run, in microseconds; nothing for one run."""
    if len(runs) < 2:
        return {}
    small, large = runs[0], runs[-1]
    spent = large["cpu_us_per_sms"] * large["recipients"] - small["cpu_us_per_sms"] * small["recipients"]
    more = spent / (large["recipients"] - small["recipients"])
    return {"marginal_us_per_sms": round(more, 1), "marginal_ratio": round(more / small["cpu_us_per_sms"], 3)}


def ratios(run: dict[str, Any], peers: list[dict[str, Any]]) -> dict[str, Any]:
    """How we stand to each peer that prints a rate and CPU: above 1 is faster, below 1 is cheaper."""
    found = {}
    for peer in peers:
        rate = peer.get("msgs_per_s") or peer.get("smsc_per_s")
        cpu_us = peer.get("us_per_sms") or (peer.get("cpu_s_per_1000") or 0) * 1000
        if rate and cpu_us:
            name = f"{peer['peer']} {peer['config'].get('per_request', '')}".strip()
            found[name] = {"rate": round(run["sms_per_s"] / rate, 2), "cpu": round(run["cpu_us_per_sms"] / cpu_us, 2)}
    return {"ratios": found} if found else {}


if __name__ == "__main__":
    sys.exit(main())
