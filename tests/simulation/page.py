"""The section of docs/proof.md on the simulation, made from a result file: python -m tests.simulation.page FILE.

A run with kinds of faults that never happened, or of changed files, is refused: the page shows proof. So is one with a
failed seed that no test names ("Seed 12714 of the simulation"): what it found is to be mended first.
"""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any, Final

from proof import PAGE, between

BEGIN, END = (
    "<!-- made by tests/simulation/page.py from page.md: begin -->",
    "<!-- made by tests/simulation/page.py from page.md: end -->",
)
_TEXT: Final = Path(__file__).with_name("page.md")


class Refused(Exception):
    """This run proves nothing."""


def section(result: dict[str, Any], mutants: list[str]) -> str:
    """The section of a run; Refused where it broke something, left something out, or belongs to no commit."""
    if result["idle"]:
        raise Refused(f"never happened: {', '.join(result['idle'])}")
    failed = [failure["seed"] for failure in result["failures"]]
    if open_ := [str(seed) for seed in failed if not is_tested(seed)]:
        raise Refused(f"no test names the failed seed {', '.join(open_)}")
    if result["commit"].endswith("+"):
        raise Refused("files were changed since the commit")
    figures = {
        **result,
        "last": result["first"] + result["seeds"] - 1,
        "hours": result["simulated_s"] // 3600,
        "minutes": round(result["seconds"] / 60),
        "checked": _rows(result["checked"]),
        "faults": _rows(result["faults"]),
        "stories": _rows(result["stories"]),
        "mutants": "; ".join(mutants),
        "kept": result["seeds"] - len(failed),
        "failed": ", ".join(map(str, failed)) or "none",
    }
    return _TEXT.read_text(encoding="utf-8").format(**figures)


def is_tested(seed: int) -> bool:
    """Whether the test of what a failed seed has found names it."""
    words = f"eed {seed} of the simulation"
    return not subprocess.run(
        ("git", "grep", "-q", words, "--", "*test_*.py"), cwd=PAGE.parent.parent, check=False
    ).returncode


def _rows(counts: dict[str, int]) -> str:
    return "\n".join(f"| {name} | {times:,} |" for name, times in counts.items())


def main(file: str) -> int:
    """Exit code 1 where the run is refused."""
    from simulation.mutants import FAULTS

    try:
        made = section(json.loads(Path(file).read_text()), sorted(FAULTS))
    except Refused as why:
        print(why, file=sys.stderr)
        return 1
    PAGE.write_text(between(PAGE.read_text(encoding="utf-8"), BEGIN, END, made), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
