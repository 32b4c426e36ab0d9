"""`muster login`: who the command speaks as from then on, and that a secret is nobody else's to read."""

import io
import json
import stat
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from muster.client import api as client_api
from muster.client import profiles
from muster.client.api import Connection
from muster.client.commands import main, signing
from muster.client.errors import NotConnected
from muster.client.exits import ExitCode

URL = "https://muster.example"
TENANT = {"id": "t-1", "name": "Salon", "country": "AU", "time_zone": "Australia/Sydney"}
USER = {"id": "u-1", "email": "kim@salon.example", "name": "Kim", "role": "manager"}
PASSWORD = "seven teal umbrellas"
Run = Callable[..., tuple[int, str, str]]


class Muster:
    """Sign-in as the API does it."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, Any]] = []
        self.businesses = [TENANT]
        self.role = "manager"

    def __call__(self, request: httpx.Request) -> httpx.Response:
        body = json.loads(request.content) if request.content else None
        self.asked.append((request.method, request.url.path, body))
        match request.method, request.url.path:
            case "POST", "/v1/sessions":
                return self._sign_in(body)
            case "POST", "/v1/token":
                return httpx.Response(200, json={"access_token": "a", "expires_in": 60})
            case "GET", "/v1/me":
                me = {"user": USER, "tenant": TENANT, "role": self.role, "session_id": None}
                return httpx.Response(200, json=me)
            case "DELETE", "/v1/sessions/current":
                return httpx.Response(204)
        return httpx.Response(404, json={"title": "Not found"})

    def _sign_in(self, body: dict[str, str]) -> httpx.Response:
        if body["password"] != PASSWORD:
            return httpx.Response(401, json={"title": "E-mail address or password is not right", "code": "wrong"})
        if len(self.businesses) > 1 and "tenant_id" not in body:
            return httpx.Response(409, json={"code": "choose_tenant", "tenants": self.businesses})
        return httpx.Response(201, json={"session_token": f"s-{body.get('tenant_id', '')}"})


@pytest.fixture
def muster(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Muster:
    answers = Muster()
    transport = httpx.MockTransport(answers)
    real = client_api.Muster

    def post(url: str, **given: Any) -> httpx.Response:
        with httpx.Client(transport=transport) as client:
            return client.post(url, **given)

    monkeypatch.setattr(signing, "Muster", lambda connection: real(connection, transport=transport))
    monkeypatch.setattr(signing.httpx, "post", post)
    monkeypatch.setenv("MUSTER_CONFIG", str(tmp_path / "config"))
    for name in ("MUSTER_URL", "MUSTER_CLIENT_ID", "MUSTER_CLIENT_SECRET", "MUSTER_VAR", "MUSTER_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.chdir(tmp_path)
    return answers


@pytest.fixture
def run(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, muster: Muster) -> Run:
    def command(*arguments: str, given: str = "") -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        with pytest.raises(SystemExit) as ended:
            main(arguments)
        return int(ended.value.code or 0), *capsys.readouterr()

    return command


def sign_in(run: Run, *more: str, given: str = f"{PASSWORD}\n") -> tuple[int, str, str]:
    return run(*more, "login", "--url", URL, "--email", USER["email"], "--password-stdin", "--json", given=given)


def test_who_signs_in_is_whom_the_command_speaks_as_from_then_on(run: Run, muster: Muster) -> None:
    code, out, _ = sign_in(run)
    assert (code, json.loads(out)["role"], json.loads(out)["business"]) == (0, "manager", "Salon")
    assert Connection.from_environment() == Connection(URL, session_token="s-")
    _, out, _ = run("whoami", "--json")
    assert json.loads(out)["user"] == USER["email"]
    assert muster.asked[-2] == ("POST", "/v1/token", {"grant_type": "refresh_token", "refresh_token": "s-"})


def test_what_is_kept_its_owner_alone_may_read_and_it_holds_no_password(run: Run, tmp_path: Path) -> None:
    sign_in(run)
    file = tmp_path / "config" / profiles.FILE
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700
    assert PASSWORD not in file.read_text()
    assert [path.name for path in file.parent.iterdir()] == [profiles.FILE]


def test_a_wrong_password_says_so_and_keeps_nothing(run: Run) -> None:
    code, _, err = sign_in(run, given="not this one\n")
    assert (code, profiles.names()) == (ExitCode.NOT_CONNECTED, [])
    assert "E-mail address or password is not right" in err


def test_an_address_of_several_businesses_is_asked_for_which(run: Run, muster: Muster) -> None:
    muster.businesses = [TENANT, {**TENANT, "id": "t-2", "name": "Spa"}]
    code, _, err = sign_in(run, given=f"{PASSWORD}\n2\n")
    assert (code, Connection.from_environment().session_token) == (0, "s-t-2")
    assert "Spa" in err


def test_profiles_are_told_apart_by_name_and_an_unknown_one_says_how_to_make_it(
    run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    sign_in(run, "--profile", "salon")
    run("--profile", "key", "login", "--url", URL, "--api-key", "mk_1", "--password-stdin", given="secret\n")
    assert profiles.names() == ["key", "salon"]
    assert Connection.from_environment().client_id == "mk_1"
    monkeypatch.setenv("MUSTER_PROFILE", "salon")
    assert Connection.from_environment().session_token == "s-"
    monkeypatch.setenv("MUSTER_PROFILE", "spa")
    with pytest.raises(NotConnected, match="muster login --profile spa"):
        Connection.from_environment()


def test_an_operators_profile_is_for_the_operators_commands_and_for_no_other(run: Run, muster: Muster) -> None:
    muster.role = "operator"
    sign_in(run)
    assert Connection.from_environment(operator=True).session_token == "s-"
    with pytest.raises(NotConnected, match="muster login"):
        Connection.from_environment()


def test_signing_out_ends_the_session_and_forgets_the_profile(run: Run, muster: Muster) -> None:
    sign_in(run)
    code, _, _ = run("logout")
    assert (code, profiles.names()) == (0, [])
    assert muster.asked[-1][:2] == ("DELETE", "/v1/sessions/current")
    code, _, err = run("logout")
    assert code == ExitCode.NOT_CONNECTED
    assert "there is no profile default" in err


def test_a_file_that_is_no_list_of_profiles_is_named(run: Run, tmp_path: Path) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / profiles.FILE).write_text("[]")
    code, _, err = run("whoami")
    assert code == ExitCode.NOT_CONNECTED
    assert profiles.FILE in err


def test_what_the_environment_says_goes_before_any_profile(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    sign_in(run)
    for name in ("URL", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.setenv(f"MUSTER_{name}", "given")
    assert Connection.from_environment().client_id == "given"
