"""`muster sender`: what is typed becomes a request, as the business or as the operator."""

from typing import Any

import pytest
from typer.testing import CliRunner

import muster.client.commands.sender as command
from muster.client.commands.sender import Registration, Standing
from muster.dispatch.domain import senders as domain

TENANT = "018f4d7e-0000-7000-8000-00000000a001"
SENDER = {
    "tenant_id": TENANT, "sender": "Salon", "kind": "name", "standing": "active", "until": None,
    "registration": "unregistered", "receives_replies": False, "reason": "",
    "warnings": [{"code": "shown_unverified", "message": "shown as Unverified"}],
}  # fmt: skip


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (
            ["give", TENANT, "Salon", "--reason", "asked", "--no-replies"],
            (
                "POST",
                "/v1/senders",
                {"tenant_id": TENANT, "sender": "Salon", "reason": "asked", "receives_replies": False},
            ),
        ),
        (
            ["register", TENANT, "+61400000001", "rejected", "--reason", "not yours"],
            (
                "PUT",
                f"/v1/senders/{TENANT}/%2B61400000001/registration",
                {"registration": "rejected", "reference": "", "reason": "not yours"},
            ),
        ),
        (["release", TENANT, "A/B", "--reason", "x"], ("POST", f"/v1/senders/{TENANT}/A%2FB/release", {"reason": "x"})),
        (["list"], ("GET", "/v1/senders", {"tenant_id": None, "standing": None, "registration": None})),
        (
            ["list", "--all", "--tenant", TENANT, "--standing", "leased", "--registration", "pending"],
            ("GET", "/v1/senders", {"tenant_id": TENANT, "standing": "leased", "registration": "pending"}),
        ),
    ],
)
def test_a_command_asks_the_api_for_what_it_says(monkeypatch: pytest.MonkeyPatch, words: list[str], asked: Any) -> None:
    said: list[Any] = []
    for verb in ("post", "put"):
        monkeypatch.setattr(
            command.Muster, verb, lambda _, path, body, v=verb: said.append((v.upper(), path, body)) or SENDER
        )
    monkeypatch.setattr(
        command.Muster, "pages", lambda _, path, **query: said.append(("GET", path, query)) or iter([SENDER])
    )
    for name in ("URL", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.setenv(f"MUSTER_{name}", "http://127.0.0.1:1")

    ran = CliRunner().invoke(command.app, words)

    assert (ran.exit_code, said) == (0, [asked]), ran.output
    assert ("shown_unverified" if words[0] == "list" else "shown as Unverified") in ran.output


def test_the_command_knows_every_standing_and_registration() -> None:
    assert [*map(str, Standing)] == [*map(str, domain.Standing)]
    assert [*map(str, Registration)] == [*map(str, domain.Registration)]
