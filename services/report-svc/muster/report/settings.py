"""Limits of report-svc, as MUSTER_REPORT_* variables."""

from pydantic import Field, SecretStr

from muster.kit.settings import ServiceSettings


class ReportSettings(ServiceSettings):
    """What its processes read."""

    bulk_id_key: SecretStr = Field(default=SecretStr(""), description="hex; what the ids of sends are checked by")
    report_take_max: int = Field(default=64, ge=1, le=1000, description="events of one transaction, of up to 500 SMS")
    report_take_s: float = Field(default=0.05, gt=0, description="a smaller batch is applied after this time")
    report_buffer_events_max: int = Field(default=128, ge=1)
    report_audit_s: float = Field(default=60.0, gt=0, description="the auditor looks at offsets older than this")
    report_session_timeout_s: float = Field(default=10.0, gt=0)
    report_heartbeat_s: float = Field(default=2.0, gt=0)
    report_rebalance_timeout_s: float = Field(default=20.0, gt=0)
    report_events_poll_s: float = Field(default=0.5, gt=0, description="pause between server-sent events")
    report_events_s_max: float = Field(default=600.0, gt=0, description="a stream of events ends after this time")
