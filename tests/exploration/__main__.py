"""`python -m tests.exploration`: every reachable state of each world, with bounds and counts; 1 if a law breaks.

`--tested` for the smaller bounds of `make test`, `--faults` for the deliberate faults and the shortest path to each.
"""

import sys
import time

from .engine import Explored, explore
from .faults import FAULTS
from .worlds import SMALL, STATES_MAX, TESTED, WHOLE


def main(arguments: list[str]) -> int:
    """Explore, and say what was found."""
    if "--faults" in arguments:
        return _faults()
    began = time.monotonic()
    results: list[Explored] = []
    for name, make in (TESTED if "--tested" in arguments else WHOLE).items():
        result = explore(make(), STATES_MAX, lambda line: print(f"\r\033[K{line}", end="", file=sys.stderr, flush=True))
        print("\r\033[K", end="", file=sys.stderr)
        print("\n".join([f"[{name}] {result.lines()[0]}", *result.lines()[1:]]), flush=True)
        results.append(result)
    states, transitions = sum(one.states for one in results), sum(one.transitions for one in results)
    print(f"{states:,} states, {transitions:,} transitions, {time.monotonic() - began:.0f} s")
    return int(any(one.problem for one in results))


def _faults() -> int:
    missed = 0
    for fault in FAULTS:
        with fault.applied():
            result = explore(SMALL[fault.world](), STATES_MAX)
        found = result.problem.startswith(fault.law)
        missed += not found
        print(f"{'found' if found else 'MISSED'}: {fault.name} ({fault.target})")
        print("\n".join(result.lines()[2:]), flush=True)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
