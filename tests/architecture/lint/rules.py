"""Our own syntax-tree rules: what this project must never do, each a function from a source file to its findings.

A line is excused by a comment on it or above it, with the reason: `# allow <rule>: <why>`.
"""

import ast
import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import PurePosixPath

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 400
SQL = re.compile(r"\s*(SELECT|INSERT INTO|UPDATE|DELETE FROM|WITH|MERGE INTO|LOCK|TRUNCATE)\s", re.IGNORECASE)
SQL_TIME = re.compile(r"\b(now\(\)|clock_timestamp\(\)|statement_timestamp\(\)|current_timestamp)", re.IGNORECASE)
SQL_ENDS = re.compile(r"^\s*(COMMIT|ROLLBACK|BEGIN|END|SAVEPOINT)\b", re.IGNORECASE)
SQL_SESSION = re.compile(
    r"^\s*(SET\s+(?!LOCAL\b)|RESET\s|LISTEN\s|PREPARE\s)|\bset_config\([^)]*\bfalse\b"
    r"|\bpg_advisory_lock(_shared)?\(|\bTEMP(ORARY)?\s+TABLE\b|\bWITH HOLD\b"
)
TABLES = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE|USING)\s+(?:ONLY\s+)?([a-z_][a-z0-9_]*)", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Source:
    """A file as the rules see it; `tenant_tables` are the tables of its service that hold a tenant's rows."""

    path: PurePosixPath
    text: str
    tenant_tables: frozenset[str] = frozenset()

    @property
    def tree(self) -> ast.Module:
        """Its syntax tree."""
        return ast.parse(self.text)

    @property
    def in_kit(self) -> bool:
        """Whether the file is of the kit, the one place that may hold connections, clients and clocks."""
        return "libs/kit/" in self.path.as_posix()

    @property
    def room(self) -> str:
        """The room of a service that the file is in: `domain`, `store` ... or an empty string elsewhere."""
        parts = self.path.parts
        if "services" not in parts or "muster" not in parts:
            return ""
        inside = parts[parts.index("muster") + 2 :]
        return inside[0].removesuffix(".py") if inside else ""


@dataclass(frozen=True, slots=True)
class Finding:
    """A line that breaks a rule, and what to do instead."""

    path: PurePosixPath
    line: int
    rule: str
    says: str

    def __str__(self) -> str:
        return f"{self.path}:{self.line}: {self.rule}: {self.says}"


Rule = Callable[[Source], Iterator[tuple[int, str]]]
RULES: dict[str, Rule] = {}


def rule(function: Rule) -> Rule:
    """Register a rule under its function's name, written with dashes."""
    RULES[function.__name__.replace("_", "-")] = function
    return function


def check(source: Source) -> list[Finding]:
    """Every finding in a file that is not excused on its own line."""
    lines = source.text.splitlines()
    return [
        Finding(source.path, line, name, says)
        for name, function in RULES.items()
        for line, says in function(source)
        if not any(re.search(rf"# allow {name}: \S", near) for near in lines[max(0, line - 2) : line])
    ]


def _calls(source: Source) -> Iterator[tuple[ast.Call, str]]:
    """Every call with the dotted name of what is called."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Call):
            yield node, ast.unparse(node.func)


def _strings(source: Source) -> Iterator[ast.Constant]:
    """Every string that is not a docstring."""
    tree = source.tree
    docs = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef)
        and node.body
        and isinstance(node.body[0], ast.Expr)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in docs:
            yield node


def _imports(source: Source) -> Iterator[tuple[int, str]]:
    for node in ast.walk(source.tree):
        if isinstance(node, ast.Import):
            yield from ((node.lineno, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)


@rule
def commit_at_the_edge(source: Source) -> Iterator[tuple[int, str]]:
    """One request or one fetched batch is one transaction: only the kit opens, commits or rolls back."""
    if source.in_kit or not source.room:
        return
    for call, name in _calls(source):
        if name.rpartition(".")[2] in ("commit", "rollback", "transaction", "savepoint"):
            yield call.lineno, f"{name}() outside the kit; the edge commits"
    for text in _strings(source):
        if isinstance(text.value, str) and SQL_ENDS.match(text.value) and len(text.value) < 40 and text.value.isupper():
            yield text.lineno, "SQL that begins or ends a transaction; the edge commits"


@rule
def connections_from_the_kit(source: Source) -> Iterator[tuple[int, str]]:
    """Two helpers give transactions, nothing else gives a connection."""
    if source.in_kit or not source.room:
        return
    for line, name in _imports(source):
        if name.startswith(("asyncpg.connect", "asyncpg.create_pool", "aiokafka", "psycopg", "sqlalchemy")):
            yield line, f"{name}: databases and Kafka are reached through muster.kit"
    for call, name in _calls(source):
        if name in ("asyncpg.connect", "asyncpg.create_pool"):
            yield call.lineno, f"{name}(): use Database.request or Database.worker"


@rule
def one_way_to_kafka(source: Source) -> Iterator[tuple[int, str]]:
    """A client is made by the whole of what is set of Kafka: by addresses alone it would go in the clear."""
    if not (source.in_kit or source.room) or "tests" in source.path.parts or source.path.stem in ("broker", "settings"):
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.keyword) and node.arg == "bootstrap_servers":
            yield node.value.lineno, "bootstrap_servers: give **connection(broker) of muster.kit.broker"
        if isinstance(node, ast.Attribute) and node.attr == "kafka" and ast.unparse(node.value).endswith("settings"):
            yield node.lineno, "settings.kafka is the addresses alone: use settings.broker"


@rule
def sql_in_the_store(source: Source) -> Iterator[tuple[int, str]]:
    """SQL stands in the store, as a constant above the function that runs it."""
    if source.in_kit or source.room in ("", "store"):
        return
    for text in _strings(source):
        if isinstance(text.value, str) and SQL.match(text.value) and len(text.value.split()) > 3:
            yield text.lineno, f"SQL in the room {source.room}; it belongs in the store"


@rule
def tenant_in_tenant_sql(source: Source) -> Iterator[tuple[int, str]]:
    """Every statement about a tenant's table names tenant_id: row-level security is the second wall, not the first."""
    if source.room != "store":
        return
    for text in _strings(source):
        value = str(text.value)
        touched = {name.lower() for name in TABLES.findall(value)} & source.tenant_tables
        if SQL.match(value) and touched and "tenant_id" not in value:
            yield text.lineno, f"SQL about {', '.join(sorted(touched))} without tenant_id"


_LOCKS = {
    "change": re.compile(r"\bUPDATE\s+\w+(\s+\w+)?\s+SET\b|\bDELETE\s+FROM\b", re.IGNORECASE),
    "insert": re.compile(r"\bON\s+CONFLICT\b", re.IGNORECASE),
    "select": re.compile(r"\bFOR\s+((NO\s+KEY\s+)?UPDATE|(KEY\s+)?SHARE)\b", re.IGNORECASE),
}
_MANY = re.compile(
    r"\bunnest\(|\bANY\s*\(|\bIN\s*\(\s*SELECT|\bLIMIT\b|@>|\bSET\b((?!\bWHERE\b)[^;])*\sFROM\s"
    r"|\bWHERE\s+[\w.]+\s*([<>]|IS\b)",
    re.IGNORECASE,
)
_LOCKED_IN_ORDER = re.compile(r"\bORDER\s+BY\b[^;]*?\bFOR\s+((NO\s+KEY\s+)?UPDATE|(KEY\s+)?SHARE)\b", re.IGNORECASE)
_ORDERED = re.compile(r"\bORDER\s+BY\b", re.IGNORECASE)
_WAITS_FOR_NOBODY = re.compile(r"\bSKIP\s+LOCKED\b", re.IGNORECASE)


def _statements(source: Source) -> Iterator[tuple[int, str]]:
    """Every string that is a statement, with what an f-string puts together as one."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.JoinedStr):
            pieces = (str(piece.value) if isinstance(piece, ast.Constant) else " x " for piece in node.values)
            yield node.lineno, "".join(pieces)
    for text in _strings(source):
        if SQL.match(str(text.value)):
            yield text.lineno, str(text.value)


@rule
def ordered_locks(source: Source) -> Iterator[tuple[int, str]]:
    """A statement that locks many rows locks them in the order of their keys, or waits for none (ARCHITECTURE.md)."""
    if (source.room != "store" and not source.in_kit) or "tests" in source.path.parts:
        return
    for line, text in _statements(source):
        kind = next((name for name, locks in _LOCKS.items() if locks.search(text)), "")
        ordered = _ORDERED if kind == "insert" else _LOCKED_IN_ORDER
        if kind == "insert" and re.search(r"\bVALUES\b", text):
            continue
        if kind and _MANY.search(text) and not ordered.search(text) and not _WAITS_FOR_NOBODY.search(text):
            yield line, "many rows are locked in no order: ORDER BY their key, FOR UPDATE where they are changed"
    for call, name in _calls(source):
        if name.endswith(".executemany") and not ast.unparse(call.args[-1]).startswith("sorted("):
            yield call.lineno, "rows are locked one by one: sort them by their key"


@rule
def one_clock(source: Source) -> Iterator[tuple[int, str]]:
    """Time in SQL comes from kit_now(), in Python from muster.kit.clock, so that a simulation can own both."""
    if source.in_kit or not source.room:
        return
    for call, name in _calls(source):
        if name in (
            "time.time",
            "time.monotonic",
            "time.time_ns",
            "datetime.now",
            "datetime.utcnow",
            "datetime.datetime.now",
        ):
            yield call.lineno, f"{name}(): use muster.kit.clock"
    for text in _strings(source):
        if SQL.match(str(text.value)) and (found := SQL_TIME.search(str(text.value))):
            yield text.lineno, f"{found[0]} in SQL: use kit_now()"


@rule
def no_session_state(source: Source) -> Iterator[tuple[int, str]]:
    """Nothing outlives its transaction: connections of the worker role go back to their pool as they are."""
    if not source.room:
        return
    for text in _strings(source):
        if SQL_SESSION.search(str(text.value)):
            yield text.lineno, "this outlives the transaction: SET LOCAL, set_config(..., true), pg_advisory_xact_lock"


@rule
def pure_domain(source: Source) -> Iterator[tuple[int, str]]:
    """The domain is pure: it awaits nothing, and knows neither protobuf nor the kit."""
    if source.room != "domain":
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.AsyncFunctionDef | ast.Await):
            yield node.lineno, "the domain awaits nothing"
    for line, name in _imports(source):
        if name.startswith("muster.") and not name.startswith("muster.text") and ".domain" not in name:
            yield line, f"{name}: the domain knows the standard library and muster.text only"


@rule
def protobuf_in_events(source: Source) -> Iterator[tuple[int, str]]:
    """Only the room events knows the wire."""
    if source.room in ("", "events"):
        return
    for line, name in _imports(source):
        if name.startswith(("muster.events.v1", "google.protobuf")):
            yield line, f"{name}: protobuf is known to the room events only"


@rule
def transaction_first(source: Source) -> Iterator[tuple[int, str]]:
    """A function of the store takes `tx` first."""
    if source.room != "store":
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.AsyncFunctionDef) and not node.name.startswith("_"):
            names = [argument.arg for argument in node.args.args if argument.arg != "self"]
            if not names or names[0] != "tx":
                yield node.lineno, f"{node.name}: a function of the store takes tx first"


@rule
def scoped_transactions(source: Source) -> Iterator[tuple[int, str]]:
    """A `yield` dependency commits after the response unless its scope is the function: only the kit makes them."""
    if source.in_kit or source.room != "api":
        return
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yields = any(isinstance(inner, ast.Yield) for inner in ast.walk(node))
            if yields and "StreamingResponse" not in source.text:
                yield node.lineno, f"{node.name}: dependencies that yield are made in the kit"


@rule
def no_swallowed_exception(source: Source) -> Iterator[tuple[int, str]]:
    """An exception that nobody hears of is a defect."""
    for node in ast.walk(source.tree):
        if not isinstance(node, ast.ExceptHandler):
            continue
        broad = node.type is None or ast.unparse(node.type) in ("Exception", "BaseException")
        if broad and all(isinstance(step, ast.Pass | ast.Continue) for step in node.body):
            yield node.lineno, "an exception is swallowed"


@rule
def short_functions(source: Source) -> Iterator[tuple[int, str]]:
    """A function of more than 70 lines, a file of more than 400, is two."""
    for node in ast.walk(source.tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.end_lineno is not None:
            lines = node.end_lineno - node.lineno + 1
            if lines > FUNCTION_LINES_MAX:
                yield node.lineno, f"{node.name} has {lines} lines, {FUNCTION_LINES_MAX} at most"
    lines = len(source.text.splitlines())
    if lines > FILE_LINES_MAX:
        yield 1, f"{lines} lines, {FILE_LINES_MAX} at most"


@rule
def known_traps(source: Source) -> Iterator[tuple[int, str]]:
    """What the stack offers and ARCHITECTURE.md says is absent here."""
    if "tests" in source.path.parts:
        return
    for call, name in _calls(source):
        if name.endswith(".getone"):
            yield call.lineno, "getone() holds back what has arrived for others: getmany(timeout_ms=...)"
        for keyword in call.keywords:
            if keyword.arg in ("transactional_id", "group_instance_id"):
                yield call.lineno, f"{keyword.arg}: aiokafka's transactions and static members are half done"
    for text in _strings(source):
        value = str(text.value)
        if re.search(r"^\s*(NOTIFY|LISTEN) |pg_notify\(", value):
            yield text.lineno, "NOTIFY takes a lock of the whole cluster at each commit: the relay polls"
        if re.search(r"\boutbox\b(?s:.)*SKIP LOCKED", value):
            yield text.lineno, "readers of an outbox that skip locked rows break its order: one relay for each lane"


@rule
def no_pickle(source: Source) -> Iterator[tuple[int, str]]:
    """Nothing that runs what it reads."""
    for line, name in _imports(source):
        if name.split(".")[0] in ("pickle", "marshal", "shelve", "dill"):
            yield line, f"{name} runs what it reads"


@rule
def nothing_unfinished(source: Source) -> Iterator[tuple[int, str]]:
    """What is left for later is in an issue, not in the code."""
    for number, line in enumerate(source.text.splitlines(), 1):
        if re.search(r"\b(TO" + r"DO|FIX" + r"ME|XX" + r"X|HA" + r"CK)\b", line):
            yield number, "unfinished: do it, or file it"


def misnumbered(names: Iterable[PurePosixPath]) -> Iterator[Finding]:
    """Migrations of one folder are numbered from 1 on, each number once: two that were made side by side may not be."""
    folders: dict[PurePosixPath, list[PurePosixPath]] = {}
    for name in sorted(names):
        folders.setdefault(name.parent, []).append(name)
    for found in folders.values():
        for number, name in enumerate(found, 1):
            if not name.name.startswith(f"{number:04d}_"):
                yield Finding(name, 1, "numbered-migrations", f"a migration is not numbered {number:04d}")
                break
