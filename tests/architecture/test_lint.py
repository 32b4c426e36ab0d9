"""Each rule of ours sees what it forbids and lets pass what it does not."""

from pathlib import PurePosixPath

import pytest
from rules import RULES, Source, check, misnumbered

STORE = "services/credit-svc/muster/credit/store.py"
HANDLERS = "services/credit-svc/muster/credit/handlers.py"
DOMAIN = "services/credit-svc/muster/credit/domain.py"
API = "services/credit-svc/muster/credit/api.py"

WRONG = [
    ("commit-at-the-edge", HANDLERS, "async def on_x(tx, batch):\n    await tx.commit()\n"),
    ("commit-at-the-edge", STORE, "async def f(tx):\n    async with tx.transaction():\n        pass\n"),
    ("commit-at-the-edge", STORE, "async def f(tx):\n    await tx.execute('COMMIT')\n"),
    ("connections-from-the-kit", STORE, "import asyncpg\nasync def f(tx):\n    await asyncpg.connect('')\n"),
    ("connections-from-the-kit", HANDLERS, "from aiokafka import AIOKafkaProducer\n"),
    ("one-way-to-kafka", "libs/kit/muster/kit/x.py", "x = AIOKafkaConsumer(bootstrap_servers=b)\n"),
    ("one-way-to-kafka", HANDLERS, "x = Producer(self._settings.kafka)\n"),
    ("sql-in-the-store", HANDLERS, "Q = 'SELECT a FROM account WHERE tenant_id = $1'\n"),
    ("tenant-in-tenant-sql", STORE, "Q = 'SELECT available FROM account'\n"),
    ("tenant-in-tenant-sql", STORE, "Q = 'UPDATE account SET available = 0'\n"),
    ("no-session-state", STORE, "Q = 'SET statement_timeout = 5'\n"),
    ("no-session-state", STORE, "Q = \"SELECT set_config('app.tenant', $1, false)\"\n"),
    ("no-session-state", STORE, "Q = 'SELECT pg_advisory_lock($1)'\n"),
    ("ordered-locks", STORE, "Q = 'DELETE FROM rate WHERE country = ANY($1)'\n"),
    (
        "ordered-locks",
        STORE,
        "Q = 'UPDATE rate r SET at = x.at FROM unnest($1) AS x(c, at) WHERE r.c = x.c ORDER BY 1'\n",
    ),
    ("ordered-locks", STORE, "Q = 'INSERT INTO rate SELECT unnest($1) ON CONFLICT DO NOTHING'\n"),
    ("ordered-locks", STORE, "Q = f'SELECT {C} FROM rate WHERE country = ANY($1) FOR NO KEY UPDATE'\n"),
    ("ordered-locks", STORE, "async def f(tx, rows):\n    await tx.executemany(Q, rows)\n"),
    ("one-clock", HANDLERS, "import time\nx = time.time()\n"),
    ("one-clock", STORE, "Q = 'SELECT tenant_id FROM account WHERE at < now()'\n"),
    ("pure-domain", DOMAIN, "async def f():\n    return 1\n"),
    ("pure-domain", DOMAIN, "from muster.kit.pg import Tx\n"),
    ("protobuf-in-events", HANDLERS, "from muster.events.v1 import bulk_pb2\n"),
    ("protobuf-in-events", DOMAIN, "from google.protobuf.message import Message\n"),
    ("transaction-first", STORE, "async def balance(tenant_id, tx):\n    return 1\n"),
    ("scoped-transactions", API, "async def tx(request):\n    yield 1\n"),
    ("no-swallowed-exception", HANDLERS, "try:\n    f()\nexcept Exception:\n    pass\n"),
    ("short-functions", HANDLERS, "def f():\n" + "    g()\n" * 70),
    ("short-functions", HANDLERS, "x = 1\n" * 401),
    ("short-functions", "services/credit-svc/tests/test_store.py", "x = 1\n" * 401),
    ("known-traps", HANDLERS, "async def f(kafka):\n    return await kafka.getone()\n"),
    ("known-traps", HANDLERS, "x = Producer(transactional_id='a')\n"),
    ("known-traps", STORE, "Q = 'NOTIFY outbox'\n"),
    ("known-traps", STORE, "Q = \"SELECT pg_notify('outbox', '')\"\n"),
    ("known-traps", STORE, "Q = 'SELECT id FROM outbox WHERE tenant_id = $1 FOR UPDATE SKIP LOCKED'\n"),
    ("no-pickle", HANDLERS, "import pickle\n"),
    ("nothing-unfinished", HANDLERS, "x = 1  # TO" + "DO later\n"),
]
RIGHT = [
    (HANDLERS, "async def on_x(tx, batch):\n    await store.save(tx, batch)\n"),
    (
        STORE,
        "Q = 'SELECT available FROM account WHERE tenant_id = $1'\nasync def balance(tx, tenant_id):\n    return 1\n",
    ),
    (STORE, "Q = 'UPDATE rate SET credits = 1 WHERE country = $1 AND at < kit_now()'\n"),
    (
        STORE,
        "Q = 'DELETE FROM rate WHERE c IN (SELECT c FROM rate WHERE at < kit_now() ORDER BY c FOR UPDATE)'\n"
        "R = 'DELETE FROM rate WHERE c IN (SELECT c FROM rate WHERE at < kit_now() FOR UPDATE SKIP LOCKED)'\n"
        "S = 'INSERT INTO rate SELECT c FROM unnest($1) AS c ORDER BY c ON CONFLICT DO NOTHING'\n"
        "# allow ordered-locks: whoever changes a rate holds the lock of all\n"
        "T = 'UPDATE rate SET credits = 1 WHERE country = ANY($1)'\n"
        "async def f(tx, rows):\n    await tx.executemany(Q, sorted(rows))\n",
    ),
    (
        DOMAIN,
        '"""Select what fits from a list."""\nfrom muster.text import segment\nfrom muster.credit.domain import x\n',
    ),
    (
        "libs/kit/muster/kit/pg.py",
        "import asyncpg\nasync def f(c):\n    async with c.transaction():\n        yield c\n",
    ),
    (HANDLERS, "try:\n    f()\nexcept Exception as error:\n    log(error)\n    raise\n"),
    (HANDLERS, "import time\nx = time.time()  # allow one-clock: the wall clock of the host is what is asked for\n"),
]


def source(path: str, text: str) -> Source:
    return Source(PurePosixPath(path), text, frozenset({"account"}))


@pytest.mark.parametrize(("name", "path", "text"), WRONG, ids=[f"{one[0]}-{i}" for i, one in enumerate(WRONG)])
def test_a_rule_sees_what_it_forbids(name: str, path: str, text: str) -> None:
    assert name in {finding.rule for finding in check(source(path, text))}


@pytest.mark.parametrize(("path", "text"), RIGHT)
def test_right_code_passes_every_rule(path: str, text: str) -> None:
    assert check(source(path, text)) == []


def test_every_rule_has_code_that_breaks_it() -> None:
    assert {name for name, _, _ in WRONG} == set(RULES)


def test_a_finding_names_the_file_the_line_and_the_rule() -> None:
    finding = check(source(DOMAIN, "x = 1\nimport pickle\n"))[0]
    assert str(finding).startswith(f"{DOMAIN}:2: no-pickle: ")


def test_two_migrations_of_one_number_and_one_that_is_left_out_are_found() -> None:
    def found(*names: str) -> list[str]:
        return [str(one).partition(": a ")[0] for one in misnumbered(PurePosixPath(f"a/{name}.sql") for name in names)]

    assert found("0001_a", "0003_c", "0002_b") == []
    assert found("0001_a", "0002_c", "0002_b") == ["a/0002_c.sql:1: numbered-migrations"]
    assert found("0001_a", "0003_b") == ["a/0003_b.sql:1: numbered-migrations"]
