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
        "class": "marketing",
        "audience": {"all": True},
        "template_id": None,
        "local_time": None,
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
        "counts": {"accepted": 150, "stopped": 0},
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
CAPS = {"daily_cap": None, "monthly_cap": None, "used_today": 5, "used_this_month": 9}
SETTINGS = {
    "GET /v1/tenant": (200, TENANT_SETTINGS),
    "GET /v1/notices": (200, {"identity": "{business}", "reply": "Reply STOP", "by_link": "{link}", "languages": {}}),
    "GET /v1/frequency-cap": (200, {"days": None, "messages": None}),
    "GET /v1/approval-rule": (200, {"credits_above": 500, "recipients_above": None, "email": ""}),
    "GET /v1/credits/settings": (200, {**CAPS, "alert_below": 100, "automatic_top_up": None}),
}
CREDITS = {"granted": 2_000, "owed": 0, "available": 1_000, "reserved": 200, "consumed": 800, "conservation": 0}
CUSTOMER = {
    "id": 7,
    "first_name": "Ann",
    "last_name": "Lee",
    "numbers": [
        {"number": "+61412345678", "typed": "0412 345 678", "country": "AU", "kind": "mobile", "textable": True},
        {"number": "+61390000000", "typed": "(03) 9000 0000", "country": "AU", "kind": "landline", "textable": False},
    ],
    "mobiles": [{"number": "+61412345678", "country": "AU"}],
    "tags": ["vip"],
    "own_fields": {"last_visit": "2026-05-01"},
    "language": "en",
    "time_zone": "",
    "consent": "express",
    "allow_bulk_sms": True,
    "opted_out": False,
    "archived_at": None,
    "merged_into": None,
    "version": 3,
}
CONSENT = {
    "kind": "express",
    "number": None,
    "wording": "Text me about offers",
    "how": "at the counter",
    "recorded_at": "2026-05-01T00:00:00Z",
}
CUSTOMERS = {
    "GET /v1/customers": (200, {"items": [CUSTOMER], "next_cursor": "c2"}),
    "GET /v1/customers/count": (200, {"count": 1_204, "exact": False}),
    "GET /v1/lists": (200, {"items": [{"id": "l1", "name": "Regulars", "customers": 80}]}),
    "GET /v1/searches": (200, {"items": [{"name": "Colour", "query": "tag is colour"}]}),
    "GET /v1/own-fields": (200, {"items": [{"key": "last_visit", "name": "Last visit", "kind": "date"}]}),
    "GET /v1/customers/7": (200, CUSTOMER),
    "GET /v1/customers/7/consents": (200, {"items": [CONSENT]}),
    "GET /v1/customers/7/messages": (200, {"items": []}),
    "GET /v1/customers/7/changes": (200, {"items": []}),
    "GET /v1/replies": (200, {"items": []}),
}
IMPORT_ID = "01931f5e-7b1c-7000-8000-00000000000e"


def imported(state, **other):
    return {
        "id": IMPORT_ID,
        "state": state,
        "file_name": "people.csv",
        "created_at": "2026-11-28T00:00:00Z",
        "bytes": 1_000,
        "bytes_read": 400,
        "rows": 10,
        "rows_total": 40,
        "imported": 38,
        "created": 30,
        "updated": 8,
        "unchanged": 0,
        "rejected": 2,
        "listed": 0,
        "list": "",
        "mode": "add_and_update",
        "problem": None,
        "repairs": [],
        **other,
    }


PREVIEW = {
    "kind": "CSV",
    "encoding": "UTF-8",
    "separator": ",",
    "sheet": "",
    "rows_total": 40,
    "columns": [{"header": "Name", "holds": "full_name"}, {"header": "Handy", "holds": "handy"}],
    "rows": [
        {"row": 1, "cells": ["Ann Lee", "0412 345 678"]},
        {"row": 2, "cells": ["Bo Nguyen", "banana"]},
        {"row": 4, "cells": ["Cy Hart", ""]},
    ],
    "errors": [
        {"row": 2, "field": "mobile", "column": "Handy", "code": "not_a_number", "message": "This is no number."}
    ],
    "rows_read": 30,
    "rejected": 3,
    "without_mobile": [4],
    "repairs": [{"column": "Handy", "code": "zero", "count": 3, "first_row": 2, "message": "A leading zero was lost."}],
    "problem": {"field": "file", "code": "no_mobile_column", "message": "No column is named Mobile."},
}
IMPORTS = {
    "GET /v1/customers/imports": (200, {"items": [imported("done")]}),
    f"GET /v1/customers/imports/{IMPORT_ID}": (200, imported("preview", rejected=0)),
    f"GET /v1/customers/imports/{IMPORT_ID}/preview": (200, PREVIEW),
    f"GET /v1/customers/imports/{IMPORT_ID}/errors": (
        200,
        {"items": [{"row": 3, "column": "Handy", "code": "not_a_number", "message": "This is no number."}]},
    ),
}
OPT_OUT_ID = "0" * 34
OPT_OUTS = {
    "GET /v1/suppressions": (
        200,
        {
            "items": [
                {
                    "id": OPT_OUT_ID,
                    "number": "+61412345678",
                    "source": "reply",
                    "scope": "marketing",
                    "reason": "",
                    "changed_at": "2026-11-28T00:00:00Z",
                }
            ]
        },
    ),
    "GET /v1/suppressions/requests": (200, {"items": []}),
    "GET /v1/suppressions/undeliverable": (200, {"items": []}),
}
USERS = {"items": [{"id": "u1", "name": "Ann", "email": "ann@demo.example", "role": "admin", "active": True}]}


def done(act, subject_id="s1", **other):
    """An entry of the audit log."""
    kind = act.partition(".")[0]
    who = {"user_id": "u1", "role": "admin", "service": "customer", "reason": ""}
    what = {"act": act, "says": f"Did {act}", "subject_kind": kind, "subject_id": subject_id}
    return {"id": "1", "at": "2026-11-28T00:00:00Z", **who, **what, **other}
