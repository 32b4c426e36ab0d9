"""How commands print: a line of JSON for programs, or a table for people."""

import json
import re
import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final

import typer
from rich.cells import cell_len
from rich.console import Console
from rich.progress import Progress, ProgressColumn, TimeElapsedColumn
from rich.table import Table
from rich.text import Text

AsJson = Annotated[bool, typer.Option("--json", help="print JSON, for programs")]

# Into a file or a pipe a line is as long as it needs to be.
_UNBOUNDED_COLUMNS = 1_000_000
_TEXT_COLUMNS_MIN: Final = 16
_ID_COLUMNS: Final = 36
_TIME_SHOWN: Final = re.compile(r"[\d-]{10} [\d:]{8} UTC")
# People read a time to the second; programs get it as the API said it.
_TIME: Final = re.compile(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|\+00:00)$")


def show(answer: Mapping[str, Any], *, as_json: bool) -> None:
    """One answer: a line of JSON, or a name and its value a line."""
    if as_json:
        print(json.dumps(answer))
        return
    _print_grid(_console(), answer)


def _print_grid(console: Console, answer: Mapping[str, Any]) -> None:
    """A name and its value a line, without the spaces behind by which a table fills its last column."""
    table = Table.grid(padding=(0, 2))
    for name, value in answer.items():
        if shown := _cell(value):
            table.add_row(name.replace("_", " "), shown)
    with console.capture() as drawn:
        console.print(table)
    if table.row_count:
        print("\n".join(line.rstrip() for line in drawn.get().splitlines()))


def show_rows(
    rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool, none: str = "Nothing there."
) -> None:
    """Many answers: a line of JSON each, or a table of the named columns. Where the terminal is too narrow for it,
    columns of which nothing is known are left out, then the lines between columns; then it is the names and values of
    one below those of the other. Nothing is cut off: an id that is cut is of no use.

    none: what people are told, on standard error, where there are no rows.
    """
    if as_json:
        for row in rows:
            print(json.dumps(row))
        return
    shown = [[row.get(name) for name in columns] for row in rows]
    if not shown:
        if none:
            print(none, file=sys.stderr)
        return
    console = _console()
    for kept, has_frame in (
        (columns, True),
        (_told(columns, shown), True),
        (_told(columns, shown), False),
    ):
        if table := _table([[row[columns.index(name)] for name in kept] for row in shown], kept, console, has_frame):
            console.print(table)
            return
    for at, one in enumerate(shown):
        print(end="\n" if at else "")
        _print_grid(console, dict(zip(columns, one, strict=True)))


def _told(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> list[str]:
    """The columns in which anything stands."""
    return [name for at, name in enumerate(columns) if any(_words(row[at]) for row in rows)]


def _table(rows: Sequence[Sequence[Any]], columns: Sequence[str], console: Console, has_frame: bool) -> Table | None:  # noqa: FBT001
    """A table, None where the terminal is too narrow for it."""
    cells = [[_cell(value) for value in row] for row in rows]
    names = [name.replace("_", " ") for name in columns]
    frame = 1 + 3 * len(columns) if has_frame else 2 * (len(columns) - 1)
    widths = column_widths(
        [[name, *(row[at].plain for row in cells)] for at, name in enumerate(names)], console.width - frame
    )
    if widths is None:
        return None
    table = Table() if has_frame else Table(box=None, padding=(0, 2, 0, 0), pad_edge=False)
    for at, (name, width) in enumerate(zip(names, widths, strict=True)):
        counted = any(isinstance(row[at], int) for row in rows)
        table.add_column(name, overflow="fold", width=width, justify="right" if counted else "left")
    for line in cells:
        table.add_row(*line)
    return table


def column_widths(columns: Sequence[Sequence[str]], width: int) -> list[int] | None:
    """How wide to make the columns of a table, each given by its name and its cells, which have so much room together;
    None where they do not fit.

    Times, figures and ids are never broken; a name and a text are at spaces, a text down to 16 characters.
    """
    wants = [max(_longest(text.split("\n")) for text in column) for column in columns]
    needs = [
        max(_longest(name.split()), *(min(_unbroken(cell), want) for cell in cells), 1)
        for (name, *cells), want in zip(columns, wants, strict=True)
    ]
    left = width - sum(needs)
    if left < 0:
        return None
    # What little is missing is given first, so that most columns get all that they want.
    for at in sorted(range(len(columns)), key=lambda at: wants[at] - needs[at]):
        given = min(left, wants[at] - needs[at])
        needs[at], left = needs[at] + given, left - given
    return needs


def _unbroken(cell: str) -> int:
    """As wide as it must be: a time as a whole, else its longest word, though no address in a text makes it wider than
    an id is."""
    if _TIME_SHOWN.fullmatch(cell):
        return len(cell)
    return min(max(_longest(cell.split()), min(len(cell), _TEXT_COLUMNS_MIN)), _ID_COLUMNS)


def _longest(texts: Sequence[str]) -> int:
    return max(map(cell_len, texts), default=0)


def progress_bar(*columns: ProgressColumn) -> Progress:
    """A bar on standard error, gone when it is done; nothing where no terminal is there that can draw one."""
    console = Console(stderr=True)
    can_draw = console.is_terminal and not console.is_dumb_terminal
    return Progress(*columns, TimeElapsedColumn(), transient=True, console=console, disable=not can_draw)


def _console() -> Console:
    console = Console()
    return console if console.is_terminal else Console(width=_UNBOUNDED_COLUMNS)


def _cell(value: object) -> Text:
    """A value as it stands, line by line: no markup is read in it, and nothing in it can steer a terminal."""
    lines = _words(value).replace("\r\n", "\n").split("\n")
    return Text("\n".join("".join(map(_shown, line)) for line in lines))


def _shown(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()


def _words(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        told = value.get("detail") or value.get("message")
        each = [(name.replace("_", " "), _words(one)) for name, one in value.items() if one]
        return str(told) if told else ", ".join(f"{name} {one}" for name, one in each)
    if isinstance(value, list):
        return ("; " if any(isinstance(one, dict) for one in value) else ", ").join(map(_words, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    return f"{value:,}" if isinstance(value, int) else _TIME.sub(r"\1 \2 UTC", str(value))
