"""What the API says of a message and a send, as far as pages show it."""

QUOTE_ID = "01931f5e-7b1c-7000-8000-00000000000a"
SEND_ID = "01931f5e-7b1c-7000-8000-00000000000b"
TEXT = "Hi Ann, it’s the last day of our sale: 20% off until Saturday. Reply STOP to opt out"


def quote(**other):
    example = {"country": "AU", "credits": 2, "customer_id": 7, "encoding": "UCS2", "name": "Ann Lee", "parts": 2}
    costly = {
        "characters": [{"name": "QUOTE", "positions": [10], "reason": "ucs2", "replacement": "'", "text": "’"}],
        "credits": 412,
        "fields": [],
        "message": "",
        "parts": 412,
        "reason": "ucs2",
        "recipients": 412,
        "where": "text",
    }
    what_if = {"change": "plain_text", "credits": 412, "parts": 412, "recipients": 412, "message": ""}
    return {
        "id": QUOTE_ID,
        "text": TEXT,
        "recipients": 412,
        "customers": 500,
        "credits": 824,
        "parts": 824,
        "balance": 2000,
        "balance_after": 1176,
        "by_parts": {"2": 412},
        "by_encoding": {"UCS2": 412, "GSM7": 0},
        "left_out": {"no_consent": 80, "opted_out": 8, "duplicate_number": 0},
        "dearer": [{"name": "QUOTE", "position": 10, "reason": "ucs2", "replacement": "'", "text": "’"}],
        "dearest": {**example, "text": TEXT},
        "shortest": {**example, "text": TEXT},
        "advice": {"costly": [costly], "what_if": [what_if]},
        "added": [{"what": "way_out", "language": "en", "text": "Reply STOP to opt out"}],
        "checks": [],
        "warnings": [],
        "hours": None,
        "used_by": None,
        "expires_at": "2099-11-29T00:00:00Z",
        "sender": "+61400000000",
        **other,
    }


def send(**other):
    return {
        "id": SEND_ID,
        "state": "sending",
        "text": TEXT,
        "recipients": 412,
        "credits": 824,
        "credits_quoted": 824,
        "credits_used": 300,
        "created_at": "2026-11-28T00:00:00Z",
        "problem": None,
        "customers": 500,
        "left_out": {"no_consent": 80, "opted_out": 8, "duplicate_number": 0},
        **other,
    }


def progress(**other):
    names = ("failed", "held", "stopped", "suppressed", "rejected", "opt_outs", "undelivered", "expired", "unknown")
    counts = dict.fromkeys((*names, "accepted", "queued", "submitting"), 0)
    return {
        **counts,
        "id": SEND_ID,
        "state": "sending",
        "recipients": 412,
        "sent": 150,
        "delivered": 120,
        "left": 262,
        "replies": 3,
        "closed": False,
        "credits": {"used": 300, "held": 0, "released": 0, "reserved": 824, "refunded": 0},
        "pace": {"finish_at": "2099-11-28T00:00:00Z", "finished_at": None, "why": None},
        **other,
    }


REPLY_ID = "01931f5e-7b1c-7000-8000-00000000000c"


def reply(**other):
    return {
        "id": REPLY_ID,
        "at": "2026-11-28T00:00:00Z",
        "number": "+61412345678",
        "text": "See you at ten, thanks!",
        "verdict": "ordinary",
        "rule": "",
        "doubtful": False,
        "erased": False,
        "bulk_id": SEND_ID,
        "message_id": None,
        "email": None,
        **other,
    }


def message(seq, **other):
    """A row of the report."""
    return {
        "id": f"{SEND_ID}-{seq}",
        "bulk_id": SEND_ID,
        "seq": seq,
        "kind": "bulk",
        "message_class": "marketing",
        "sent_at": "2026-11-28T00:00:01Z",
        "status_at": "2026-11-28T00:00:03Z",
        "number": f"+6141234{seq:04}",
        "text": TEXT,
        "customer_id": str(seq),
        "erased": False,
        "parts": 2,
        "credits": 2,
        "status": "delivered",
        "carrier_status": "",
        "country": "AU",
        "sender": "+61400000000",
        "replies": [],
        **other,
    }


def entry(version, **other):
    return {
        "id": str(version),
        "account_version": version,
        "at": "2026-11-28T00:00:00Z",
        "kind": "post",
        "bulk_id": SEND_ID,
        "credits": 2,
        "available_after": 1_000 - 2 * version,
        "reserved_after": 0,
        "consumed_after": 2 * version,
        "owed_after": 0,
        "reason": "",
        "reference": "",
        **other,
    }


TENANT_SETTINGS = {
    "name": "Demo Salon",
    "country": "AU",
    "time_zone": "Australia/Sydney",
    "sender": "+61400000000",
    "allow_sms_replies": True,
    "reception_email": "front@demo.example",
    "quiet_hours": {"from": "20:00", "to": "08:00"},
    "customary_hours": True,
    "parts_max": 6,
    "failed_rule": "charge",
    "unknown_rule": "ask",
}
SETTINGS = {
    "GET /v1/tenant": (200, TENANT_SETTINGS),
    "GET /v1/notices": (200, {"identity": "{business}", "reply": "Reply STOP", "by_link": "{link}", "languages": {}}),
    "GET /v1/frequency-cap": (200, {"days": None, "messages": None}),
    "GET /v1/approval-rule": (200, {"credits_above": 500, "recipients_above": None, "email": ""}),
    "GET /v1/credits/settings": (
        200,
        {"alert_below": 100, "daily_cap": None, "monthly_cap": None, "used_today": 5, "used_this_month": 9},
    ),
}
CREDITS = {"granted": 2_000, "owed": 0, "available": 1_000, "reserved": 200, "consumed": 800, "conservation": 0}
