"""What processes hold in memory while they work, sampled: their own share of it (PSS), with all that they started."""

import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Final

_EVERY_S: Final = 0.5
_QUARTERS: Final = 4


class Watched:
    """Watches processes with their children, from `with` to its end. MiB."""

    def __init__(self, processes: Mapping[str, int]) -> None:
        self._processes = processes
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self.samples: list[dict[str, float]] = []

    def __enter__(self) -> "Watched":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._over.is_set():
            began = time.monotonic()
            self.samples.append(_held(self._processes))
            self._over.wait(max(0.0, _EVERY_S - (time.monotonic() - began)))

    @property
    def peak(self) -> dict[str, float]:
        """The most that each process, and each that it has started, held at a time; `together` is of all of them."""
        names = {name for sample in self.samples for name in sample}
        return {name: round(max(sample.get(name, 0.0) for sample in self.samples), 1) for name in sorted(names)}

    @property
    def quarters(self) -> list[float]:
        """The most of all together in each quarter of the time: flat, where the last is as the second."""
        size = max(1, -(-len(self.samples) // _QUARTERS))
        parts = [self.samples[first : first + size] for first in range(0, len(self.samples), size)]
        return [round(max(sample["together"] for sample in part), 1) for part in parts]


def _held(processes: Mapping[str, int]) -> dict[str, float]:
    parents = {int(entry.name): _parent(entry) for entry in Path("/proc").iterdir() if entry.name.isdigit()}
    found = {}
    for name, pid in processes.items():
        found[name] = _pss(pid)
        children = sorted(child for child, parent in parents.items() if parent == pid)
        found |= {f"{name}.child{n}": _pss(child) for n, child in enumerate(children, 1)}
    return {**found, "together": sum(found.values())}


def _parent(entry: Path) -> int:
    try:
        stat = (entry / "stat").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    return int(stat[stat.rindex(")") + 2 :].split()[1])


def _pss(pid: int) -> float:
    try:
        rollup = Path("/proc", str(pid), "smaps_rollup").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in rollup.splitlines() if line.startswith("Pss:")), 0.0)
