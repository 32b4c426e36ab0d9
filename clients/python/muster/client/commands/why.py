"""`muster why`: why somebody got a send, or did not; and `muster customers messages`: all that a customer got."""

from itertools import islice
from typing import Annotated, Any, Final
from urllib.parse import quote

import typer

from muster.client.api import Connection, Muster
from muster.client.commands.output import AsJson, show, show_rows
from muster.client.errors import ApiError

_COLUMNS: Final = ("at", "kind", "text", "became", "reason", "customer_id", "bulk_id")
_ID_DIGITS_MAX: Final = 18


def why(
    bulk_id: Annotated[str, typer.Argument(help="the send, by its id")],
    who: Annotated[str, typer.Argument(help="a customer, by id, or a number as people write it, such as 0412345678")],
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Why somebody got a send, or did not, and what became of the message."""
    path = f"/v1/bulk-sms/{quote(bulk_id, safe='')}/customers"
    with Muster(Connection.from_environment()) as muster:
        if _is_id(who):
            show(_with_status(muster, muster.get(f"{path}/{who}")), as_json=as_json)
            return
        told = [_with_status(muster, one) for one in muster.get(path, number=who)["items"]]
    if as_json:
        show({"items": told}, as_json=True)
    elif not told:
        print("Nobody has this number.")
    for one in [] if as_json else told:
        show(one, as_json=False)


def messages(
    customer_id: Annotated[int, typer.Argument(help="as `muster customers list` shows it")],
    left_out: Annotated[bool, typer.Option(help="also the sends that they are out of")] = False,  # noqa: FBT002
    limit: Annotated[int, typer.Option(min=1, help="no more than so many")] = 100,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """The messages of a customer, the newest first, those for others who share their number too."""
    with Muster(Connection.from_environment()) as muster:
        asked = {"left_out": left_out or None, "limit": min(limit, 500)}
        rows = islice(muster.pages(f"/v1/customers/{customer_id}/messages", **asked), limit)
        show_rows(rows, _COLUMNS, as_json=as_json)


def _is_id(who: str) -> bool:
    """A number is written with a zero or a plus in front."""
    return who.isascii() and who.isdigit() and not who.startswith("0") and len(who) <= _ID_DIGITS_MAX


def _with_status(muster: Muster, told: dict[str, Any]) -> dict[str, Any]:
    """With what the report says of the message, which knows its receipt; without where it does not know it yet."""
    if told["report"] is None:
        return told
    try:
        return {**told, "status": muster.get(told["report"])["status"]}
    except ApiError as refused:
        if refused.status != 404:
            raise
        return told
