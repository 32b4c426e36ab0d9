"""`muster credits`: the account, its statement, and top-ups by the operator."""

from pathlib import Path
from typing import Annotated, Final

import typer

from muster.client.api import Connection, Muster, Query
from muster.client.commands.arguments import TenantId, moment
from muster.client.commands.dialogue import Yes, ask, counted
from muster.client.commands.exporting import save
from muster.client.commands.output import AsJson, show, show_rows

app = typer.Typer(no_args_is_help=True, help="Credits: balance, statement, top-ups, limits, rates and prices.")
STATEMENT: Final = "/v1/credits/statement"


@app.command("show")
def balance(as_json: AsJson = False) -> None:  # noqa: FBT002
    """The account: granted + owed = available + reserved + consumed."""
    with Muster(Connection.from_environment()) as muster:
        show(muster.credits(), as_json=as_json)


@app.command()
def statement(
    since: Annotated[str | None, typer.Option("--from", help="from this day or time on: 2026-11-01")] = None,
    until: Annotated[str | None, typer.Option("--to", help="before this day or time")] = None,
    kind: Annotated[
        list[str] | None, typer.Option(help="top_up, pending, post, void, refund …; several times for several")
    ] = None,
    bulk: Annotated[str | None, typer.Option(help="of this send alone")] = None,
    reference: Annotated[str | None, typer.Option(help="with this reference")] = None,
    export: Annotated[Path | None, typer.Option(help="write all of it to this file, .csv or .jsonl")] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Every entry with the balance after it, newest first; as a file, oldest first."""
    query: dict[str, Query] = {"from": moment(since), "to": moment(until), "kind": kind or None}
    query |= {"bulk_id": bulk, "reference": reference}
    with Muster(Connection.from_environment()) as muster:
        if export is not None:
            lines = save(muster, STATEMENT, export, query)
            show({"file": str(export), "entries": lines}, as_json=as_json)
            return
        after = ("available_after", "reserved_after", "consumed_after", "owed_after")
        columns = ("at", "kind", "credits", *after, "bulk_id", "reason")
        show_rows(muster.pages(STATEMENT, **query), columns, as_json=as_json)


@app.command("top-up")
def top_up(
    tenant_id: TenantId,
    credits: Annotated[int, typer.Argument(help="how many")],
    reason: Annotated[str, typer.Option(help="why, for the statement")] = "top-up",
    reference: Annotated[str, typer.Option(help="an invoice or order")] = "",
    yes: Yes = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Grant credits to a tenant, as the operator."""
    ask(f"Grant {counted(credits, 'credit')} to {tenant_id}?", yes=yes)
    with Muster(Connection.from_environment(operator=True)) as muster:
        show(muster.top_up(tenant_id, credits, reason=reason, reference=reference), as_json=as_json)
