"""`make chaos`: break the running product on purpose, row by row of the list of faults, and check the laws each time.

ROW="5" or ROW="1 5 13" runs those rows alone, FULL=1 kills more often, SHORT=1 is the selection of `make test`,
SEED=n chooses the moments, IMPORT_ROWS=n the size of the file of row 33. A progress line for each row; then a table,
and one JSON object as the last line, which is also written to chaos.json in the folder that MUSTER_VAR names. Ends with
0; with 2 for a row that there is not; with 1 where a row found something, or its fault did not fire.
"""

import asyncio
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from itertools import groupby
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "e2e"))

from proof import commit

from chaos import rows as _all_rows  # noqa: F401 - registers them
from chaos.nemesis import Broken, Chaos, must
from chaos.proxy import Proxies
from chaos.quiet import check_the_laws, wait_until_quiet
from chaos.registry import ROWS, Row, chosen
from chaos.rows import imports
from chaos.storm import works_again
from muster.client import ApiError
from muster.local.process import PartError
from muster.local.scratch import scratch
from muster.local.stack import Stack
from muster.local.var import folder, write_json

# What makes a test of minutes out of hours: short sessions, leases and waits. Nothing here weakens a guarantee.
ENV = {
    "MUSTER_ENVIRONMENT": "development",  # failpoints are refused in production
    "MUSTER_CARRIER_WINDOW": "100",
    "MUSTER_CARRIER_RESPONSE_TIMEOUT_S": "5",
    "MUSTER_CARRIER_ENQUIRE_LINK_S": "3",
    "MUSTER_CARRIER_REBIND_S_MAX": "2",
    "MUSTER_DISPATCH_LEASE_S": "5",
    "MUSTER_DISPATCH_ACCOUNT_REPEAT_S": "10",
    "MUSTER_DISPATCH_UNKNOWN_KEPT_S": "10",
    "MUSTER_DISPATCH_DOWN_S": "3",
    "MUSTER_DISPATCH_REST_S_MIN": "2",
    "MUSTER_DISPATCH_MEND_STEP_S": "1",
    "MUSTER_CUSTOMER_IMPORT_LEASE_S": "3",
    # A large file is imported as anywhere; a small one has as many blocks, so that a process can die between them.
    "MUSTER_CUSTOMER_IMPORT_BATCH_ROWS": "5000" if imports.rows_wanted(0) >= imports.LARGE else "500",
}


@dataclass
class Result:
    """What a row came to; `problem` is empty where all held."""

    row: str
    says: str
    seconds: float = 0.0
    quiet_after_s: float = 0.0
    fired: dict[str, int] = field(default_factory=dict)
    checked: dict[str, int] = field(default_factory=dict)
    problem: str = ""


def run_row(chaos: Chaos, row: Row) -> Result:
    """One row: its fault, then heal, quiet, laws, and that it fired."""
    result, began = Result(row.number, row.says), time.monotonic()
    chaos.begin()
    try:
        row.run(chaos)
        chaos.heal()
        works_again(chaos)
        result.quiet_after_s = round(wait_until_quiet(chaos), 1)
        chaos.afterwards()
        result.checked = check_the_laws(chaos)
        fired = sum(chaos.all_fired().values())
        must(fired >= row.fires, f"its fault fired {fired} times, not {row.fires}")
    except (Broken, ApiError, OSError, TimeoutError, AssertionError) as error:
        result.problem = f"{type(error).__name__}: {error}"
    except Exception:
        result.problem = traceback.format_exc()
    result.fired = dict(chaos.all_fired())
    result.seconds = round(time.monotonic() - began, 1)
    return result


def run_rows(chaos: Chaos, rows: Sequence[Row], tell: Callable[[Result], None]) -> list[Row]:
    """Rows on one stack, up to the first that finds something; those that are left."""
    for at, row in enumerate(rows):
        print(f"row {row.number}: {row.says} …", flush=True)
        result = run_row(chaos, row)
        tell(result)
        if result.problem:
            return list(rows[at + 1 :])
    return []


async def on_a_stack(rows: Sequence[Row], tell: Callable[[Result], None], options: dict[str, Any]) -> list[Row]:
    """Start the product, run rows on it, end it; the rows that need a fresh one, since the last found something."""
    ended = threading.Event()

    def tell_unless_ended(result: Result) -> None:
        if not ended.is_set():  # else it found nothing but that somebody has ended it
            tell(result)

    with _folder() as var, (var / "stack.log").open("a") as log:
        proxies = Proxies()
        stack = Stack(
            var,
            say=lambda line: print(line, file=log, flush=True),
            env=ENV,
            # Any name may bind: an account that a row adds has one of its own, and gets its own receipts.
            carrier_arguments=("--receipt-delay-ms", "200", "--response-delay-ms", "20", "--system-id", ""),
            kafka_nodes=rows[0].nodes,
            detour=proxies.between,
            back_off_max_s=0.25,
        )
        try:
            async with stack:
                chaos = Chaos(stack, proxies, asyncio.get_running_loop(), **options)
                try:
                    left = await in_thread(lambda: run_rows(chaos, rows, tell_unless_ended))
                except asyncio.CancelledError:
                    ended.set()
                    raise
                finally:
                    chaos.close()
        finally:
            await proxies.close()
        return left


async def in_thread(work: Callable[[], list[Row]]) -> list[Row]:
    """Like asyncio.to_thread, but nobody waits for it at the end: Ctrl-C ends a row in the middle."""
    loop, done = asyncio.get_running_loop(), asyncio.get_running_loop().create_future()

    def settle(set_it: Callable[[Any], None], what: Any) -> None:
        if not done.done():  # nobody waits any more where it was ended
            set_it(what)

    def run() -> None:
        try:
            found = work()
        except BaseException as error:
            loop.call_soon_threadsafe(settle, done.set_exception, error)
        else:
            loop.call_soon_threadsafe(settle, done.set_result, found)

    threading.Thread(target=run, daemon=True).start()
    result: list[Row] = await done
    return result


@contextmanager
def _folder() -> Iterator[Path]:
    """A folder of running state, which an unprivileged PostgreSQL can reach; its logs are kept where CHAOS_LOG says.

    The short selection keeps it in memory where there is room; `make chaos` on the disk, as the product does.
    """
    prefix = "muster-chaos-"
    with scratch(prefix) if os.environ.get("SHORT") == "1" else _on_disk(prefix) as path:
        try:
            yield path
        finally:
            if kept := os.environ.get("CHAOS_LOG"):
                shutil.copytree(path / "log", kept, dirs_exist_ok=True)
                shutil.copy(path / "stack.log", kept)


@contextmanager
def _on_disk(prefix: str) -> Iterator[Path]:
    path = Path(tempfile.mkdtemp(prefix=prefix))
    path.chmod(0o711)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


async def run(rows: Sequence[Row], options: dict[str, Any]) -> list[Result]:
    """All rows, on as few stacks as they allow."""
    results: list[Result] = []

    def tell(result: Result) -> None:
        results.append(result)
        fired = ", ".join(f"{n} {what}" for what, n in sorted(result.fired.items()))
        verdict = f"FAILED: {result.problem}" if result.problem else "holds"
        print(f"row {result.row}: {verdict} ({result.seconds:.0f} s; fired: {fired or 'nothing'})", flush=True)

    for _, kind in groupby(rows, key=lambda row: row.nodes):
        left = list(kind)
        while left:
            left = await on_a_stack(left, tell, options)
    return results


def table(results: Sequence[Result]) -> str:
    """What people read."""
    lines = [f"{'row':<5}{'seconds':>8}{'quiet':>7}{'fired':>7}{'checked':>10}  verdict"]
    for one in results:
        fired, checked = sum(one.fired.values()), sum(one.checked.values())
        verdict = one.problem.splitlines()[-1][:90] if one.problem else "holds"
        lines.append(f"{one.row:<5}{one.seconds:>8.1f}{one.quiet_after_s:>7.1f}{fired:>7}{checked:>10}  {verdict}")
    return "\n".join(lines)


def main() -> int:
    """Run what the environment asks for; the exit code."""
    began = time.monotonic()
    try:
        rows = chosen(os.environ.get("ROW", "").replace(",", " ").split(), short=os.environ.get("SHORT") == "1")
        options = {"seed": int(os.environ.get("SEED") or 1), "full": os.environ.get("FULL") == "1"}
    except (KeyError, ValueError) as wrong:
        print(f"chaos: there is no such row or seed: {wrong} (rows: {' '.join(ROWS)})", file=sys.stderr)
        return 2
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        results = asyncio.run(run(rows, options))
    except (PartError, OSError) as failed:
        print(f"chaos: {failed}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("chaos: ended; no result was written", file=sys.stderr)
        return 130
    print(table(results))
    seconds = round(time.monotonic() - began)
    found = {"commit": commit(), "seconds": seconds, **options, "rows": [asdict(one) for one in results]}
    folder().mkdir(mode=0o711, parents=True, exist_ok=True)
    write_json(folder() / "chaos.json", found)
    print(json.dumps(found))
    return 1 if any(one.problem for one in results) else 0


if __name__ == "__main__":
    sys.exit(main())
