"""`muster route`: which carrier accounts take what, for operators."""

from typing import Annotated, Any

import typer

from muster.client.api import Connection, Muster
from muster.client.commands.output import AsJson, show, show_rows

app = typer.Typer(no_args_is_help=True, help="Routes: which carrier accounts take what, by which weights.")

_COLUMNS = ("route", "accounts", "countries", "senders", "failover", "open", "reference_bits")
_OPTIONS = ("route", "account", "weight", "percent", "why")

Name = Annotated[str, typer.Argument(metavar="ROUTE", help="by its name: `muster route list` shows it")]
Accounts = Annotated[
    list[str] | None,
    typer.Option("--account", help="NAME or NAME=WEIGHT, repeated; with weight 0 it stands by for the others"),
]
Countries = Annotated[list[str] | None, typer.Option("--country", help="that it takes, such as AU; repeated")]
Senders = Annotated[list[str] | None, typer.Option("--sender", help="number or name that it takes; repeated")]
AnyCountry = Annotated[bool, typer.Option("--any-country", help="take all countries")]
AnySender = Annotated[bool, typer.Option("--any-sender", help="take all senders")]
Failover = Annotated[str | None, typer.Option(help="the route to take when no account can; '' for none")]
Open = Annotated[bool | None, typer.Option("--open/--closed", help="whether anything is led to it first")]


@app.callback()
def describe() -> None:
    """Routes: which carrier accounts take what, by which weights."""


@app.command("list")
def list_all(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Routes by name."""
    with Muster(Connection.from_environment(operator=True)) as muster:
        rows = muster.pages("/v1/routes")
        show_rows(rows if as_json else map(_row, rows), _COLUMNS, as_json=as_json)


@app.command("show")
def show_one(route: Name, as_json: AsJson = False) -> None:  # noqa: FBT002
    """One route."""
    with Muster(Connection.from_environment(operator=True)) as muster:
        _show(muster.route(route), as_json=as_json)


@app.command()
def create(
    route: Name,
    accounts: Accounts = None,
    countries: Countries = None,
    senders: Senders = None,
    failover: Failover = None,
    is_open: Open = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Make a route; one that names neither countries nor senders is there for others to fail over to."""
    body = _body(accounts or [], countries or [], senders or [], failover, is_open)
    with Muster(Connection.from_environment(operator=True)) as muster:
        _show(muster.create_route({"route": route, **body}), as_json=as_json)


@app.command()
def change(
    route: Name,
    accounts: Accounts = None,
    countries: Countries = None,
    senders: Senders = None,
    any_country: AnyCountry = False,  # noqa: FBT002
    any_sender: AnySender = False,  # noqa: FBT002
    failover: Failover = None,
    is_open: Open = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Change a route. Accounts, countries and senders that are given replace those that it has."""
    given = _body(
        accounts or None, [] if any_country else countries or None, [] if any_sender else senders or None, failover,
        is_open,
    )  # fmt: skip
    if not given:
        raise typer.BadParameter("say what is to change; --help lists what can")
    with Muster(Connection.from_environment(operator=True)) as muster:
        _show(muster.change_route(route, given), as_json=as_json)


@app.command()
def delete(route: Name, as_json: AsJson = False) -> None:  # noqa: FBT002
    """Lead nothing by a route any more."""
    with Muster(Connection.from_environment(operator=True)) as muster:
        _show(muster.delete_route(route), as_json=as_json)


@app.command("test")
def try_one(
    to: Annotated[str, typer.Option(help="a number with its +")],
    sender: Annotated[str, typer.Option(help="a number or a name")],
    parts: Annotated[int, typer.Option(help="of the message")] = 1,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Which account a message would go by now, and why. Nothing is sent."""
    with Muster(Connection.from_environment(operator=True)) as muster:
        found = muster.test_route(to=to, sender=sender, parts=parts)
    if as_json:
        show(found, as_json=True)
        return
    show({"route": f"{found['route']}: {found['why']}", "country": found["country"]}, as_json=False)
    show_rows(found["options"], _OPTIONS, as_json=False)


def _body(
    accounts: list[str] | None,
    countries: list[str] | None,
    senders: list[str] | None,
    failover: str | None,
    is_open: bool | None,  # noqa: FBT001
) -> dict[str, Any]:
    members = {
        "accounts": None if accounts is None else [_account(one) for one in accounts],
        "countries": countries,
        "senders": senders,
        "failover": failover,
        "open": is_open,
    }
    return {name: value for name, value in members.items() if value is not None}


def _account(written: str) -> dict[str, Any]:
    name, equals, weight = written.partition("=")
    if not name or (equals and not (weight.isascii() and weight.isdigit())):
        raise typer.BadParameter(f"{written}: write NAME or NAME=WEIGHT", param_hint="--account")
    return {"account": name, "weight": int(weight)} if equals else {"account": name}


def _row(route: dict[str, Any]) -> dict[str, Any]:
    accounts = ", ".join(f"{one['account']}={one['weight']}" for one in route["accounts"])
    words = {name: ", ".join(route[name]) or "any" for name in ("countries", "senders")}
    return {**route, **words, "accounts": accounts}


def _show(route: dict[str, Any], *, as_json: bool) -> None:
    show(route if as_json else _row(route), as_json=as_json)
