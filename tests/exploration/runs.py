"""Explorations side by side on the cores, each in a process of its own, whose memory goes with it.

What they come to is kept in the folder of running state as exploration.json; docs/proof.md is made from it (page.py).
"""

import json
import multiprocessing
import os
import resource
import signal
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from typing import Any, Final

from muster.local.var import folder

from .engine import Explored, explore
from .faults import FAULTS
from .worlds import SMALL, STATES_MAX, TESTED, WHOLE

FILE: Final = "exploration.json"
Found = tuple[str, list[Explored], int]
"""(name, what was found, the most memory it took in MiB)."""


def save(part: str, of: str, found: Sequence[Found], **more: float) -> None:
    """Keep a part of what was found beside the others. `of`: the commit when it began."""
    path = folder() / FILE
    document = json.loads(path.read_text()) if path.exists() else {}
    each = [
        {"group": name, "peak_mib": peak, "worlds": [asdict(one) for one in worlds]} for name, worlds, peak in found
    ]
    document[part] = {"commit": of, "cpus": os.cpu_count(), **more, "found": each}
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(document, indent=1) + "\n")


def _peak_mib() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def explored(name: str, tested: bool) -> Found:
    """One group of worlds: nothing more of it is explored once something in it is broken."""
    found = []
    for world in (TESTED if tested else WHOLE)[name]():
        found.append(explore(world, STATES_MAX))
        if found[-1].problem:
            break
    return name, found, _peak_mib()


def with_fault(name: str) -> Found:
    """The world in which a fault shows, with the fault in the core."""
    fault = next(fault for fault in FAULTS if fault.name == name)
    with fault.applied():
        return name, [explore(SMALL[fault.world](), STATES_MAX)], _peak_mib()


def side_by_side(work: Callable[..., Found], jobs: Sequence[tuple[Any, ...]]) -> Iterator[Found]:
    """Each job's result, in their order, as soon as it and those before it are there; Ctrl-C ends those under way."""
    processes = min(len(jobs), os.cpu_count() or 1)
    fresh = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(processes, fresh, _leave_ctrl_c_to_parent, max_tasks_per_child=1) as pool:
        try:
            for future in [pool.submit(work, *job) for job in jobs]:
                yield future.result()
        except KeyboardInterrupt:
            pool.shutdown(wait=False, cancel_futures=True)
            for child in multiprocessing.active_children():
                child.terminate()
            raise


def _leave_ctrl_c_to_parent() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
