"""What is set of PostgreSQL: in production it is checked who answers, or somebody has said that it need not be."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from muster.kit.settings import PostgresSettings, load

FAR = "postgresql://credit_app:hunter2@db.internal:5432/credit"
VERIFIED = {"MUSTER_POSTGRES_TLS": "verify-full"}


def told(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> PostgresSettings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return load(PostgresSettings)


WRONG = {
    "nothing said of another machine": (
        {"MUSTER_DATABASE_APP": FAR},
        "MUSTER_DATABASE_APP leads to another machine, .*: set MUSTER_POSTGRES_TLS to verify-full",
    ),
    "an administrator's address that is not checked": ({"MUSTER_POSTGRES": FAR}, "MUSTER_POSTGRES leads to another"),
    "TLS with nobody checked": ({"MUSTER_DATABASE_WORKER": f"{FAR}?sslmode=require"}, "nothing says that it is"),
    "one of several hosts": ({"MUSTER_DATABASE_APP": "postgresql://x@127.0.0.1:1,db:2/x"}, "leads to another machine"),
    "a host in the query": ({"MUSTER_DATABASE_APP": "postgresql:///x?host=db"}, "leads to another machine"),
    "said twice": (
        VERIFIED | {"MUSTER_DATABASE_APP": f"{FAR}?sslmode=disable&sslrootcert=/a"},
        "MUSTER_DATABASE_APP says sslmode, sslrootcert beside MUSTER_POSTGRES_TLS: leave it out of the address",
    ),
    "an authority that nothing uses": ({"MUSTER_POSTGRES_CA": "/a"}, "MUSTER_POSTGRES_TLS=verify-full alone"),
    "an authority in the clear": (
        {"MUSTER_POSTGRES_CA": "/a", "MUSTER_POSTGRES_TLS": "disable"},
        "MUSTER_POSTGRES_TLS=verify-full alone",
    ),
    "a file that is not there": (
        VERIFIED | {"MUSTER_POSTGRES_CA": "/no/such"},
        "MUSTER_POSTGRES_CA=/no/such cannot be used: .*No such file",
    ),
    "a word that is none": ({"MUSTER_POSTGRES_TLS": "prefer"}, "'verify-full' or 'disable'"),
}


@pytest.mark.parametrize(("variables", "says"), WRONG.values(), ids=WRONG)
def test_what_leaves_open_who_answers_is_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], says: str
) -> None:
    with pytest.raises(ValidationError, match=says) as refused:
        told(monkeypatch, variables)
    assert "hunter2" not in str(refused.value)


GOOD = {
    "checked": VERIFIED | {"MUSTER_DATABASE_APP": FAR},
    "checked by the address": {"MUSTER_DATABASE_APP": f"{FAR}?sslmode=verify-full"},
    "said otherwise": {"MUSTER_POSTGRES_TLS": "disable", "MUSTER_POSTGRES": FAR},
    "this machine": {
        "MUSTER_DATABASE_APP": "postgresql://x@127.0.0.1:5432/x",
        "MUSTER_POSTGRES": "postgresql://[::1]/",
    },
    "a socket of this machine": {"MUSTER_DATABASE_APP": "postgresql:///x?host=/run/postgresql"},
    "no production": {"MUSTER_ENVIRONMENT": "development", "MUSTER_DATABASE_APP": FAR},
}


@pytest.mark.parametrize("variables", GOOD.values(), ids=GOOD)
def test_what_is_checked_or_near_or_said_otherwise_is_taken(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    assert told(monkeypatch, variables).environment in ("production", "development")


def test_tls_checks_the_name_by_the_authority_that_is_named_and_disable_is_in_the_clear(
    monkeypatch: pytest.MonkeyPatch, certificate: Path
) -> None:
    assert told(monkeypatch, {}).tls is None, "as the address says"
    context = told(monkeypatch, VERIFIED | {"MUSTER_POSTGRES_CA": str(certificate)}).tls
    assert context
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1
    monkeypatch.delenv("MUSTER_POSTGRES_CA")
    assert told(monkeypatch, {"MUSTER_POSTGRES_TLS": "disable"}).tls is False
