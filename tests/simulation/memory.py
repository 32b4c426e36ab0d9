"""What a database has answered and would answer again: half of all statements are polls that find nothing new.

An answer that depends on nothing but tables and on who asks holds until somebody writes to one of these tables.
"""

import re
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final

_READING: Final = ("SELECT", "(SELECT", "WITH")
_WRITING: Final = r"insert|(?<!for )(?<!no key )update|delete|merge|call|copy|truncate|nextval|setval"
# Time, chance, settings, locks, and whatever the server knows beside the tables.
_PASSING: Final = r"advisory|random|now|\w*_timestamp|current_\w+|localtime\w*|for (?:no )?(?:key )?(?:update|share)"
# Whatever lasts until the end of a transaction, or is another one in each.
_LASTING: Final = r"advisory|for (?:no )?(?:key )?(?:update|share)|pg_\w*"
_NOTHING_WRITTEN: Final = {"DELETE 0": "DELETE", "UPDATE 0": "UPDATE"}
_WORD: Final = re.compile(r"\w+")

# Its own functions: what is not immutable may look at the clock, what is volatile may write. And what hides one.
OWN_NAMES: Final = """
SELECT proname::text AS name, provolatile = 'v' AS writes FROM pg_proc
WHERE pronamespace = 'public'::regnamespace AND provolatile <> 'i'
UNION ALL SELECT viewname::text, false FROM pg_views WHERE schemaname = 'public'
"""

# Each table, and which others change with it: whatever refers to it, and for one with a trigger (NULL) any.
TABLES: Final = """
SELECT relname::text AS name,
    CASE WHEN EXISTS (SELECT FROM pg_trigger WHERE tgrelid = c.oid AND NOT tgisinternal) THEN NULL
    ELSE ARRAY(SELECT conrelid::regclass::text FROM pg_constraint WHERE confrelid = c.oid) END AS others
FROM pg_class c WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p')
"""


class Reading:
    """Tells the statements of one service's database by what they do. `own`: see OWN_NAMES; `tables`: see TABLES."""

    def __init__(self, own: Iterable[tuple[str, bool]], tables: Mapping[str, Collection[str] | None]) -> None:
        names = dict(own)
        functions = "|".join([*(name for name, writes in names.items() if writes), "call"])
        self._anywhere = re.compile(rf"\b(?:{functions})\b", re.IGNORECASE)
        self._writing = re.compile(rf"\b(?:{_WRITING}|{functions})\b", re.IGNORECASE)
        self._passing = re.compile(rf"\b(?:{'|'.join([_PASSING, *names])})\b|\bpg_", re.IGNORECASE)
        self._lasting = re.compile(rf"\b(?:{_LASTING})\b", re.IGNORECASE)
        self._all = frozenset(tables)
        self._with = {name: _reached(name, tables) for name in tables}
        self._reads: dict[str, frozenset[str] | None] = {}
        self._looks: dict[str, bool] = {}
        self._writes: dict[str, frozenset[str]] = {}

    def reads(self, query: str) -> frozenset[str] | None:
        """The tables on which alone its answer depends; None where it depends on more."""
        if query not in self._reads:
            more = self._writing.search(query) or self._passing.search(query)
            plain = query.lstrip().startswith(_READING) and not more
            self._reads[query] = self._named(query) if plain else None
        return self._reads[query]

    def only_looks(self, query: str) -> bool:
        """Whether nothing is left of it: where all statements of a transaction are so, its end changes nothing."""
        if query not in self._looks:
            more = self._writing.search(query) or self._lasting.search(query)
            self._looks[query] = query.lstrip().startswith(_READING) and not more
        return self._looks[query]

    def writes(self, query: str, answer: object = None) -> frozenset[str]:
        """The tables that a statement may have changed, by what it is and by what came of it."""
        verb = _NOTHING_WRITTEN.get(answer) if isinstance(answer, str) else None
        if verb and query.lstrip().startswith(verb):
            return frozenset()
        if query not in self._writes:
            named = self._named(query) if self._writing.search(query) else frozenset()
            everywhere = self._anywhere.search(query)
            self._writes[query] = self._all if everywhere else frozenset().union(*(self._with[one] for one in named))
        return self._writes[query]

    def _named(self, query: str) -> frozenset[str]:
        return self._all.intersection(_WORD.findall(query.lower()))


def _reached(name: str, tables: Mapping[str, Collection[str] | None]) -> frozenset[str]:
    """What changes with a table, over any number of steps."""
    found, left = {name}, [name]
    while left:
        others = tables[left.pop()]
        if others is None:
            return frozenset(tables)
        new = set(others) - found
        found |= new
        left += new
    return frozenset(found)


class Memory:
    """The answers of one seed."""

    def __init__(self) -> None:
        self._moment = 0
        self._written: dict[tuple[str, str], int] = {}
        self._answers: dict[tuple[Any, ...], tuple[int, Any]] = {}

    def wrote(self, service: str, tables: Iterable[str]) -> None:
        """What was answered of these tables before holds no more."""
        self._moment += 1
        for table in tables:
            self._written[service, table] = self._moment

    def find(self, service: str, tables: Iterable[str], key: tuple[Any, ...]) -> tuple[int, Any] | None:
        """The answer to a question about these tables, in a tuple, if it holds."""
        known = self._answers.get((service, *key))
        if known is None or any(self._written.get((service, table), 0) > known[0] for table in tables):
            return None
        return known

    def keep(self, service: str, key: tuple[Any, ...], answer: Any) -> None:
        """The answer that was given just now."""
        self._answers[service, *key] = self._moment, answer
