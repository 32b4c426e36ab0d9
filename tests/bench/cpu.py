"""CPU seconds of running processes with their children, from /proc."""

import os
from collections.abc import Collection, Mapping
from pathlib import Path

TICKS_PER_S = os.sysconf("SC_CLK_TCK")

Table = Mapping[int, tuple[int, int, int]]


def cpu_s(processes: Mapping[str, int], left_out: Collection[str]) -> tuple[float, dict[str, float]]:
    """CPU seconds so far: of all that this process has started but those `left_out`, and of each named process.

    The first includes everything that was ever started, restarted or buried meanwhile, so that nothing that dies takes
    its share with it; this process itself, which only measures, is not in it. A process that the system does not end
    with its parent, as a server's own children, counts with that server.
    """
    table = {int(entry.name): _times(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    children: dict[int, list[int]] = {}
    for pid, (parent, _, _) in table.items():
        children.setdefault(parent, []).append(pid)
    each = {name: _tree(pid, table, children) / TICKS_PER_S for name, pid in processes.items()}
    own = table[os.getpid()][1] / TICKS_PER_S
    whole = _tree(os.getpid(), table, children) / TICKS_PER_S - own
    return whole - sum(each[name] for name in left_out if name in each), each


def _tree(pid: int, table: Table, children: Mapping[int, list[int]]) -> int:
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
    """What each process used in between, in CPU seconds; of one that was restarted, what its new process has used."""
    used = {name: after[name] - before.get(name, 0.0) for name in after}
    return {name: seconds if seconds >= 0 else after[name] for name, seconds in used.items()}
