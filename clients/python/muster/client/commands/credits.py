"""`muster credits`: the account, its statement, and top-ups by the operator."""

from typing import Annotated

import typer

from muster.client.api import Connection, Muster
from muster.client.commands.output import AsJson, show, show_rows

app = typer.Typer(no_args_is_help=True, help="Credits: balance, statement, top-up.")


@app.command("show")
def balance(as_json: AsJson = False) -> None:  # noqa: FBT002
    """The account: granted + owed = available + reserved + consumed."""
    with Muster(Connection.from_environment()) as muster:
        show(muster.credits(), as_json=as_json)


@app.command()
def statement(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Every entry with the balance after it."""
    with Muster(Connection.from_environment()) as muster:
        rows = muster.pages("/v1/credits/statement")
        columns = ("at", "kind", "credits", "available_after", "reserved_after", "consumed_after", "bulk_id", "reason")
        show_rows(rows, columns, as_json=as_json)


@app.command("top-up")
def top_up(
    tenant_id: str,
    credits: int,
    reason: Annotated[str, typer.Option(help="why, for the statement")] = "top-up",
    reference: Annotated[str, typer.Option(help="an invoice or order")] = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Grant credits to a tenant, as the operator."""
    with Muster(Connection.from_environment(operator=True)) as muster:
        show(muster.top_up(tenant_id, credits, reason=reason, reference=reference), as_json=as_json)
