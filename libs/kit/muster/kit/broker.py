"""How Kafka is spoken to: in the clear, by TLS, or by TLS with a name and a password. Every client is made by this."""

import ssl
from dataclasses import dataclass, field
from typing import Any, Final, Literal

Security = Literal["PLAINTEXT", "SSL", "SASL_SSL"]
Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"]
# Kafka has SASL_PLAINTEXT too. It is left out: names, numbers and texts of customers would go unencrypted beside it.
PLAINTEXT: Final = "PLAINTEXT"


@dataclass(frozen=True, slots=True)
class Broker:
    """Kafka's addresses, host:port by commas, and what its listener there asks for.

    `ca` is a file of authorities (those of the system unless given); `certificate` and `key` are files of a client that
    shows a certificate itself.
    """

    addresses: str
    security: Security = PLAINTEXT
    mechanism: Mechanism = "SCRAM-SHA-512"
    user: str = ""
    password: str = field(default="", repr=False)
    ca: str = ""
    certificate: str = ""
    key: str = ""

    def __str__(self) -> str:
        return self.addresses

    @classmethod
    def of(cls, broker: "Broker | str") -> "Broker":
        """Addresses alone are a broker that is spoken to in the clear."""
        return broker if isinstance(broker, Broker) else cls(broker)

    def context(self) -> ssl.SSLContext | None:
        """None in the clear; else one that checks the broker's certificate and name. OSError names no file: see
        muster.kit.settings, which has looked at each when the process started."""
        if self.security == PLAINTEXT:
            return None
        context = ssl.create_default_context(cafile=self.ca or None)
        if self.certificate:
            context.load_cert_chain(self.certificate, self.key or None)
        return context

    def options(self) -> dict[str, Any]:
        """The arguments of every client of aiokafka that say where it connects to, and how."""
        options: dict[str, Any] = {
            "bootstrap_servers": self.addresses,
            "security_protocol": self.security,
            "ssl_context": self.context(),
        }
        if self.security == "SASL_SSL":
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.user,
                "sasl_plain_password": self.password,
            }
        return options


def connection(broker: Broker | str) -> dict[str, Any]:
    """As Broker.options, also of addresses alone."""
    return Broker.of(broker).options()
