"""The figures of BENCH=audience, each beside its target."""

import asyncio
import random
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote
from uuid import UUID, uuid4

import asyncpg
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from bench import numbers
from bench.audience import people
from bench.audience.memory import Watched
from bench.audience.system import Api, System, running
from bench.cpu import cpu_s, less
from bench.send import NotEnded, console
from bench.single import spread

SMALL: Final = 1_000
"""Customers of each business beside the large one."""
TARGETS: Final = {
    "csv_s": 60,
    "xlsx_s": 120,
    "memory_mb": 300,
    "search_p99_ms": 100,
    "page_p99_ms": 20,
    "count_first_ms": 1_500,
    "count_p99_ms": 50,
    "freeze_s": 45,
    "plus_us": 0.5,
    "typed_us": 2,
}
"""For a million customers on two cores."""
_LOOK_S: Final = 0.2
_IMPORT_S: Final = 900.0
SENDS_S: Final = 300.0
"""A send that is not planned by then will not be."""
_TEXT: Final = "Hi {{first_name}}, 20 % off colour this week at Bench. Book: bench.example. Reply STOP to opt out"
_SECOND_FIELD: Final = "{{suburb|there}}"
_TYPED: Final = (
    *("a", "an", "ana", "ana s", "ana smi", "sm", "mcdonald", "van der berg", "zoe", "xavier wil"),
    *("04", "0412", "0412 3", "+61 412 345", "678"),
    *("tag is vip", "suburb is richmond", "country is AU", "consent is express", "opted out is yes"),
    *("consent is express and last visit before 2024-05-01 and tag is colour", "visits at least 30", "not tag is vip"),
    *("suburb is kew and ana", "email starts with c99"),
)
_EXCLUDE: Final = {
    "tags": ["wedding"],
    "seen_since": {"field": "last_visit", "since": "2025-12-01"},
    "messaged_in_days": 7,
    "cap": {"messages": 4, "days": 30},
}
# Of those who got both sends.
_EXCLUDE_LATER: Final = {"tags": ["wedding"], "cap": {"messages": 2, "days": 30}}
_SEARCH_ROUNDS: Final = 8
_PAGES: Final = 1_000
_COUNTS: Final = 100


def measure(customers: int, tenants: int, seed: int) -> dict[str, Any]:
    """All of it on a system of its own, in a folder that is removed."""
    result: dict[str, Any] = {"bench": "audience", "customers": customers, "tenants": tenants, "targets": TARGETS}
    with tempfile.TemporaryDirectory(prefix="muster-bench-") as name:
        folder = Path(name)
        result["numbers"] = told("numbers", numbers.measure(seed))
        csv, book = folder / "people.csv", folder / "people.xlsx"
        people.write_csv(csv, customers, seed)
        with running(folder) as system:
            large, small, from_book = uuid4(), uuid4(), uuid4()
            asyncio.run(system.open(large, small, from_book))
            _beside(system, small, tenants, folder, seed)
            # A connection of its own for each: one that was idle through an import is closed.
            for owner in (system.api(large), system.api(from_book)):
                for field, kind in (("visits", "number"), ("last_visit", "date")):
                    owner.ask("PUT", f"/v1/own-fields/{field}", {"name": field, "kind": kind})
            result["csv"] = told("csv", imported(system, large, csv, "text/csv"))
            result["count"] = told("count", counted(system.api(large), _EXCLUDE))
            result["search"] = told("search", searched(system.api(large)))
            result["page"] = told("page", pages(system, large, seed))
            result["again"] = told("again", imported(system, large, csv, "text/csv"))
            result["freeze"] = told("freeze", frozen(system, large, {"all": True}))
            result["freeze_some"] = told("freeze some", frozen(system, large, {"tag": "vip"}))
            result["count_after_a_send"] = told("count after a send", counted(system.api(large), _EXCLUDE_LATER))
            people.write_workbook(book, customers, seed)
            result["xlsx"] = told("xlsx", imported(system, from_book, book, _XLSX))
    return result


_XLSX: Final = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


def told(what: str, found: dict[str, Any]) -> dict[str, Any]:
    """Say it as soon as it is known."""
    print(f"{what}: {found}", file=sys.stderr)
    return found


# -- import -----------------------------------------------------------------------------------------------------------


_STATED: Final = "consent=express&consent_wording=Text+me+offers&consent_source=till"


def imported(system: System, tenant_id: UUID, file: Path, kind: str) -> dict[str, Any]:
    """A file of customers, from the first byte of the upload to the last row."""
    api, rows = system.api(tenant_id), 0
    with Watched(system.processes) as memory, used(system) as cpu, file.open("rb") as content:
        began = time.monotonic()
        length = str(file.stat().st_size)
        job = api.ask(
            "POST",
            f"/v1/customers/imports?{_STATED}",
            content,
            Content_Type=kind,
            Content_Length=length,
            Prefer="respond-async",
        )
        uploaded_s = time.monotonic() - began
        read_s = 0.0
        with _progress() as progress:
            bar = progress.add_task(f"import of {file.name}", total=None)
            while job["state"] != "done":
                if job["state"] in ("refused", "cancelled") or time.monotonic() - began > _IMPORT_S:
                    raise NotEnded(f"the import of {file.name}: {job}")
                time.sleep(_LOOK_S)
                job = api.ask("GET", f"/v1/customers/imports/{job['id']}")
                read_s = read_s or (time.monotonic() - began if job["state"] == "applying" else 0.0)
                progress.update(bar, total=job["rows_total"], completed=job["rows"])
        ended_s, rows = time.monotonic() - began, job["rows"]
    return {
        "s": round(ended_s, 1),
        "uploaded_s": round(uploaded_s, 1),
        "read_s": round(read_s, 1),
        "rows": rows,
        **{name: job[name] for name in ("created", "updated", "unchanged", "rejected")},
        "bytes": file.stat().st_size,
        "cpu_us_per_row": {name: round(s / max(rows, 1) * 1e6, 1) for name, s in cpu.items()},
        "memory_mb": memory.peak,
        "memory_quarters_mb": memory.quarters,
    }


def _beside(system: System, small: UUID, tenants: int, folder: Path, seed: int) -> None:
    """One small business is imported, the others are copies of it: rows and indexes to be passed by."""
    file = folder / "small.csv"
    people.write_csv(file, SMALL, seed + 1)
    imported(system, small, file, "text/csv")
    asyncio.run(_copied(system.admin_dsn, small, [uuid4() for _ in range(tenants - 1)]))


_COPIED: Final = ("customer", "customer_number", "customer_word", "consent_version", "own_field")
_IDS_APART: Final = 10_000_000
_COLUMNS: Final = """
SELECT string_agg(quote_ident(column_name), ', ' ORDER BY ordinal_position) FROM information_schema.columns
WHERE table_name = $1 AND is_generated = 'NEVER' AND column_name <> 'tenant_id'
"""


async def _copied(dsn: str, source: UUID, into: Sequence[UUID]) -> None:
    connection = await asyncpg.connect(dsn, command_timeout=600.0)
    try:
        await connection.execute("SET session_replication_role = replica")
        with _progress() as progress:
            for table in progress.track(_COPIED, description="businesses beside it"):
                columns = await connection.fetchval(_COLUMNS, table)
                # No two businesses have a customer of the same id, by which statistics would take each for a thousand.
                read = columns.replace("customer_id", f"customer_id + nth * {_IDS_APART}")
                await connection.execute(
                    f"INSERT INTO {table} (tenant_id, {columns}) OVERRIDING SYSTEM VALUE "
                    f"SELECT t, {read} FROM unnest($1::uuid[]) WITH ORDINALITY AS i (t, nth), {table} "
                    "WHERE tenant_id = $2",
                    into,
                    source,
                )
    finally:
        await connection.close()


@contextmanager
def used(system: System) -> Iterator[dict[str, float]]:
    """CPU seconds of the API, the worker with its children, and PostgreSQL, between its begin and its end."""
    found: dict[str, float] = {}
    whole, each = cpu_s(system.processes, ())
    yield found
    whole_after, each_after = cpu_s(system.processes, ())
    found |= less(each_after, each)
    found["postgres"] = whole_after - whole - sum(found.values())


def _progress() -> Progress:
    columns = TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn()
    return Progress(*columns, console=console)


# -- reading ----------------------------------------------------------------------------------------------------------


def searched(api: Api) -> dict[str, Any]:
    """A page and a count for each of some queries, as they are asked for while somebody types."""
    api.ask("GET", "/v1/customers?limit=1")
    took: dict[str, dict[str, list[float]]] = {query: {"page": [], "count": []} for query in _TYPED}
    exact = 0
    for _ in range(_SEARCH_ROUNDS):
        for query, times in took.items():
            asked = quote(query)
            seconds, _page = api.timed("GET", f"/v1/customers?limit=50&query={asked}")
            times["page"].append(seconds)
            seconds, count = api.timed("GET", f"/v1/customers/count?query={asked}")
            times["count"].append(seconds)
            exact += count["exact"]
    each = {query: {what: spread(some) for what, some in times.items()} for query, times in took.items()}
    for query, figures in each.items():
        told(f"  {query}", figures)
    worst = sorted(each, key=lambda query: -max(one["p99"] for one in each[query].values()))[:3]
    return {
        "page_ms": spread([s for times in took.values() for s in times["page"]]),
        "count_ms": spread([s for times in took.values() for s in times["count"]]),
        "queries": len(took),
        "exact_counts": exact // _SEARCH_ROUNDS,
        "worst": {query: each[query] for query in worst},
    }


def pages(system: System, tenant_id: UUID, seed: int) -> dict[str, Any]:
    """Customers, one by one, at random."""
    api = system.api(tenant_id)
    first = api.ask("GET", "/v1/customers?limit=1")["items"][0]["id"]
    count = asyncio.run(_rows(system.admin_dsn, tenant_id))
    chance = random.Random(seed)
    took = [api.timed("GET", f"/v1/customers/{first + chance.randrange(count * 98 // 100)}")[0] for _ in range(_PAGES)]
    return {"ms": spread(took)}


async def _rows(dsn: str, tenant_id: UUID) -> int:
    connection = await asyncpg.connect(dsn, command_timeout=60.0)
    try:
        return int(await connection.fetchval("SELECT count(*) FROM customer WHERE tenant_id = $1", tenant_id))
    finally:
        await connection.close()


def counted(api: Api, exclude: dict[str, Any]) -> dict[str, Any]:
    """The whole audience with exclusions, by reason: the first time, again and again while its text is typed, after
    somebody was changed, and with a second merge field."""
    asked = {"text": _TEXT, "audience": {"all": True, "exclude": exclude}}
    first, quoted = api.timed("POST", "/v1/quotes", asked)
    longer = [asked | {"text": f"{_TEXT}{'!' * typed}"} for typed in range(_COUNTS)]
    again = [api.timed("POST", "/v1/quotes", one)[0] for one in longer]
    one = api.ask("GET", "/v1/customers?limit=1")["items"][0]["id"]
    api.ask("PATCH", f"/v1/customers/{one}", {"language": "fr"})
    changed, _ = api.timed("POST", "/v1/quotes", asked)
    another, _ = api.timed("POST", "/v1/quotes", asked | {"text": f"{_TEXT} {_SECOND_FIELD}"})
    return {
        "first_ms": round(first * 1e3),
        "again_ms": spread(again),
        "after_a_change_ms": round(changed * 1e3),
        "second_field_ms": round(another * 1e3),
        **{name: quoted[name] for name in ("customers", "recipients", "left_out")},
    }


# -- freezing ---------------------------------------------------------------------------------------------------------

_STEP: Final = "SELECT step FROM plan WHERE tenant_id = $1 AND bulk_id = $2"
_CHUNKS: Final = "SELECT chunks FROM bulk WHERE tenant_id = $1 AND bulk_id = $2"


def frozen(system: System, tenant_id: UUID, audience: dict[str, Any], text: str = _TEXT) -> dict[str, Any]:
    """A send, from its confirmation until it is frozen, added up, and said in chunks."""
    api = system.api(tenant_id)
    quoted = api.ask("POST", "/v1/quotes", {"text": text, "audience": audience})
    with used(system) as cpu:
        began = time.monotonic()
        bulk = api.ask("POST", "/v1/bulk-sms", {"quote_id": quoted["id"]}, Idempotency_Key=str(uuid4()))
        steps, chunks = asyncio.run(_steps(system.admin_dsn, tenant_id, UUID(bulk["id"]), began))
    return {
        "s": steps["add_up"],
        "added_up_s": steps["publish"],
        "said_s": steps["done"],
        "recipients": quoted["recipients"],
        "chunks": chunks,
        "cpu_us_per_recipient": {name: round(s / quoted["recipients"] * 1e6, 1) for name, s in cpu.items()},
    }


async def _steps(dsn: str, tenant_id: UUID, bulk_id: UUID, began: float) -> tuple[dict[str, float], int]:
    """When each step of a plan began, in seconds; and its chunks."""
    connection = await asyncpg.connect(dsn, command_timeout=60.0)
    found: dict[str, float] = {}
    try:
        while "done" not in found:
            step = await connection.fetchval(_STEP, tenant_id, bulk_id)
            found.setdefault(step, round(time.monotonic() - began, 1))
            if time.monotonic() - began > SENDS_S or step == "waiting":
                raise NotEnded(f"send {bulk_id} is at its step {step} after {SENDS_S:g} s")
            await asyncio.sleep(_LOOK_S / 4)
        # A step that was over before it was looked at began no later than the next.
        after = found["done"]
        for step in ("publish", "add_up"):
            after = found.setdefault(step, after)
        return found, await connection.fetchval(_CHUNKS, tenant_id, bulk_id)
    finally:
        await connection.close()
