"""CPU seconds of running processes with their children, from /proc."""

import os
from collections.abc import Mapping
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")


def cpu_s(processes: Mapping[str, int]) -> dict[str, float]:
    """CPU seconds so far of each named process and everything it started, dead children included."""
    table = {int(entry.name): _times(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    children: dict[int, list[int]] = {}
    for pid, (parent, _, _) in table.items():
        children.setdefault(parent, []).append(pid)
    return {name: _tree(pid, table, children) / TICKS_PER_S for name, pid in processes.items()}


def _tree(pid: int, table: Mapping[int, tuple[int, int, int]], children: Mapping[int, list[int]]) -> int:
    """Ticks of a process, of its living descendants, and of those it has buried."""
    _, own, buried = table.get(pid, (0, 0, 0))
    return own + buried + sum(_tree(child, table, children) for child in children.get(pid, ()))


def _times(entry: Path) -> tuple[int, int, int]:
    """Parent, own ticks and ticks of buried children; zeros for a process that has just ended."""
    try:
        stat = (entry / "stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0, 0, 0
    fields = stat[stat.rindex(")") + 2 :].split()
    return int(fields[1]), int(fields[11]) + int(fields[12]), int(fields[13]) + int(fields[14])


def less(after: Mapping[str, float], before: Mapping[str, float]) -> dict[str, float]:
    """What each process used in between, in CPU seconds."""
    return {name: after[name] - before.get(name, 0.0) for name in after}
