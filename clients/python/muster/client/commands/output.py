"""How commands print: a line of JSON for programs, or a table for people."""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal

import typer
from rich.console import Console, RenderableType
from rich.table import Table
from rich.text import Text

AsJson = Annotated[bool, typer.Option("--json", help="print JSON, for programs")]

# Into a file or a pipe a line is as long as it needs to be.
_UNBOUNDED_COLUMNS = 1_000_000
# People read a time to the second; programs get it as the API said it.
_TIME: Final = re.compile(r"^(\d{4}-\d\d-\d\d)T(\d\d:\d\d:\d\d)(?:\.\d+)?(?:Z|\+00:00)$")


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
    shown = list(rows)
    table = Table()
    for name in columns:
        values = [row.get(name) for row in shown]
        # Where the terminal is narrow a long value goes on in the next line, whole: an id that is cut is of no use.
        counted = any(isinstance(value, int) for value in values)
        timed = any(_TIME.fullmatch(str(value)) for value in values)
        justify: Literal["left", "right"] = "right" if counted else "left"
        table.add_column(name.replace("_", " "), overflow="fold", no_wrap=counted or timed, justify=justify)
    for row in shown:
        table.add_row(*(_cell(row.get(name)) for name in columns))
    _print(table)


def _print(what: RenderableType) -> None:
    console = Console()
    if not console.is_terminal:
        console = Console(width=_UNBOUNDED_COLUMNS)
    console.print(what)


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
