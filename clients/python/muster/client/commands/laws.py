"""`muster laws`: the eight laws on a running system."""

import time
from typing import Annotated

import typer

from muster.client.api import Connection, Muster
from muster.client.commands.output import AsJson, show_rows
from muster.client.exits import ExitCode
from muster.client.laws import Law, check_laws
from muster.laws.result import LAWS, SHOWN_MAX

PAUSE_S = 0.5
NAMED_MAX = 20
"""Violations of a law that people are shown; programs get more."""


def laws(
    wait_s: Annotated[float, typer.Option("--wait", help="seconds for facts on their way to arrive")] = 10.0,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Check each law: how much was checked and what breaks it; exit 1 if anything does."""
    with Muster(Connection.from_environment(operator=True)) as muster:
        found = settled_laws(muster, wait_s)
    rows = [
        {"law": law.name, "checked": law.checked, "violations": law.violation_count, "says": LAWS[law.name]}
        | ({"where": law.violations} if as_json else {})
        for law in found
    ]
    show_rows(rows, ("law", "checked", "violations", "says"), as_json=as_json)
    broken = [law for law in found if law.violation_count]
    if broken and not as_json:
        shown = [{"law": law.name, **one} for law in broken for one in law.violations[:NAMED_MAX]]
        show_rows(shown, ("law", "tenant_id", "bulk_id", "message", "detail"), as_json=False)
        for law in broken:
            if more := law.violation_count - len(law.violations[:NAMED_MAX]):
                print(f"{law.name}: {more:,} more; --json lists up to {SHOWN_MAX}")
    if broken:
        raise typer.Exit(ExitCode.FAILED)


def settled_laws(muster: Muster, wait_s: float) -> list[Law]:
    """The laws once they hold, or as they stand after `wait_s` seconds: facts between services take a moment."""
    until = time.monotonic() + wait_s
    while True:
        found = check_laws(muster.get, muster.pages)
        if not any(law.violation_count for law in found) or not time.monotonic() < until:
            return found
        time.sleep(PAUSE_S)
