"""The importer: in the background, resumed wherever it was killed, one tenant's files never before another's."""

import asyncio
import os
import re
import signal
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from conftest import tenant
from importing import importer_of
from imports import contents, damage

from muster.customer.api import import_taking
from muster.customer.handlers import facts as handlers
from muster.customer.importer import applying, sweeping
from muster.customer.importer.engine import Child
from muster.customer.store import import_files, imports
from muster.kit.auth import Caller, Role
from muster.kit.testing import apply

SHARE = 0.1
FIGURES = ("rows", "created", "updated", "unchanged", "rejected", "repairs", "rows_total")


def damaged(count: int) -> bytes:
    """People, 1 in 10 of them spoiled, in ten ways; some with a landline."""
    return damage.file_of(seed=7, count=count, share=SHARE)


async def post(salon: Any, content: bytes, settings: Any, query: str = "", by: str = "admin", **headers: str) -> Any:
    """The answer to a file that is left to the background."""
    once_bytes = settings.customer_import_once_bytes
    object.__setattr__(settings, "customer_import_once_bytes", 0)
    headers["Content_Type"] = "text/csv"
    answer = await salon.ask("POST", f"/v1/customers/imports{query}", content, by=by, **headers)
    object.__setattr__(settings, "customer_import_once_bytes", once_bytes)
    return answer


async def upload(salon: Any, content: bytes, settings: Any, query: str = "", by: str = "admin") -> Any:
    """A file for whose end nobody waits."""
    answer = await post(salon, content, settings, query, by, Prefer="wait=5, respond-async")
    assert answer.status_code == 202, answer.text
    return answer.json()


async def finish(importer: Any) -> None:
    while await importer.read_turn():
        pass
    while await importer.apply_turn():
        pass


async def execute(salon: Any, sql: str, *values: Any) -> None:
    """A statement behind the roles."""
    connection = await asyncpg.connect(salon.admin_dsn)
    try:
        await connection.execute(sql, *values)
    finally:
        await connection.close()


async def twin_of(salon: Any) -> UUID:
    """A second business of the same country, for which "twin" acts."""
    twin = uuid4()
    salon.callers["twin"] = Caller(twin, "tia", Role.ADMIN, "")
    await apply(salon.db, handlers.on_tenant_changed, tenant(twin))
    return twin


async def stands(salon: Any, begun: Any, by: str = "admin") -> Any:
    return (await salon.ask("GET", f"/v1/customers/imports/{begun['id']}", by=by)).json()


class Died(BaseException):
    """A process that is no more."""


def dying(monkeypatch: Any, module: Any, name: str, times: set[int]) -> None:
    """Let the process die after this function's n-th call, before its transaction is committed."""
    real, calls = getattr(module, name), 0

    async def dies(*args: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        answer = await real(*args, **named)
        if calls in times:
            raise Died
        return answer

    monkeypatch.setattr(module, name, dies)


async def test_an_import_that_was_killed_while_read_and_while_applied_ends_as_a_clean_one_does(
    salon: Any, settings: Any, monkeypatch: Any
) -> None:
    content, twin = damaged(600), await twin_of(salon)
    clean = await upload(salon, content, settings, by="twin")
    await finish(importer_of(salon.db, settings))
    begun = await upload(salon, content, settings)
    dying(monkeypatch, import_files, "add_block", {3})
    with pytest.raises(Died):
        await importer_of(salon.db, settings).read_turn()
    await run_out(salon)
    dying(monkeypatch, imports, "progress", {2, 6, 9})
    deaths = 0
    while (await stands(salon, begun))["state"] != "done":
        try:
            await finish(importer_of(salon.db, settings))
        except Died:
            deaths += 1
    assert deaths == 3
    done, wanted = await stands(salon, begun), await stands(salon, clean, by="twin")
    assert [done[name] for name in FIGURES] == [wanted[name] for name in FIGURES]
    left_out = [await salon.ask("GET", one["rejected_url"], by=by) for one, by in ((done, "admin"), (wanted, "twin"))]
    assert left_out[0].content == left_out[1].content
    assert not await contents.differences(salon.admin_dsn, salon.tenant_id, twin)
    rows = list(damage.rows(seed=7, count=600, share=SHARE))
    assert {row.damage for row in rows} == {"", *damage.KINDS}
    assert not await contents.not_as_meant(salon.admin_dsn, salon.tenant_id, rows)
    assert not await contents.left_over(salon.admin_dsn, salon.tenant_id)


async def test_what_a_business_has_otherwise_than_another_or_than_its_file_is_found(salon: Any, settings: Any) -> None:
    twin, rows = await twin_of(salon), list(damage.rows(seed=3, count=60, share=0.2))
    for by in ("admin", "twin"):
        await upload(salon, damage.file_of(seed=3, count=60, share=0.2), settings, by=by)
    await finish(importer_of(salon.db, settings))
    of = salon.admin_dsn, salon.tenant_id
    assert not await contents.differences(*of, twin)
    assert not await contents.not_as_meant(*of, rows)
    assert len(await contents.not_as_meant(*of, rows[:-1])) == 1
    for spoil, table in (
        ("UPDATE customer_number SET country = 'NZ' WHERE tenant_id = $1 AND number = 61400000007", "customers"),
        ("UPDATE own_field SET kind = 'number' WHERE tenant_id = $1 AND key = 'notes'", "own fields"),
        ("UPDATE customer_import_rejected SET cells = '{}' WHERE tenant_id = $1", "rows left out"),
        ("DELETE FROM customer_import_error WHERE tenant_id = $1 AND ordinal = 1", "errors"),
    ):
        before = await contents.differences(*of, twin)
        await execute(salon, spoil, salon.tenant_id)
        found = [one for one in await contents.differences(*of, twin) if one not in before]
        assert {one.partition(":")[0] for one in found} == {table}
    assert await contents.not_as_meant(*of, rows)


async def run_out(salon: Any) -> None:
    """Let the lease of who died run out."""
    await execute(salon, "UPDATE customer_import SET lease_until = now() WHERE lease_until IS NOT NULL")


async def test_the_answer_to_a_large_file_waits_for_its_end_and_says_what_refuses_it_as_a_whole(
    salon: Any, settings: Any, monkeypatch: Any
) -> None:
    async def in_the_background(content: bytes) -> Any:
        asked = asyncio.create_task(post(salon, content, settings))
        importer = importer_of(salon.db, settings)
        while not asked.done():
            await finish(importer)
            await asyncio.sleep(0.01)
        return await asked

    taken = await in_the_background(damaged(50))
    refused = await in_the_background(b"<html><table><tr><td>Ana</td></tr></table></html>")

    assert (taken.status_code, taken.json()["state"]) == (201, "done")
    assert taken.json()["rows"] == taken.json()["created"] + taken.json()["rejected"] > 40
    assert (refused.status_code, refused.json()["code"]) == (422, "wrong_kind")
    monkeypatch.setattr(import_taking, "_ASYNC", re.compile("never"))
    object.__setattr__(settings, "customer_import_answer_s", 0.2)
    late = await post(salon, damaged(50), settings, Prefer="respond-async")
    assert (late.status_code, late.json()["state"]) == (202, "waiting")


async def test_a_file_that_is_being_read_is_read_by_nobody_else(salon: Any, settings: Any, monkeypatch: Any) -> None:
    await upload(salon, damaged(50), settings)
    dying(monkeypatch, import_files, "add_block", {1})
    with pytest.raises(Died):
        await importer_of(salon.db, settings).read_turn()
    assert not await importer_of(salon.db, settings).read_turn()
    await run_out(salon)
    assert await importer_of(salon.db, settings).read_turn()


async def test_a_file_that_kills_whoever_reads_it_is_refused_at_last(
    salon: Any, settings: Any, monkeypatch: Any
) -> None:
    begun = await upload(salon, damaged(50), settings)
    dying(monkeypatch, import_files, "add_block", set(range(1, 9)))
    for _ in range(5):
        with pytest.raises(Died):
            await importer_of(salon.db, settings).read_turn()
        await run_out(salon)
    await finish(importer_of(salon.db, settings))
    stood = await stands(salon, begun)
    assert (stood["state"], stood["problem"]["code"]) == ("refused", "not_readable")
    assert await salon.count("customer") == 0


async def test_rows_that_fail_for_ever_end_the_import_with_a_reason_and_it_goes_on_where_it_was(
    salon: Any, settings: Any, monkeypatch: Any
) -> None:
    begun = await upload(salon, damaged(300), settings)
    importer, later = (
        importer_of(salon.db, settings, tries_max=3),
        await upload(salon, b"Mobile\n0412999999\n", settings),
    )
    while await importer.read_turn():
        pass
    for _ in range(3):
        await importer.apply_turn()
    before = await stands(salon, begun)
    monkeypatch.setattr(importer._applying, "step", failing(asyncpg.QueryCanceledError("too long")))
    for tried in range(3):
        if tried < 2:
            with pytest.raises(asyncpg.QueryCanceledError):
                await importer.apply_turn()
            await execute(salon, "UPDATE customer_import SET retry_at = retry_at - interval '1 s' * $1", tried)
        else:
            assert await importer.apply_turn()
    failed = await stands(salon, begun)

    assert (failed["state"], failed["problem"]["code"], failed["rows"]) == ("failed", "gave_up", before["rows"])
    row = before["rows"] + 1
    assert failed["problem"]["message"].startswith(
        f"The rows from {row} on could not be taken in, 3 times in a row: they"
    )
    assert await salon.count("customer") == failed["created"]
    await finish(importer_of(salon.db, settings))
    assert (await stands(salon, later))["state"] == "done", "nobody else's waits for it"
    path = f"/v1/customers/imports/{begun['id']}/start"
    assert (await salon.ask("POST", path, {"mode": "add"})).json()["code"] == "import_begun"
    assert (await salon.ask("POST", path, {})).json()["state"] == "applying"
    await finish(importer_of(salon.db, settings))
    twin = await twin_of(salon)
    clean = await upload(salon, damaged(300), settings, by="twin")
    await finish(importer_of(salon.db, settings))
    done, wanted = await stands(salon, begun), await stands(salon, clean, by="twin")
    assert [done[name] for name in ("state", *FIGURES)] == [wanted[name] for name in ("state", *FIGURES)]
    await execute(
        salon,
        "DELETE FROM customer WHERE customer_id IN (SELECT customer_id FROM customer_number"
        " WHERE number = 61412999999)",
    )
    assert not await contents.differences(salon.admin_dsn, salon.tenant_id, twin)


def failing(error: Exception) -> Any:
    """What fails so each time it is called."""

    async def fails(*_: Any) -> Any:
        raise error

    return fails


async def test_tenants_take_turns_by_block(salon: Any, settings: Any) -> None:
    large = await upload(salon, damaged(400), settings)
    small = await upload(salon, b"Name,Mobile\nOle,07400 123456\n", settings, by="other")
    importer = importer_of(salon.db, settings)
    while await importer.read_turn():
        pass
    for _ in range(6):
        await importer.apply_turn()
    assert (await stands(salon, small, by="other"))["state"] == "done"
    assert (await stands(salon, large))["state"] == "applying"


async def test_progress_is_live_and_a_cancelled_import_keeps_what_it_has_and_takes_no_more(
    salon: Any, settings: Any
) -> None:
    begun = await upload(salon, damaged(300), settings)
    importer = importer_of(salon.db, settings)
    await importer.read_turn()
    for _ in range(3):
        await importer.apply_turn()
    stood = await stands(salon, begun)
    assert (stood["state"], stood["rows"] > 90, stood["rows"] < stood["rows_total"]) == ("applying", True, True)
    assert stood["imported"] + stood["rejected"] == stood["rows"]
    path = f"/v1/customers/imports/{begun['id']}/cancel"
    cancelled = (await salon.ask("POST", path)).json()
    assert (await salon.ask("POST", path)).json() == cancelled
    assert not await importer.apply_turn()
    assert (cancelled["state"], await salon.count("customer")) == ("cancelled", stood["created"])
    done = await salon.load("Ana,S,0412000001,yes\n")
    assert (await salon.ask("POST", f"/v1/customers/imports/{done['id']}/cancel")).status_code == 409


async def test_a_file_that_is_refused_at_its_last_byte_has_changed_nothing(salon: Any, settings: Any) -> None:
    begun = await upload(salon, ("Name,Mobile\nAna,0412000001\n" * 200).encode("utf-16") + b"x", settings)
    await finish(importer_of(salon.db, settings))
    stood = await stands(salon, begun)
    assert (stood["state"], stood["problem"]["code"], stood["rows"]) == ("refused", "not_text", 0)
    assert await salon.count("customer") == await salon.count("customer_import_part") == 0


async def test_an_upload_that_was_cut_off_is_dropped_and_so_is_what_nobody_starts(salon: Any, settings: Any) -> None:
    import_id = uuid4()
    async with salon.db.request(salon.tenant_id) as tx:
        await imports.begin(tx, salon.tenant_id, import_id, "", "ada")
        await import_files.add_parts(tx, salon.tenant_id, import_id, 0, [b"Mobile\n"])
    kept = sweeping.Kept(upload_min=15, preview_d=7, rejected_d=30)
    looked_at = (
        await salon.ask("POST", "/v1/customers/imports?preview=true", b"Mobile\n0412000001\n", Content_Type="text/csv")
    ).json()
    bad = await salon.load("Ana,S,banana,yes\n")
    await sweeping.sweep(salon.db, kept)
    assert await salon.count("customer_import") == 3
    connection = await asyncpg.connect(salon.admin_dsn)
    await connection.execute(
        "UPDATE customer_import SET changed_at = now() - interval '8 days',"
        " finished_at = finished_at - interval '31 days'"
    )
    await connection.close()
    await sweeping.sweep(salon.db, kept)
    assert await salon.count("customer_import") == 2
    assert await salon.count("customer_import_part") == await salon.count("customer_import_rejected") == 0
    assert (await stands(salon, looked_at))["state"] == "cancelled"
    assert (await stands(salon, bad))["rejected"] == 1


async def test_a_child_reads_and_parses_as_the_process_itself_does_and_one_that_dies_is_made_anew(
    salon: Any, settings: Any
) -> None:
    child = Child(idle_s=60, memory_bytes_max=1 << 30)
    begun = await upload(salon, damaged(300), settings)
    importer = importer_of(salon.db, settings, child)
    try:
        assert await importer.read_turn()
        assert await importer.apply_turn()
        assert child._process is not None
        os.kill(child._process.pid, signal.SIGKILL)
        await child._process.wait()
        await finish_patiently(importer)
    finally:
        await importer._applying.stop()
        await child.stop()
    again = await upload(salon, damaged(300), settings)
    await finish(importer_of(salon.db, settings))
    by_child, inline = await stands(salon, begun), await stands(salon, again)
    assert (by_child["state"], by_child["created"]) == ("done", inline["unchanged"])
    errors = [(await salon.ask("GET", f"{one['errors_url']}?limit=500")).json() for one in (by_child, inline)]
    assert errors[0] == errors[1]


async def finish_patiently(importer: Any) -> None:
    for _ in range(40):
        try:
            if not await importer.apply_turn():
                return
        except OSError:
            await asyncio.sleep(0)
    raise AssertionError("it did not end")


async def test_too_many_imports_at_once_are_refused_by_name(salon: Any, settings: Any) -> None:
    object.__setattr__(settings, "customer_import_open_max", 1)
    await upload(salon, b"Mobile\n0412000001\n", settings)
    answer = await salon.ask("POST", "/v1/customers/imports", b"Mobile\n1\n", Content_Type="text/csv")
    assert (answer.status_code, answer.json()["code"], answer.json()["limit"]) == (409, "too_many_imports", 1)


async def test_who_asks_after_a_large_import_is_planned_for_what_is_there_also_if_the_planner_could_not_be_told(
    salon: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def expected() -> int:
        connection = await asyncpg.connect(salon.admin_dsn)
        try:
            return await connection.fetchval("SELECT reltuples::bigint FROM pg_class WHERE relname = 'customer'")
        finally:
            await connection.close()

    async def somebody_is_at_it(_: Any) -> None:
        raise asyncpg.LockNotAvailableError

    monkeypatch.setattr(applying, "_ROWS_TO_TELL", 50)
    await upload(salon, damage.file_of(seed=7, count=40, share=0), settings)
    await finish(importer_of(salon.db, settings))
    few = await expected()
    with monkeypatch.context() as patched:
        patched.setattr(imports, "refresh_statistics", somebody_is_at_it)
        made = await upload(salon, damage.file_of(seed=8, count=60, share=0), settings)
        await finish(importer_of(salon.db, settings))
    untold = await expected()
    await upload(salon, damage.file_of(seed=9, count=120, share=0), settings)
    await finish(importer_of(salon.db, settings))
    ended = await salon.ask("GET", f"/v1/customers/imports/{made['id']}")
    assert ended.json()["state"] == "done"
    assert (few, untold) == (-1, -1)
    assert await expected() >= 120
