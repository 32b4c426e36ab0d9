"""`muster replies`: what people wrote back, and what an unclear reply means."""

from itertools import islice
from typing import Annotated, Any, Literal

import typer

from muster.client.api import Connection, Muster
from muster.client.commands.output import AsJson, show, show_rows
from muster.client.paths import segment

app = typer.Typer(no_args_is_help=True, help="Replies: list, show, decide what an unclear one means; conversations.")

_Id = Annotated[str, typer.Argument(metavar="REPLY", help="its id, as `muster replies list` shows it")]
_Limit = Annotated[int, typer.Option(min=1, help="rows at most")]


@app.command("list")
def list_replies(
    verdict: Annotated[
        Literal["ordinary", "opt_out", "opt_in", "help", "unclear"] | None,
        typer.Option(help="only those that were read as this; unclear: those that wait for somebody"),
    ] = None,
    bulk_id: Annotated[str | None, typer.Option("--bulk", help="only those that answer this send")] = None,
    number: Annotated[str | None, typer.Option(help="only those from this one, as people write it")] = None,
    limit: _Limit = 100,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """The inbox, newest first."""
    asked = {"verdict": verdict, "bulk_id": bulk_id, "number": number, "limit": min(limit, 500)}
    with Muster(Connection.from_environment()) as muster:
        rows = islice(muster.pages("/v1/replies", **asked), limit)
        columns = ("at", "number", "text", "verdict", "doubtful", "bulk_id", "id")
        show_rows(rows if as_json else map(_named, rows), columns, as_json=as_json)


@app.command("show")
def show_reply(reply: _Id, as_json: AsJson = False) -> None:  # noqa: FBT002
    """One reply, and what became of its e-mail to the reception."""
    with Muster(Connection.from_environment()) as muster:
        show(muster.get(f"/v1/replies/{segment(reply)}"), as_json=as_json)


@app.command("decide")
def decide(
    reply: _Id,
    verdict: Annotated[Literal["ordinary", "opt_out"], typer.Argument(help="what it means")],
    scope: Annotated[Literal["marketing", "all"], typer.Option(help="how far an opt-out reaches")] = "marketing",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Say, once, what an unclear reply means: its number was paused, and is texted again, or no more."""
    with Muster(Connection.from_environment()) as muster:
        body = {"verdict": verdict, "scope": scope}
        show(muster.post(f"/v1/replies/{segment(reply)}/verdict", body), as_json=as_json)


@app.command("with")
def conversation(
    number: Annotated[str, typer.Argument(help="as people write it")],
    limit: _Limit = 100,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """The messages to and from a number, newest first; `muster message send --to NUMBER` answers."""
    with Muster(Connection.from_environment()) as muster:
        rows = islice(muster.pages("/v1/conversations", number=number, limit=min(limit, 500)), limit)
        show_rows(rows, ("at", "direction", "text", "verdict", "bulk_id", "reply_id"), as_json=as_json)


def _named(reply: dict[str, Any]) -> dict[str, Any]:
    """A reply that says of whom nothing is known any more that it is so."""
    return {**reply, "number": "erased", "text": "erased"} if reply["erased"] else reply
