"""Settings of dispatch-svc; every limit is here."""

import json
from typing import Literal

from pydantic import Field, SecretStr, field_validator

from muster.dispatch.domain.carriers import Account, Network, Smpp, read_networks
from muster.dispatch.domain.http import ADAPTERS
from muster.dispatch.domain.http.model import Http
from muster.dispatch.domain.http.read import Wrong, read_http
from muster.kit.settings import ServiceSettings, secret


class DispatchSettings(ServiceSettings):
    """Read from MUSTER_* variables."""

    # Its statements are for a few chunks each, found by their keys: to plan them took a fifth of their time.
    generic_plans: bool = True
    hash_key: SecretStr = Field(default=SecretStr(""), description="hex; keys number hashes, the same in all services")
    hash_generation: int = Field(default=1, ge=0, le=255)
    bulk_id_key: SecretStr = Field(
        default=SecretStr(""), description="hex; checks bulk ids, the same as customer-svc's"
    )

    # The carrier account that the sender process binds to; one process for each account.
    carrier_account: str = "smpp"
    carrier_host: str = "127.0.0.1"
    carrier_port: int = Field(default=2775, ge=1, le=65535)
    carrier_system_id: str = "muster"
    carrier_password: SecretStr = SecretStr("muster")
    carrier_system_type: str = ""
    carrier_tls: bool = False
    carrier_window: int = Field(default=1000, ge=1, le=10_000, description="unanswered submits at once")
    carrier_parts_per_second: int = Field(default=0, ge=0, description="0: as fast as the carrier answers")
    carrier_response_timeout_s: float = Field(default=20.0, gt=0)
    carrier_enquire_link_s: float = Field(default=30.0, gt=0)
    carrier_rebind_s_min: float = Field(default=0.2, gt=0)
    carrier_rebind_s_max: float = Field(default=15.0, gt=0)
    carrier_reference_bits: Literal[8, 16] = 8
    # More accounts are data (`/v1/carriers`); this names where their hosts may be, so that nobody who may enter one can
    # reach into our own network by it.
    carrier_networks: str = Field(
        default="", description="such as 10.0.0.0/8 fd00::/8, by spaces; public ones if empty"
    )
    carriers_max: int = Field(default=200, ge=1, description="accounts that are not closed")
    routes_max: int = Field(default=200, ge=1, le=1_000)
    dispatch_seal_key: SecretStr | None = Field(
        default=None, description="hex; seals the passwords of accounts; derived from the hash key where it is not set"
    )
    dispatch_adopt_s: float = Field(default=0.3, gt=0, description="how often a spare sender looks for an account")
    dispatch_change_wait_s: float = Field(
        default=60.0, gt=0, description="how long a changed account waits for answers before it binds again"
    )
    dispatch_account_look_s: float = Field(
        default=1.0,
        gt=0,
        description="how often a sender looks whether its account was changed, and says how it stands",
    )
    carrier_http: str = Field(
        default="", description="profile of an HTTP account as JSON (docs/carriers-http.md); SMPP if empty"
    )

    dispatch_senders_claimed: bool = Field(
        default=True,
        description="businesses take senders that nobody has by their settings; else an operator gives them",
    )
    dispatch_sender_quarantine_days: int = Field(
        default=30, ge=0, le=365, description="nobody has a number for so long after its lease has ended"
    )

    sandbox_parts_per_second: int = Field(default=200, ge=1, le=100_000, description="of all sandboxes together")

    dispatch_chunk_batch_max: int = Field(
        default=50, ge=1, le=500, description="chunks of large sends, of up to 500 texts each, taken in at once"
    )
    dispatch_lease_s: float = Field(default=10.0, gt=1)
    dispatch_watch_s: float = Field(default=0.2, gt=0, description="how soon a stop reaches a sender that waits")
    dispatch_poll_s_min: float = Field(default=0.01, gt=0)
    dispatch_poll_s_max: float = Field(default=0.15, gt=0)
    dispatch_sends_max: int = Field(default=256, ge=1, description="sends that are looked at for one claim")
    dispatch_quantum_parts: int = Field(default=1000, ge=1, description="what a tenant's turn is worth")
    dispatch_turn_s: float = Field(
        default=1.0, gt=0, le=60, description="a chunk that a slow carrier has had for so long gives way to who waits"
    )
    dispatch_guard_s: float = Field(default=2.0, gt=0, description="an intent older than this writes nothing")
    dispatch_record_s: float = Field(default=0.1, gt=0, description="outcomes are recorded at least this often")
    dispatch_retry_s_min: float = Field(default=0.5, gt=0)
    dispatch_retry_s_max: float = Field(default=5.0, gt=0, description="a busy carrier is asked again this often")
    dispatch_held_s: float = Field(default=60.0, gt=0, description="how often a held message is looked at again")
    dispatch_resend_after_s: float = Field(
        default=120.0, ge=1, le=86_400, description="how long an unknown outcome is waited for where it is sent again"
    )
    dispatch_refused_percent_max: int = Field(
        default=50, ge=1, le=100, description="of the last outcomes of a send; above it the send is paused; 100: never"
    )
    dispatch_judged_parts_min: int = Field(
        default=200, ge=10, le=100_000, description="outcomes that are needed to judge a send"
    )
    dispatch_down_s: float = Field(
        default=5.0, gt=0, le=3_600, description="without a connection for so long an account is passed over"
    )
    dispatch_failing_percent_max: int = Field(
        default=50,
        ge=1,
        le=100,
        description="of the last outcomes of an account; above it it is passed over; 100: never",
    )
    dispatch_failing_parts_min: int = Field(
        default=100, ge=10, le=100_000, description="outcomes that are needed to judge an account"
    )
    dispatch_rest_s_min: float = Field(default=15.0, gt=0, le=3_600, description="then it is tried again with a little")
    dispatch_rest_s_max: float = Field(
        default=600.0, gt=0, le=86_400, description="after it has failed again and again"
    )
    dispatch_mend_step_s: float = Field(
        default=10.0, gt=0, le=3_600, description="how long 10, 25 and 50 percent of its share last on the way back"
    )
    dispatch_aside_s: float = Field(
        default=3.0, gt=0, le=60, description="how long a failing account claims nothing, so that it is led elsewhere"
    )
    dispatch_stop_wait_s: float = Field(default=2.0, gt=0, description="how long a stop waits for exact counts")
    dispatch_unknown_kept_s: float = Field(default=72 * 3600.0, gt=0)
    dispatch_account_repeat_s: float = Field(default=3600.0, gt=0)
    dispatch_silent_kept_s: float = Field(
        default=31 * 24 * 3600.0, gt=0, description="then a send ends of which nobody said until when it may be sent"
    )
    dispatch_waits_look_s: float = Field(default=15.0, gt=0, description="how often what waits is counted")
    dispatch_sweep_s: float = Field(default=0.25, gt=0)
    dispatch_sweep_chunks: int = Field(default=50, ge=1)
    dispatch_delivers_batch_max: int = Field(default=2_000, ge=1, description="deliver_sm stored at once")
    dispatch_delivers_slow_min: int = Field(
        default=10_000, ge=1, description="unstored ones, from which nothing is sent"
    )
    dispatch_delivers_waiting_max: int = Field(default=50_000, ge=1, description="unstored ones; more are refused")
    dispatch_receipts_linger_s: float = Field(default=0.1, ge=0)
    dispatch_receipts_linger_min: int = Field(default=50, ge=1, description="receipts at once that are worth lingering")
    dispatch_query_after_s: float = Field(
        default=900.0, gt=0, description="without a receipt a carrier is asked for a message, if its account says so"
    )
    dispatch_query_unknown_after_s: float = Field(
        default=60.0, gt=0, description="after a message has become unknown its carrier is asked by our reference"
    )
    dispatch_query_times_max: int = Field(default=4, ge=1, le=20, description="questions for one message")
    dispatch_queries_per_s: int = Field(default=20, ge=1, le=1_000, description="questions to one carrier")
    dispatch_ids_kept_s: float = Field(default=3600.0, gt=0)
    dispatch_waiting_kept_s: float = Field(default=24 * 3600.0, gt=0)
    dispatch_nobodys_kept_days: int = Field(
        default=30, ge=1, description="what people wrote to numbers that no business has"
    )
    dispatch_parts_wait_s: float = Field(default=120.0, gt=0, description="then a reply is read without its rest")
    dispatch_parts_look_s: float = Field(default=15.0, gt=0)
    dispatch_stop_s: float = Field(default=8.0, gt=0, description="how long the sender waits for answers when it ends")

    @field_validator("carrier_http")
    @classmethod
    def _is_profile(cls, given: str) -> str:
        if given:
            read = read_http(json.loads(given), ADAPTERS)
            if isinstance(read, Wrong):
                raise ValueError(f"{read.field} {read.why}")
        return given

    @field_validator("carrier_networks")
    @classmethod
    def _are_networks(cls, given: str) -> str:
        read_networks(given)
        return given

    @property
    def networks(self) -> list[Network]:
        """Where carriers may be."""
        return read_networks(self.carrier_networks)

    @property
    def seal_secret(self) -> bytes:
        """What the key that seals passwords is derived from; ValueError where neither variable is set."""
        given = self.dispatch_seal_key
        return bytes.fromhex(given.get_secret_value() if given else secret(self.hash_key, "hash_key"))

    def account(self) -> Account:
        """The carrier account that the environment describes."""
        http = read_http(json.loads(self.carrier_http), ADAPTERS) if self.carrier_http else None
        return Account(
            name=self.carrier_account,
            kind="http" if http else "smpp",
            options=http
            if isinstance(http, Http)
            else Smpp(
                host=self.carrier_host,
                port=self.carrier_port,
                system_id=self.carrier_system_id,
                system_type=self.carrier_system_type,
                tls=self.carrier_tls,
                response_timeout_s=self.carrier_response_timeout_s,
                enquire_link_s=self.carrier_enquire_link_s,
            ),
            secret=self.carrier_password.get_secret_value(),
            window=self.carrier_window,
            parts_per_second=self.carrier_parts_per_second,
            reference_bits=self.carrier_reference_bits,
        )
