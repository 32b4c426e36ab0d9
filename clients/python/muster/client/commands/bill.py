"""The bill of a send: what a quote comes to, whether the credits suffice, and how a send ended that it was paid for."""

from collections.abc import Mapping
from typing import Any, Final

import typer

from muster.client.api import Muster
from muster.client.commands.advice import show_advice, show_examples
from muster.client.commands.checks import show_checks
from muster.client.commands.dialogue import counted, end_partly
from muster.client.commands.output import show
from muster.client.exits import ExitCode
from muster.client.shapes import Quote

_APART: Final = ("dearer", "advice", "shortest", "dearest", "checks")
# What helps where the ledger has refused a send; its quote is used by then.
_HOW: Final = {
    "short": "once there are more credits, send it anew",
    "owed": "once what is owed is paid, send it anew; muster credits show tells",
    "capped": "the caps of the business: muster credits settings",
}


def show_quote(quote: Quote, *, as_json: bool) -> None:
    """A quote; for people with what is checked and advised in words and in tables, and not character by character."""
    if as_json:
        show(dict(quote), as_json=True)
        return
    rule: Any = quote.get("added", ())
    said = ((one["what"].replace("_", " "), one["language"], one["text"].strip()) for one in rule)
    added = "; ".join(f"{what} ({language}): {text}" for what, language, text in said)
    checks: Any = quote.get("checks") or ()
    amiss = [one for one in checks if one["status"] != "passed"]
    told = {name: value for name, value in quote.items() if name not in _APART} | {"added": added}
    if short := missing(quote):
        told["balance_after"] = f"none: {counted(short, 'credit')} too few"
    told["checks of the law"] = f"{len(checks) - len(amiss)} of {len(checks)} passed" if checks else ""
    show(told, as_json=False)
    show_examples(quote)
    show_checks(amiss)
    show_advice(quote.get("advice"))


def missing(quote: Quote) -> int:
    """How many credits more than the balance a quote comes to, 0 where it is covered."""
    return max(0, -quote.get("balance_after", 0))


def need_credits(quote_id: str, short: int, *, owed: int = 0, some: bool = True) -> None:
    """End a command with 4 where credits are missing, after saying how many and what to do.

    owed: credits that are paid first. some: whether what is there covers anybody.
    """
    if not short:
        return
    why = f" ({counted(owed, 'credit')} owed are paid first)" if owed else ""
    typer.echo(f"muster: {counted(short, 'credit')} too few{why}. Nothing is sent.", err=True)
    typer.echo(f"  once there are more: muster send --quote {quote_id}", err=True)
    if some and not owed:
        first = f"muster send --quote {quote_id} --partial first_n"
        typer.echo(f"  to the first whom the credits cover: {first}", err=True)
    raise typer.Exit(ExitCode.CREDITS_SHORT)


def question(muster: Muster, quote: Quote, terms: Mapping[str, Any]) -> str:
    """What is asked before a quote is sent; ends with 4, before anything is asked, where the ledger would refuse it."""
    whom, cost = f"{quote['recipients']:,}", counted(quote["credits"], "credit")
    if not missing(quote):
        return f"Send to {whom} for {cost}?"
    # A quote goes by the balance that was heard of last, and a top-up may have come a moment ago: the ledger knows.
    account = muster.credits()
    available, owed = account["available"], account["owed"]
    short = max(0, quote["credits"] + owed - available)
    if short and (terms.get("partial") != "first_n" or owed or not available):
        need_credits(quote["id"], short, owed=owed, some=available > 0)
    if short:
        return f"Send to the first of {whom} whom {available:,} of {cost} cover?"
    return f"Send to {whom} for {cost}?"


def end(bulk: Mapping[str, Any]) -> None:
    """End the command by how a send ended: 4 where the ledger refused it, 5 where it was cut short, 1 where nothing of
    it was sent for another reason."""
    problem = bulk.get("problem") or {}
    if bulk["state"] == "refused" and problem.get("code") == "credits_short":
        typer.echo(f"muster: {problem['detail']} Nothing is sent.", err=True)
        if how := _HOW.get(problem["reason"]):
            typer.echo(f"  {how}", err=True)
        raise typer.Exit(ExitCode.CREDITS_SHORT)
    if bulk["state"] in ("refused", "needs_confirmation"):
        raise typer.Exit(ExitCode.FAILED)
    if bulk["state"] != "closed" or "counts" not in bulk:
        return
    everybody, stopped = sum(bulk["counts"].values()), bulk["counts"]["stopped"]
    if not everybody:  # it was stopped before it was known what it takes
        typer.echo("muster: it was stopped, and nothing of it was sent", err=True)
        raise typer.Exit(ExitCode.FAILED)
    end_partly(stopped, everybody, "message", "were not sent")
