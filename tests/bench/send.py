"""BENCH=send: one bulk send through the whole product, with receipts and report rows."""

import json
import os
import time
from collections.abc import Iterator
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.carrier import Carrier, OwnCount, Simulator
from bench.cpu import cpu_s, less
from muster.client import Connection, Muster
from muster.client.commands.laws import settled_laws
from muster.local.stack import Stack

TEXT = "Hello {{first_name}}, this is a text of one part with about one hundred characters in it, from the bench. Bye"
IMPORT_ROWS = 100_000
WARM_UP = 5_000
END_WAIT_S = 900.0
LOOK_S = 0.2
# The world is not ours to count: the carrier and the mail catcher play it.
WORLD = ("carrier", "mail")

console = Console(stderr=True)


def csv_of(first: int, count: int) -> bytes:
    """Customers numbered from `first`, all allowing SMS, each with a number of their own."""
    lines = (
        f"Ana{i % 997},Smith,+614{10_000_000 + i:08d},yes,{'warm' if i < WARM_UP else 'bench'}"
        for i in _range(first, count)
    )
    return "\n".join(("First name,Last name,Mobile,Allow Bulk SMS,Tags", *lines)).encode()


def _range(first: int, count: int) -> Iterator[int]:
    return iter(range(first, first + count))


def measure(stack: Stack, recipients: int) -> dict[str, Any]:
    """Load the audience, send once to warm up, then measure one send from the request to the last report row."""
    run = stack.run
    carrier = carrier_of(run)
    who, tenant = run["operator"], run["tenants"][0]
    with (
        Muster(Connection(run["url"], who["client_id"], who["client_secret"])) as operator,
        Muster(Connection(run["url"], tenant["client_id"], tenant["client_secret"])) as muster,
    ):
        operator.top_up(tenant["id"], 10 * (recipients + WARM_UP), reason="bench", reference=f"bench-{time.time_ns()}")
        load(muster, WARM_UP + recipients)
        _send(muster, carrier, "warm", WARM_UP)
        carrier.reset()
        before, started = cpu_s(run["processes"]), time.time()
        progress, seen = _send(muster, carrier, "bench", recipients)
        ended, used = time.time(), less(cpu_s(run["processes"]), before)
        laws = settled_laws(operator, 60.0)
    return result(recipients, progress, seen, (started, ended), used) | {
        "laws": {law.name: law.violation_count for law in laws}
    }


def result(
    recipients: int, progress: Any, seen: Any, times_s: tuple[float, float], used_s: dict[str, float]
) -> dict[str, Any]:
    """The JSON of the bench. CPU is of all our processes, broker and database too; the simulator's is shown apart."""
    split = {name: round(seconds * 1e6 / recipients, 2) for name, seconds in used_s.items()}
    started, ended = times_s
    return {
        "bench": "send",
        "recipients": recipients,
        "sms_per_s": round(seen.submits / max(seen.last_s - seen.first_s, 1e-9)),
        "end_to_end_per_s": round(recipients / (ended - started)),
        "cpu_us_per_sms": round(sum(us for name, us in split.items() if name not in WORLD), 1),
        "split_us": split,
        "first_sms_ms": round((seen.first_s - started) * 1000),
        "submits": seen.submits,
        "receipts": progress["delivered"] + progress["undelivered"],
        "report_rows": progress["recipients"],
    }


def carrier_of(run: dict[str, Any]) -> Carrier:
    """Our simulator, or whoever BENCH_CARRIER names."""
    if os.environ.get("BENCH_CARRIER"):
        return OwnCount(run["metrics"]["dispatch.sender.0"])
    return Simulator(run["carrier"]["control_url"])


def load(muster: Muster, count: int) -> None:
    """Import the audience, in files of at most 100,000 rows."""
    with _bar() as bar:
        task = bar.add_task("import", total=count)
        for first in range(0, count, IMPORT_ROWS):
            done = muster.import_customers(csv_of(first, min(IMPORT_ROWS, count - first)))
            if done["rejected"]:
                raise SystemExit(f"the import rejected {done['rejected']} rows")
            bar.update(task, advance=done["imported"])


def _send(muster: Muster, carrier: Carrier, tag: str, recipients: int) -> tuple[Any, Any]:
    """Quote, confirm, and watch until every receipt is a row of the report: its progress, and the carrier's count."""
    quote = muster.quote(TEXT, {"tag": tag})
    if quote["recipients"] != recipients:
        raise SystemExit(f"the quote has {quote['recipients']} recipients, the bench {recipients}: {json.dumps(quote)}")
    bulk = muster.send(quote["id"])
    until = time.monotonic() + END_WAIT_S
    with _bar() as bar:
        task = bar.add_task(f"send {tag}", total=recipients)
        while time.monotonic() < until:
            seen, progress = carrier.look(), muster.progress(bulk["id"])
            ended = progress["delivered"] + progress["undelivered"] + progress["expired"] + progress["rejected"]
            bar.update(task, completed=ended)
            if ended == recipients:
                return progress, seen
            time.sleep(LOOK_S)
    raise SystemExit(
        f"not ended after {END_WAIT_S:.0f} s: {json.dumps(muster.bulk(bulk['id']))} {json.dumps(progress)}"
    )


def _bar() -> Progress:
    columns = (TextColumn("{task.description:12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)
