"""Polls of a simulated process are answered from memory only where the database would say the same."""

import pytest

from simulation.memory import Memory, Reading

TABLES = {"outbox": (), "saga": ("chunk",), "chunk": ("slot",), "slot": (), "entry": None}
READING = Reading([("kit_now", False), ("post", True)], TABLES)
POLL = "SELECT * FROM outbox WHERE lane = $1 ORDER BY id"


@pytest.mark.parametrize(
    "query",
    [
        "SELECT kit_now() - min(parked_at) FROM dead_letter",
        "SELECT count(*) FROM saga WHERE due_at <= now()",
        "SELECT count(*) FROM saga WHERE due_at <= clock_timestamp()",
        "SELECT * FROM saga WHERE day = current_date",
        "SELECT id FROM queue ORDER BY random()",
        "SELECT id FROM queue FOR UPDATE SKIP LOCKED",
        "SELECT id FROM queue FOR NO KEY UPDATE",
        "SELECT id FROM queue\nFOR\nUPDATE",
        "SELECT id FROM queue FOR KEY SHARE",
        "SELECT pg_try_advisory_lock($1, $2)",
        "SELECT pid FROM pg_stat_activity",
        "SELECT nextval('numbers')",
        "SELECT post($1)",
        "WITH gone AS (DELETE FROM outbox RETURNING id) SELECT id FROM gone",
        "UPDATE saga SET state = 'closed'",
        "TABLE outbox",
    ],
)
def test_what_depends_on_more_than_the_tables_is_asked_each_time(query: str) -> None:
    assert READING.reads(query) is None


@pytest.mark.parametrize(
    ("query", "tables"),
    [
        (POLL, {"outbox"}),
        (
            "\n    SELECT updated_at FROM saga s JOIN public.Slot USING (id) WHERE NOT deleted",
            {"saga", "slot"},
        ),
        ("WITH due AS (SELECT id FROM chunk) TABLE due", {"chunk"}),
        ("SELECT 1", set()),
    ],
)
def test_what_depends_on_tables_alone_is_asked_again_when_these_have_changed(query: str, tables: set[str]) -> None:
    assert READING.reads(query) == tables


@pytest.mark.parametrize(
    ("query", "answer", "written"),
    [
        ("DELETE FROM outbox WHERE id = $1", "DELETE 1", {"outbox"}),
        ("DELETE FROM outbox WHERE id = $1", "DELETE 0", set()),
        ("\n  UPDATE outbox SET state = $1", "UPDATE 0", set()),
        ("WITH gone AS (DELETE FROM slot RETURNING id) UPDATE outbox SET state = $1", "UPDATE 0", {"slot", "outbox"}),
        ("DELETE FROM saga RETURNING id", [], {"saga", "chunk", "slot"}),
        ("INSERT INTO slot SELECT 1 ON CONFLICT DO NOTHING", "INSERT 0 0", {"slot"}),
        ("INSERT INTO entry SELECT 1", "INSERT 0 1", set(TABLES)),
        ("SELECT post($1)", [()], set(TABLES)),
        ("CALL whatever()", "CALL", set(TABLES)),
        ("COPY slot", None, {"slot"}),
        ("SELECT id FROM saga FOR UPDATE SKIP LOCKED", [()], set()),
        (POLL, [()], set()),
    ],
)
def test_whatever_may_have_changed_counts_as_changed(query: str, answer: object, written: set[str]) -> None:
    assert READING.writes(query, answer) == written


@pytest.mark.parametrize(
    ("query", "only_looks"),
    [
        (POLL, True),
        ("SELECT count(*) FROM saga WHERE due_at <= kit_now()", True),
        ("SELECT id FROM queue ORDER BY random()", True),
        ("SELECT id FROM queue FOR UPDATE SKIP LOCKED", False),
        ("SELECT id FROM queue FOR NO KEY UPDATE", False),
        ("SELECT id FROM queue FOR KEY SHARE", False),
        ("SELECT pg_advisory_xact_lock_shared($1)", False),
        ("SELECT pg_current_xact_id()", False),
        ("SELECT nextval('numbers')", False),
        ("SELECT post($1)", False),
        ("WITH gone AS (DELETE FROM outbox RETURNING id) SELECT id FROM gone", False),
        ("UPDATE saga SET state = 'closed'", False),
        ("SET LOCAL statement_timeout = 120000", False),
        ("COPY slot", False),
    ],
)
def test_a_transaction_that_took_a_lock_or_wrote_does_not_only_look(query: str, only_looks: bool) -> None:
    assert READING.only_looks(query) is only_looks


def test_an_answer_holds_until_somebody_writes_to_its_tables() -> None:
    memory, asked = Memory(), ("worker", "BEGIN", "fetch", POLL, "(0,)")
    memory.keep("credit", asked, ["row"])
    memory.wrote("dispatch", {"outbox"})
    memory.wrote("credit", {"saga"})
    found = memory.find("credit", {"outbox"}, asked)
    assert found is not None
    assert found[1] == ["row"]
    assert memory.find("dispatch", {"outbox"}, asked) is None
    assert memory.find("credit", {"outbox"}, ("app", *asked[1:])) is None, "each role sees rows of its own"
    memory.wrote("credit", {"outbox", "slot"})
    assert memory.find("credit", {"outbox"}, asked) is None
