"""Limits of reply-svc, as MUSTER_* variables."""

from pydantic import Field, SecretStr

from muster.kit.settings import ServiceSettings


class ReplySettings(ServiceSettings):
    """What its processes read."""

    hash_key: SecretStr = Field(default=SecretStr(""), description="hexadecimal; keys the hashes of numbers")
    hash_generation: int = Field(default=1, ge=0, le=255)

    smtp: str = Field(default="127.0.0.1:25", description="host:port of the mail relay")
    smtp_username: str = ""
    smtp_password: SecretStr = SecretStr("")
    reply_mail_from: str = Field(default="replies@muster.example", description="its domain takes the answers")
    reply_mail_at_once: int = Field(default=20, ge=1, le=500, description="e-mails of one lease")
    reply_mail_lease_s: float = Field(default=60.0, ge=20, description="so late are letters whose worker was killed")
    reply_mail_timeout_s: float = Field(default=10.0, gt=0)
    reply_mail_poll_s: float = Field(default=2.0, gt=0)

    reply_batch_max: int = Field(default=200, ge=1, le=5_000)
    reply_chunk_batch_max: int = Field(default=20, ge=1, le=500, description="chunks of up to 1000 texts each")
    reply_chunks_kept_days: int = Field(default=60, ge=31, description="attribution looks back 30 days")
    reply_strangers_kept_days: int = Field(
        default=730, ge=31, description="replies that answer no message: number and text are blanked then"
    )
