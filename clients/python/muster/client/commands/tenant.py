"""`muster tenant`: the settings of a business; for operators, new ones."""

from typing import Annotated, Any, Literal
from urllib.parse import quote

import typer

from muster.client.api import Connection, Muster
from muster.client.commands.arguments import TenantId
from muster.client.commands.output import AsJson, show, show_rows

app = typer.Typer(
    no_args_is_help=True,
    help="Settings: show, set, closed-days, frequency-cap, notices; for operators: list, create, close …",
)

Other = Annotated[str, typer.Option("--tenant", help="as the operator: the settings of this tenant, by its id")]


@app.callback()
def describe() -> None:
    """The settings of the business."""


@app.command("create")
def create(
    name: Annotated[str, typer.Argument(help="what it is called")],
    country: Annotated[str, typer.Option(help="ISO 3166, such as AU")],
    time_zone: Annotated[str, typer.Option(help="an IANA name, such as Australia/Sydney")],
    sender: Annotated[str, typer.Option(help="a number in E.164, or a name")],
    sandbox: Annotated[bool, typer.Option("--sandbox", help="nothing of it ever reaches a carrier, for good")] = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """As the operator: make a business and the API key of its first admin, whose secret is shown this once."""
    given = {"name": name, "country": country, "time_zone": time_zone, "sender": sender, "sandbox": sandbox}
    with Muster(Connection.from_environment(operator=True)) as muster:
        made = muster.post("/v1/tenants", given)
        key = muster.post("/v1/api-keys", {"tenant_id": made["id"], "name": "first admin"})
        shown = {**made, "client_id": key["client_id"], "client_secret": key["client_secret"]}
        _show(shown, as_json=as_json)


@app.command("list")
def list_tenants(as_json: AsJson = False) -> None:  # noqa: FBT002
    """As the operator: all businesses."""
    with Muster(Connection.from_environment(operator=True)) as muster:
        columns = ("name", "country", "sender", "sandbox", "suspended", "closed", "created_at", "id")
        show_rows(muster.pages("/v1/tenants"), columns, as_json=as_json)


@app.command("first-admin")
def first_admin(tenant_id: TenantId, as_json: AsJson = False) -> None:  # noqa: FBT002
    """As the operator: a link by which whoever takes it becomes an admin of the business; one from before ends."""
    with Muster(Connection.from_environment(operator=True)) as muster:
        show(muster.post(f"/v1/tenants/{quote(tenant_id, safe='') or '-'}/first-admin"), as_json=as_json)


@app.command("close")
def close(tenant_id: TenantId, as_json: AsJson = False) -> None:  # noqa: FBT002
    """As the operator: end a business's use of Muster, until it is opened again."""
    _change(tenant_id, {"closed": True}, as_json=as_json)


@app.command("reopen")
def reopen(tenant_id: TenantId, as_json: AsJson = False) -> None:  # noqa: FBT002
    """As the operator: open a closed business again."""
    _change(tenant_id, {"closed": False}, as_json=as_json)


@app.command("sub-account")
def sub_account(
    tenant_id: TenantId,
    of: Annotated[str, typer.Option(help="the reseller, by its id, or none")],
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """As the operator: make a business the sub-account of a reseller, who may move credits to it and back."""
    _change(tenant_id, {"parent_id": None if of == "none" else of}, as_json=as_json)


def _change(tenant_id: str, changes: dict[str, Any], *, as_json: bool) -> None:
    with Muster(Connection.from_environment(operator=True)) as muster:
        _show(muster.patch(_path(tenant_id or "-"), changes), as_json=as_json)


@app.command("show")
def show_tenant(tenant_id: Other = "", as_json: AsJson = False) -> None:  # noqa: FBT002
    """The settings as they stand."""
    with Muster(Connection.from_environment(operator=bool(tenant_id))) as muster:
        _show(muster.get(_path(tenant_id)), as_json=as_json)


@app.command("set")
def set_tenant(
    tenant_id: Other = "",
    name: Annotated[str | None, typer.Option(help="what it is called")] = None,
    country: Annotated[str | None, typer.Option(help="ISO 3166, such as AU")] = None,
    time_zone: Annotated[str | None, typer.Option(help="an IANA name, such as Australia/Sydney")] = None,
    sender: Annotated[str | None, typer.Option(help="a number in E.164, or a name")] = None,
    replies: Annotated[bool | None, typer.Option("--replies/--no-replies", help="allow SMS replies")] = None,
    reception: Annotated[str | None, typer.Option(help="the e-mail address to which replies go")] = None,
    quiet: Annotated[str | None, typer.Option(help="no marketing from and to, such as 20:00-09:00, or none")] = None,
    customary: Annotated[
        bool | None, typer.Option("--customary/--no-customary", help="keep to usual hours where no law asks for any")
    ] = None,
    holidays: Annotated[
        str | None, typer.Option(help="no marketing on the public holidays of these: AU-NSW,NZ, or none")
    ] = None,
    closed: Annotated[str | None, typer.Option(help="no marketing on these days: 2026-12-24,…, or none")] = None,
    countries: Annotated[
        str | None, typer.Option(help="send to these: AU,NZ, or '*' for all, or none for its own")
    ] = None,
    countries_max: Annotated[
        str | None,
        typer.Option(help="as the operator: the countries that it may choose among, as in --countries"),
    ] = None,
    unknown: Annotated[
        Literal["charge", "release", "ask"] | None, typer.Option(help="credits of messages that stay unknown")
    ] = None,
    failed: Annotated[
        Literal["charge", "release"] | None, typer.Option(help="credits of messages that a receipt says have failed")
    ] = None,
    at_least_once: Annotated[
        bool | None,
        typer.Option("--at-least-once/--at-most-once", help="send again what is unknown, where it is no marketing"),
    ] = None,
    parts_max: Annotated[int | None, typer.Option(help="of how many parts a message may be, from 1 to 255")] = None,
    parts_per_second: Annotated[
        int | None, typer.Option(help="as the operator: parts that are sent for it a second at most, 0 for no limit")
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Change what is named; the rest stays."""
    for option, said in (("--parts-per-second", parts_per_second), ("--countries-max", countries_max)):
        if said is not None and not tenant_id:
            raise typer.BadParameter("that is the operator's to say: name the tenant", param_hint=option)
    given: dict[str, Any] = {
        "name": name,
        "country": country,
        "time_zone": time_zone,
        "sender": sender,
        "allow_sms_replies": replies,
        "reception_email": reception,
        "customary_hours": customary,
        "holidays": _listed(holidays),
        "closed_days": _listed(closed),
        "countries": _listed(countries),
        "countries_max": _listed(countries_max),
        "unknown_rule": unknown,
        "failed_rule": failed,
        "at_least_once": at_least_once,
        "parts_max": parts_max,
        "parts_per_second": parts_per_second,
    }
    changes = {field: value for field, value in given.items() if value is not None}
    if quiet is not None:
        changes["quiet_hours"] = _quiet_hours(quiet)
    if not changes:
        raise typer.BadParameter("say what is to change; --help lists what can")
    with Muster(Connection.from_environment(operator=bool(tenant_id))) as muster:
        _show(muster.patch(_path(tenant_id), changes), as_json=as_json)


@app.command("closed-days")
def closed_days(
    first: Annotated[str | None, typer.Option("--from", help="the first day; today unless said")] = None,
    last: Annotated[str | None, typer.Option("--until", help="the last day; a year later unless said")] = None,
    holidays: Annotated[str | None, typer.Option(help="as if the business kept to these: AU-NSW,NZ")] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """The days on which no marketing is sent: public holidays, and days of the business's own."""
    with Muster(Connection.from_environment()) as muster:
        found = muster.get("/v1/closed-days", **{"from": first, "until": last, "holidays": _listed(holidays)})
        show_rows(found["items"], ("day", "name"), as_json=as_json)


@app.command("frequency-cap")
def frequency_cap(
    messages: Annotated[int | None, typer.Option(help="so many to one number")] = None,
    days: Annotated[int | None, typer.Option(help="in so many days, today among them")] = None,
    none: Annotated[bool, typer.Option("--none", help="as often as the business likes")] = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """How often at most a number is texted by marketing sends; shown as it stands unless something is said."""
    if (messages is None) != (days is None) or (none and messages is not None):
        raise typer.BadParameter("give --messages and --days, or --none")
    with Muster(Connection.from_environment()) as muster:
        if none:
            muster.delete("/v1/frequency-cap")
        elif messages is not None:
            muster.put("/v1/frequency-cap", {"messages": messages, "days": days})
        cap = muster.get("/v1/frequency-cap")
    if not as_json and cap["messages"] is None:
        print("There is no cap.")
        return
    show(cap, as_json=as_json)


@app.command()
def notices(
    identity: Annotated[str | None, typer.Option(help="before a text: {business} is the name")] = None,
    reply: Annotated[str | None, typer.Option(help="behind it, where people can reply")] = None,
    by_link: Annotated[str | None, typer.Option(help="behind it, by a name: {link} is each one's own")] = None,
    language: Annotated[
        str | None, typer.Option(help="of texts in this language, such as de; of the business's own unless said")
    ] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """What each marketing message says unless its text does; shown as it stands unless something is said."""
    given = {"identity": identity, "reply": reply, "by_link": by_link}
    changed: dict[str, Any] = {name: text for name, text in given.items() if text is not None}
    with Muster(Connection.from_environment()) as muster:
        words = muster.get("/v1/notices")
        if changed:
            kept = {name: words[name] for name in (*given, "languages")}
            if language is not None:
                others = kept["languages"]
                changed = {"languages": {**others, language: {**others.get(language, {}), **changed}}}
            words = muster.put("/v1/notices", kept | changed)
    show(words, as_json=as_json)


def _path(tenant_id: str) -> str:
    return f"/v1/tenants/{quote(tenant_id, safe='')}" if tenant_id else "/v1/tenant"


def _listed(given: str | None) -> list[str] | None:
    """What is written with commas between; "none" is nothing."""
    if given is None or given == "none":
        return None if given is None else []
    return [one.strip() for one in given.split(",")]


def _quiet_hours(given: str) -> dict[str, str] | None:
    if given == "none":
        return None
    first, dash, last = given.partition("-")
    if not dash:
        raise typer.BadParameter("write it as 20:00-09:00, or none", param_hint="--quiet")
    return {"from": first.strip(), "to": last.strip()}


def _show(tenant: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show(tenant, as_json=True)
        return
    hours = tenant["quiet_hours"]
    lists = {name: ", ".join(tenant[name]) for name in ("countries", "countries_max", "holidays", "closed_days")}
    show({**tenant, **lists, "quiet_hours": hours and f"{hours['from']}-{hours['to']}"}, as_json=False)
