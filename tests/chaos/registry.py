"""The rows: a number, what is done, the function that does it, and how often its fault must at least have fired."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from chaos.nemesis import Chaos


@dataclass(frozen=True)
class Row:
    """`short` rows are those of `make test`. `nodes` is how many nodes of Kafka it needs."""

    number: str
    says: str
    run: Callable[[Chaos], None]
    fires: int
    short: bool
    nodes: int


ROWS: dict[str, Row] = {}


def row(
    number: str, says: str, *, fires: int = 1, short: bool = False, nodes: int = 1
) -> Callable[[Callable[[Chaos], None]], Callable[[Chaos], None]]:
    """Register a row of the list of faults; the function raises Broken where something does not hold."""

    def register(run: Callable[[Chaos], None]) -> Callable[[Chaos], None]:
        assert number not in ROWS, f"row {number} is there twice"
        ROWS[number] = Row(number, says, run, fires, short, nodes)
        return run

    return register


def chosen(numbers: Iterable[str], *, short: bool) -> list[Row]:
    """The rows of these numbers, or all (`short`: the short ones), those of one kind of stack together; KeyError."""
    rows = [ROWS[number] for number in numbers] or [one for one in ROWS.values() if one.short or not short]
    return sorted(rows, key=lambda one: (one.nodes, _order(one.number)))


def _order(number: str) -> tuple[int, str]:
    digits = "".join(letter for letter in number if letter.isdigit())
    return int(digits), number
