"""`muster credits`, continued: what comes in, how it is limited, and where it goes."""

from collections.abc import Mapping
from typing import Annotated, Any

import typer

from muster.client.api import Connection, Muster
from muster.client.commands.arguments import TenantId, TopUpId
from muster.client.commands.credits import app
from muster.client.commands.dialogue import Yes, ask, counted
from muster.client.commands.output import AsJson, show, show_rows

__all__ = ["app"]

Reason = Annotated[str, typer.Option(help="why, for the statement and the audit log")]


@app.command()
def waiting(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Top-ups that wait for a second operator, newest first."""
    with Muster(Connection.from_environment(operator=True)) as muster:
        rows = muster.pages("/v1/credits/top-ups", state="awaiting_confirmation")
        show_rows(rows, ("id", "tenant_id", "credits", "reason", "asked_by", "expires_at"), as_json=as_json)


@app.command()
def confirm(
    tenant_id: TenantId,
    top_up_id: TopUpId,
    yes: Yes = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Confirm a top-up that another operator asked for (on a local Muster: as the second one)."""
    ask(f"Grant to {tenant_id} what the top-up {top_up_id} says?", yes=yes)
    with Muster(Connection.from_environment(second=True)) as muster:
        show(muster.decide_top_up(tenant_id, top_up_id, "confirmation"), as_json=as_json)


@app.command()
def reject(tenant_id: TenantId, top_up_id: TopUpId, reason: Reason, as_json: AsJson = False) -> None:  # noqa: FBT002
    """Say no to a top-up that waits, for good."""
    with Muster(Connection.from_environment(second=True)) as muster:
        show(muster.decide_top_up(tenant_id, top_up_id, "rejection", reason=reason), as_json=as_json)


@app.command()
def reverse(
    tenant_id: TenantId,
    top_up_id: TopUpId,
    reason: Reason,
    yes: Yes = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Take a top-up back: what is not available any more is owed."""
    ask(f"Take the top-up {top_up_id} back from {tenant_id}?", yes=yes)
    with Muster(Connection.from_environment(operator=True)) as muster:
        show(muster.decide_top_up(tenant_id, top_up_id, "reversal", reason=reason), as_json=as_json)


@app.command()
def transfer(
    from_tenant_id: TenantId,
    to_tenant_id: TenantId,
    credits: Annotated[int, typer.Argument(help="how many")],
    reason: Reason = "transfer",
    operator: Annotated[bool, typer.Option(help="as the operator, between any reseller and its sub-account")] = False,  # noqa: FBT002
    yes: Yes = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Move credits between a reseller and one of its sub-accounts."""
    ask(f"Move {counted(credits, 'credit')} from {from_tenant_id} to {to_tenant_id}?", yes=yes)
    with Muster(Connection.from_environment(operator=operator)) as muster:
        show(muster.transfer(from_tenant_id, to_tenant_id, credits, reason=reason), as_json=as_json)


@app.command()
def settings(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Caps with what counts towards them, the alert, and automatic top-ups."""
    with Muster(Connection.from_environment()) as muster:
        _show_wallet(muster.get("/v1/credits/settings"), as_json=as_json)


@app.command()
def caps(
    daily: Annotated[str, typer.Option(help="credits reserved in a day at most, or none")] = "",
    monthly: Annotated[str, typer.Option(help="credits reserved in a month at most, or none")] = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Limit what is reserved in a day and in a month, by the business's own clock."""
    given = {"daily_cap": daily, "monthly_cap": monthly}
    changes = {name: _number_or_none(value, name) for name, value in given.items() if value}
    with Muster(Connection.from_environment()) as muster:
        _show_wallet(muster.change_wallet(**changes), as_json=as_json)


@app.command()
def alert(below: Annotated[str, typer.Argument(help="credits, or none")], as_json: AsJson = False) -> None:  # noqa: FBT002
    """Be told by e-mail each time what is available falls below this."""
    with Muster(Connection.from_environment()) as muster:
        _show_wallet(muster.change_wallet(alert_below=_number_or_none(below, "below")), as_json=as_json)


@app.command("auto-top-up")
def automatic(
    below: Annotated[int, typer.Option(help="credits; 0 ends automatic top-ups")],
    amount: Annotated[int, typer.Option(help="of each top-up, in the currency's smallest unit")] = 0,
    currency: Annotated[str, typer.Option(help="ISO 4217, such as EUR")] = "",
    monthly_max: Annotated[int, typer.Option(help="of a month, in the currency's smallest unit")] = 0,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Buy credits by themselves each time what is available falls below this."""
    wanted = {"below": below, "amount": amount, "currency": currency, "monthly_max": monthly_max}
    with Muster(Connection.from_environment()) as muster:
        _show_wallet(muster.change_wallet(automatic_top_up=wanted if below else None), as_json=as_json)


@app.command()
def charges(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Automatic top-ups and what became of them."""
    with Muster(Connection.from_environment()) as muster:
        columns = ("intended_at", "minor_units", "currency", "state", "reason", "payment_id")
        rows = muster.pages("/v1/credits/charges")
        show_rows(
            rows if as_json else ({**one, "minor_units": one["amount"]} for one in rows), columns, as_json=as_json
        )


@app.command()
def prices(as_json: AsJson = False) -> None:  # noqa: FBT002
    """What money is in credits: the whole table."""
    with Muster(Connection.from_environment(operator=True)) as muster:
        rows = muster.pages("/v1/credits/prices")
        show_rows(rows, ("currency", "valid_from", "minor_units", "credits"), as_json=as_json)


@app.command("set-price")
def set_price(
    currency: Annotated[str, typer.Argument(help="ISO 4217, such as EUR")],
    minor_units: Annotated[int, typer.Argument(help="so many of its smallest unit, such as cents")],
    credits: Annotated[int, typer.Argument(help="are so many credits")],
    valid_from: Annotated[str, typer.Option(help="RFC 3339; from now on by default, never in the past")] = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """From a moment on, give so many credits for so many of a currency's smallest unit, as the operator."""
    body = {"currency": currency, "minor_units": minor_units, "credits": credits, "valid_from": valid_from or None}
    with Muster(Connection.from_environment(operator=True)) as muster:
        show(muster.post("/v1/credits/prices", body), as_json=as_json)


@app.command()
def rates(
    operator: Annotated[bool, typer.Option(help="ask as the operator")] = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """What a part costs by country ("*": all others), now and from later days on."""
    with Muster(Connection.from_environment(operator=operator)) as muster:
        rows = muster.pages("/v1/rates", coming="true")
        show_rows(rows, ("country", "credits_per_part", "valid_from", "version"), as_json=as_json)


@app.command("set-rate")
def set_rate(
    country: Annotated[str, typer.Argument(help="ISO 3166, such as NZ, or '*' for all without a rate of their own")],
    credits_per_part: Annotated[int, typer.Argument(help="of a message")],
    valid_from: Annotated[str, typer.Option(help="RFC 3339; from now on by default, never in the past")] = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """From a moment on, a part to a country costs so many credits; quotes that were given keep theirs."""
    body = {"country": country, "credits_per_part": credits_per_part, "valid_from": valid_from or None}
    with Muster(Connection.from_environment(operator=True)) as muster:
        show(muster.put("/v1/rates", body), as_json=as_json)


def _show_wallet(wallet: Mapping[str, Any], *, as_json: bool) -> None:
    """With what the figures of automatic top-ups are of."""
    rule = wallet.get("automatic_top_up")
    if rule and not as_json:
        money = (
            f"{rule['amount']:,} of {rule['monthly_max']:,} a month at most, in the smallest unit of {rule['currency']}"
        )
        wallet = {**wallet, "automatic_top_up": f"below {counted(rule['below'], 'credit')}: {money}"}
    show(wallet, as_json=as_json)


def _number_or_none(text: str, name: str) -> int | None:
    if text == "none":
        return None
    if not (text.isascii() and text.isdigit()):
        raise typer.BadParameter("must be a whole number of credits, or none", param_hint=name)
    return int(text)
