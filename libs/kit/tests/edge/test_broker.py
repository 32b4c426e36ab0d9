"""What is set of Kafka: said whole, or refused with what to do; a password is shown nowhere."""

from pathlib import Path

import pytest
from pydantic import ValidationError

from muster.kit.broker import Broker, connection
from muster.kit.settings import KafkaSettings, load

SASL = {"MUSTER_KAFKA_SECURITY": "SASL_SSL", "MUSTER_KAFKA_USER": "credit"}


def told(monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]) -> KafkaSettings:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return load(KafkaSettings)


WRONG = {
    "no password": (SASL, "set MUSTER_KAFKA_USER and MUSTER_KAFKA_PASSWORD too"),
    "a password that nothing uses": ({"MUSTER_KAFKA_PASSWORD": "x"}, "set it to SASL_SSL, or leave"),
    "a name beside TLS alone": ({"MUSTER_KAFKA_SECURITY": "SSL", "MUSTER_KAFKA_USER": "x"}, "uses no name or password"),
    "an authority in the clear": ({"MUSTER_KAFKA_CA": "/a"}, "set it to SSL or SASL_SSL"),
    "a file that is not there": (
        {"MUSTER_KAFKA_SECURITY": "SSL", "MUSTER_KAFKA_CA": "/no/such"},
        "MUSTER_KAFKA_CA=/no/such cannot be used: .*No such file",
    ),
    "a key without its certificate": ({"MUSTER_KAFKA_SECURITY": "SSL", "MUSTER_KAFKA_KEY": "/a"}, "CERTIFICATE too"),
    "a password that would go in the clear": ({"MUSTER_KAFKA_SECURITY": "SASL_PLAINTEXT"}, "'SSL' or 'SASL_SSL'"),
}


@pytest.mark.parametrize(("variables", "says"), WRONG.values(), ids=WRONG)
def test_settings_of_kafka_that_contradict_are_refused_with_what_to_do(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], says: str
) -> None:
    with pytest.raises(ValidationError, match=says):
        told(monkeypatch, variables)


def test_the_name_and_the_password_come_as_files_and_the_password_is_never_shown(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "MUSTER_KAFKA_USER").write_text("credit\n")
    (tmp_path / "MUSTER_KAFKA_PASSWORD").write_text("long enough\n")
    settings = told(monkeypatch, {"MUSTER_KAFKA_SECURITY": "SASL_SSL", "MUSTER_SECRETS_DIR": str(tmp_path)})
    options = settings.broker.options()
    assert (options["sasl_plain_username"], options["sasl_plain_password"]) == ("credit", "long enough")
    assert "long enough" not in f"{settings!r} {settings.broker!r} {settings.broker}"


def test_a_broker_s_name_and_certificate_are_checked_and_addresses_alone_are_spoken_to_in_the_clear(
    certificate: Path,
) -> None:
    context = Broker("kafka:9093", "SSL", ca=str(certificate), certificate=str(certificate)).context()
    assert context is not None
    assert context.check_hostname
    assert len(context.get_ca_certs()) == 1
    plain = {"bootstrap_servers": "kafka:9092", "security_protocol": "PLAINTEXT", "ssl_context": None}
    assert connection("kafka:9092") == plain
