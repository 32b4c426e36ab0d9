"""One seed again: `python -m tests.simulation --seed 7 --trace`."""

import argparse
import os
import sys

from simulation.cluster import Cluster
from simulation.server import make_databases, server
from simulation.simulate import simulate


def main() -> int:
    """Exit code 1 where it breaks anything."""
    parser = argparse.ArgumentParser(prog="tests.simulation", description=__doc__)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--trace", action="store_true", help="print every step")
    asked = parser.parse_args()
    if os.environ.get("PYTHONHASHSEED") != "0":
        os.execve(
            sys.executable,
            [sys.executable, "-m", "tests.simulation", *sys.argv[1:]],
            {**os.environ, "PYTHONHASHSEED": "0"},
        )
    with server() as admin_dsn:
        make_databases(admin_dsn, ["one"])
        cluster = Cluster(admin_dsn, "one")
        outcome = simulate(asked.seed, cluster, print if asked.trace else None)
        cluster.close()
    print(f"seed {outcome.seed}: {outcome.transitions} transitions, digest {outcome.digest}")
    print(*outcome.wrong or ["every law holds"], sep="\n")
    return 1 if outcome.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
