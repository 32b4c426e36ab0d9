"""What tenant-svc reads from its environment, and its limits."""

from pydantic import Field, SecretStr

from muster.kit.settings import ServiceSettings, secret


class TenantSettings(ServiceSettings):
    """MUSTER_TENANT_*, and the operator's credentials and the hash key under the names that all of Muster uses."""

    operator_client_id: str = Field(default="operator", min_length=1, max_length=100)
    operator_client_secret: SecretStr = SecretStr("")
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
    tenant_api_keys_max: int = Field(default=100, ge=1, description="live API keys of one tenant")
    tenant_users_max: int = Field(default=10_000, ge=1)

    @property
    def seal_secret(self) -> bytes:
        """What the key that seals signing keys is derived from; ValueError where neither variable is set."""
        given = self.tenant_seal_key
        hexadecimal = given.get_secret_value() if given else secret(self.hash_key, "hash_key")
        return bytes.fromhex(hexadecimal)
