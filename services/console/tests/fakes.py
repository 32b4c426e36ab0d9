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
        **other,
    }


def progress(**other):
    counts = dict.fromkeys(("failed", "held", "stopped", "suppressed", "rejected", "opt_outs"), 0)
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
        "credits": {"used": 300, "held": 0, "released": 0, "reserved": 824},
        "pace": {"finish_at": "2099-11-28T00:00:00Z", "finished_at": None, "why": None},
        **other,
    }
