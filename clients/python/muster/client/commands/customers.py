"""`muster customers`: find one, say where one is; importing.py has the import of files."""

from typing import Annotated

import typer

from muster.client.api import Connection, Muster
from muster.client.commands.output import AsJson, show, show_rows

app = typer.Typer(no_args_is_help=True, help="Customers: list, add, edit, import, consent, erase …")


@app.callback()
def describe() -> None:
    """Customers: list, add, edit, import, consent, erase …"""


@app.command("find")
def find(
    search: Annotated[str, typer.Argument(help="part of a name or of a number")],
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Customers by name or number."""
    with Muster(Connection.from_environment()) as muster:
        rows = (
            {
                **one,
                "name": f"{one['first_name']} {one['last_name']}".strip(),
                "numbers": ", ".join(mobile["number"] for mobile in one["mobiles"]),
            }
            for one in muster.pages("/v1/customers", search=search)
        )
        show_rows(rows, ("id", "name", "numbers", "time_zone"), as_json=as_json)


@app.command("zone")
def zone(
    customer_id: Annotated[int, typer.Argument(help="as `muster customers find` shows it")],
    time_zone: Annotated[str, typer.Argument(help="an IANA name, such as Australia/Perth; none: as the number says")],
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Say in which time zone a customer is: quiet hours and local times go by it."""
    with Muster(Connection.from_environment()) as muster:
        changes = {"time_zone": "" if time_zone == "none" else time_zone}
        found = muster.patch(f"/v1/customers/{customer_id}", changes)
        shown = {name: found[name] for name in ("id", "first_name", "last_name", "time_zone")}
        show(found if as_json else shown, as_json=as_json)
