"""`python -m tests.exploration.page`: write what the last explorations came to (exploration.json) into docs/proof.md.

It needs both `python -m tests.exploration` and that with `--faults`. One that broke a law, missed a fault, or belongs
to no commit is refused: the page shows proof.
"""

import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from muster.local.var import folder

from .faults import FAULTS
from .runs import FILE

PAGE: Final = Path(__file__).parents[2] / "docs" / "proof.md"
BEGIN, END = "<!-- exploration: made by tests/exploration/page.py -->", "<!-- exploration: end -->"


class Refused(Exception):
    """These explorations prove nothing."""


def figures(document: Mapping[str, Any], laws: Mapping[str, tuple[str, str]]) -> str:
    """Both tables. `laws`: for each fault the function that it changes and the law that it breaks."""
    missing = [part for part in ("whole", "faults") if part not in document]
    if missing:
        raise Refused(f"not run yet: {', '.join(missing)}")
    changed = [part for part in ("whole", "faults") if document[part]["commit"].endswith("+")]
    if changed:
        raise Refused(f"files were changed since the commit: {', '.join(changed)}")
    return "\n".join((*_worlds(document["whole"]), "", *_faults(document["faults"], laws)))


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


def _faults(faults: Mapping[str, Any], laws: Mapping[str, tuple[str, str]]) -> list[str]:
    found = {each["group"]: each["worlds"][0] for each in faults["found"]}
    missed = [
        name for name, (_, law) in laws.items() if not found.get(name, {"problem": ""})["problem"].startswith(law)
    ]
    if missed:
        raise Refused(f"not found: {', '.join(missed)}")
    lines = [
        f"Commit {faults['commit']}: {len(laws)} deliberate faults, each found.",
        "",
        "| fault | law | steps of the shortest path | states until then |",
        "|---|---|---|---|",
    ]
    for name, (target, law) in laws.items():
        world = found[name]
        lines.append(f"| {name} (`{target}`) | {law} | {len(world['story']) - 1} | {world['states']:,} |")
    return lines


def written(page: str, made: str) -> str:
    """The page with the figures between its two marks; ValueError where it has none."""
    before, _, rest = page.partition(BEGIN)
    _, mark, after = rest.partition(END)
    if not mark:
        raise ValueError(f"{PAGE} has no place for the figures")
    return f"{before}{BEGIN}\n{made}\n{END}{after}"


def main() -> int:
    """Write the page; 1 where there is nothing to show."""
    run = folder() / FILE
    laws = {fault.name: (fault.target.removeprefix("muster."), fault.law) for fault in FAULTS}
    try:
        made = figures(json.loads(run.read_text()) if run.exists() else {}, laws)
    except Refused as why:
        print(why, file=sys.stderr)
        return 1
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8"), made), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
