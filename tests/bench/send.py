"""BENCH=send: one bulk send through the whole product, with receipts and report rows."""

import json
import time
from collections.abc import Iterator
from datetime import datetime
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench.carrier import Carrier, OwnCount, Seen, Simulator
from bench.cpu import cpu_s, less
from muster.client import Connection, Muster
from muster.client.commands.laws import settled_laws
from muster.local.stack import Stack

TEXT = "Hello {{first_name}}, a text of one part with about one hundred characters, of Demo Salon. STOP to opt out"
IMPORT_ROWS = 100_000
WARM_UP = 5_000
END_WAIT_S = 900.0
STILL_MAX_S = 90.0
LAWS_WAIT_S = 60.0
PROMISE_WAIT_S = 15.0
LOOK_S = 0.2
# How a message can end by the carrier's word.
ENDED = ("delivered", "undelivered", "expired", "rejected")
# The world is not ours to count: the carrier and the mail catcher play it.
WORLD = ("carrier", "mail")
CPU_OF = (
    "all processes of the product, broker and database too, restarted ones included; not the carrier, nor the bench"
)

console = Console(stderr=True)


def csv_of(first: int, count: int, tag: str = "") -> bytes:
    """Customers numbered from `first`, all allowing SMS, each with a number of their own. Without a tag the first are
    those to warm up with."""
    lines = (
        f"Ana{i % 997},Smith,+614{10_000_000 + i:08d},yes,{tag or ('warm' if i < WARM_UP else 'bench')}"
        for i in _range(first, count)
    )
    return "\n".join(("First name,Last name,Mobile,Allow Bulk SMS,Tags", *lines)).encode()


def _range(first: int, count: int) -> Iterator[int]:
    return iter(range(first, first + count))


class NotEnded(Exception):
    """Something did not come to its end in time, or not to the right one; says what was waited for."""


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
        send(muster, "warm", WARM_UP)
        carrier.reset()
        (whole, each), started = cpu_s(run["processes"], WORLD), time.time()
        bulk_id, progress = send(muster, "bench", recipients)
        ended, (whole_after, each_after) = time.time(), cpu_s(run["processes"], WORLD)
        seen = carrier.seen(bulk_id)
        missed = promise_missed(muster, bulk_id, started)
        laws = settled_laws(operator, LAWS_WAIT_S)
    return result(recipients, progress, seen, (started, ended), whole_after - whole, less(each_after, each)) | {
        "promise_missed": missed,
        "laws": {law.name: law.violation_count for law in laws},
        "laws_checked": {law.name: law.checked for law in laws},
    }


def result(
    recipients: int,
    progress: Any,
    seen: Seen,
    times_s: tuple[float, float],
    used_s: float,
    split_s: dict[str, float],
) -> dict[str, Any]:
    """The JSON of the bench."""
    started, ended = times_s
    return {
        "bench": "send",
        "recipients": recipients,
        "sms_per_s": round(seen.submits / max(seen.last_s - seen.first_s, 1e-9)),
        "end_to_end_per_s": round(recipients / (ended - started)),
        "cpu_us_per_sms": round(used_s * 1e6 / recipients, 1),
        "cpu_of": CPU_OF,
        "split_us": {name: round(seconds * 1e6 / recipients, 2) for name, seconds in split_s.items()},
        "first_sms_ms": round((seen.first_s - started) * 1000),
        "submits": seen.submits,
        "receipts": progress["delivered"] + progress["undelivered"] + progress["expired"],
        "report_rows": progress["recipients"],
    }


def promise_missed(muster: Muster, bulk_id: str, started_s: float) -> float | None:
    """By how much the finish that was promised after five seconds was missed, as a share of the time from the request
    to the last message; None where none was promised: the send was over by then."""
    until = time.monotonic() + PROMISE_WAIT_S
    while (pace := muster.progress(bulk_id).get("pace")) is not None and not pace["finished_at"]:
        if time.monotonic() > until:
            raise NotEnded(f"nobody said within {PROMISE_WAIT_S:g} s when the last message left: {json.dumps(pace)}")
        time.sleep(LOOK_S)
    if pace is None or not pace["promised_finish_at"]:
        return None
    promised, finished = (datetime.fromisoformat(str(pace[of])) for of in ("promised_finish_at", "finished_at"))
    return round(abs((finished - promised).total_seconds()) / max(finished.timestamp() - started_s, 1e-3), 3)


def carrier_of(run: dict[str, Any]) -> Carrier:
    """Our simulator, or whoever BENCH_CARRIER names, who has no control address."""
    control = run["carrier"]["control_url"]
    return Simulator(control) if control else OwnCount(run["metrics"]["dispatch.sender.0"], run["postgres"])


def load(muster: Muster, count: int, first: int = 0, tag: str = "") -> None:
    """Import the audience, customers numbered from `first`, in files of at most 100,000 rows."""
    with bar() as shown:
        task = shown.add_task("import", total=count)
        for at in range(0, count, IMPORT_ROWS):
            done = muster.import_customers(csv_of(first + at, min(IMPORT_ROWS, count - at), tag))
            if done["rejected"]:
                raise NotEnded(f"the import rejected {done['rejected']} rows")
            shown.update(task, advance=done["imported"])


def send(muster: Muster, tag: str, recipients: int) -> tuple[str, Any]:
    """Quote, confirm, and watch until every receipt is a row of the report: the send's id and its progress."""
    quote = muster.quote(TEXT, {"tag": tag})
    if quote["recipients"] != recipients:
        raise NotEnded(f"the quote has {quote['recipients']} recipients, the bench {recipients}: {json.dumps(quote)}")
    bulk_id = str(muster.send(quote["id"])["id"])
    began = moved = time.monotonic()
    before = None
    with bar() as shown:
        task = shown.add_task(f"send {tag}", total=recipients)
        while True:
            progress = muster.progress(bulk_id)
            ended = sum(progress[name] for name in ENDED)
            shown.update(task, completed=ended)
            if ended == recipients:
                return bulk_id, progress
            now = time.monotonic()
            if progress != before:
                before, moved = progress, now
            if now - moved > STILL_MAX_S or now - began > END_WAIT_S:
                raise NotEnded(
                    f"send {tag}: waited {now - began:.0f} s for {recipients} receipts, nothing moved for "
                    f"{now - moved:.0f} s: {json.dumps(progress)}, send {json.dumps(muster.bulk(bulk_id))}"
                )
            time.sleep(LOOK_S)


def bar() -> Progress:
    """A progress bar on standard error."""
    columns = (TextColumn("{task.description:12}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    return Progress(*columns, console=console)
