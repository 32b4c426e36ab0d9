"""`muster report`: the SMS Detail Report."""

import sys
import time
from collections.abc import Callable
from contextlib import suppress
from itertools import islice
from typing import Annotated

import typer

from muster.client.api import Connection, Muster
from muster.client.commands.output import AsJson, show_rows
from muster.client.shapes import ReportRow

FOLLOW_S = 2.0
COLUMNS = ("sent_at", "number", "status", "parts", "credits", "text", "kind")


def report(
    bulk_id: Annotated[str | None, typer.Option("--bulk", help="one send")] = None,
    status: Annotated[str | None, typer.Option(help="delivered, undelivered, unknown, stopped ...")] = None,
    kind: Annotated[str | None, typer.Option(help="bulk, single, reminder or reply")] = None,
    number: Annotated[str | None, typer.Option(help="a number, as people type it")] = None,
    limit: Annotated[int, typer.Option(min=1, help="rows at most")] = 100,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="go on with those that come, until Ctrl-C")] = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Each message and its replies, newest first; what comes with --follow, oldest first: a message again when its
    status has changed."""
    with Muster(Connection.from_environment()) as muster:

        def newest() -> list[ReportRow]:
            return list(islice(muster.report(bulk_id=bulk_id, status=status, kind=kind, number=number), limit))

        rows = newest()
        show_rows(rows if as_json else map(_named, rows), COLUMNS, as_json=as_json)
        if follow:
            with suppress(KeyboardInterrupt):
                _follow(newest, rows, as_json=as_json)


def _follow(newest: Callable[[], list[ReportRow]], shown: list[ReportRow], *, as_json: bool) -> None:
    """Look again and again at the newest rows, and show those that are new or have another status."""
    seen = {row["id"]: row["status"] for row in shown}
    while True:
        time.sleep(FOLLOW_S)
        rows = newest()
        fresh = [row for row in reversed(rows) if seen.get(row["id"]) != row["status"]]
        seen = {row["id"]: row["status"] for row in rows}
        if fresh:
            show_rows(fresh if as_json else map(_named, fresh), COLUMNS, as_json=as_json)
            sys.stdout.flush()


def _named(row: ReportRow) -> ReportRow:
    """A row that says of whom nothing is known any more that it is so."""
    return {**row, "number": "erased", "text": "erased"} if row["erased"] else row
