"""What the API answers, as the services document it. Credits are integers, times RFC 3339, numbers E.164."""

from typing import Any, NotRequired, TypedDict


class Token(TypedDict):
    access_token: str
    token_type: str
    expires_in: int


class Tenant(TypedDict):
    id: str
    name: str
    country: str


class ApiKey(TypedDict):
    id: str
    client_id: str
    client_secret: NotRequired[str]
    role: str


class Import(TypedDict):
    id: str
    state: str
    rows: int
    rows_total: int | None
    imported: int
    created: int
    updated: int
    unchanged: int
    rejected: int
    list: str
    list_id: str | None
    listed: int
    removed: int
    bytes: int
    bytes_read: int
    repairs: list[dict[str, Any]]
    problem: dict[str, str] | None


class CustomerList(TypedDict):
    id: str
    name: str
    kind: str
    customers: int
    created_at: str
    created_by: str
    changed_at: str
    changed_by: str
    version: int


class Upload(TypedDict):
    id: str
    state: str
    name: str
    list_id: str | None
    rows: int
    rows_total: int | None
    matched: int
    rejected: int
    customers: int
    bytes: int
    bytes_read: int
    repairs: list[dict[str, Any]]
    problem: dict[str, str] | None
    errors_url: str
    rejected_url: str


class Quote(TypedDict):
    id: str
    recipients: int
    parts: int
    credits: int
    left_out: dict[str, int]
    balance: NotRequired[int]
    balance_after: NotRequired[int]
    shortest: NotRequired[dict[str, Any] | None]
    dearest: NotRequired[dict[str, Any] | None]
    advice: NotRequired[dict[str, Any] | None]
    checks: NotRequired[list[dict[str, Any]]]


class Bulk(TypedDict):
    id: str
    state: str
    recipients: int
    problem: NotRequired[dict[str, Any] | None]


class Message(TypedDict):
    id: str
    bulk_id: str
    state: str
    parts: int
    credits: int
    send_by: str


class Messages(TypedDict):
    messages: list[dict[str, Any]]
    accepted: int
    refused: int


class Credits(TypedDict):
    granted: int
    owed: int
    available: int
    reserved: int
    consumed: int


class TopUp(TypedDict):
    id: str
    credits: int
    available: int


class Pace(TypedDict):
    finish_at: str | None
    why: str | None
    parts_left: int
    parts_per_s: float
    promised_at: str | None
    promised_finish_at: str | None
    finished_at: str | None


class Progress(TypedDict):
    state: str
    recipients: int
    queued: int
    submitting: int
    accepted: int
    delivered: int
    undelivered: int
    expired: int
    rejected: int
    stopped: int
    suppressed: int
    unknown: int
    sent: int
    failed: int
    held: int
    left: int
    parts: int
    credits: dict[str, int | None]
    rate_per_s: float
    pace: Pace | None


class ReportRow(TypedDict):
    id: str
    bulk_id: str
    seq: int
    kind: str
    sent_at: str | None
    number: str | None
    text: str | None
    erased: bool
    parts: int
    credits: int
    status: str
    replies: list[dict[str, Any]]
