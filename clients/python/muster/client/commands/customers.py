"""`muster customers`: import them from a CSV."""

from typing import Annotated

import typer

from muster.client.api import Connection, Muster
from muster.client.commands.output import AsJson, show, show_rows

app = typer.Typer(no_args_is_help=True, help="Customers: import.")


@app.callback()
def describe() -> None:
    """Customers: import."""


@app.command("import")
def import_csv(
    file: Annotated[
        typer.FileBinaryRead,
        typer.Argument(
            help="a CSV with a header, such as First name,Last name,Mobile,Allow Bulk SMS; - for standard input"
        ),
    ],
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Import customers from a CSV; bad rows are left out and listed."""
    with Muster(Connection.from_environment()) as muster:
        done = muster.import_customers(file.read())
        show(dict(done), as_json=as_json)
        if done["rejected"]:
            errors = muster.pages(f"/v1/customers/imports/{done['id']}/errors")
            show_rows(errors, ("row", "field", "message"), as_json=as_json)
