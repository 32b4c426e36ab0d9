"""One worker of a run: reads seeds from standard input, a line each, and writes their outcomes, a JSON document each.

Hashes of texts are the same in every worker (PYTHONHASHSEED): the order of a set belongs to the seed.
"""

import json
import os
import subprocess
import sys
from importlib import import_module
from typing import IO, Any, cast

from simulation import TESTS
from simulation.database import Cluster
from simulation.simulate import simulate


class Worker:
    """The other end: a worker process."""

    def __init__(self, admin_dsn: str, suffix: str, fault: str = "") -> None:
        command = [sys.executable, "-m", "tests.simulation.worker", admin_dsn, suffix, fault]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=TESTS.parent
        )

    def simulate(self, seed: int) -> dict[str, Any]:
        """The outcome of a seed."""
        to, back = cast(IO[str], self._process.stdin), cast(IO[str], self._process.stdout)
        try:
            to.write(f"{seed}\n")
            to.flush()
            line = back.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise RuntimeError(f"the worker ended at seed {seed} with exit code {self._process.wait()}")
        return cast(dict[str, Any], json.loads(line))

    def close(self) -> None:
        """End it."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)


def main(admin_dsn: str, suffix: str, fault: str) -> None:
    """Work until standard input ends."""
    if fault:
        import_module("simulation.mutants").apply(fault)
    cluster = Cluster(admin_dsn, suffix)
    for line in sys.stdin:
        outcome = simulate(int(line), cluster).document()
        if not outcome["wrong"]:
            outcome["last"] = []
        print(json.dumps(outcome), flush=True)
    cluster.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
