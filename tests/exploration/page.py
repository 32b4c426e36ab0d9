"""`python -m tests.exploration.page`: write what the last explorations came to (exploration.json) into docs/proof.md.

It needs both `python -m tests.exploration` and that with `--faults`. One that broke a law, missed a fault, or belongs
to no commit is refused: the page shows proof.
"""

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from proof import PAGE, between

from muster.local.var import folder

from .faults import FAULTS, Fault
from .runs import FILE

BEGIN, END = "<!-- exploration: made by tests/exploration/page.py -->", "<!-- exploration: end -->"


class Refused(Exception):
    """These explorations prove nothing."""


def figures(document: Mapping[str, Any], faults: Sequence[Fault]) -> str:
    """Both tables, with a line for each of these faults."""
    missing = [part for part in ("whole", "faults") if part not in document]
    if missing:
        raise Refused(f"not run yet: {', '.join(missing)}")
    changed = [part for part in ("whole", "faults") if document[part]["commit"].endswith("+")]
    if changed:
        raise Refused(f"files were changed since the commit: {', '.join(changed)}")
    return "\n".join((*_worlds(document["whole"]), "", *_faults(document["faults"], faults)))


def _worlds(whole: Mapping[str, Any]) -> list[str]:
    found = [(each["group"], world, each["peak_mib"]) for each in whole["found"] for world in each["worlds"]]
    broken = [group for group, world, _ in found if world["problem"]]
    if broken:
        raise Refused(f"a law is broken: {', '.join(broken)}")
    states, transitions, cpu = (
        sum(world[name] for _, world, _ in found) for name in ("states", "transitions", "cpu_seconds")
    )
    peak = max(mib for *_, mib in found)
    lines = [
        f"Commit {whole['commit']}: {states:,} states and {transitions:,} transitions in {cpu:.0f} s of CPU,"
        f" {whole['seconds']:.0f} s by the clock on {whole['cpus']} cores (with whatever else ran there); the largest"
        f" process took {peak:,} MiB.",
        "",
        "| exploration | world | states | transitions | ends | depth | steps kept back | CPU s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for group, world, _ in found:
        counts = " | ".join(f"{world[name]:,}" for name in ("states", "transitions", "ends", "depth", "withheld"))
        lines.append(f"| {group} | `{world['world']}` | {counts} | {world['cpu_seconds']:.0f} |")
    lines += ["", "Their bounds, as they were printed:", ""]
    for group, world, _ in found:
        bounds = "; ".join(f"{name} {value}" for name, value in world["bounds"].items())
        stands = f" Stands for {world['stands_for']:,} states of two sends at most." if world["stands_for"] else ""
        lines.append(f"- {group}, `{world['world']}`: {bounds}.{stands}")
    return lines


def _faults(document: Mapping[str, Any], faults: Sequence[Fault]) -> list[str]:
    found = {each["group"]: each["worlds"][0] for each in document["found"]}
    nothing = {"problem": ""}
    missed = [one.name for one in faults if not found.get(one.name, nothing)["problem"].startswith(one.law)]
    if missed:
        raise Refused(f"not found: {', '.join(missed)}")
    both = sum(one.seed > 0 for one in faults)
    lines = [
        f"Commit {document['commit']}: {len(faults)} deliberate faults, each found; {both} of them are put into the"
        " whole running code as well, where the simulation finds them, by the seed that is named or another one.",
        "",
        "| fault | law | steps of the shortest path | states until then | seed of the simulation |",
        "|---|---|---|---|---|",
    ]
    for one in faults:
        world, place = found[one.name], one.target.removeprefix("muster.")
        counts = f"{len(world['story']) - 1} | {world['states']:,} | {one.seed or ''}"
        lines.append(f"| {one.name} (`{place}`) | {one.law} | {counts} |")
    return lines


def main() -> int:
    """Write the page; 1 where there is nothing to show."""
    run = folder() / FILE
    try:
        made = figures(json.loads(run.read_text()) if run.exists() else {}, FAULTS)
    except Refused as why:
        print(why, file=sys.stderr)
        return 1
    PAGE.write_text(between(PAGE.read_text(encoding="utf-8"), BEGIN, END, made), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
