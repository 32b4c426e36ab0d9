"""`muster login`, `logout`, `whoami`, `password` and `sessions`: as whom the command speaks, kept by name."""

import sys
from typing import Annotated, Any

import httpx
import typer

from muster.client import profiles
from muster.client.api import Connection, Muster
from muster.client.commands.dialogue import typed
from muster.client.commands.output import AsJson, show, show_rows
from muster.client.errors import ApiError, NotConnected
from muster.client.paths import segment
from muster.client.profiles import Profile

sessions = typer.Typer(no_args_is_help=True, help="Where one is signed in: list, end.")

_TIMEOUT_S = 30.0

Url = Annotated[str | None, typer.Option(envvar="MUSTER_URL", help="where Muster is, such as https://muster.example")]
Email = Annotated[str | None, typer.Option(help="sign in by this e-mail address; asked for unless said")]
ApiKey = Annotated[str | None, typer.Option("--api-key", help="or by the API key with this client id")]
FromStdin = Annotated[
    bool, typer.Option("--password-stdin", help="read the password, or the key's secret, from standard input")
]
Business = Annotated[
    str | None, typer.Option("--tenant", help="the business, where the address is a user's of several")
]


def login(
    url: Url = None,
    email: Email = None,
    api_key: ApiKey = None,
    tenant: Business = None,
    password_stdin: FromStdin = False,  # noqa: FBT002
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Sign in by e-mail address and password, or by an API key, and be that from now on, under the name of --profile.

    Example: muster login --url https://muster.example --email kim@salon.example
    """
    if email and api_key:
        raise typer.BadParameter("give an address or an API key", param_hint="--api-key")
    name = _name()
    address = url or _known_url(name) or typed("Address of Muster")
    if api_key:
        profile = Profile(
            address, "", api_key, client_id=api_key, client_secret=_secret("Secret", stdin=password_stdin)
        )
    else:
        email = email or typed("E-mail address")
        password = _secret("Password", stdin=password_stdin)
        profile = _open_session(address, {"email": email, "password": password, "tenant_id": tenant})
    with Muster(Connection.of(profile)) as muster:
        me = muster.get("/v1/me")
    who = me["user"]["email"] or me["user"]["name"]
    profiles.keep(
        name,
        Profile(profile.url, me["role"], who, profile.client_id, profile.client_secret, profile.session_token),
    )
    _show(name, address, me, as_json=as_json)


def logout(as_json: AsJson = False) -> None:  # noqa: FBT002
    """End the session of the profile, and forget the profile."""
    name = _name()
    profile = profiles.named(name)
    if profile.session_token:
        try:
            with Muster(Connection.of(profile)) as muster:
                muster.delete("/v1/sessions/current")
        except ApiError as refused:  # over already, which is what was wanted
            if refused.status not in (400, 401):
                raise
    profiles.forget(name)
    show({"profile": name, "signed_out": True}, as_json=as_json)


def whoami(
    name: Annotated[str | None, typer.Option(help="be called this from now on")] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """As whom the command speaks: user, role and business."""
    connection = Connection.from_environment(operator=None)
    with Muster(connection) as muster:
        me = muster.get("/v1/me") if name is None else muster.patch("/v1/me", {"name": name})
        _show(profiles.chosen_name(), connection.url, me, as_json=as_json)


@sessions.command("list")
def list_sessions(
    user: Annotated[str | None, typer.Option(help="as an admin: of this user, by id")] = None,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Where one is signed in, the newest first."""
    with Muster(Connection.from_environment(operator=None)) as muster:
        rows = muster.get("/v1/sessions", user_id=user)["items"]
        columns = ("seen_at", "address", "user_agent", "current", "created_at", "expires_at", "id")
        show_rows(rows, columns, as_json=as_json)


@sessions.command("end")
def end_session(
    session: Annotated[str, typer.Argument(metavar="SESSION", help="its id, as `muster sessions list` shows it")],
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Sign out there; what it was given holds for a minute or two."""
    with Muster(Connection.from_environment(operator=None)) as muster:
        muster.delete(f"/v1/sessions/{segment(session)}")
        show({"id": session, "ended": True}, as_json=as_json)


def password(
    from_stdin: Annotated[  # noqa: FBT002
        bool,
        typer.Option("--password-stdin", help="read the present and the new one, a line each, from standard input"),
    ] = False,
    as_json: AsJson = False,  # noqa: FBT002
) -> None:
    """Set another password; everybody else who is signed in as this user is signed out."""
    given = {"current_password": _secret("Present password", stdin=from_stdin)}
    given["new_password"] = _secret("New password", stdin=from_stdin)
    if not from_stdin and _secret("New password, once more", stdin=False) != given["new_password"]:
        raise typer.BadParameter("the two new passwords are not the same", param_hint="password")
    with Muster(Connection.from_environment(operator=None)) as muster:
        muster.put("/v1/me/password", given)
        show({"password": "changed"}, as_json=as_json)


def _show(profile: str, url: str, me: dict[str, Any], *, as_json: bool) -> None:
    business = me["tenant"] or {}
    told = {"user": me["user"]["email"] or me["user"]["name"], "role": me["role"], "business": business.get("name", "")}
    show({**told, "tenant_id": business.get("id", ""), "url": url, "profile": profile}, as_json=as_json)


def _name() -> str:
    return profiles.chosen_name() or profiles.current_name()


def _known_url(name: str) -> str:
    return profiles.named(name).url if name in profiles.names() else ""


def _secret(what: str, *, stdin: bool) -> str:
    """What was typed, unseen; from standard input without its final newline."""
    if stdin:
        return sys.stdin.readline().rstrip("\n")
    return str(typer.prompt(what, hide_input=True, err=True))


def _open_session(url: str, asked: dict[str, str | None]) -> Profile:
    """A session; where the address is a user's of several businesses, the user chooses one."""
    body = {name: value for name, value in asked.items() if value}
    try:
        answer = httpx.post(f"{url.rstrip('/')}/v1/sessions", json=body, timeout=_TIMEOUT_S)
        content = answer.json()
    except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
        raise NotConnected(f"{url!r} is not the address of a server: {error}") from error
    except ValueError as error:
        raise NotConnected(f"{url} does not answer as Muster does: HTTP {answer.status_code}") from error
    if answer.status_code == httpx.codes.CONFLICT and content.get("code") == "choose_tenant":
        return _open_session(url, {**asked, "tenant_id": _chosen(content["tenants"])})
    if not answer.is_success:
        raise ApiError(answer.status_code, content, trace_id=answer.headers.get("X-Trace-Id", ""))
    return Profile(url, "", str(asked["email"]), session_token=content["session_token"])


def _chosen(tenants: list[dict[str, str]]) -> str:
    for place, tenant in enumerate(tenants, 1):
        typer.echo(f"{place}  {tenant['name']}  {tenant['id']}", err=True)
    number = typed("Which business")
    if number not in {str(place) for place in range(1, len(tenants) + 1)}:
        raise typer.BadParameter(f"must be 1 to {len(tenants)}", param_hint="business")
    return tenants[int(number) - 1]["id"]
