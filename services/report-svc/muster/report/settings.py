"""Limits of report-svc, as MUSTER_REPORT_* variables."""

from pydantic import Field, SecretStr

from muster.kit.settings import ServiceSettings


class ReportSettings(ServiceSettings):
    """What its processes read."""

    bulk_id_key: SecretStr = Field(default=SecretStr(""), description="hex; what the ids of sends are checked by")
    hash_key: SecretStr = Field(default=SecretStr(""), description="hex; tells the numbers of people who were erased")
    hash_generation: int = Field(default=1, ge=0, le=255)
    report_take_max: int = Field(default=32, ge=1, le=1000, description="events of one transaction, of up to 1000 SMS")
    report_take_s: float = Field(default=0.05, gt=0, description="a smaller batch is applied after this time")
    report_buffer_events_max: int = Field(default=128, ge=1)
    report_audit_s: float = Field(default=60.0, gt=0, description="the auditor looks at offsets older than this")
    report_hole_s: float = Field(default=5.0, gt=0, description="the auditor looks for holes this often")
    kafka_session_timeout_ms: int = Field(default=10_000, ge=1_000, description="shorter than elsewhere: people watch")
    report_events_poll_s: float = Field(default=0.5, gt=0, description="pause between looks while numbers change")
    report_events_poll_s_max: float = Field(default=2.0, gt=0, description="the same while they do not")
    report_events_beat_s: float = Field(default=15.0, gt=0, description="a stream says something this often")
    report_events_retry_s: float = Field(default=2.0, gt=0, description="a reader who was let go comes back after this")
    report_events_quiet_s: float = Field(default=60.0, gt=0, description="how long late receipts are waited for")
    report_events_s_max: float = Field(default=600.0, gt=0, description="a stream of events ends after this time")
    report_pace_fresh_s: float = Field(default=15.0, gt=0, description="a promise that is not said again is withdrawn")
    report_events_tenant_max: int = Field(default=20, ge=1, description="streams of one tenant at once")
    report_events_max: int = Field(default=100, ge=1, description="of all; each is one of http_in_flight_max")
