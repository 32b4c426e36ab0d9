"""The command `muster`: `--json` prints what a program can read; errors go to standard error, with an exit code."""

import os
import re
import sys
from collections.abc import Callable, Sequence
from functools import cache
from typing import Annotated, Any, NoReturn

import httpx
import typer
import typer.main

from muster.client import profiles
from muster.client.commands import (
    approvals,
    audit,
    bulk,
    calling,
    carrier,
    consents,
    customers,
    importing,
    inbox,
    laws,
    lists,
    message,
    money,
    ops,
    people,
    refusals,
    report,
    route,
    schedule,
    sender,
    signing,
    team,
    templates,
    tenant,
    texts,
    trying,
    why,
)
from muster.client.errors import ApiError, NotConnected
from muster.client.exits import ExitCode

app = typer.Typer(name="muster", no_args_is_help=True, add_completion=False, pretty_exceptions_enable=False)
app.command("login")(signing.login)
app.command("logout")(signing.logout)
app.command("whoami")(signing.whoami)
app.command("password")(signing.password)
app.add_typer(signing.sessions, name="sessions")
app.command("parts")(texts.parts)
app.command("number")(texts.number)
app.add_typer(texts.replies, name="reply")
people.register(customers.app)
app.add_typer(customers.app, name="customers")
customers.app.command("import")(importing.import_file)
customers.app.command("start")(importing.start)
customers.app.command("watch")(importing.watch)
customers.app.command("left-out")(importing.left_out)
customers.app.command("cancel")(importing.cancel)
customers.app.command("imports")(importing.imports)
customers.app.command("consent")(consents.record)
customers.app.command("consents")(consents.history)
customers.app.command("evidence")(consents.evidence)
customers.app.command("export")(consents.export)
app.add_typer(lists.app, name="lists")
app.add_typer(templates.app, name="templates")
app.add_typer(consents.app, name="suppressions")
customers.app.command("messages")(why.messages)
app.command("quote")(bulk.quote)
app.command("send")(bulk.send)
app.command("why")(why.why)
app.add_typer(bulk.app, name="bulk")
app.add_typer(approvals.app, name="approvals")
app.command("approve")(approvals.approve)
app.command("refuse")(approvals.refuse)
app.add_typer(inbox.app, name="replies")
app.add_typer(trying.app, name="test")
app.add_typer(message.app, name="message")
app.add_typer(schedule.app, name="schedule")
app.add_typer(money.app, name="credits")
app.add_typer(tenant.app, name="tenant")
app.add_typer(team.app, name="team")
app.add_typer(team.keys, name="keys")
app.command("roles")(team.roles)
app.command("audit")(audit.audit)
app.command("report")(report.report)
app.command("laws")(laws.laws)
app.add_typer(carrier.app, name="carrier")
app.command("carriers")(carrier.list_all)
app.add_typer(route.app, name="route")
app.add_typer(sender.app, name="sender")
app.add_typer(ops.app, name="ops")
app.command("api")(calling.api)


@app.callback()
def describe(
    context: typer.Context,
    profile: Annotated[str | None, typer.Option(help="as whom to speak, by the name of a `muster login`")] = None,
) -> None:
    """One SMS to all the customers of a business, to the last credit."""
    if profile:
        context.with_resource(profiles.chosen(profile))


@cache
def command() -> Callable[[Sequence[str] | None], object]:
    """All of it, made once."""
    found = typer.main.get_command(app)
    _tidy(found)
    return found


def _tidy(one: Any) -> None:
    """Paragraphs of a help without the line breaks of the code; a list of commands has the first thing that each says
    of itself."""
    told = [" ".join(paragraph.split()) for paragraph in (one.help or "").split("\n\n")]
    one.help = "\n\n".join(told)
    first = re.split(r"[;.] |\.$", told[0])[0]
    one.short_help = first if first.endswith("…") else f"{first}."
    for below in getattr(one, "commands", {}).values():
        _tidy(below)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the command; what the API refuses or cannot be reached is one line on standard error and an exit code."""
    _prepare_streams()
    try:
        try:
            command()(arguments)
        finally:
            sys.stdout.flush()
    except ApiError as refused:
        _fail(refusals.words(refused), refusals.exit_code(refused))
    except NotConnected as missing:
        _fail(str(missing), ExitCode.NOT_CONNECTED)
    except httpx.RequestError as silent:
        _fail(_silence(silent), ExitCode.NOT_CONNECTED)
    except KeyboardInterrupt:  # where no command was running yet, or none any more
        sys.exit(ExitCode.INTERRUPTED)
    except OSError as error:  # the disk is full, or who read from us has gone: nothing more can be written
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        if isinstance(error, BrokenPipeError):
            sys.exit(ExitCode.FAILED)
        _fail(str(error), ExitCode.FAILED)


def _silence(silent: httpx.RequestError) -> str:
    """What is said where nobody answers. A write may have been done all the same."""
    asked = silent.request
    lines = [f"no answer from {asked.url}: {silent or type(silent).__name__}"]
    if asked.method != "GET" and not asked.url.path.endswith("/v1/token"):
        lines.append("whether it was done is not known: look before you do it again")
    return "\n  ".join((*lines, "if Muster is elsewhere: muster login --url URL, or MUSTER_URL"))


def _fail(why: str, code: ExitCode) -> NoReturn:
    print(f"muster: {why}", file=sys.stderr)
    sys.exit(code)


def _prepare_streams() -> None:
    """Streams that the caller closed are empty; bytes that are no text come in, and what cannot be shown is spelled."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115 - lives as long as the process
    if hasattr(sys.stdin, "reconfigure"):
        sys.stdin.reconfigure(encoding="utf-8", errors="surrogateescape")
    for stream in (sys.stdout, sys.stderr):
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="backslashreplace")
