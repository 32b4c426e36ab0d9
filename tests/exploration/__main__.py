"""`python -m tests.exploration`: every reachable state of each world, with bounds and counts; 1 if a law breaks.

`--tested` for the smaller bounds of `make test`, `--faults` for the deliberate faults and the shortest path to each.
"""

import argparse
import sys
import time

from proof import commit

from .faults import FAULTS
from .runs import Found, explored, save, side_by_side, with_fault
from .worlds import TESTED, WHOLE


def main(arguments: list[str]) -> int:
    """Explore, and say what was found."""
    parser = argparse.ArgumentParser(
        prog="tests.exploration", description="Explore every reachable state; 1 if a law breaks."
    )
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--tested", action="store_true", help="the smaller bounds of make test")
    what.add_argument("--faults", action="store_true", help="the deliberate faults, and the shortest path to each")
    asked = parser.parse_args(arguments)
    try:
        return _faults() if asked.faults else _worlds(tested=asked.tested)
    except KeyboardInterrupt:
        print("\nexploration: ended; no result was written", file=sys.stderr)
        return 130


def _worlds(*, tested: bool) -> int:
    began, of = time.monotonic(), commit()
    found: list[Found] = []
    for name, worlds, peak in side_by_side(explored, [(name, tested) for name in (TESTED if tested else WHOLE)]):
        for result in worlds:
            print("\n".join([f"[{name}] {result.lines()[0]}", *result.lines()[1:]]), flush=True)
        found.append((name, worlds, peak))
    results = [result for _, worlds, _ in found for result in worlds]
    states, transitions = sum(one.states for one in results), sum(one.transitions for one in results)
    seconds, cpu_seconds = time.monotonic() - began, sum(one.cpu_seconds for one in results)
    print(
        f"{states:,} states, {transitions:,} transitions, {cpu_seconds:.0f} s of CPU in {seconds:.0f} s;"
        f" the largest process took {max(peak for _, _, peak in found):,} MiB"
    )
    if not tested:
        save("whole", of, found, seconds=round(seconds, 1))
    return int(any(one.problem for one in results))


def _faults() -> int:
    missed, found, of = 0, [], commit()
    for fault, each in zip(FAULTS, side_by_side(with_fault, [(fault.name,) for fault in FAULTS]), strict=True):
        result = each[1][0]
        right = result.problem.startswith(fault.law)
        missed += not right
        print(f"{'found' if right else 'MISSED'}: {fault.name} ({fault.target})")
        print("\n".join(result.lines()[2:]), flush=True)
        found.append(each)
    save("faults", of, found)
    return int(missed > 0)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
