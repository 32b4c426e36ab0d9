"""`muster approvals`, `muster approve` and `muster refuse`: what a second person lets through."""

from itertools import islice
from typing import Annotated, Literal

import typer

from muster.client.api import Connection, Muster
from muster.client.commands.output import AsJson, show, show_rows

app = typer.Typer(help="What waits for a second person: list, show, ask, rule.")

COLUMNS = ("id", "state", "subject", "credits", "recipients", "note", "asked_by", "expires_at")

_Id = Annotated[str, typer.Argument(metavar="APPROVAL", help="its id")]
_State = Literal["open", "approved", "refused", "withdrawn", "expired", "void", "used"]
_Above = Annotated[int | None, typer.Option(min=0, help="a send of more needs a second person")]


@app.callback(invoke_without_command=True)
def waiting(context: typer.Context, as_json: AsJson = False) -> None:  # noqa: FBT002
    """What waits for a second person."""
    if context.invoked_subcommand is None:
        _show("open", 1_000, as_json=as_json)


@app.command("list")
def list_approvals(
    state: Annotated[_State | None, typer.Option(help="only those in this state")] = None,
    limit: Annotated[int, typer.Option(min=1, help="no more than so many")] = 1_000,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Requests, decided and not, the newest first."""
    _show(state, limit, as_json=as_json)


def _show(state: str | None, limit: int, *, as_json: bool) -> None:
    with Muster(Connection.from_environment()) as muster:
        show_rows(islice(muster.approvals(state=state), limit), COLUMNS, as_json=as_json)


@app.command("show")
def show_approval(approval: _Id, as_json: AsJson = False) -> None:  # noqa: FBT002
    """A request, with the text that would be sent."""
    with Muster(Connection.from_environment()) as muster:
        show(muster.approval(approval), as_json=as_json)


@app.command("ask")
def ask(
    quote: Annotated[str | None, typer.Option(help="for this quote, by its id")] = None,
    send: Annotated[str | None, typer.Option(help="for this send, which came to cost more")] = None,
    schedule: Annotated[str | None, typer.Option(help="for this schedule as it is now")] = None,
    note: Annotated[str, typer.Option(help="for whoever decides")] = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Ask a second person. Who approves is written to."""
    named = {"quote_id": quote, "bulk_id": send, "schedule_id": schedule}
    subject = {name: value for name, value in named.items() if value is not None}
    if len(subject) != 1:
        raise typer.BadParameter("give one of --quote, --send and --schedule")
    with Muster(Connection.from_environment()) as muster:
        show(muster.ask_approval(note=note, **subject), as_json=as_json)


@app.command("rule")
def rule(
    credits_above: _Above = None,
    recipients_above: _Above = None,
    email: Annotated[str, typer.Option(help="who is written to; the reception unless said")] = "",
    never: Annotated[bool, typer.Option("--never", help="ask nobody any more")] = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """From how much on a second person is needed; with an option it is set anew, by an admin."""
    if never and (credits_above is not None or recipients_above is not None):
        raise typer.BadParameter("nobody is asked, or above so much", param_hint="--never")
    if email and not never and credits_above is None and recipients_above is None:
        raise typer.BadParameter("say above how much, too", param_hint="--email")
    with Muster(Connection.from_environment()) as muster:
        if never or credits_above is not None or recipients_above is not None:
            above = {"credits_above": credits_above, "recipients_above": recipients_above}
            show(muster.set_approval_rule(**above, email=email), as_json=as_json)
        else:
            show(muster.approval_rule(), as_json=as_json)


def approve(
    approval: _Id,
    reason: Annotated[str, typer.Option(help="what you have to say to it")] = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Approve what somebody else asks to send; `muster approvals` lists what waits."""
    with Muster(Connection.from_environment()) as muster:
        show(muster.approve(approval, reason), as_json=as_json)


def refuse(
    approval: _Id,
    reason: Annotated[str, typer.Option(help="why")],
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Refuse what somebody asks to send, or withdraw what you asked for yourself."""
    with Muster(Connection.from_environment()) as muster:
        show(muster.refuse(approval, reason), as_json=as_json)
