"""`make sim`: many seeds on all cores. Exit code 1 and the seeds where anything was broken; the last line is JSON.

SEEDS (100), FIRST (1) and JOBS (the cores) are read from the environment. The result file, sim.json in the folder of
running state, is what docs/proof.md is made from. It is written as the run goes: RESUME=1 goes on with a run of the
same commit that was ended.
"""

import json
import os
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

from proof import commit

from simulation.chapters import TOLD
from simulation.faults import KINDS
from simulation.server import make_databases, server
from simulation.worker import Worker

_SUMS: Final = ("transitions", "statements", "records", "accepted", "sends", "simulated_s")
# With so many seeds, a kind of fault that never happened is one that does not work.
ALL_KINDS_FROM: Final = 300
_SHOWN: Final = 40
_WRITTEN_EVERY: Final = 100


@dataclass(slots=True)
class Result:
    """What a run of seeds came to."""

    first: int
    seeds: int = 0
    sums: Counter[str] = field(default_factory=Counter)
    fired: Counter[str] = field(default_factory=Counter)
    told: Counter[str] = field(default_factory=Counter)
    checked: Counter[str] = field(default_factory=Counter)
    failures: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    jobs: int = 1

    def add(self, outcome: dict[str, Any]) -> None:
        """Count one seed."""
        self.seeds += 1
        self.sums.update({name: outcome[name] for name in _SUMS})
        self.fired.update(outcome["fired"])
        self.told.update(outcome["told"])
        self.checked.update(outcome["checked"])
        if outcome["wrong"]:
            self.failures.append({name: outcome[name] for name in ("seed", "wrong", "last", "digest")})

    @property
    def idle(self) -> list[str]:
        """Kinds of faults and of stories that should have happened in so many seeds and did not, and laws that were not
        checked."""
        if self.seeds < ALL_KINDS_FROM:
            return []
        never = [*sorted(set(KINDS) - set(self.fired)), *(what for what in TOLD if not self.told[what])]
        return never + sorted(law for law, times in self.checked.items() if not times)

    @classmethod
    def of(cls, document: dict[str, Any]) -> Self:
        """What a run had come to when it was ended."""
        found = cls(document["first"], document["seeds"], seconds=document["seconds"], jobs=document["jobs"])
        found.sums.update({name: document[name] for name in _SUMS})
        found.fired.update(document["faults"])
        found.told.update(document["stories"])
        found.checked.update(document["checked"])
        found.failures = [{"last": [], **failure} for failure in document["failures"]]
        return found

    def document(self) -> dict[str, Any]:
        """As JSON."""
        sums = {name: round(self.sums[name]) for name in _SUMS}
        return {
            "commit": commit(), "first": self.first, "seeds": self.seeds, **sums,
            "faults": dict(sorted(self.fired.items())),
            "stories": {what: self.told[what] for what in TOLD},
            "checked": dict(sorted(self.checked.items())), "idle": self.idle, "jobs": self.jobs,
            "seconds": round(self.seconds, 1),
            "failures": [{"seed": one["seed"], "wrong": one["wrong"][:5]} for one in self.failures],
        }  # fmt: skip


@contextmanager
def databases(count: int) -> Iterator[list[tuple[str, str]]]:
    """Where so many workers work: a server for all and databases for each."""
    with server() as admin_dsn:
        suffixes = [str(at) for at in range(count)]
        make_databases(admin_dsn, suffixes)
        yield [(admin_dsn, suffix) for suffix in suffixes]


@contextmanager
def workers(places: Sequence[tuple[str, str]]) -> Iterator[list[Worker]]:
    """A worker for each place."""
    found = [Worker(*place) for place in places]
    try:
        yield found
    finally:
        for worker in found:
            worker.close()


def share(work: Sequence[Any], found: Sequence[Worker], do: Callable[[Worker, Any], bool]) -> None:
    """Give pieces of work to the workers, in order, as each gets free; a thread for each. False ends the run."""
    left, lock, errors = iter(work), threading.Lock(), list[BaseException]()
    going = True

    def serve(worker: Worker) -> None:
        nonlocal going
        try:
            while going:
                with lock:
                    piece = next(left, None)
                if piece is None:
                    return
                going = do(worker, piece) and going
        except BaseException as error:
            going = False
            errors.append(error)

    threads = [threading.Thread(target=serve, args=(worker,)) for worker in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def run(seeds: Sequence[int], found: Sequence[Worker], each: Callable[[dict[str, Any]], bool]) -> None:
    """Give the seeds to the workers. `each` gets every outcome, one at a time; false ends the run."""
    lock = threading.Lock()

    def do(worker: Worker, seed: int) -> bool:
        outcome = worker.simulate(seed)
        with lock:
            return each(outcome)

    share(seeds, found, do)


def run_all(
    result: Result, until: int, places: Sequence[tuple[str, str]], progress: Callable[[Result], None] = lambda _: None
) -> None:
    """Every seed that the result has not, up to and without `until`, whatever fails; added in their order, so that what
    was added when a run is ended are the first ones."""
    began, early = time.monotonic() - result.seconds, dict[int, dict[str, Any]]()

    def each(outcome: dict[str, Any]) -> bool:
        early[outcome["seed"]] = outcome
        while (due := early.pop(result.first + result.seeds, None)) is not None:
            result.add(due)
            result.seconds = time.monotonic() - began
            progress(result)
        return True

    with workers(places) as found:
        run(range(result.first + result.seeds, until), found, each)


def _progress(result: Result, until: int, file: Path) -> Callable[[Result], None]:
    """Tells how far a run is and what has failed, and writes it."""
    count, had, began = until - result.first, result.seeds, result.seconds
    step = 1 if sys.stderr.isatty() else max(1, count // 100)
    told = len(result.failures)

    def show(result: Result) -> None:
        nonlocal told
        for failure in result.failures[told:]:
            told += 1
            print(f"seed {failure['seed']}: {failure['wrong'][0][:300]}", file=sys.stderr, flush=True)
        if result.seeds % step == 0 or result.seeds == count:
            left = (count - result.seeds) * (result.seconds - began) / (result.seeds - had)
            bar = "#" * (30 * result.seeds // count)
            line = f"[{bar:<30}] {result.seeds}/{count} seeds, {len(result.failures)} failed, {left:.0f} s left"
            print(line, end="\r" if sys.stderr.isatty() and result.seeds < count else "\n", file=sys.stderr, flush=True)
        if result.seeds % _WRITTEN_EVERY == 0:
            write(result, file)

    return show


def write(result: Result, file: Path) -> dict[str, Any]:
    """The result file: the one before, or this one whole."""
    document = result.document()
    file.parent.mkdir(parents=True, exist_ok=True)
    new = file.with_suffix(".new")
    new.write_text(json.dumps(document, indent=1) + "\n")
    new.replace(file)
    return document


def begun(first: int, file: Path, *, resume: bool) -> Result:
    """A new result, or the one of the file; ValueError where that cannot be gone on with."""
    if not resume:
        return Result(first)
    if not file.exists():
        raise ValueError(f"there is no {file} to go on with")
    document = json.loads(file.read_text())
    if document["first"] != first or document["commit"] != commit() or commit().endswith("+"):
        raise ValueError(f"{file} is of commit {document['commit']} from seed {document['first']}, and not of this one")
    return Result.of(document)


def main() -> int:
    """Run what the environment asks for."""
    try:
        first, count = int(os.environ.get("FIRST") or 1), int(os.environ.get("SEEDS") or 100)
        jobs = int(os.environ.get("JOBS") or 0) or os.cpu_count() or 1
    except ValueError:
        first = count = jobs = -1
    if count < 1 or first < 0 or not 1 <= jobs <= 16:
        print("sim: SEEDS must be a number of at least 1, FIRST of at least 0, JOBS of 1 to 16", file=sys.stderr)
        return 2
    file = Path(os.environ.get("MUSTER_VAR", "var")) / "sim.json"
    try:
        result = begun(first, file, resume=os.environ.get("RESUME") == "1")
    except ValueError as why:
        print(f"sim: {why}", file=sys.stderr)
        return 2
    result.jobs = min(jobs, count)
    try:
        with databases(result.jobs) as places:
            run_all(result, first + count, places, _progress(result, first + count, file))
    except KeyboardInterrupt:
        write(result, file)
        print(f"\nsim: ended after {result.seeds} of {count} seeds; RESUME=1 goes on", file=sys.stderr)
        return 130
    return _tell(result, write(result, file))


def _tell(result: Result, document: dict[str, Any]) -> int:
    """Print what was found; the exit code."""
    for failure in result.failures:
        print(f"seed {failure['seed']}:", *failure["wrong"], *failure["last"][-_SHOWN:], sep="\n  ")
        print(f"  again: .venv/bin/python -m tests.simulation --seed {failure['seed']} --trace")
    print(json.dumps(document))
    return 1 if result.failures or result.idle else 0


if __name__ == "__main__":
    sys.exit(main())
