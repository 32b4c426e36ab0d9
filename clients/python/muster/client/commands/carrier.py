"""`muster carrier simulate`: an SMPP carrier to integrate against, with faults on request."""

import sys
from importlib import import_module

import typer

app = typer.Typer(no_args_is_help=True, help="The carrier simulator.")


@app.callback()
def describe() -> None:
    """The carrier simulator."""


@app.command(
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []},
    add_help_option=False,
)
def simulate(context: typer.Context) -> None:
    """Run a real SMPP server with seeded faults; `--help` lists them."""
    try:
        simulator = import_module("muster.local.carrier.main")
    except ModuleNotFoundError as missing:
        print(
            f"muster: the simulator is in the package muster-local, which is not installed ({missing})", file=sys.stderr
        )
        raise typer.Exit(1) from missing
    simulator.main(context.args)
