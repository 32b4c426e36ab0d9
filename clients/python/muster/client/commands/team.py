"""`muster team`, `keys` and `roles`: who may do what for a business, as persons and as programs."""

from typing import Annotated, Any

import typer

from muster.client.api import Connection, Muster
from muster.client.commands.arguments import OfTenant
from muster.client.commands.dialogue import Yes, ask
from muster.client.commands.output import AsJson, show, show_rows
from muster.client.paths import segment

app = typer.Typer(no_args_is_help=True, help="The team: list, invite, change, shut out; for admins and operators.")
keys = typer.Typer(no_args_is_help=True, help="API keys: list, create, revoke; for admins and operators.")

_User = Annotated[str, typer.Argument(metavar="USER", help="an id, as `muster team list` shows it")]
_Role = Annotated[str, typer.Option(help="admin, manager or staff: `muster roles` tells who may do what")]


def roles(as_json: AsJson = False) -> None:  # noqa: FBT002
    """Who may do what: each permission and the roles that have it."""
    with Muster(Connection.from_environment(operator=None)) as muster:
        found = muster.get("/v1/roles")
    if as_json:
        show(found, as_json=True)
        return
    rows = [
        {"permission": one["name"], "who may": one["says"], **dict.fromkeys(one["roles"], "yes")}
        for one in found["permissions"]
    ]
    show_rows(rows, ("permission", "who may", *found["roles"]), as_json=False)


@app.command("list")
def list_users(tenant_id: OfTenant = "", as_json: AsJson = False) -> None:  # noqa: FBT002
    """Users, the oldest first; those without an address are programs."""
    with _of(tenant_id) as muster:
        rows = muster.pages("/v1/users", tenant_id=tenant_id or None)
        show_rows(rows, ("email", "name", "role", "active", "created_at", "id"), as_json=as_json)


@app.command("show")
def show_user(user: _User, tenant_id: OfTenant = "", as_json: AsJson = False) -> None:  # noqa: FBT002
    """One user."""
    with _of(tenant_id) as muster:
        show(muster.get(f"/v1/users/{segment(user)}", tenant_id=tenant_id or None), as_json=as_json)


@app.command("invite")
def invite(
    email: Annotated[str, typer.Argument(help="where the invitation goes")],
    role: _Role,
    name: Annotated[str, typer.Option(help="what they are called; the address unless said")] = "",
    tenant_id: OfTenant = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Make a user, who is sent a link to choose a password by."""
    body = {"email": email, "name": name or email, "role": role}
    with _of(tenant_id) as muster:
        show(muster.post("/v1/users", body | _tenant(tenant_id)), as_json=as_json)


@app.command("invite-again")
def invite_again(
    user: _User,
    link: Annotated[bool, typer.Option("--link", help="print the link, to hand over by another way")] = False,  # noqa: FBT002
    tenant_id: OfTenant = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Send another invitation to a user who has no password yet; one from before ends."""
    path = f"/v1/users/{segment(user)}/{'link' if link else 'invitation'}"
    with _of(tenant_id) as muster:
        show(muster.post(path + _query(tenant_id)), as_json=as_json)


@app.command("change")
def change(
    user: _User,
    role: Annotated[str | None, typer.Option(help="admin, manager or staff")] = None,
    name: Annotated[str | None, typer.Option(help="what they are called")] = None,
    tenant_id: OfTenant = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Give a user another role or name; tokens that they have hold for a minute or two."""
    changes = {key: value for key, value in (("role", role), ("name", name)) if value is not None}
    if not changes:
        raise typer.BadParameter("say what is to change: --role or --name")
    _change(user, changes, tenant_id, as_json=as_json)


@app.command("shut-out")
def shut_out(user: _User, tenant_id: OfTenant = "", as_json: AsJson = False) -> None:  # noqa: FBT002
    """End a user's access; `let-in` gives it again."""
    _change(user, {"active": False}, tenant_id, as_json=as_json)


@app.command("let-in")
def let_in(user: _User, tenant_id: OfTenant = "", as_json: AsJson = False) -> None:  # noqa: FBT002
    """Give a user access again who was shut out."""
    _change(user, {"active": True}, tenant_id, as_json=as_json)


@keys.command("list")
def list_keys(tenant_id: OfTenant = "", as_json: AsJson = False) -> None:  # noqa: FBT002
    """API keys, the oldest first, revoked ones too; never their secrets."""
    with _of(tenant_id) as muster:
        rows = muster.pages("/v1/api-keys", tenant_id=tenant_id or None)
        columns = ("name", "role", "client_id", "created_at", "last_used_at", "expires_at", "revoked_at", "id")
        show_rows(rows, columns, as_json=as_json)


@keys.command("create")
def create_key(
    name: Annotated[str, typer.Argument(help="what it is for")],
    role: _Role,
    expires_at: Annotated[str | None, typer.Option(help="until when it holds, such as 2027-01-01T00:00:00Z")] = None,
    tenant_id: OfTenant = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Make an API key; its secret is shown this once."""
    body = {"name": name, "role": role, **({"expires_at": expires_at} if expires_at else {})}
    with _of(tenant_id) as muster:
        show(muster.post("/v1/api-keys", body | _tenant(tenant_id)), as_json=as_json)


@keys.command("revoke")
def revoke_key(
    key: Annotated[str, typer.Argument(metavar="KEY", help="its id, as `muster keys list` shows it")],
    yes: Yes = False,  # noqa: FBT002
    tenant_id: OfTenant = "",
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """End an API key, for good; tokens that it gave hold until they run out."""
    ask(f"Revoke the key {key}, for good?", yes=yes)
    with _of(tenant_id) as muster:
        muster.delete(f"/v1/api-keys/{segment(key)}{_query(tenant_id)}")
        show({"id": key, "revoked": True}, as_json=as_json)


def _change(user: str, changes: dict[str, Any], tenant_id: str, *, as_json: bool) -> None:
    with _of(tenant_id) as muster:
        show(muster.patch(f"/v1/users/{segment(user)}", changes | _tenant(tenant_id)), as_json=as_json)


def _of(tenant_id: str) -> Muster:
    return Muster(Connection.from_environment(operator=bool(tenant_id)))


def _tenant(tenant_id: str) -> dict[str, str]:
    return {"tenant_id": tenant_id} if tenant_id else {}


def _query(tenant_id: str) -> str:
    return f"?tenant_id={segment(tenant_id)}" if tenant_id else ""
