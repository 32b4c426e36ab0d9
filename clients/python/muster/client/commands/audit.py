"""`muster audit`: who did what, when and why."""

from itertools import islice
from typing import Annotated, Any

import typer

from muster.client.api import Connection, Muster
from muster.client.commands.arguments import OfTenant, moment
from muster.client.commands.output import AsJson, show_rows

COLUMNS = ("at", "says", "who", "role", "subject_id", "reason")


def audit(
    user: Annotated[str | None, typer.Option(help="by this user alone: an id, as `muster team list` shows it")] = None,
    act: Annotated[str | None, typer.Option(help="this one alone, such as bulk-sms.stopped")] = None,
    subject: Annotated[str | None, typer.Option("--on", help="on this alone: the id of a send, a customer …")] = None,
    since: Annotated[str | None, typer.Option("--from", help="from this day or time on: 2026-11-01")] = None,
    until: Annotated[str | None, typer.Option("--to", help="before this day or time")] = None,
    limit: Annotated[int, typer.Option(min=1, help="rows at most")] = 100,
    tenant_id: OfTenant = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Who did what, newest first, for admins; an operator names the business, or sees the platform's own. A day begins
    in UTC."""
    asked = {"user_id": user, "act": act, "subject_id": subject, "from": moment(since), "to": moment(until)}
    tenant = {"tenant_id": tenant_id or None}
    with Muster(Connection.from_environment(operator=bool(tenant_id) or None)) as muster:
        acts = islice(muster.pages("/v1/audit", **asked, **tenant, limit=min(limit, 500)), limit)
        if as_json:
            show_rows(acts, COLUMNS, as_json=True)
            return
        names = {one["id"]: one["email"] or one["name"] for one in muster.pages("/v1/users", **tenant)}
        show_rows([_named(one, names) for one in acts], COLUMNS, as_json=False)


def _named(act: dict[str, Any], names: dict[str, str]) -> dict[str, Any]:
    return {**act, "who": names.get(act["user_id"], act["user_id"]) or "Muster"}
