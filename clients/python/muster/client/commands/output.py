"""How commands print: a line of JSON for programs, or a table for people."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

AsJson = Annotated[bool, typer.Option("--json", help="print JSON, for programs")]

# Into a file or a pipe a line is as long as it needs to be.
_UNBOUNDED_COLUMNS = 1_000_000


def show(answer: Mapping[str, Any], *, as_json: bool) -> None:
    """One answer: a line of JSON, or a name and its value a line."""
    if as_json:
        print(json.dumps(answer))
        return
    table = Table.grid(padding=(0, 2))
    for name, value in answer.items():
        if value not in (None, "", {}, []):
            table.add_row(name.replace("_", " "), _cell(value))
    _print(table)


def show_rows(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """Many answers: a line of JSON each, or a table of the named columns."""
    if as_json:
        for row in rows:
            print(json.dumps(row))
        return
    table = Table(*(name.replace("_", " ") for name in columns))
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in columns))
    _print(table)


def _print(what: RenderableType) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=_UNBOUNDED_COLUMNS)
    console.print(what)


def _cell(value: object) -> Text:
    """A value as it stands: no markup is read in it, and nothing in it can steer a terminal."""
    return Text("".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in _words(value)))


def _words(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        told = value.get("detail")
        return str(told) if told else ", ".join(f"{name.replace('_', ' ')} {n}" for name, n in value.items() if n)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
