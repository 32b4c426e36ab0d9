"""A file and a person change one customer at the same time: neither's change is lost, and the second is told."""

import asyncio
from typing import Any

import asyncpg
import pytest
from importing import importer_of
from test_importer import finish, stands, upload

from muster.customer.store import imports

HEADER = "First name,Last name,Mobile,Allow Bulk SMS,Pet,Tags"
_WAITING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'"


async def until_somebody_waits(salon: Any) -> None:
    """Until a statement in the test's database waits for somebody else's row."""
    connection = await asyncpg.connect(salon.admin_dsn)
    try:
        while True:
            if await connection.fetchval(_WAITING):
                return
            await asyncio.sleep(0.01)
    finally:
        await connection.close()


async def ana(salon: Any) -> Any:
    [found] = (await salon.ask("GET", "/v1/customers")).json()["items"]
    return found


@pytest.mark.parametrize(
    ("change", "allow", "consent"),
    [("language = 'de'", True, "inferred"), ("consent = 'withdrawn', allow_bulk_sms = false", False, "withdrawn")],
)
async def test_what_was_changed_while_a_file_waited_for_the_customer_is_kept_beside_what_the_file_says(
    salon: Any, settings: Any, change: str, allow: bool, consent: str
) -> None:
    await salon.load("Ana,S,0412000001,,Rex,vip\n", HEADER)
    begun = await upload(salon, f"{HEADER}\nAna,S,0412000001,yes,Tom,colour\n".encode(), settings)
    importer = importer_of(salon.db, settings)
    await importer.read_turn()
    await importer.apply_turn()
    async with salon.db.request(salon.tenant_id) as tx:
        edit = f"UPDATE customer SET {change}, tags = tags || '{{seen}}', version = version + 1 WHERE tenant_id = $1"
        await tx.execute(edit, salon.tenant_id)
        applied = asyncio.create_task(importer.apply_turn())
        await until_somebody_waits(salon)
    assert await applied
    await finish(importer)
    found = await ana(salon)
    assert (found["allow_bulk_sms"], found["consent"]) == (allow, consent)
    if allow:
        assert (found["language"], found["tags"]) == ("de", ["vip", "seen", "colour"])
        assert (found["own_fields"], found["version"]) == ({"pet": "Tom"}, 3)
    else:
        assert (found["tags"], found["own_fields"], found["version"]) == (["vip", "seen"], {"pet": "Rex"}, 2)
    assert (await stands(salon, begun))["updated"] == int(allow)


async def test_who_saves_what_they_saw_before_a_file_changed_it_is_told_and_nothing_of_theirs_is_stored(
    salon: Any, settings: Any, monkeypatch: Any
) -> None:
    await salon.load("Ana,S,0412000001,,Rex,vip\n", HEADER)
    seen = await ana(salon)
    begun = await upload(salon, f"{HEADER}\nAna,S,0412000001,yes,Tom,\n".encode(), settings)
    importer, real = importer_of(salon.db, settings), imports.progress
    has_changed, may_end = asyncio.Event(), asyncio.Event()
    await importer.read_turn()
    await importer.apply_turn()

    async def slow(*args: Any) -> None:
        has_changed.set()
        await may_end.wait()
        await real(*args)

    monkeypatch.setattr(imports, "progress", slow)
    applied = asyncio.create_task(importer.apply_turn())
    await has_changed.wait()
    path, body = f"/v1/customers/{seen['id']}", {"own_fields": {"pet": "Max"}}
    saved = asyncio.create_task(salon.ask("PATCH", path, body, If_Match=f'"{seen["version"]}"'))
    await until_somebody_waits(salon)
    may_end.set()
    assert await applied
    answer = await saved
    assert (answer.status_code, answer.json()["code"]) == (412, "changed_meanwhile")
    assert "by an import" in answer.json()["detail"]
    await finish(importer)
    assert ((await ana(salon))["own_fields"], (await stands(salon, begun))["state"]) == ({"pet": "Tom"}, "done")
