"""`muster bulk checks` and `verify`: what the laws of the recipients' countries ask of a send."""

import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from muster.client.api import Connection, Muster
from muster.client.commands.arguments import BulkId
from muster.client.commands.output import AsJson, show, show_rows
from muster.client.exits import ExitCode

Override = Annotated[
    list[str] | None,
    typer.Option(help="send although the law blocks it: a check and its country, such as consent:US; as an admin"),
]
Reason = Annotated[str, typer.Option("--reason", help="why it is overridden; kept with the send, and names nobody")]
_COLUMNS: Final = ("check", "country", "status", "recipients", "message")
_SIGNED: Final = ("class", "sender", "recipients", "credits", "quoted_at", "confirmed_at", "confirmed_by", "role")


def overrides(given: Sequence[str] | None, reason: str) -> dict[str, Any]:
    """What is said of a send when its quote is confirmed."""
    if not given:
        if reason:
            raise typer.BadParameter("a reason is for an --override", param_hint="--reason")
        return {}
    if not reason:
        raise typer.BadParameter("say why with --reason", param_hint="--override")
    read = [one.partition(":") for one in given]
    if any(not check or not country for check, _, country in read):
        raise typer.BadParameter("a check and its country, such as consent:US", param_hint="--override")
    return {"overrides": [{"check": check, "country": country, "reason": reason} for check, _, country in read]}


def show_checks(checks: Sequence[Mapping[str, Any]] | None) -> None:
    """The checks of a quote; of those that are not passed also where that is written, and what of the text it is."""
    if not checks:
        return
    show_rows(checks, _COLUMNS, as_json=False)
    for one in checks:
        if one["status"] != "passed":
            found = f" ({', '.join(one['found'])})" if one.get("found") else ""
            show({f"{one['check']} {one['country']}": one["source"] + found}, as_json=False)


def checks(bulk_id: BulkId, as_json: AsJson = False) -> None:  # noqa: FBT002
    """What was checked of a send before it was confirmed, by whom, and what was overridden, as it was signed.

    With --json it is a file that `muster bulk verify` reads.
    """
    with Muster(Connection.from_environment()) as muster:
        found = muster.checks(bulk_id)
    if as_json:
        show(found, as_json=True)
        return
    signed = found["signed"]
    show_checks(signed["checks"])
    if signed["overrides"]:
        show_rows(signed["overrides"], ("check", "country", "by", "reason"), as_json=False)
    told = {name: signed[name] for name in _SIGNED}
    told |= {name: found[name] for name in ("intact", "text", "signature", "public_key")}
    show({"text as checked" if name == "text" else name: value for name, value in told.items()}, as_json=False)


def verify(
    file: Annotated[Path, typer.Argument(exists=True, dir_okay=False, help="what `muster bulk checks --json` wrote")],
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Whether a copy of signed checks is what was signed, and what is kept with its send; exit 1 if not."""
    try:
        copy = json.loads(file.read_text(encoding="utf-8"))
        bulk_id, body = str(copy["bulk_id"]), {"signed": copy["signed"], "signature": copy["signature"]}
    except (ValueError, KeyError, TypeError) as error:
        raise typer.BadParameter(f"{file} is not what `muster bulk checks --json` writes") from error
    with Muster(Connection.from_environment()) as muster:
        found = muster.verify_checks(bulk_id, body)
    show(found, as_json=as_json)
    if not (found["valid"] and found["kept"]):
        raise typer.Exit(ExitCode.FAILED)
