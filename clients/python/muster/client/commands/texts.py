"""`muster parts`, `muster number`, `muster reply read`: what Muster makes of a text, without a running system."""

import dataclasses
import json
import sys
from collections.abc import Sequence
from typing import Annotated, Any, Final, Literal

import typer

from muster import text
from muster.client.commands.output import AsJson, show, show_rows
from muster.client.exits import ExitCode
from muster.smpp import Concat, build_udh

_POSITIONS_SHOWN_MAX: Final = 8

replies = typer.Typer(no_args_is_help=True, help="What a reply means, without a running system.")


@replies.callback()
def describe_replies() -> None:
    """What a reply means, without a running system."""


def parts(
    octets: Annotated[  # noqa: FBT002 - typer reads a flag from it
        bool, typer.Option(help="also each part as it leaves by SMPP, header included, in hexadecimal; reference 1")
    ] = False,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Count the parts of the text on standard input, less one final newline, and name the characters that cost more.

    With --json each line is {"text", "reference_bits": 8 or 16} and is answered by a line.
    """
    if as_json:
        for line in sys.stdin:
            print(json.dumps(_parts_of_line(line, octets=octets)), flush=True)
        return
    written = text_from_stdin()
    found = _parts_of(written, 8, octets=octets)
    dearer, wire = found.pop("dearer", []), found.pop("octets", [])
    show({**found, "parts": ", ".join(map(str, found["parts"]))} if "parts" in found else found, as_json=False)
    if "error" in found:
        raise typer.Exit(ExitCode.FAILED)
    for part in wire:
        print(part)
    if dearer:
        rows = [{**one, "positions": _positions(one["positions"]), "write": _instead(one)} for one in dearer]
        show_rows(rows, ("text", "name", "positions", "reason", "write"), as_json=False)


def _positions(positions: Sequence[int]) -> str:
    """As people count, from 1."""
    shown = ", ".join(str(at + 1) for at in positions[:_POSITIONS_SHOWN_MAX])
    more = len(positions) - _POSITIONS_SHOWN_MAX
    return f"{shown} and {more} more" if more > 0 else shown


def _instead(dearer: dict[str, Any]) -> str:
    replacement = dearer["replacement"]
    if replacement is None:
        return ""
    return "nothing" if replacement == "" else "a space" if replacement == " " else replacement


def text_from_stdin() -> str:
    """The text on standard input as it stands, less one final newline."""
    written = sys.stdin.buffer.read().decode("utf-8", errors="surrogateescape")
    return written.removesuffix("\r\n" if written.endswith("\r\n") else "\n")


def _parts_of_line(line: str, *, octets: bool) -> dict[str, Any]:
    try:
        asked = json.loads(line)
    except (ValueError, RecursionError) as wrong:
        return {"error": f"not JSON: {wrong}"}
    if not isinstance(asked, dict) or not isinstance(asked.get("text"), str):
        return {"error": 'text: a line is {"text": "...", "reference_bits": 8 or 16}'}
    return _parts_of(asked["text"], asked.get("reference_bits", 8), octets=octets)


def _parts_of(written: str, reference_bits: object, *, octets: bool) -> dict[str, Any]:
    if reference_bits not in (8, 16) or isinstance(reference_bits, bool):
        return {"error": "reference_bits: 8 or 16"}
    bits: Literal[8, 16] = 16 if reference_bits == 16 else 8
    try:
        found = text.segment(written, bits)
    except text.TextRefused as refused:
        return {"error": f"{refused.code}: {refused}"}
    dearer = [dataclasses.asdict(one) for one in text.by_character(text.dearer_characters(written))]
    return {
        "encoding": found.encoding.name,
        "units": found.units,
        "segments": len(found.parts),
        "parts": list(found.parts),
        **({"octets": [part.hex() for part in _on_the_wire(written, bits)]} if octets else {}),
        "dearer": dearer,
    }


def _on_the_wire(written: str, bits: Literal[8, 16]) -> list[bytes]:
    payloads = text.split(written, bits)
    total = len(payloads)
    if total == 1:
        return payloads
    return [build_udh(Concat(1, total, number), bits) + octets for number, octets in enumerate(payloads, 1)]


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
        raise typer.Exit(ExitCode.FAILED)


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
