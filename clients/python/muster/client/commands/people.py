"""`muster customers list|count|show|add|edit|archive|unarchive|merge|…`: customers one by one, and by queries."""

from collections.abc import Sequence
from itertools import islice
from typing import Annotated, Any

import typer

from muster.client.api import Connection, Muster
from muster.client.commands.dialogue import Yes, ask, need_answer
from muster.client.commands.output import AsJson, show, show_rows
from muster.client.paths import segment

_Id = Annotated[int, typer.Argument(help="as `muster customers list` shows it")]
_Query = Annotated[str, typer.Argument(help="words, numbers and conditions, such as: ana 0412 and tag is vip")]
_Saved = Annotated[str | None, typer.Option(help="the name of a saved search, instead of a query")]
_Name = Annotated[str | None, typer.Option(help="empty takes it away")]
_Texts = Annotated[list[str] | None, typer.Option(help="several by naming it again")]
_Numbers = Annotated[list[str] | None, typer.Option(help="of any kind, as people write it; several by naming it again")]
_Fields = Annotated[list[str] | None, typer.Option("--field", help="an own field, as NAME=VALUE")]
_Allow = Annotated[bool | None, typer.Option("--allow/--no-allow", help="whether Bulk SMS is allowed")]
_Consent = Annotated[str | None, typer.Option(help="express, inferred, none or withdrawn")]


def register(app: typer.Typer) -> None:
    """Make these commands of `muster customers`."""
    app.command("list")(list_customers)
    app.command("count")(count)
    app.command("show")(show_customer)
    app.command("add")(add)
    app.command("edit")(edit)
    app.command("archive")(archive)
    app.command("unarchive")(unarchive)
    app.command("merge")(merge)
    app.command("remove")(remove)
    app.command("changes")(changes)
    app.command("erase")(erase)
    app.command("erase-number")(erase_number)
    app.command("erasures")(erasures)
    app.command("searches")(searches)
    app.command("save-search")(save_search)
    app.command("forget-search")(forget_search)
    app.command("fields")(fields)
    app.command("define-field")(define_field)
    app.command("forget-field")(forget_field)


def list_customers(
    query: _Query = "",
    saved: _Saved = None,
    limit: Annotated[int, typer.Option(min=1, help="no more than so many")] = 100,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Customers who fit a query, the oldest first."""
    with Muster(Connection.from_environment()) as muster:
        asked = {"saved": saved} if saved is not None else {"query": query}
        rows = islice(muster.pages("/v1/customers", **asked, limit=min(limit, 500)), limit)
        show_rows(map(_row, rows), ("id", "name", "numbers", "consent", "tags"), as_json=as_json)


def count(
    query: _Query = "",
    saved: _Saved = None,
    exact: Annotated[bool, typer.Option(help="count them all, however long that takes")] = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """How many customers fit a query; an estimate where counting takes long."""
    with Muster(Connection.from_environment()) as muster:
        asked = {"saved": saved} if saved is not None else {"query": query}
        show(muster.get("/v1/customers/count", **asked, exact=exact or None), as_json=as_json)


def show_customer(customer_id: _Id, as_json: AsJson = False) -> None:  # noqa: FBT002
    """All that is kept of a customer."""
    with Muster(Connection.from_environment()) as muster:
        _show(muster.get(f"/v1/customers/{customer_id}"), as_json=as_json)


def add(
    first: _Name = None,
    last: _Name = None,
    number: _Numbers = None,
    allow: _Allow = None,
    consent: _Consent = None,
    tag: _Texts = None,
    field: _Fields = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Add a customer."""
    given = _given(first_name=first, last_name=last, numbers=number, allow_bulk_sms=allow, consent=consent)
    given |= {"tags": tag} if tag else {}
    given |= {"own_fields": _pairs(field)} if field else {}
    with Muster(Connection.from_environment()) as muster:
        _show(muster.post("/v1/customers", given), as_json=as_json)


def edit(
    customer_id: _Id,
    first: _Name = None,
    last: _Name = None,
    number: _Numbers = None,
    allow: _Allow = None,
    consent: _Consent = None,
    tag: Annotated[list[str] | None, typer.Option(help="add a tag")] = None,
    no_tag: Annotated[list[str] | None, typer.Option(help="take a tag away")] = None,
    field: _Fields = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Change what is named of a customer; numbers replace all that there are. Refused if somebody else changes them at
    the same time."""
    given = _given(first_name=first, last_name=last, numbers=number, allow_bulk_sms=allow, consent=consent)
    pairs = _pairs(field or ())
    if not (given or tag or no_tag or pairs):
        raise typer.BadParameter("name something to change, such as --last")
    with Muster(Connection.from_environment()) as muster:
        path = f"/v1/customers/{customer_id}"
        now = muster.get(path)
        if tag or no_tag:
            kept = [one for one in now["tags"] if one not in (no_tag or ())]
            given["tags"] = list(dict.fromkeys((*kept, *(tag or ()))))
        if pairs:
            given["own_fields"] = {**now["own_fields"], **pairs}
        _show(muster.patch(path, given, if_match=f'"{now["version"]}"'), as_json=as_json)


def archive(customer_id: _Id, as_json: AsJson = False) -> None:  # noqa: FBT002
    """Put a customer away: nobody texts them any more."""
    with Muster(Connection.from_environment()) as muster:
        _show(muster.post(f"/v1/customers/{customer_id}/archive"), as_json=as_json)


def unarchive(customer_id: _Id, as_json: AsJson = False) -> None:  # noqa: FBT002
    """Take a customer back from the archive."""
    with Muster(Connection.from_environment()) as muster:
        _show(muster.post(f"/v1/customers/{customer_id}/unarchive"), as_json=as_json)


def merge(
    kept: Annotated[int, typer.Argument(help="the customer who stays")],
    gone: Annotated[int, typer.Argument(help="the same person, whose numbers and tags the other one gets")],
    yes: Yes = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Make one customer of two; of both words on consent the stricter holds. It cannot be undone."""
    need_answer(yes=yes)
    with Muster(Connection.from_environment()) as muster:
        if not yes:
            names = [_row(muster.get(f"/v1/customers/{one}"))["name"] for one in (gone, kept)]
            ask(f"Merge {gone} ({names[0]}) into {kept} ({names[1]}), for good?", yes=yes)
        _show(muster.post(f"/v1/customers/{kept}/merge", {"customer_id": gone}), as_json=as_json)


def remove(customer_id: _Id, yes: Yes = False, as_json: AsJson = False) -> None:  # noqa: FBT002
    """Remove a customer, for good. Opt-outs of their numbers stay, and so does what they were sent and wrote; `erase`
    has them forgotten everywhere."""
    ask(f"Remove customer {customer_id} for good?", yes=yes)
    with Muster(Connection.from_environment()) as muster:
        muster.delete(f"/v1/customers/{customer_id}")
        show({"id": customer_id, "removed": True}, as_json=as_json)


def changes(customer_id: _Id, as_json: AsJson = False) -> None:  # noqa: FBT002
    """Who has changed what of a customer, the oldest first; without the values, and without imports."""
    with Muster(Connection.from_environment()) as muster:
        rows = muster.pages(f"/v1/customers/{customer_id}/changes")
        show_rows(rows, ("version", "fields", "changed_at", "changed_by"), as_json=as_json)


def erase(
    customer_id: _Id,
    ground: Annotated[
        str, typer.Option(help="asked, consent_withdrawn, no_longer_needed, objected, unlawful or legal_duty")
    ] = "asked",
    yes: Yes = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Erase a person everywhere, for good: gone at once here, within the hour in every service."""
    ask(f"Erase customer {customer_id} for good?", yes=yes)
    with Muster(Connection.from_environment()) as muster:
        show(muster.post(f"/v1/customers/{customer_id}/erasure", {"ground": ground}), as_json=as_json)


def erase_number(
    number: Annotated[str, typer.Argument(help="of somebody who only wrote, or was texted by number; no customer's")],
    ground: Annotated[str, typer.Option(help="as of `erase`")] = "asked",
    yes: Yes = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Erase whoever has a number that no customer has."""
    ask(f"Erase whoever has {number} for good?", yes=yes)
    with Muster(Connection.from_environment()) as muster:
        show(muster.post("/v1/erasures", {"number": number, "ground": ground}), as_json=as_json)


def erasures(
    erasure: Annotated[str | None, typer.Argument(metavar="[ID]", help="this one alone")] = None,
    state: Annotated[str | None, typer.Option(help="running or done")] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Erasures, the newest first, and which services have not confirmed."""
    columns = ("id", "customer_ids", "ground", "state", "asked_at", "asked_by", "deadline_at", "missing")
    with Muster(Connection.from_environment()) as muster:
        if erasure is not None:
            one = muster.get(f"/v1/erasures/{segment(erasure)}")
            show(one if as_json else {name: _with_missing(one)[name] for name in columns}, as_json=as_json)
            return
        rows = muster.pages("/v1/erasures", state=state)
        show_rows(rows if as_json else map(_with_missing, rows), columns, as_json=as_json)


def _with_missing(row: dict[str, Any]) -> dict[str, Any]:
    missing = [one["service"] for one in row["services"] if one["confirmed_at"] is None]
    return {**row, "missing": ", ".join(missing)}


def searches(
    name: Annotated[str | None, typer.Argument(help="this one alone")] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Saved searches."""
    with Muster(Connection.from_environment()) as muster:
        if name is not None:
            show(muster.get(f"/v1/searches/{segment(name)}"), as_json=as_json)
            return
        show_rows(muster.pages("/v1/searches"), ("name", "query", "changed_at"), as_json=as_json)


def save_search(
    name: Annotated[str, typer.Argument(help="a new name, or one that is to mean something else")],
    query: _Query,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Keep a query under a name."""
    with Muster(Connection.from_environment()) as muster:
        show(muster.put(f"/v1/searches/{segment(name)}", {"query": query}), as_json=as_json)


def forget_search(
    name: Annotated[str, typer.Argument(help="as `muster customers searches` shows it")],
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Forget a saved search; the customers stay."""
    with Muster(Connection.from_environment()) as muster:
        muster.delete(f"/v1/searches/{segment(name)}")
        show({"search": name, "forgotten": True}, as_json=as_json)


def fields(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Own fields, and what each holds."""
    with Muster(Connection.from_environment()) as muster:
        show_rows(muster.pages("/v1/own-fields"), ("key", "name", "kind"), as_json=as_json)


def define_field(
    key: Annotated[str, typer.Argument(help="as merge fields write it, such as last_visit")],
    kind: Annotated[str, typer.Argument(help="text, date, number, or free: a text with line breaks")],
    name: Annotated[str | None, typer.Option(help="what people call it; else the key")] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Say what the values of an own field are."""
    with Muster(Connection.from_environment()) as muster:
        body = {"name": name or key, "kind": kind}
        show(muster.put(f"/v1/own-fields/{segment(key)}", body), as_json=as_json)


def forget_field(
    key: Annotated[str, typer.Argument(help="as `muster customers fields` shows it")],
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Forget what an own field is; its values stay with the customers, as texts."""
    with Muster(Connection.from_environment()) as muster:
        muster.delete(f"/v1/own-fields/{segment(key)}")
        show({"key": key, "forgotten": True}, as_json=as_json)


def _given(**members: Any) -> dict[str, Any]:
    return {name: value for name, value in members.items() if value is not None}


def _pairs(written: Sequence[str]) -> dict[str, str]:
    pairs = dict(one.partition("=")[::2] for one in written)
    if any("=" not in one for one in written):
        raise typer.BadParameter("write an own field as NAME=VALUE", param_hint="--field")
    return pairs


def _row(customer: dict[str, Any]) -> dict[str, Any]:
    return {
        **customer,
        "name": f"{customer['first_name']} {customer['last_name']}".strip(),
        "numbers": ", ".join(one["number"] for one in customer["numbers"]),
        "tags": ", ".join(customer["tags"]),
    }


def _show(customer: dict[str, Any], *, as_json: bool) -> None:
    numbers = ", ".join(f"{one['number']} ({one['kind'].replace('_', ' ')})" for one in customer["numbers"])
    own = ", ".join(f"{name}: {value}" for name, value in customer["own_fields"].items())
    shown = {**_row(customer), "numbers": numbers, "own_fields": own}
    kept = ("id", "name", "numbers", "allow_bulk_sms", "consent", "opted_out", "language", "time_zone", "tags")
    more = ("own_fields", "version", "changed_at", "archived_at", "merged_into")
    show(customer if as_json else {name: shown[name] for name in (*kept, *more)}, as_json=as_json)
