"""Settings: one frozen class, read from MUSTER_* variables (or files of the same names in MUSTER_SECRETS_DIR).

Each service subclasses ServiceSettings in its settings.py and adds its own limits, prefixed by its name
(`dispatch_window: int` is MUSTER_DISPATCH_WINDOW). Units are the last word of a name. Secrets are SecretStr: they never
show in a repr, a log or an error.
"""

import os
from typing import Literal, Self, TypeVar

from pydantic import Field, SecretStr, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from muster.kit.broker import PLAINTEXT, Broker, Mechanism, Security
from muster.kit.pg_tls import VERIFY_FULL, Mode, Tls, is_safe, said, tls_of

_CONFIG = SettingsConfigDict(
    env_prefix="MUSTER_", frozen=True, extra="ignore", hide_input_in_errors=True, str_strip_whitespace=True
)


class HttpSettings(BaseSettings):
    """Limits of the HTTP edge. Every one has a default, so that an app can be built for its OpenAPI document alone."""

    model_config = _CONFIG

    environment: Literal["production", "development"] = "production"
    http_host: str = "127.0.0.1"
    http_port: int = Field(default=8000, ge=0, le=65535)
    http_backlog: int = Field(default=512, ge=1)
    http_in_flight_max: int = Field(default=200, ge=1)
    http_body_bytes_max: int = Field(default=1 << 20, ge=1)
    http_request_timeout_s: float = Field(default=30.0, gt=0)
    http_keep_alive_s: int = Field(default=130, ge=1, description="longer than the proxy keeps an idle connection")
    http_stop_s_max: int = Field(default=10, ge=1)


class ProcessSettings(HttpSettings):
    """What every process reads, also one that has neither a database nor Kafka."""

    metrics_host: str = "127.0.0.1"
    metrics_port: int = Field(default=9000, ge=0, le=65535)
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    stop_s_max: float = Field(default=30.0, gt=0, le=30.0)
    alive_s_max: float = Field(default=10.0, gt=0, description="the loop must have turned within this time")

    otlp_url: str = Field(default="", description="where spans go: http(s)://host:4318/v1/traces; empty: nowhere")
    otlp_timeout_s: float = Field(default=5.0, gt=0, le=30)
    otlp_spans_max: int = Field(default=8_192, ge=1, description="how many wait for the collector; more are dropped")
    trace_ratio: float = Field(default=1.0, ge=0, le=1, description="the share of traces that are recorded")

    base_url: str = "http://127.0.0.1:8000"

    failpoint: str = Field(default="", description="<point>:exit, :stop or :sleep=<s>; in development alone")

    @model_validator(mode="after")
    def _spans_go_to_an_address(self) -> Self:
        if self.otlp_url and not self.otlp_url.startswith(("http://", "https://")):
            raise ValueError("MUSTER_OTLP_URL must be like http://collector:4318/v1/traces")
        return self

    @model_validator(mode="after")
    def _no_failpoint_in_production(self) -> Self:
        if self.failpoint and self.environment == "production":
            raise ValueError("a failpoint is armed in production")
        return self


class KafkaSettings(BaseSettings):
    """Where Kafka is and what it asks of its clients. What contradicts is refused: a password that nothing uses is the
    sign of a connection that somebody took for a safe one."""

    model_config = _CONFIG

    kafka: str = "127.0.0.1:9092"
    kafka_security: Security = PLAINTEXT
    kafka_mechanism: Mechanism = "SCRAM-SHA-512"
    kafka_user: str = ""
    kafka_password: SecretStr = SecretStr("")
    kafka_ca: str = Field(default="", description="file of authorities (PEM); those of the system unless given")
    kafka_certificate: str = Field(default="", description="file of the certificate that this client shows (PEM)")
    kafka_key: str = Field(default="", description="file of its key, where the certificate's has none")

    @property
    def broker(self) -> Broker:
        """What every client of Kafka is made by."""
        return Broker(
            addresses=self.kafka,
            security=self.kafka_security,
            mechanism=self.kafka_mechanism,
            user=self.kafka_user,
            password=self.kafka_password.get_secret_value(),
            ca=self.kafka_ca,
            certificate=self.kafka_certificate,
            key=self.kafka_key,
        )

    @model_validator(mode="after")
    def _says_one_thing_of_kafka(self) -> Self:
        named = bool(self.kafka_user), bool(self.kafka_password.get_secret_value())
        if self.kafka_security == "SASL_SSL" and not all(named):
            raise ValueError("MUSTER_KAFKA_SECURITY is SASL_SSL: set MUSTER_KAFKA_USER and MUSTER_KAFKA_PASSWORD too")
        if self.kafka_security != "SASL_SSL" and any(named):
            raise ValueError(
                f"MUSTER_KAFKA_SECURITY is {self.kafka_security}, which uses no name or password: set it to SASL_SSL,"
                " or leave MUSTER_KAFKA_USER and MUSTER_KAFKA_PASSWORD out"
            )
        if self.kafka_key and not self.kafka_certificate:
            raise ValueError("MUSTER_KAFKA_KEY is of no use alone: set MUSTER_KAFKA_CERTIFICATE too")
        return self

    @model_validator(mode="after")
    def _has_files_of_kafka(self) -> Self:
        files = {"CA": self.kafka_ca, "CERTIFICATE": self.kafka_certificate}
        if self.kafka_security == PLAINTEXT and any(files.values()):
            raise ValueError(
                "MUSTER_KAFKA_SECURITY is PLAINTEXT, which uses no certificates: set it to SSL or SASL_SSL, or leave"
                " MUSTER_KAFKA_CA and MUSTER_KAFKA_CERTIFICATE out"
            )
        try:
            self.broker.context()
        except OSError as error:
            given = ", ".join(f"MUSTER_KAFKA_{name}={path}" for name, path in files.items() if path)
            raise ValueError(f"{given} cannot be used: {error}") from error
        return self


class PostgresSettings(ProcessSettings):
    """Where PostgreSQL is and how it is spoken to. In production it is checked, unless somebody says that it is not."""

    postgres: SecretStr | None = Field(default=None, description="administrator's address; `migrate` alone has it")
    database_app: SecretStr = SecretStr("")
    database_worker: SecretStr = SecretStr("")
    postgres_tls: Mode | None = Field(
        default=None, description="verify-full: certificate and name are checked; disable: in the clear"
    )
    postgres_ca: str = Field(default="", description="file of authorities (PEM); those of the system unless given")

    @property
    def tls(self) -> Tls:
        """What every connection to PostgreSQL is made with."""
        return tls_of(self.postgres_tls, self.postgres_ca)

    @model_validator(mode="after")
    def _says_one_thing_of_postgres(self) -> Self:
        if self.postgres_ca and self.postgres_tls != VERIFY_FULL:
            raise ValueError(
                "MUSTER_POSTGRES_CA is used by MUSTER_POSTGRES_TLS=verify-full alone: set that, or leave it out"
            )
        try:
            _ = self.tls
        except OSError as error:
            raise ValueError(f"MUSTER_POSTGRES_CA={self.postgres_ca} cannot be used: {error}") from error
        for name, address in self._addresses().items():
            if self.postgres_tls and (beside := said(address)):
                raise ValueError(
                    f"{name} says {', '.join(sorted(beside))} beside MUSTER_POSTGRES_TLS: leave it out of the address"
                )
            if self.environment == "production" and not self.postgres_tls and not is_safe(address):
                raise ValueError(
                    f"{name} leads to another machine, and nothing says that it is checked who answers there: set"
                    " MUSTER_POSTGRES_TLS to verify-full (and MUSTER_POSTGRES_CA to the file of your authority), or to"
                    " disable where nobody else reaches the network between"
                )
        return self

    def _addresses(self) -> dict[str, str]:
        given = {
            "MUSTER_POSTGRES": self.postgres,
            "MUSTER_DATABASE_APP": self.database_app,
            "MUSTER_DATABASE_WORKER": self.database_worker,
        }
        return {name: one.get_secret_value() for name, one in given.items() if one and one.get_secret_value()}


class ServiceSettings(PostgresSettings, KafkaSettings):
    """What every process of every service reads."""

    kafka_session_timeout_ms: int = Field(
        default=45_000,
        ge=1_000,
        le=300_000,
        description="a dead consumer is replaced after this; one machine wants seconds, a cluster outlasts a restart",
    )
    app_pool_max: int = Field(default=8, ge=1)
    worker_pool_max: int = Field(default=8, ge=1)
    generic_plans: bool = Field(
        default=False, description="plan a worker's statements once for each connection, whatever their arguments"
    )
    pool_wait_ms: int = Field(default=5_000, ge=1, description="longer waits for a connection are answered with 503")
    statement_timeout_ms: int = Field(default=15_000, ge=1)
    lock_timeout_ms: int = Field(default=5_000, ge=1)
    idle_in_transaction_timeout_ms: int = Field(default=30_000, ge=1)

    jwks_url: str = "http://127.0.0.1:8000/.well-known/jwks.json"
    jwks_bytes_max: int = Field(default=65_536, ge=1)
    jwks_timeout_s: float = Field(default=3.0, gt=0)
    jwks_kept_s: int = Field(default=300, ge=1, description="age at which the keys are asked for again")
    jwks_retry_s_min: float = Field(default=10.0, ge=0, description="at most one request for keys in this time")
    token_issuer: str = "muster"  # noqa: S105 - a name
    token_audience: str = "muster"  # noqa: S105 - a name
    token_leeway_s: int = Field(default=60, ge=0, le=60)
    token_bytes_max: int = Field(default=4_096, ge=1)
    token_cache_max: int = Field(default=10_000, ge=1)

    erasure_look_s: float = Field(default=5.0, gt=0, description="a worker looks this often for people to forget")
    idempotency_kept_h: int = Field(default=168, ge=24)
    laws_watch_s: float = Field(
        default=60.0, ge=1, le=86_400, description="a worker checks its laws for the metrics this often"
    )


_Settings = TypeVar("_Settings", bound=BaseSettings)


def load(settings: type[_Settings]) -> _Settings:
    """Read `settings` from the environment and from MUSTER_SECRETS_DIR; ValidationError names what is wrong."""
    return settings(_secrets_dir=os.environ.get("MUSTER_SECRETS_DIR"))


def secret(value: SecretStr | None, name: str) -> str:
    """The text of a secret that must be there; ValueError names the variable, never the value."""
    text = value.get_secret_value() if value else ""
    if not text:
        raise ValueError(f"MUSTER_{name.upper()} is not set")
    return text
