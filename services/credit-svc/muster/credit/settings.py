"""Limits of credit-svc, as MUSTER_CREDIT_* variables."""

from pydantic import Field

from muster.kit.settings import ServiceSettings


class CreditSettings(ServiceSettings):
    """What its processes read."""

    credit_batch_max: int = Field(default=500, ge=1, le=5_000, description="events of one group commit")
    credit_rate_poll_s: float = Field(default=2.0, gt=0, description="a new rate is published within this time")
    credit_tenant_wait_ms_max: int = Field(
        default=3_000, ge=0, description="a top-up waits this long for news of a tenant that was just made"
    )
