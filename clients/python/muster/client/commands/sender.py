"""`muster sender`: the senders of one's own business, and the register of all of them for operators."""

from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote

import typer

from muster.client.api import Connection, Muster
from muster.client.commands.arguments import TenantId
from muster.client.commands.output import AsJson, show, show_rows

app = typer.Typer(no_args_is_help=True, help="Numbers and names that businesses send by.")

_COLUMNS = (
    "tenant_id",
    "sender",
    "kind",
    "standing",
    "until",
    "registration",
    "receives_replies",
    "reason",
    "warnings",
)

Sender = Annotated[str, typer.Argument(help="a number in E.164, or a name")]
Reason = Annotated[str, typer.Option(help="why, for the audit log, and for the business")]


class Registration(StrEnum):
    """How a sender stands with the register of names."""

    UNREGISTERED = "unregistered"
    PENDING = "pending"
    REGISTERED = "registered"
    REJECTED = "rejected"


class Standing(StrEnum):
    """Whether its business has it."""

    ACTIVE = "active"
    LEASED = "leased"
    QUARANTINED = "quarantined"
    FREE = "free"
    WITHHELD = "withheld"


@app.callback()
def describe() -> None:
    """Numbers and names that businesses send by."""


@app.command("list")
def list_all(
    operator: Annotated[bool, typer.Option("--all", help="of all businesses, for operators")] = False,  # noqa: FBT002
    tenant: Annotated[str | None, typer.Option(help="of this business; with --all")] = None,
    standing: Annotated[Standing | None, typer.Option(help="only those that stand so")] = None,
    registration: Annotated[Registration | None, typer.Option(help="only those that are registered so")] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Senders, how they stand, and what phones make of them."""
    with Muster(Connection.from_environment(operator=operator)) as muster:
        rows = muster.pages("/v1/senders", tenant_id=tenant, standing=standing, registration=registration)
        show_rows(rows if as_json else _rows(rows), _COLUMNS, as_json=as_json)


@app.command()
def give(
    tenant_id: TenantId,
    sender: Sender,
    reason: Reason,
    replies: Annotated[bool, typer.Option(help="what is written to the number comes to us")] = True,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Give a business a number or a name, besides those it has."""
    body: dict[str, Any] = {"tenant_id": tenant_id, "sender": sender, "reason": reason}
    if not replies:
        body["receives_replies"] = False
    with Muster(Connection.from_environment(operator=True)) as muster:
        show(muster.post("/v1/senders", body), as_json=as_json)


@app.command()
def register(
    tenant_id: TenantId,
    sender: Sender,
    state: Annotated[Registration, typer.Argument(help="how it stands")],
    reference: Annotated[str, typer.Option(help="under which the register keeps it")] = "",
    reason: Annotated[str, typer.Option(help="why it was rejected; its business is told")] = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Say how a sender stands with the register of names; nothing is sent by one that was rejected."""
    body = {"registration": str(state), "reference": reference, "reason": reason}
    with Muster(Connection.from_environment(operator=True)) as muster:
        show(muster.put(_path(tenant_id, sender, "registration"), body), as_json=as_json)


@app.command()
def release(tenant_id: TenantId, sender: Sender, reason: Reason, as_json: AsJson = False) -> None:  # noqa: FBT002
    """Take a sender from a business: replies reach it until 30 days after its last marketing, then nobody has it."""
    with Muster(Connection.from_environment(operator=True)) as muster:
        show(muster.post(_path(tenant_id, sender, "release"), {"reason": reason}), as_json=as_json)


def _rows(rows: Iterator[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for row in rows:
        yield {**row, "warnings": ", ".join(one["code"] for one in row["warnings"])}


def _path(*segments: str) -> str:
    return "/".join(("/v1/senders", *(quote(one, safe="") or "-" for one in segments)))
