"""`muster carrier`: carrier accounts, for operators; and a carrier to integrate against, with faults on request."""

import json
import os
import sys
import time
from importlib import import_module
from pathlib import Path
from typing import Annotated, Any

import typer

from muster.client.api import Connection, Muster
from muster.client.commands.dialogue import said_when_left
from muster.client.commands.output import AsJson, show, show_rows
from muster.client.exits import ExitCode

app = typer.Typer(no_args_is_help=True, help="Carrier accounts, and the carrier simulator.")

WAIT_S_MAX = 60.0
_POLL_S = 0.5
# What is no value but has fields; and what is a secret, whatever it is a field of.
_GROUPS = frozenset({"smpp"})
_SECRET = frozenset({"password", "secrets"})
_COLUMNS = ("account", "kind", "state", "gets", "connections", "in_flight", "why", "routes")

Account = Annotated[str, typer.Argument(help="by its name: `muster carriers` shows it")]
Settings = Annotated[
    list[str] | None,
    typer.Option("--set", help="NAME=VALUE, such as smpp.host=smpp.example.net or parts_window=100; repeated"),
]
PasswordGiven = Annotated[
    bool, typer.Option("--password", help="take MUSTER_CARRIER_PASSWORD, else the first line of standard input")
]
ProfileFile = Annotated[Path, typer.Argument(help="a JSON file")]
SecretsGiven = Annotated[
    bool,
    typer.Option(
        "--secrets", help='take {"auth": "…", "callbacks": ["…"]} from MUSTER_CARRIER_SECRETS, else standard input'
    ),
]
Reason = Annotated[str, typer.Option(help="why, for the audit log")]


@app.callback()
def describe() -> None:
    """Carrier accounts, and the carrier simulator."""


@app.command("list")
def list_all(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Accounts, whether a sender has each, and what it says of it."""
    with Muster(Connection.from_environment(operator=True)) as muster:
        rows = muster.pages("/v1/carriers")
        show_rows(rows if as_json else map(_row, rows), _COLUMNS, as_json=as_json)


@app.command("show")
def show_one(account: Account, as_json: AsJson = False) -> None:  # noqa: FBT002
    """One account with its profile; never its password."""
    with Muster(Connection.from_environment(operator=True)) as muster:
        _show(muster.carrier(account), as_json=as_json)


@app.command()
def create(
    account: Account,
    host: Annotated[str, typer.Option(help="of an SMPP carrier")],
    system_id: Annotated[str, typer.Option(help="as whom to bind")],
    port: Annotated[int, typer.Option(help="where it listens")] = 2775,
    settings: Settings = None,
    password: PasswordGiven = False,  # noqa: FBT002
    draining: Annotated[bool, typer.Option(help="connect, and send nothing but tests until it is opened")] = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Make an SMPP account; a sender that has none adopts it within seconds."""
    body = _read_settings(settings or [])
    body["smpp"] = {"host": host, "port": port, "system_id": system_id, **body.get("smpp", {})}
    body |= {"account": account, "state": "draining" if draining else "open"}
    with Muster(Connection.from_environment(operator=True)) as muster:
        _show(muster.create_carrier(body | _password(wanted=password)), as_json=as_json)


@app.command()
def change(
    account: Account,
    settings: Settings = None,
    password: PasswordGiven = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Change an account: its sender waits for answers and binds again, and no message becomes unknown by it."""
    _some(given=bool(settings) or password)
    body = _read_settings(settings or []) | _password(wanted=password)
    with Muster(Connection.from_environment(operator=True)) as muster:
        _show(muster.change_carrier(account, body), as_json=as_json)


@app.command("create-http")
def create_http(
    account: Account,
    profile: ProfileFile,
    secrets: SecretsGiven = False,  # noqa: FBT002
    settings: Settings = None,
    draining: Annotated[bool, typer.Option(help="connect, and send nothing but tests until it is opened")] = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Make an HTTP account from its profile, as docs/carriers-http.md describes it."""
    body = _read_settings(settings or []) | {"account": account, "state": "draining" if draining else "open"}
    body["http"] = {"profile": _profile(profile), **_secrets(wanted=secrets)}
    with Muster(Connection.from_environment(operator=True)) as muster:
        _show(muster.create_carrier(body), as_json=as_json)


@app.command("change-http")
def change_http(
    account: Account,
    profile: Annotated[Path | None, typer.Argument(help="a JSON file; without one the profile stays")] = None,
    secrets: SecretsGiven = False,  # noqa: FBT002
    settings: Settings = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Give an HTTP account another profile or other secrets, each as a whole."""
    _some(given=bool(settings) or profile is not None or secrets)
    body = _read_settings(settings or [])
    http = ({"profile": _profile(profile)} if profile else {}) | _secrets(wanted=secrets)
    body |= {"http": http} if http else {}
    with Muster(Connection.from_environment(operator=True)) as muster:
        _show(muster.change_carrier(account, body), as_json=as_json)


@app.command()
def drain(account: Account, reason: Reason = "", as_json: AsJson = False) -> None:  # noqa: FBT002
    """Send nothing more by an account; it stays connected, for receipts and replies."""
    _act(account, "drain", reason, as_json=as_json)


@app.command("open")
def open_account(account: Account, reason: Reason = "", as_json: AsJson = False) -> None:  # noqa: FBT002
    """Let an account send."""
    _act(account, "open", reason, as_json=as_json)


@app.command()
def close(account: Account, reason: Reason = "", as_json: AsJson = False) -> None:  # noqa: FBT002
    """Disconnect an account that no route leads to."""
    _act(account, "close", reason, as_json=as_json)


@app.command("test")
def try_one(
    account: Account,
    to: Annotated[str, typer.Option(help="a number with its +")],
    sender: Annotated[str, typer.Option(help="a number or a name")],
    text: Annotated[str, typer.Option(help="what it says")] = "This is a test.",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Send one real message by an account and wait for what the carrier says of it; exit 1 unless it took it."""
    with Muster(Connection.from_environment(operator=True)) as muster:
        found = muster.test_carrier(account, to=to, sender=sender, text=text)
        until = time.monotonic() + WAIT_S_MAX
        with said_when_left("The test goes on; what becomes of it is not shown any more."):
            while found["outcome"] in ("queued", "submitting") and time.monotonic() < until:
                time.sleep(_POLL_S)
                found = muster.carrier_test(account, found["id"])
        show(found, as_json=as_json)
    if found["outcome"] == "queued":
        typer.echo(
            f"It waits for a connection, ten minutes at most; `muster carrier show {account}` says why there is none.",
            err=True,
        )
    if found["outcome"] != "accepted":
        raise typer.Exit(ExitCode.FAILED)


def _some(*, given: bool) -> None:
    if not given:
        raise typer.BadParameter("say what is to change; --help lists what can")


def _act(account: Account, act: str, reason: str, *, as_json: bool) -> None:
    with Muster(Connection.from_environment(operator=True)) as muster:
        _show(muster.control_carrier(account, act, reason), as_json=as_json)


def _row(carrier: dict[str, Any]) -> dict[str, Any]:
    standing = dict(carrier["standing"])
    if not standing["adopted"]:
        standing["why"] = "no sender has it"
    health = carrier["health"]
    gets = f"{health['share']} %" + (f": {health['why']}" if health["why"] else "")
    names = {name: ", ".join(carrier[name]) for name in ("routes", "binds_as")}
    return {**carrier, **standing, **names, "gets": gets}


def _show(carrier: dict[str, Any], *, as_json: bool) -> None:
    if not as_json:
        # A port is no amount: it is shown as it is written.
        smpp = (carrier["smpp"] or {}).items()
        profile = {f"smpp {name}": str(value) if type(value) is int else value for name, value in smpp}
        if carrier.get("http"):
            profile["http profile"] = json.dumps(carrier["http"]["profile"])
        carrier = {**_row(carrier), **profile, "smpp": None, "http": None, "standing": None}
        carrier["health"] = {name: carrier["health"][name] for name in ("answered", "failed", "not_taken")}
    show(carrier, as_json=as_json)


def _read_settings(words: list[str]) -> dict[str, Any]:
    """The JSON body that NAME=VALUE words describe; what is no JSON is text."""
    body: dict[str, Any] = {}
    for word in words:
        name, equals, value = word.partition("=")
        group, _, last = name.rpartition(".")
        if not equals or not name or not _SECRET.isdisjoint(name.split(".")):
            raise typer.BadParameter(f"{name}: write NAME=VALUE; a password is never an argument", param_hint="--set")
        if name.split(".")[0] == "http":
            whole = "an HTTP account is described as a whole: give its PROFILE file, or --secrets"
            raise typer.BadParameter(f"{name}: {whole}", param_hint="--set")
        if "." in group:
            raise typer.BadParameter(f"{name}: give {group} as a whole, as JSON", param_hint="--set")
        members = body.setdefault(group, {}) if group else body
        if name in _GROUPS or not isinstance(members, dict):
            raise typer.BadParameter(f"{name}: write one field of it, such as smpp.binds=4", param_hint="--set")
        members[last] = _value(value)
    return body


def _value(written: str) -> Any:
    try:
        return json.loads(written)
    except ValueError:
        return written


def _profile(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as wrong:
        raise typer.BadParameter(f"{path} is not JSON that can be read: {wrong}", param_hint="PROFILE") from wrong


def _secrets(*, wanted: bool) -> dict[str, Any]:
    if not wanted:
        return {}
    try:
        return {"secrets": json.loads(os.environ.get("MUSTER_CARRIER_SECRETS") or sys.stdin.readline())}
    except ValueError:
        raise typer.BadParameter("what was given is not one line of JSON", param_hint="--secrets") from None


def _password(*, wanted: bool) -> dict[str, str]:
    """Not an argument: those are seen by everybody on the machine, and stay in histories."""
    if not wanted:
        return {}
    return {"password": os.environ.get("MUSTER_CARRIER_PASSWORD") or sys.stdin.readline().rstrip("\r\n")}


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
        raise typer.Exit(ExitCode.FAILED) from missing
    simulator.main(context.args)
