"""What tenant-svc reads from its environment, and its limits."""

import re
from datetime import timedelta

from pydantic import Field, SecretStr, field_validator

from muster.kit.settings import ServiceSettings, secret

_OPERATOR = re.compile(r"[A-Za-z0-9._-]{1,100}:[\x21-\x7e]{20,200}")


class TenantSettings(ServiceSettings):
    """MUSTER_TENANT_*, and the operator's credentials and the hash key under the names that all of Muster uses."""

    operator_client_id: str = Field(default="operator", min_length=1, max_length=100)
    operator_client_secret: SecretStr = SecretStr("")
    operator_email: str = Field(
        default="operator@muster.example", max_length=254, description="by which the first operator signs in"
    )
    operators: SecretStr = Field(
        default=SecretStr(""),
        description="more operators, client_id:secret of 20 characters or more, by spaces: what needs a second person",
    )
    hash_key: SecretStr = SecretStr("")
    tenant_seal_key: SecretStr | None = Field(
        default=None, description="hex, 32 bytes or more; seals signing keys; derived from the hash key where unset"
    )
    tenant_token_s: int = Field(default=900, ge=60, le=3_600, description="life of a token")
    tenant_signing_key_d: int = Field(default=30, ge=1, description="age at which a new signing key is made")
    tenant_signing_key_lead_s: int = Field(
        default=60, ge=0, description="a new key is published for this long before it signs"
    )
    tenant_keyring_poll_s: float = Field(default=30.0, gt=0, description="how often each replica looks for new keys")
    tenant_said_again_s: int = Field(default=3_600, ge=0, description="settings this young are said again at start")
    smtp: str = Field(default="127.0.0.1:25", description="host:port of the mail relay")
    smtp_username: str = ""
    smtp_password: SecretStr = SecretStr("")
    tenant_mail_from: str = Field(default="no-reply@muster.example", description="who letters to users come from")
    tenant_mail_at_once: int = Field(default=20, ge=1, le=500, description="e-mails of one lease")
    tenant_mail_lease_s: float = Field(default=60.0, ge=20, description="so late are letters whose worker was killed")
    tenant_mail_timeout_s: float = Field(default=10.0, gt=0)
    tenant_mail_poll_s: float = Field(default=2.0, gt=0)
    tenant_session_token_s: int = Field(default=60, ge=10, le=300, description="life of a session's access token")
    tenant_session_d: int = Field(default=14, ge=1, le=90, description="a session ends after this, used or not")
    tenant_session_idle_h: int = Field(default=12, ge=1, description="a session ends where it was not used for this")
    tenant_invitation_d: int = Field(default=7, ge=1, le=30, description="life of an invitation")
    tenant_reset_min: int = Field(default=60, ge=5, le=1_440, description="life of a link for a new password")
    tenant_hash_rounds: int = Field(default=2, ge=1, description="passes of Argon2id")
    tenant_hash_memory_kib: int = Field(default=19_456, ge=8, description="memory of one Argon2id hash")
    tenant_hashes_at_once: int = Field(default=2, ge=1, description="password hashes being computed at a time")
    tenant_api_keys_max: int = Field(default=100, ge=1, description="live API keys of one tenant")
    tenant_users_max: int = Field(default=10_000, ge=1)

    @field_validator("operators")
    @classmethod
    def _are_operators(cls, given: SecretStr) -> SecretStr:
        found = given.get_secret_value().split()
        if not all(_OPERATOR.fullmatch(one) for one in found):
            raise ValueError("must be client_id:secret by spaces, each secret of 20 to 200 characters")
        if len({one.partition(":")[0] for one in found}) < len(found):
            raise ValueError("must name each client id once")
        return given

    @property
    def more_operators(self) -> dict[str, str]:
        """Client id -> secret of the operators besides the first."""
        return dict(one.split(":", 1) for one in self.operators.get_secret_value().split())

    @property
    def session_life(self) -> timedelta:
        """When a session ends, used or not."""
        return timedelta(days=self.tenant_session_d)

    @property
    def session_idle(self) -> timedelta:
        """When a session ends that is not used."""
        return timedelta(hours=self.tenant_session_idle_h)

    @property
    def invitation_life(self) -> timedelta:
        """How long an invitation can be taken."""
        return timedelta(days=self.tenant_invitation_d)

    @property
    def reset_life(self) -> timedelta:
        """How long a link for a new password can be taken."""
        return timedelta(minutes=self.tenant_reset_min)

    @property
    def seal_secret(self) -> bytes:
        """What the key that seals signing keys is derived from; ValueError where neither variable is set."""
        given = self.tenant_seal_key
        hexadecimal = given.get_secret_value() if given else secret(self.hash_key, "hash_key")
        return bytes.fromhex(hexadecimal)
