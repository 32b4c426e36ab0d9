"""The command `muster`: `--json` everywhere prints what a program can read; errors go to standard error, exit 1."""

import sys

import httpx
import typer

from muster.client.api import ApiError
from muster.client.commands import bulk, carrier, credits, customers, laws, report, texts

app = typer.Typer(name="muster", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command("parts")(texts.parts)
app.command("number")(texts.number)
app.add_typer(texts.replies, name="reply")
app.add_typer(customers.app, name="customers")
app.command("send")(bulk.send)
app.add_typer(bulk.app, name="bulk")
app.add_typer(credits.app, name="credits")
app.command("report")(report.report)
app.command("laws")(laws.laws)
app.add_typer(carrier.app, name="carrier")


@app.callback()
def describe() -> None:
    """One SMS to all the customers of a business, to the last credit."""


def main() -> None:
    """Run the command; what the API refuses or cannot be reached is one line on standard error and exit 1."""
    try:
        app()
    except ApiError as refused:
        print(f"muster: {refused}", file=sys.stderr)
        for error in refused.problem.get("errors", []):
            print(f"  {error.get('field')}: {error.get('message')}", file=sys.stderr)
        sys.exit(1)
    except (LookupError, httpx.TransportError) as missing:
        print(f"muster: {missing}", file=sys.stderr)
        sys.exit(1)
