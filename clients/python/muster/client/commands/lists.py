"""`muster lists`: lists of customers, and who is on them."""

import io
import json
from itertools import islice
from pathlib import Path
from typing import Annotated, Any

import typer

from muster.client import shapes
from muster.client.api import Connection, Muster
from muster.client.commands.dialogue import Yes, ask, counted, need_answer, said_when_left
from muster.client.commands.importing import Bar, Map, Watch, end_left_out, keep_rejected, mapping_of
from muster.client.commands.output import AsJson, show, show_rows
from muster.client.exits import ExitCode

app = typer.Typer(no_args_is_help=True, help="Lists of customers.")

COLUMNS = ("name", "kind", "customers", "changed_at", "changed_by", "id")
FIGURES = ("id", "state", "name", "rows", "matched", "rejected", "customers")

_List = Annotated[str, typer.Argument(metavar="LIST", help="its name, or its id")]
_Ids = Annotated[list[int] | None, typer.Argument(metavar="[ID]...", help="customers")]
_Query = Annotated[str | None, typer.Option(help="all who fit it, such as: tag is vip")]
_Saved = Annotated[str | None, typer.Option(help="all who fit this saved search")]
_Limit = Annotated[int, typer.Option(min=1, help="no more than so many")]
_File = Annotated[
    typer.FileBinaryRead,
    typer.Argument(help="a CSV, TSV or XLSX of numbers or keys, with a header such as Mobile; - for standard input"),
]
_Match = Annotated[str, typer.Option(help="by what a row is a customer: number, or field:NAME (an own field)")]
_Rejected = Annotated[
    Path | None, typer.Option(help="write the rows that were left out there, to be corrected and uploaded again")
]


@app.callback()
def describe() -> None:
    """Lists of customers: make them, fill them, upload them."""


@app.command("list")
def list_lists(
    search: Annotated[str | None, typer.Option(help="a part of the name")] = None,
    kind: Annotated[str | None, typer.Option(help="kept or upload")] = None,
    limit: _Limit = 1_000,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Lists by name, with how many customers are on each."""
    with Muster(Connection.from_environment()) as muster:
        rows = islice(muster.pages("/v1/lists", search=search, kind=kind, limit=min(limit, 500)), limit)
        show_rows(rows, COLUMNS, as_json=as_json)


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="as people call it")],
    customer: _Ids = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Make a list, with customers on it if some are named."""
    with Muster(Connection.from_environment()) as muster:
        show(muster.make_list(name, customer or ()), as_json=as_json)


@app.command("show")
def show_list(name: _List, limit: _Limit = 20, as_json: AsJson = False) -> None:  # noqa: FBT002
    """A list, and the first customers on it; `muster customers list "list is NAME"` shows all. With --json a line for
    the list and one for each customer."""
    with Muster(Connection.from_environment()) as muster:
        found = muster.find_list(name)
        show(found, as_json=as_json)
        members = muster.pages(f"/v1/lists/{found['id']}/members", limit=min(limit, 500))
        rows = map(_row, islice(members, limit))
        show_rows(rows, ("id", "name", "numbers", "consent"), as_json=as_json, none="Nobody is on it.")


@app.command("rename")
def rename(
    name: _List,
    new_name: Annotated[str, typer.Argument(help="what it is to be called")],
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Give a list another name; saved searches and schedules go on meaning it. Refused if somebody else renames it at
    the same time."""
    with Muster(Connection.from_environment()) as muster:
        found = muster.find_list(name)
        renamed = muster.rename_list(found["id"], new_name, if_match=f'"{found["version"]}"')
        show(renamed, as_json=as_json)


@app.command("add")
def add(
    name: _List,
    customer: _Ids = None,
    query: _Query = None,
    saved: _Saved = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Put customers on a list: those named, or all who fit a query."""
    whom = _whom(customer, query, saved)
    with Muster(Connection.from_environment()) as muster:
        show(muster.add_to_list(muster.find_list(name)["id"], **whom), as_json=as_json)


@app.command("remove")
def remove(
    name: _List,
    customer: _Ids = None,
    query: _Query = None,
    saved: _Saved = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Take customers off a list: those named, or all who fit a query. The customers stay."""
    whom = _whom(customer, query, saved)
    with Muster(Connection.from_environment()) as muster:
        show(muster.remove_from_list(muster.find_list(name)["id"], **whom), as_json=as_json)


@app.command("delete")
def delete(
    name: _List,
    yes: Yes = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Forget a list; its customers stay. Refused while a saved search or a schedule asks for it."""
    need_answer(yes=yes)
    with Muster(Connection.from_environment()) as muster:
        found = muster.find_list(name)
        ask(f"Forget the list '{found['name']}' of {counted(found['customers'], 'customer')}?", yes=yes)
        muster.delete_list(found["id"])
        show({"id": found["id"], "forgotten": True}, as_json=as_json)


@app.command("upload")
def upload(
    file: _File,
    name: Annotated[str, typer.Option(help="of the list that it makes")],
    match: _Match = "number",
    columns: Map = None,
    watch: Watch = True,  # noqa: FBT002
    rejected: _Rejected = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Make a list of the customers whom a file of numbers or keys means. It adds nobody: rows of no customer are left
    out and listed; exit 5 where some were, 1 where all were."""
    options = {
        "match": match,
        "mapping": json.dumps(mapping_of(columns)) if columns else None,
        "file_name": None if file.name == "<stdin>" else Path(file.name).name[:200],
    }
    # What comes through a pipe cannot be sent again from its start.
    content = file if file.seekable() else io.BytesIO(file.read())
    with Muster(Connection.from_environment()) as muster, Bar() as bar:
        begun = standing = muster.begin_upload(content, name, sent=bar.sent, **options)
        left = f"It is still being read. To end that: muster customers cancel {begun['id']}"
        if watch:
            with said_when_left(left, bar.stop):
                for standing in muster.watch_upload(begun["id"]):
                    bar.stands(standing)
        bar.stop()
        _show(muster, standing, rejected, as_json=as_json)


def _show(muster: Muster, standing: shapes.Upload, rejected: Path | None, *, as_json: bool) -> None:
    """What came of an upload; exit 1 where somebody has cancelled it, 5 where rows were left out."""
    show(standing if as_json else {name: standing.get(name) for name in FIGURES}, as_json=as_json)
    if standing["problem"] and not as_json:
        typer.echo(standing["problem"]["message"])
    if standing["rejected"] and rejected is None:
        show_rows(muster.pages(standing["errors_url"]), ("row", "column", "message"), as_json=as_json)
    elif standing["rejected"] and rejected is not None:
        keep_rejected(muster, standing["id"], rejected)
    if standing["state"] == "cancelled":
        raise typer.Exit(ExitCode.FAILED)
    if standing["state"] == "done":
        end_left_out(standing["id"], standing["rejected"], standing["rows"], rejected)


@app.command("uploads")
def uploads(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Every upload, newest first."""
    with Muster(Connection.from_environment()) as muster:
        show_rows(muster.pages("/v1/lists/uploads"), (*FIGURES, "created_at"), as_json=as_json)


def _whom(customer: list[int] | None, query: str | None, saved: str | None) -> dict[str, Any]:
    if sum(bool(one) for one in (customer, query, saved)) != 1:
        raise typer.BadParameter("name customers, or give --query or --saved: one of them")
    return {"customer_ids": customer or (), "query": query, "saved": saved}


def _row(customer: dict[str, Any]) -> dict[str, Any]:
    name = f"{customer['first_name']} {customer['last_name']}".strip()
    return {**customer, "name": name, "numbers": ", ".join(one["number"] for one in customer["numbers"])}
