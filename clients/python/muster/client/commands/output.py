"""How commands print: a line of JSON for programs, or a table for people."""

import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.table import Table

AsJson = Annotated[bool, typer.Option("--json", help="print JSON, for programs")]


def show(answer: Mapping[str, Any], *, as_json: bool) -> None:
    """One answer: a line of JSON, or a name and its value a line."""
    if as_json:
        print(json.dumps(answer, ensure_ascii=False))
        return
    table = Table.grid(padding=(0, 2))
    for name, value in answer.items():
        if value not in (None, "", {}, []):
            table.add_row(name.replace("_", " "), _cell(value))
    Console().print(table)


def show_rows(rows: Iterable[Mapping[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """Many answers: a line of JSON each, or a table of the named columns."""
    if as_json:
        for row in rows:
            print(json.dumps(row, ensure_ascii=False))
        return
    table = Table(*(name.replace("_", " ") for name in columns))
    for row in rows:
        table.add_row(*(_cell(row.get(name)) for name in columns))
    Console().print(table)


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {count}" for name, count in value.items() if count)
    return f"{value:,}" if isinstance(value, int) and not isinstance(value, bool) else str(value)
