"""One worker of a run: reads seeds from standard input, a line each, and writes their outcomes, a JSON document each.

A seed may be followed by the name of a deliberate fault. Those of one fault, one after the other, run in a child of its
own, which has this fault in its code: a copy of a process in which everything is built already, since to build it takes
longer than a seed.

Hashes of texts are the same in every worker (PYTHONHASHSEED): the order of a set belongs to the seed.
"""

import json
import os
import subprocess
import sys
import traceback
from collections.abc import Callable, Sequence
from importlib import import_module
from typing import IO, Any, Final, NoReturn, cast

from simulation import TESTS
from simulation.cluster import Cluster
from simulation.simulate import simulate

_PROGRAM: Final = ("-m", "tests.simulation.worker")
_END_LIMIT_S: Final = 300


class Worker:
    """The other end: a worker process."""

    def __init__(self, admin_dsn: str, suffix: str, *, program: Sequence[str] = _PROGRAM) -> None:
        command = [sys.executable, *program, admin_dsn, suffix]
        environment = {**os.environ, "PYTHONHASHSEED": "0"}
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=TESTS.parent
        )

    def simulate(self, seed: int, fault: str = "") -> dict[str, Any]:
        """The outcome of a seed, with this fault in the code where one is named."""
        to, back = cast(IO[str], self._process.stdin), cast(IO[str], self._process.stdout)
        try:
            to.write(f"{seed} {fault}".rstrip() + "\n")
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
        self._process.wait(_END_LIMIT_S)


def main(admin_dsn: str, suffix: str) -> None:
    """Work until standard input ends. Once faults are asked for, nothing else may be."""
    cluster, faulty = Cluster(admin_dsn, suffix), None
    for line in sys.stdin:
        seed, _, fault = line.strip().partition(" ")
        if not fault:
            _answer(int(seed), cluster)
            continue
        if faulty is None:
            # What the first seed builds would be built in every child, and none can share a connection.
            simulate(0, cluster)
            cluster.close()
        if faulty is None or faulty.fault != fault:
            if faulty is not None:
                faulty.close()
            faulty = _Faulty(fault, admin_dsn, suffix)
        faulty.simulate(int(seed))
    (faulty or cluster).close()


def _answer(seed: int, cluster: Cluster) -> None:
    outcome = simulate(seed, cluster).document()
    if not outcome["wrong"]:
        outcome["last"] = []
    print(json.dumps(outcome), flush=True)


class _Faulty:
    """A copy of this process that has a fault in its code, for as many seeds as this is looked for in: what its
    connections have planned is planned once. This process ends if the copy does not end well."""

    def __init__(self, fault: str, admin_dsn: str, suffix: str) -> None:
        self.fault = fault
        asked, self._seeds = os.pipe()
        self._answered, done = os.pipe()
        self._child = os.fork()
        if not self._child:
            os.close(self._seeds)
            os.close(self._answered)
            _end_after(lambda: _with_fault(fault, admin_dsn, suffix, asked, done))
        os.close(asked)
        os.close(done)

    def simulate(self, seed: int) -> None:
        """It gives the answer itself."""
        os.write(self._seeds, f"{seed}\n".encode())
        if not os.read(self._answered, 1):
            self.close()

    def close(self) -> None:
        """End it."""
        os.close(self._seeds)
        os.close(self._answered)
        _, status = os.waitpid(self._child, 0)
        if status:
            sys.exit(f"the child that had a fault ended with {os.waitstatus_to_exitcode(status)}")


def _with_fault(fault: str, admin_dsn: str, suffix: str, asked: int, done: int) -> None:
    import_module("simulation.mutants").apply(fault)
    cluster = Cluster(admin_dsn, suffix)
    with os.fdopen(asked) as seeds:
        for seed in iter(seeds.readline, ""):
            _answer(int(seed), cluster)
            os.write(done, b".")
    cluster.close()


def _end_after(work: Callable[[], None]) -> NoReturn:
    code = 1
    try:
        work()
        code = 0
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(code)


if __name__ == "__main__":
    main(*sys.argv[1:])
