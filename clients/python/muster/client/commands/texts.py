"""`muster parts`, `muster number`, `muster reply read`: what Muster makes of a text, without a running system."""

import json
import sys
from typing import Annotated, Any

import typer

from muster import text
from muster.client.commands.output import AsJson, show

replies = typer.Typer(no_args_is_help=True, help="Read replies.")


@replies.callback()
def describe_replies() -> None:
    """Read replies."""


def parts(as_json: AsJson = False) -> None:  # noqa: FBT002 - typer reads a flag from it
    """Count the parts of the text on standard input, less one final newline.

    With --json each line is {"text", "reference_bits": 8 or 16} and is answered by a line.
    """
    if as_json:
        for line in sys.stdin:
            print(json.dumps(_parts_of_line(line)), flush=True)
        return
    found = _parts_of(text_from_stdin(), 8)
    show(found, as_json=False)
    if "error" in found:
        raise typer.Exit(1)


def text_from_stdin() -> str:
    """The text on standard input as it stands, less one final newline."""
    written = sys.stdin.buffer.read().decode("utf-8", errors="surrogateescape")
    return written.removesuffix("\r\n" if written.endswith("\r\n") else "\n")


def _parts_of_line(line: str) -> dict[str, Any]:
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError) as wrong:
        return {"error": f"not JSON: {wrong}"}
    if not isinstance(asked, dict) or not isinstance(asked.get("text"), str):
        return {"error": 'text: a line is {"text": "...", "reference_bits": 8 or 16}'}
    return _parts_of(asked["text"], asked.get("reference_bits", 8))


def _parts_of(written: str, reference_bits: object) -> dict[str, Any]:
    if reference_bits not in (8, 16) or isinstance(reference_bits, bool):
        return {"error": "reference_bits: 8 or 16"}
    try:
        found = text.segment(written, 16 if reference_bits == 16 else 8)
    except text.TextRefused as refused:
        return {"error": f"{refused.code}: {refused}"}
    return {
        "encoding": found.encoding.name,
        "units": found.units,
        "segments": len(found.parts),
        "parts": list(found.parts),
    }


def number(
    written: Annotated[
        list[str] | None, typer.Argument(help="numbers as people write them; else standard input")
    ] = None,
    country: Annotated[str, typer.Option(help="ISO 3166-1 alpha-2 code of the writer's country")] = "AU",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Read mobile numbers as people write them; exit 1 if one is none."""
    if not text.is_region(country.upper()):
        raise typer.BadParameter(f"{country!r} is no country; give its two letters, such as AU", param_hint="--country")
    found = [_number(one.strip(), country.upper()) for one in written or sys.stdin]
    for answer in found:
        print(json.dumps(answer, ensure_ascii=False) if as_json else answer.get("e164") or answer["error"])
    if any("error" in answer for answer in found):
        raise typer.Exit(1)


def _number(written: str, country: str) -> dict[str, str]:
    read = text.read_number(written, country)
    if isinstance(read, text.NumberRefused):
        return {"written": written, "error": f"{read.code}: {read.message}"}
    return {"written": written, "e164": read.e164, "country": read.country}


@replies.command("read")
def read(
    reply: Annotated[str | None, typer.Argument(help="the reply; else standard input, one a line")] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """What a reply means: opt-out, opt-in, help, unclear, or an ordinary reply."""
    for line in [reply] if reply is not None else sys.stdin:
        found = text.read_reply(line.rstrip("\n"))
        show({"verdict": found.verdict.name.lower(), "rule": found.rule, "scope": found.scope}, as_json=as_json)
