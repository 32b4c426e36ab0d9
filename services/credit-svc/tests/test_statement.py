"""The statement as its reader gets it: filtered pages, and files of any length."""

import csv
import io
import json
import tracemalloc
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import ledger_world as world
import pytest
from ledger_world import OTHER, TENANT, by

from muster.credit.api import statement
from muster.credit.store.statement import Wanted
from muster.kit.pg import Database
from muster.kit.testing import ServiceDatabases

BULK, SECOND = uuid4(), uuid4()


@pytest.fixture
async def db(service_database: Callable[[str], Awaitable[Database]]) -> Database:
    db = await service_database("credit")
    await world.open_accounts(db, TENANT, OTHER)
    return db


@pytest.fixture
async def http(db: Database) -> AsyncIterator[httpx.AsyncClient]:
    async with world.client(db) as http:
        yield http


async def some_history(db: Database) -> None:
    """top_up 100 (invoice 7), pending 40, post 30, void 10, refund 5, pending 20, top_up 50 (invoice 8)."""
    await world.given(db, 100, reason="paid", reference="invoice 7")
    await world.reserve(db, BULK, 40)
    await world.settle(db, BULK, used=30, released=10, closed=True)
    await world.settle(db, BULK, 2, used=30, released=10, refunded=5, closed=True)
    await world.reserve(db, SECOND, 20)
    await world.given(db, 50, reason="paid", reference="invoice 8")


async def read(http: httpx.AsyncClient, caller: str = "staff", **query: Any) -> list[dict[str, Any]]:
    answer = await http.get("/v1/credits/statement", params=query, headers=by(caller))
    assert answer.status_code == 200, answer.text
    items: list[dict[str, Any]] = answer.json()["items"]
    return items


async def test_the_balance_runs_through_every_entry(db: Database, http: httpx.AsyncClient) -> None:
    await some_history(db)

    entries = (await read(http))[::-1]

    assert [one["account_version"] for one in entries] == [1, 2, 3, 4, 5, 6, 7]
    assert [(one["kind"], one["credits"], one["available_after"]) for one in entries] == [
        ("top_up", 100, 100),
        ("pending", 40, 60),
        ("post", 30, 60),
        ("void", 10, 70),
        ("refund", 5, 75),
        ("pending", 20, 55),
        ("top_up", 50, 105),
    ]
    balance = (await http.get("/v1/credits", headers=by("staff"))).json()
    names = ("available", "reserved", "consumed", "owed")
    assert {name: entries[-1][f"{name}_after"] for name in names} == {name: balance[name] for name in names}


@pytest.mark.parametrize(
    ("query", "versions"),
    [
        ({"kind": "top_up"}, [7, 1]),
        ({"kind": ["post", "refund"]}, [5, 3]),
        ({"bulk_id": str(BULK)}, [5, 4, 3, 2]),
        ({"bulk_id": str(BULK), "kind": "pending"}, [2]),
        ({"reference": "invoice 8"}, [7]),
        ({"reference": "invoice"}, []),
        ({"bulk_id": str(uuid4())}, []),
    ],
)
async def test_a_filter_shows_the_entries_that_fit_and_no_others(
    db: Database, http: httpx.AsyncClient, query: dict[str, Any], versions: list[int]
) -> None:
    await some_history(db)

    assert [one["account_version"] for one in await read(http, **query)] == versions


async def test_a_range_of_time_holds_its_start_and_not_its_end(db: Database, http: httpx.AsyncClient) -> None:
    await some_history(db)
    times = [one["at"] for one in (await read(http))[::-1]]

    within = await read(http, **{"from": times[1], "to": times[4]})

    expected = [at + 1 for at, time in enumerate(times) if times[1] <= time < times[4]]
    assert [one["account_version"] for one in within] == expected[::-1]
    assert expected


async def test_a_filtered_list_pages_to_its_end(db: Database, http: httpx.AsyncClient) -> None:
    await some_history(db)

    seen, query = [], {"bulk_id": str(BULK), "limit": 3}
    while True:
        page = (await http.get("/v1/credits/statement", params=query, headers=by("admin"))).json()
        seen.append([one["account_version"] for one in page["items"]])
        if page["next_cursor"] is None:
            break
        query["cursor"] = page["next_cursor"]

    assert seen == [[5, 4, 3], [2]]


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ({"kind": "gift"}, "kind.0"),
        ({"bulk_id": "7"}, "bulk_id"),
        ({"from": "2026-13-01T00:00:00Z"}, "from"),
        ({"from": "2026-01-01"}, "from"),
        ({"from": "2026-01-02T00:00:00Z", "to": "2026-01-02T00:00:00Z"}, "to"),
        ({"reference": "x" * 201}, "reference"),
        ({"cursor": "rubbish"}, "cursor"),
    ],
)
async def test_a_filter_that_cannot_be_is_named(http: httpx.AsyncClient, query: dict[str, str], field: str) -> None:
    answer = await http.get("/v1/credits/statement", params=query, headers=by("staff"))

    assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json")
    assert [error["field"] for error in answer.json()["errors"]] == [field]


async def file(http: httpx.AsyncClient, media_type: str, caller: str = "staff", **query: Any) -> httpx.Response:
    headers = {**by(caller), "Accept": media_type}
    answer = await http.get("/v1/credits/statement", params=query, headers=headers)
    assert (answer.status_code, answer.headers["content-type"]) == (200, f"{media_type}; charset=utf-8")
    return answer


async def test_a_file_has_every_entry_oldest_first_in_both_forms(db: Database, http: httpx.AsyncClient) -> None:
    await some_history(db)
    entries = [{name: one[name] for name in one if name != "id"} for one in (await read(http))[::-1]]

    as_csv = await file(http, "text/csv")
    as_lines = await file(http, "application/x-ndjson")

    assert as_csv.headers["x-total-count"] == as_lines.headers["x-total-count"] == "7"
    rows = list(csv.DictReader(io.StringIO(as_csv.text)))
    assert rows == [{name: "" if one[name] is None else str(one[name]) for name in one} for one in entries]
    assert [json.loads(line) for line in as_lines.text.splitlines()] == entries
    assert len((await file(http, "text/csv", kind="top_up")).text.splitlines()) == 3


async def test_a_file_of_nothing_has_its_header_alone_and_nobody_elses_entries(
    db: Database, http: httpx.AsyncClient
) -> None:
    await some_history(db)

    assert (await file(http, "text/csv", "other")).text.splitlines() == [",".join(statement._COLUMNS)]
    assert (await file(http, "application/x-ndjson", "other")).text == ""


@pytest.mark.parametrize("written", ['=cmd|"/c calc"!A1', "+1+1", "-2", "@SUM(A1)", "\tx", 'a,"b"\nc'])
async def test_what_people_wrote_is_no_formula_and_breaks_no_line(
    db: Database, http: httpx.AsyncClient, written: str
) -> None:
    await world.given(db, 1, reason=written, reference=written)

    [row] = csv.DictReader(io.StringIO((await file(http, "text/csv")).text, newline=""))

    assert row["reason"] == row["reference"]
    assert row["reason"] == (written if written[0] == "a" else f"'{written}")
    assert row["reason"][0] not in "=+-@\t\r"


ENTRIES = """
INSERT INTO entry (tenant_id, account_version, kind, credits, granted_after, owed_after, available_after,
    reserved_after, consumed_after, reason)
SELECT $1, n, 'top_up', 1, n, 0, n, 0, 0, repeat('r', 200) FROM generate_series(1, $2) n
"""


async def test_a_long_file_takes_no_more_memory_than_a_page_of_it(
    db: Database, service_database: ServiceDatabases
) -> None:
    connection = await asyncpg.connect(service_database.admin_dsn(db))
    await connection.execute(ENTRIES, TENANT, 30_000)
    await connection.close()

    def begin(tenant_id: UUID) -> Any:
        return db.request(tenant_id)

    size = lines = 0
    tracemalloc.start()
    try:
        async for text in statement._lines(begin, TENANT, Wanted(), 30_000, statement._csv):
            size += len(text)
            lines += text.count("\n")
            del text
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()

    assert lines == 30_001
    assert size > 7_000_000
    assert peak < 3_500_000


async def test_an_entry_made_while_a_file_is_read_is_not_in_it(db: Database) -> None:
    await some_history(db)
    texts = statement._lines(db.request, TENANT, Wanted(), 7, statement._jsonl)
    await world.given(db, 9)

    lines = "".join([text async for text in texts]).splitlines()

    assert [json.loads(line)["account_version"] for line in lines] == [1, 2, 3, 4, 5, 6, 7]


async def test_times_are_written_alike_in_every_form(db: Database, http: httpx.AsyncClient) -> None:
    await world.given(db, 1)

    [entry] = await read(http)
    [line] = (await file(http, "application/x-ndjson")).text.splitlines()

    at = datetime.fromisoformat(entry["at"])
    assert at.utcoffset() == timedelta(0)
    assert json.loads(line)["at"] == entry["at"]
