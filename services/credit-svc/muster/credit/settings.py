"""Limits of credit-svc, as MUSTER_CREDIT_* variables."""

from pydantic import Field, SecretStr, field_validator

from muster.credit.domain.signature import secret_of
from muster.kit.settings import ServiceSettings


class CreditSettings(ServiceSettings):
    """What its processes read."""

    credit_batch_max: int = Field(default=2_000, ge=1, le=5_000, description="events of one group commit")
    credit_rate_poll_s: float = Field(default=2.0, gt=0, description="a new rate is published within this time")
    credit_tenant_wait_ms_max: int = Field(
        default=3_000, ge=0, description="a top-up waits this long for news of a tenant that was just made"
    )
    credit_top_up_alone_max: int = Field(
        default=20_000_000, ge=1, le=10**12, description="credits that one operator grants alone; more need a second"
    )
    credit_confirmation_h: int = Field(default=72, ge=1, le=720, description="a top-up not confirmed by then expires")
    credit_webhook_secrets: SecretStr = Field(
        default=SecretStr(""),
        description="whsec_... of the payment provider, more than one by spaces for rotation; none: all refused",
    )
    credit_payment_url: str = Field(
        default="", description="where automatic top-ups are charged; empty: there are none"
    )
    credit_payment_token: SecretStr = SecretStr("")
    credit_payment_timeout_s: float = Field(default=10.0, gt=0, le=30)
    credit_charge_poll_s: float = Field(default=2.0, gt=0, le=60, description="a charge is made within this time")
    credit_charge_lease_s: float = Field(default=120.0, ge=60, le=3_600, description="so late after a crash")
    credit_charge_given_up_h: float = Field(
        default=24.0, gt=0, le=720, description="no outcome by then: failed, and told"
    )

    @field_validator("credit_webhook_secrets")
    @classmethod
    def _are_secrets(cls, given: SecretStr) -> SecretStr:
        for one in given.get_secret_value().split():
            secret_of(one)
        return given

    @property
    def webhook_keys(self) -> list[bytes]:
        """The keys that the payment provider may sign with."""
        return [secret_of(one) for one in self.credit_webhook_secrets.get_secret_value().split()]
