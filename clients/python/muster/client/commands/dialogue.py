"""What a command says to whoever sits before it: a question before what costs or cannot be undone, and what goes on
after Ctrl-C. All of it on standard error: standard output is the answer alone."""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Annotated

import typer

from muster.client.exits import ExitCode

Yes = Annotated[bool, typer.Option("--yes", "-y", help="go on without asking")]


def need_answer(*, yes: bool) -> None:
    """End, before anything is done, a command that will have to ask where nobody can be asked: a script that hangs, or
    takes the next line of its input for a yes, is worse than one that stops."""
    if not yes and not sys.stdin.isatty():
        typer.echo("muster: this asks before it goes on, and standard input is no terminal; --yes says yes", err=True)
        raise typer.Exit(ExitCode.WRONG_USE)


def ask(question: str, *, yes: bool) -> None:
    """Go on if somebody says yes; end the command otherwise, of which nothing is done then."""
    need_answer(yes=yes)
    if yes:
        return
    typer.echo(f"{question} [y/N]: ", nl=False, err=True)
    try:
        answer = sys.stdin.readline()
    except KeyboardInterrupt:
        typer.echo("\nNothing was done.", err=True)
        raise typer.Exit(ExitCode.INTERRUPTED) from None
    if answer.strip().lower() not in ("y", "yes"):
        typer.echo("Nothing was done." if answer.endswith("\n") else "\nNothing was done.", err=True)
        raise typer.Exit(ExitCode.FAILED)


def typed(what: str) -> str:
    """A line that somebody types, asked for by its name."""
    typer.echo(f"{what}: ", nl=False, err=True)
    line = sys.stdin.readline()
    if not line:
        typer.echo(f"\nmuster: {what} was asked for and standard input has ended; --help tells the option", err=True)
        raise typer.Exit(ExitCode.WRONG_USE)
    return line.strip()


@contextmanager
def said_when_left(what: str, before: Callable[[], object] = lambda: None) -> Iterator[None]:
    """Who ends a command by Ctrl-C while it waits is told what goes on without it; before: what is to be done first,
    such as to take a bar away."""
    try:
        yield
    except KeyboardInterrupt:
        before()
        typer.echo(what, err=True)
        raise typer.Exit(ExitCode.INTERRUPTED) from None


def end_partly(left: int, asked: int, one: str, became: str, how: str = "") -> None:
    """End the command where some of what was asked was not done: 5, or 1 where none of it was; standard error says of
    how many, and `how` what to do."""
    if not left:
        return
    typer.echo(f"muster: {left:,} of {counted(asked, one)} {became}", err=True)
    if how:
        typer.echo(f"  {how}", err=True)
    raise typer.Exit(ExitCode.PARTLY if left < asked else ExitCode.FAILED)


def counted(number: int, one: str) -> str:
    """`1 credit`, `1,200 credits`."""
    return f"{number:,} {one}" if number == 1 else f"{number:,} {one}s"
