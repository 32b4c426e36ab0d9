"""Limits of customer-svc, as MUSTER_CUSTOMER_* variables."""

from pydantic import Field, SecretStr

from muster.customer.domain.limits import Limits
from muster.customer.domain.links import Links
from muster.kit.settings import ServiceSettings, secret


class CustomerSettings(ServiceSettings):
    """What its processes read."""

    hash_key: SecretStr = Field(default=SecretStr(""), description="hexadecimal; hashes of numbers are keyed by it")
    hash_generation: int = Field(default=1, ge=0, le=255)
    bulk_id_key: SecretStr = Field(default=SecretStr(""), description="hexadecimal; ids of sends carry a check by it")

    customer_link_url: str = Field(
        default="",
        pattern=r"^(https?://[A-Za-z0-9.:-]{1,60})?$",
        description="where links in messages lead, at /o/: each of its characters is paid; MUSTER_BASE_URL if empty",
    )

    customer_batch_max: int = Field(default=500, ge=1, le=5_000, description="events of one transaction")
    customer_import_bytes_max: int = Field(
        default=512 << 20, ge=1, le=4 << 30, description="of a file of customers; larger ones are refused"
    )
    customer_import_rows_max: int = Field(default=1_000_000, ge=1, le=100_000_000, description="rows of one file")
    customer_import_batch_rows: int = Field(
        default=5_000, ge=1, le=100_000, description="rows of one transaction, after which an import goes on"
    )
    customer_import_once_bytes: int = Field(
        default=256 << 10, ge=0, le=16 << 20, description="files up to this size are imported while their sender waits"
    )
    customer_import_wait_s: float = Field(default=20.0, gt=0, le=300, description="and for no longer than this")
    customer_import_answer_s: float = Field(
        default=60.0,
        ge=0,
        le=600,
        description="the answer to a larger file waits for its end for so long",
    )
    customer_import_open_max: int = Field(
        default=20, ge=1, le=1_000, description="imports of one tenant that have not ended; more are refused"
    )
    customer_import_upload_s_max: float = Field(
        default=4 * 3_600.0, ge=1, le=86_400, description="in which a file must have come"
    )
    customer_import_bytes_per_s_min: int = Field(
        default=1 << 10, ge=0, le=1 << 30, description="an upload that is slower than this for so long is given up"
    )
    customer_import_slow_s: float = Field(default=60.0, gt=0, le=3_600, description="that long")
    customer_import_upload_min: int = Field(
        default=15, ge=1, le=1_440, description="an upload of which nothing has come for this long is dropped"
    )
    customer_import_preview_d: int = Field(
        default=7, ge=1, le=365, description="an import that nobody starts, or that failed, is cancelled after this"
    )
    customer_import_rejected_d: int = Field(
        default=30, ge=1, le=3_650, description="rows that were left out can be downloaded for this long"
    )
    customer_import_lease_s: float = Field(
        default=30.0,
        ge=1,
        le=600,
        description="a file is read by another process where its reader says nothing for so long",
    )
    customer_import_tries_max: int = Field(
        default=20,
        ge=1,
        le=1_000,
        description="rows that could not be taken in so often, with pauses of up to 5 minutes, fail the import",
    )
    customer_import_idle_ms: int = Field(default=250, ge=1, le=60_000, description="pause when nothing is to import")
    customer_import_memory_bytes: int = Field(
        default=400 << 20, ge=100 << 20, le=64 << 30, description="what a process that reads one file may hold"
    )
    customer_audience_ids_max: int = Field(default=10_000, ge=1)
    customer_search_budget_ms: int = Field(
        default=40, ge=1, le=10_000, description="a page or count of customers goes through them no longer than this"
    )
    customer_searches_max: int = Field(default=500, ge=1, le=10_000, description="saved searches of one tenant")
    customer_lists_max: int = Field(default=1_000, ge=1, le=100_000, description="lists of one tenant")
    customer_list_members_max: int = Field(
        default=2_000_000, ge=1, le=100_000_000, description="customers on one list who are not archived"
    )
    customer_quote_valid_h: int = Field(default=24, ge=1)
    customer_quote_missing_shown: int = Field(default=20, ge=0)
    customer_approval_asked_h: int = Field(
        default=72, ge=1, le=720, description="a request for approval expires after this, and with its quote"
    )
    customer_approval_schedule_d: int = Field(
        default=90, ge=1, le=366, description="for how long the approval of a schedule holds"
    )
    customer_approvals_open_max: int = Field(
        default=200, ge=1, le=10_000, description="requests of one tenant that wait for a decision"
    )
    customer_tenant_wait_ms: int = Field(
        default=3_000, ge=0, description="a request waits this long for news of a tenant that was just made"
    )
    customer_plan_add_up_chunks: int = Field(default=200, ge=1, description="chunks priced in one turn of a large send")
    customer_plan_publish_chunks: int = Field(default=40, ge=1, description="chunks published in one turn")
    customer_plan_small_at_once: int = Field(
        default=6, ge=1, le=16, description="sends of up to 500 recipients that one process plans at once"
    )
    worker_pool_max: int = Field(default=14, ge=1)
    customer_plan_idle_ms: int = Field(default=100, ge=1, description="pause of a planner that has nothing to do")
    customer_plan_freeze_timeout_ms: int = Field(default=120_000, ge=1)
    customer_group_wait_ms: float = Field(
        default=3.0, ge=0, le=100, description="a single message waits this long for others to be committed with it"
    )
    customer_group_wait_ms_max: float = Field(
        default=50.0, ge=0, le=1_000, description="and no longer than this where others keep coming"
    )
    customer_group_max: int = Field(default=500, ge=1, le=500, description="single messages of one transaction")
    customer_group_waiting_max: int = Field(
        default=5_000, ge=1, le=100_000, description="single messages that wait; more are refused with 503"
    )
    customer_range_hourly_max: int = Field(
        default=20, ge=0, description="single messages to numbers of no customer, to one range of 1,000; 0: no limit"
    )
    customer_prefix_hourly_max: int = Field(
        default=300, ge=0, description="the same to numbers that differ in their last six digits only; 0: no limit"
    )
    customer_plan_range_max: int = Field(
        default=300, ge=0, description="recipients of a bulk send in one range of 1,000 numbers; 0: no limit"
    )
    customer_start_daily_max: int = Field(
        default=2_000,
        ge=0,
        le=1_000_000_000,
        description="recipients of a new business's first day, twice as many each day after it; 0: no limit",
    )
    customer_start_days: int = Field(default=10, ge=0, le=60, description="for how long a business is new")
    customer_test_numbers_max: int = Field(default=20, ge=1, le=1_000, description="of one tenant, for its tests")
    customer_test_hourly_max: int = Field(default=60, ge=0, description="tests of one tenant in an hour; 0: no limit")
    customer_schedules_max: int = Field(default=200, ge=1, le=100_000, description="of one tenant, active or paused")
    customer_templates_max: int = Field(default=1_000, ge=1, le=100_000, description="of one tenant, not archived")
    customer_schedule_gap_min: int = Field(
        default=15, ge=1, le=1_440, description="least time between two starts of a schedule"
    )
    customer_schedule_rows: int = Field(default=100, ge=1, le=10_000, description="schedules started in one turn")
    customer_schedule_idle_ms: int = Field(default=1_000, ge=1, le=60_000, description="pause when nothing is due")
    customer_undeliverable_after_sends_max: int = Field(
        default=3,
        ge=0,
        le=100,
        description="sends in which a number fails for good before it is left out, unless a business says so; 0: never",
    )
    customer_undeliverable_counted_after_min: float = Field(
        default=60.0, ge=0, le=1_440, description="failures of a send are counted when they are this old"
    )
    customer_suppressions_repeated_min: int = Field(
        default=60, ge=0, description="suppressions of the last minutes are said again by a new relay"
    )

    dispatch_unknown_kept_s: float = Field(
        default=72 * 3600.0, gt=0, description="the same as dispatch-svc's: for how long an outcome may be unknown"
    )

    @property
    def limits(self) -> Limits:
        """How much a business may send before somebody looks."""
        return Limits(
            range_hourly=self.customer_range_hourly_max or None,
            prefix_hourly=self.customer_prefix_hourly_max or None,
            plan_range=self.customer_plan_range_max or None,
            start_daily=self.customer_start_daily_max or None,
            start_days=self.customer_start_days,
            test_hourly=self.customer_test_hourly_max or None,
        )

    @property
    def hash_key_bytes(self) -> bytes:
        """The key of number hashes; ValueError where it is not set or not hexadecimal."""
        return bytes.fromhex(secret(self.hash_key, "hash_key"))

    @property
    def link_url(self) -> str:
        """Where links in messages lead, without a slash at its end."""
        return self.customer_link_url or self.base_url.rstrip("/")

    @property
    def links(self) -> Links:
        """The links of messages, sealed by the key of bulk ids."""
        return Links(self.bulk_id_key_bytes)

    @property
    def bulk_id_key_bytes(self) -> bytes:
        """The key of bulk ids; ValueError where it is not set or not hexadecimal."""
        return bytes.fromhex(secret(self.bulk_id_key, "bulk_id_key"))
