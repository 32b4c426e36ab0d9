"""`muster report`: the SMS Detail Report."""

from itertools import islice
from typing import Annotated

import typer

from muster.client.api import Connection, Muster
from muster.client.commands.output import AsJson, show_rows
from muster.client.shapes import ReportRow

COLUMNS = ("sent_at", "number", "status", "parts", "credits", "text", "kind")


def report(
    bulk_id: Annotated[str | None, typer.Option("--bulk", help="one send")] = None,
    status: Annotated[str | None, typer.Option(help="delivered, undelivered, unknown, stopped ...")] = None,
    kind: Annotated[str | None, typer.Option(help="bulk, single, reminder or reply")] = None,
    number: Annotated[str | None, typer.Option(help="a number, as people type it")] = None,
    limit: Annotated[int, typer.Option(min=1, help="rows at most")] = 100,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Each message and its replies, newest first."""
    with Muster(Connection.from_environment()) as muster:
        rows = islice(muster.report(bulk_id=bulk_id, status=status, kind=kind, number=number), limit)
        show_rows(rows if as_json else map(_named, rows), COLUMNS, as_json=as_json)


def _named(row: ReportRow) -> ReportRow:
    """A row that says of whom nothing is known any more that it is so."""
    return {**row, "number": "erased", "text": "erased"} if row["erased"] else row
