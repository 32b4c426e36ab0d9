"""`muster laws` on the running product: eight times one row is changed by hand, and each time its law is named."""

import asyncio
import json
import subprocess
import sys
from typing import Any

import asyncpg
import pytest
from e2e_world import World, eventually

pytestmark = pytest.mark.e2e

OF_BULK = "WHERE tenant_id = $1 AND bulk_id = $2"
FIRST_ROW = "WHERE seq = 1 AND bulk_no = (SELECT bulk_no FROM bulk WHERE tenant_id = $1 AND bulk_id = $2)"
LATER = "jsonb_set(intents, '{0,1}', to_jsonb((intents->0->>1)::float8 + %s::float8))"
INTENT = f"UPDATE attempt SET intents = {LATER} {OF_BULK}"

# Laws whose breach below lies in the first message, which they name.
OF_MESSAGES = ("submit", "once", "report")
# Law: (database, what is changed by hand, what puts it right again). All within the CHECKs; triggers do not fire.
TAMPERS = {
    "granted": (
        "credit",
        "UPDATE entry SET credits = credits + 1 WHERE tenant_id = $1 AND kind = 'top_up' AND $2::uuid IS NOT NULL",
        "UPDATE entry SET credits = credits - 1 WHERE tenant_id = $1 AND kind = 'top_up' AND $2::uuid IS NOT NULL",
    ),
    "reserved": (
        "credit",
        f"UPDATE reservation SET used = used - 1, released = released + 1 {OF_BULK}",
        f"UPDATE reservation SET used = used + 1, released = released - 1 {OF_BULK}",
    ),
    "used": ("dispatch", f"UPDATE chunk SET used = used - 1 {OF_BULK}", f"UPDATE chunk SET used = used + 1 {OF_BULK}"),
    "submit": ("dispatch", INTENT % "1e9", INTENT % "-1e9"),
    "once": (
        "dispatch",
        f"UPDATE chunk SET slots = set_byte(slots, 0, 0) {OF_BULK}",
        f"UPDATE chunk SET slots = set_byte(slots, 0, 1) {OF_BULK}",
    ),
    "report": (
        "report",
        f"UPDATE message SET left_state = 4 {FIRST_ROW}",
        f"UPDATE message SET left_state = 2 {FIRST_ROW}",
    ),
    "tenant": (
        "credit",
        "INSERT INTO reservation (tenant_id, bulk_id) SELECT gen_random_uuid(), $2 WHERE $1::uuid IS NOT NULL",
        "DELETE FROM reservation WHERE bulk_id = $2 AND tenant_id <> $1",
    ),
    "bounded": (
        "dispatch",
        f"UPDATE saga SET parked = 'by hand' {OF_BULK}",
        f"UPDATE saga SET parked = '' {OF_BULK}",
    ),
}


def change(world: World, database: str, sql: str, tenant_id: str, bulk_id: str) -> None:
    """Change rows as the superuser whom no trigger and no policy stops; at least one."""

    async def work() -> None:
        connection = await asyncpg.connect(f"{world.run['postgres'].rsplit('/', 1)[0]}/{database}")
        try:
            await connection.execute("SET session_replication_role = replica")
            assert not (await connection.execute(sql, tenant_id, bulk_id)).endswith(" 0"), sql
        finally:
            await connection.close()

    asyncio.run(work())


def laws(world: World) -> tuple[int, dict[str, Any]]:
    """The exit code of `muster laws`, and what it says of each law."""
    command = [sys.executable, "-m", "muster.client", "laws", "--json", "--wait", "0"]
    env = {"MUSTER_VAR": str(world.stack.var), "PATH": ""}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    return done.returncode, {law["law"]: law for law in map(json.loads, done.stdout.splitlines())}


def test_each_law_is_named_with_its_tenant_send_and_message_when_one_row_is_changed_by_hand(world: World) -> None:
    business = world.business(credits=10)
    business.customers(3)
    bulk_id = business.send()
    business.ended(bulk_id)
    eventually(lambda: laws(world)[0] == 0)

    first = f"{bulk_id}-1"
    for law, (database, tamper, undo) in TAMPERS.items():
        change(world, database, tamper, business.id, bulk_id)
        code, found = laws(world)
        change(world, database, undo, business.id, bulk_id)

        assert code == 1, law
        assert found[law]["violations"] > 0, (law, found)
        named = [where for where in found[law]["where"] if business.id in json.dumps(where)]
        assert named, (law, found[law])
        assert law == "granted" or any(where["bulk_id"] == bulk_id for where in named), (law, named)
        messages = {where["message_id"] for where in named if where["message"]}
        assert law not in OF_MESSAGES or first in messages, (law, named)

    code, found = laws(world)
    assert code == 0, found
    assert list(found) == list(TAMPERS)
    assert all(one["checked"] > 0 and one["violations"] == 0 for one in found.values()), found
