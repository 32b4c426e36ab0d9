"""`python -m tests.chaos.page`: write the figures of the last `make chaos` (chaos.json) into docs/proof.md."""

import json
import sys
from collections.abc import Mapping
from typing import Any

from proof import PAGE, between

from muster.local.var import folder

BEGIN, END = "<!-- chaos: made by tests/chaos/page.py -->", "<!-- chaos: end -->"


def figures(found: Mapping[str, Any]) -> str:
    """The table of a run."""
    rows = found["rows"]
    lines = [
        f"Commit {found['commit']}, seed {found['seed']}, {len(rows)} rows in {found['seconds'] / 60:.0f} minutes"
        f"{' with FULL=1' if found['full'] else ''}:",
        "",
        "| row | what was done | fired | seconds | checked by the laws | |",
        "|---|---|---|---|---|---|",
    ]
    for row in rows:
        fired, checked = (sum(row[member].values()) for member in ("fired", "checked"))
        verdict = "**broken**" if row["problem"] else "holds"
        lines.append(f"| {row['row']} | {row['says']} | {fired:,} | {row['seconds']:.0f} | {checked:,} | {verdict} |")
    return "\n".join(lines)


def main() -> int:
    """Write the page; 1 where there was no run."""
    run = folder() / "chaos.json"
    if not run.exists():
        print(f"{run} is not there: run `make chaos` first", file=sys.stderr)
        return 1
    page, made = PAGE.read_text(encoding="utf-8"), figures(json.loads(run.read_text()))
    PAGE.write_text(between(page, BEGIN, END, made), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
