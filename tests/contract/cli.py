"""Makes docs/cli.md from the commands of `muster`, their exit codes, and what the main job showed when it was played
last (tests/e2e/terminal.py): `python tests/contract/cli.py`."""

from collections.abc import Iterator
from pathlib import Path

import click

from muster.client.commands import command
from muster.client.exits import ExitCode

ROOT = Path(__file__).resolve().parents[2]
FILE = ROOT / "docs" / "cli.md"
PLAYED = ROOT / "tests" / "e2e" / "terminal.txt"
_BEFORE = """# The command line

`muster` does the main job for people and for scripts. With `--json` an answer is one line of JSON with the members that
the API gives ([openapi.json](openapi.json)), and a listing is such a line for each item; standard error is for people.
Progress bars are drawn on a terminal alone, and colours are left out where `NO_COLOR` is set.

What costs or cannot be undone is asked about first, on standard error; with `--yes` it is not. Where standard input is
no terminal, and without `--yes`, such a command does nothing and ends with 2. Stopping and pausing never ask.

A refusal is one line on standard error, with lines below for each field that is wrong, for the permission that is
missing (403, [roles](roles.md)), for how to sign in again (401), and for the trace of what failed at the server (5xx).
What was done in part, and what credits do not suffice for, has an exit code of its own, too: see
[below](#exit-codes). Ctrl-C ends the command alone, and says what goes on without it and how to end that.

What has no command of its own is called by [`muster api`](#muster-api).

`muster login` says as whom it speaks ([sign-in](sign-in.md)); `muster COMMAND --help` says what stands here.

This page is made from the code (`python tests/contract/cli.py`), and a test holds it to that.

## The main job

Import, quote, send, watch, report; then a send to all, left by Ctrl-C and stopped midway; the credits; and what
costs more than is left of them. This is what a terminal showed (`python tests/e2e/terminal.py` plays it on a running
Muster); ids, times and addresses are made the same for every run. A test plays it again and compares.

```
{played}```

## Exit codes

| code | meaning |
|---|---|"""


def commands() -> Iterator[tuple[str, click.Command]]:
    """Each command with its whole name, in the order of the help."""
    yield from _below("muster", command())


def _below(name: str, found: click.Command) -> Iterator[tuple[str, click.Command]]:
    below = getattr(found, "commands", None)
    if below is None or getattr(found, "invoke_without_command", False):
        yield name, found
    for word, one in (below or {}).items():
        yield from _below(f"{name} {word}", one)


def text() -> str:
    """The page as it is committed."""
    before = _BEFORE.format(played=PLAYED.read_text(encoding="utf-8"))
    lines = [before, *(f"| {int(code)} | {code.says} |" for code in ExitCode), "", "## Commands"]
    for name, one in commands():
        lines += ["", f"### {name}", "", one.help or ""]
        rows = [_row(param) for param in one.params if "--help" not in param.opts]
        lines += ["", "| | |", "|---|---|", *rows] if rows else []
    return "\n".join(lines) + "\n"


def _row(one: click.Parameter) -> str:
    is_option = one.param_type_name == "option"
    name = ", ".join([*one.opts, *one.secondary_opts]) if is_option else (one.metavar or one.name or "").upper()
    said = " ".join((getattr(one, "help", None) or "").split())
    needed = "needed" if one.required else ""
    return f"| `{name}` | {'; '.join(filter(None, (said, needed)))} |"


if __name__ == "__main__":
    FILE.write_text(text(), encoding="utf-8")
