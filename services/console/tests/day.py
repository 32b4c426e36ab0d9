"""An ordinary day of a business and of its operator: what the API answers to each page, full enough to be looked at."""

from datetime import datetime, timedelta
from types import ModuleType

WARNING = {
    "check": "registration",
    "country": "AU",
    "status": "warning",
    "absolute": False,
    "message": "The sender is not registered: phones show it as Unverified.",
    "source": "ACMA, SMS Sender ID Register",
    "found": [],
}
WAITING = {
    "id": "a1",
    "text": "It is on",
    "credits": 900,
    "recipients": 450,
    "note": "For the weekend",
    "asked_by": "u2",
    "made_by": "u2",
    "schedule_id": None,
    "expires_at": "2099-11-28T00:00:00Z",
}
ASKED = {
    "id": "q1",
    "channel": "email",
    "address": "ann@lee.example",
    "wording": "Please stop texting me.",
    "due_on": "2026-12-05",
    "days_left": 1,
    "overdue": False,
    "law": "Spam Act 2003, schedule 2",
}
STOPPED = {
    "suppressed": True,
    "source": "reply",
    "scope": "marketing",
    "wording": "STOP",
    "reason": "",
    "recorded_at": "2026-11-28T00:00:00Z",
}
CARRIER = {
    "account": "smpp-sydney-1",
    "kind": "smpp",
    "state": "open",
    "routes": ["default", "au-mobile"],
    "parts_per_second": 500,
    "standing": {"connections": 2, "in_flight": 7, "why": ""},
    "health": {"why": "", "share": 100, "failed": 1, "answered": 1_000},
}
LETTER = {
    "id": "d1",
    "type": "ActRecorded",
    "topic": "audit",
    "partition": 0,
    "offset": 5,
    "reason": "a field of it is longer than 200 characters",
    "parked_at": "2026-11-28T00:00:00Z",
    "attempts": 1,
    "decided_why": "",
}
SERVICES = ("tenant", "customer", "credit", "dispatch", "reply", "report")


def answers(fakes: ModuleType, now: str) -> dict[str, object]:
    """By "METHOD /path"; `now` is the moment at which the newest of it happened."""
    people = fakes.CUSTOMERS | fakes.IMPORTS | fakes.OPT_OUTS
    people["GET /v1/customers"] = (200, {"items": _people(fakes), "next_cursor": "c2"})
    return people | _sending(fakes, now) | _talking(fakes, now) | _running(fakes, now) | _operating(now)


def _people(fakes):
    ann = fakes.CUSTOMER
    number = {**ann["numbers"][0], "number": "+61412345679"}
    others = [
        {"first_name": "Bo", "last_name": "Nguyen", "tags": ["colour"], "opted_out": True},
        {"first_name": "Chloé", "last_name": "Martin", "tags": [], "allow_bulk_sms": False},
        {"first_name": "Dev", "last_name": "Patel", "tags": ["colour", "vip"]},
        {"first_name": "Ella", "last_name": "Ryan-Fitzgerald", "tags": []},
    ]
    return [ann, *({**ann, "id": 8 + place, "numbers": [number], **one} for place, one in enumerate(others))]


def _sending(fakes, now):
    plain = fakes.send(created_at=now)
    over = {**plain, "state": "closed"}
    send = f"/v1/bulk-sms/{fakes.SEND_ID}"
    reply = {"at": now, "text": "See you at ten, thanks!", "verdict": "ordinary"}
    rows = [
        fakes.message(6, sent_at=now, replies=[reply]),
        fakes.message(5, sent_at=now, replies=[{**reply, "text": "STOP", "verdict": "opt_out"}]),
        fakes.message(4, sent_at=now, status="accepted"),
        fakes.message(3, sent_at=now, status="undelivered", carrier_status="00B"),
        fakes.message(2, sent_at=now, status="unknown"),
        fakes.message(1, sent_at=now, number=None, text=None, customer_id=None, erased=True),
    ]
    ends = {"delivered": 120, "accepted": 28, "undelivered": 2, "failed": 2, "unknown": 3, "held": 3}
    credits = {"used": 300, "held": 6, "released": 0, "reserved": 824, "refunded": 4}
    unknown = {"messages": 3, "credits": 6, "rule": "ask", "answer": None, "answer_until": "2099-11-29T00:00:00Z"}
    return {
        "POST /v1/quotes": (201, fakes.quote()),
        f"GET /v1/quotes/{fakes.QUOTE_ID}": (200, fakes.quote(checks=[WARNING])),
        "POST /v1/bulk-sms": (202, plain),
        "GET /v1/bulk-sms": (200, {"items": [plain, over], "next_cursor": None}),
        f"GET {send}": (200, plain),
        f"GET {send}/progress": (200, fakes.progress(**ends, queued=262, credits=credits)),
        f"GET {send}/unknown": (200, {"items": [], "next_cursor": None, **unknown}),
        "GET /v1/reports/sms": (200, {"items": rows, "next_cursor": "more"}),
        "GET /v1/test-numbers": (200, {"numbers": []}),
        "GET /v1/approvals": (200, {"items": [{**WAITING, "text": fakes.TEXT}]}),
        "GET /v1/approvals/a1": (200, {**WAITING, "text": fakes.TEXT}),
        "GET /v1/suppressions/requests": (200, {"items": [{**ASKED, "received_at": now}]}),
    }


def _talking(fakes, now):
    reply = fakes.reply(at=now)
    unclear = {"id": "01931f5e-7b1c-7000-8000-00000000000d", "number": "+61412345679", "verdict": "unclear"}
    stop = {"id": "01931f5e-7b1c-7000-8000-00000000000e", "number": "+61412345680", "verdict": "opt_out"}
    others = [
        fakes.reply(at=now, text="Please don't text me at work", **unclear),
        fakes.reply(text="STOP", **stop),
    ]
    wrote = {"at": "2026-11-27T00:00:00Z", "direction": "out", "text": fakes.TEXT, "verdict": None, "reply_id": None}
    came = {**reply, "direction": "in", "reply_id": fakes.REPLY_ID}
    stopped = fakes.OPT_OUTS["GET /v1/suppressions"]
    return {
        "GET /v1/replies": (200, {"items": [reply, *others], "next_cursor": None}),
        **{f"GET /v1/replies/{one['id']}": (200, one) for one in (reply, *others)},
        "GET /v1/conversations": (200, {"items": [came, wrote]}),
        "GET /v1/suppressions": lambda asked: (200, {"items": []}) if "number" in asked.url.params else stopped,
        f"GET /v1/suppressions/{fakes.OPT_OUT_ID}": (200, {"items": [STOPPED]}),
        "GET /v1/rates": (200, {"items": [{"country": "AU", "credits_per_part": 2}]}),
    }


def _running(fakes, now):
    used = [800 - 97 * place for place in range(8)]
    hours = [datetime.fromisoformat(now) - timedelta(days=3 * place) for place in range(8)]
    entries = [
        fakes.entry(9 - place, at=at.isoformat(), credits=97, consumed_after=one, available_after=19_040 - one)
        for place, (one, at) in enumerate(zip(used, hours, strict=True))
    ]
    begun = (hours[-1] - timedelta(days=2)).isoformat()
    entries.append(fakes.entry(1, at=begun, kind="top_up", reason="Paid", consumed_after=0, available_after=19_040))
    ann = {"id": "u1", "name": "Ann", "email": "ann@demo.example", "role": "admin", "active": True, "created_at": now}
    bo = {**ann, "id": "u2", "name": "Bo", "email": "bo.of.the.front.desk@demo.example", "role": "staff"}
    key = {"id": "k1", "name": "Booking system", "client_id": "mk_01931f5e7b1c", "role": "manager"}
    used, revoked = {"last_used_at": now, "revoked_at": None}, {"last_used_at": None, "revoked_at": now}
    act = fakes.done("bulk-sms.stopped", fakes.SEND_ID, at=now, says="Stopped a send", reason="in the console")
    session = {"id": "1", "user_agent": "Firefox on Windows", "address": "203.0.113.7", "seen_at": now}
    may = [{"says": "send messages", "roles": ["admin", "manager"]}, {"says": "see sends", "roles": ["admin", "staff"]}]
    return fakes.SETTINGS | {
        "GET /v1/credits": (200, {**fakes.CREDITS, "available": 18_240, "granted": 19_240}),
        "GET /v1/credits/statement": (200, {"items": entries, "next_cursor": None}),
        "GET /v1/users": (200, {"items": [ann, bo, {**bo, "id": "u3", "name": "Cy", "active": False}]}),
        "GET /v1/api-keys": (200, {"items": [{**key, **used}, {**key, "id": "k2", **revoked}]}),
        "GET /v1/audit": (200, {"items": [act]}),
        "GET /v1/sessions": (200, {"items": [{**session, "current": True}, {**session, "id": "2", "current": False}]}),
        "GET /v1/roles": (200, {"roles": ["admin", "manager", "staff"], "permissions": may}),
    }


def _operating(now):
    salon = {"id": "t1", "name": "Demo Salon", "country": "AU", "time_zone": "Australia/Sydney", "suspended": False}
    salon |= {"created_at": now, "sender": "+61400000000", "closed": False}
    waits = {"id": "w1", "credits": 9_000_000, "asked_by": "u2", "reason": "Paid", "expires_at": "2099-01-01T00:00:00Z"}
    law = {"law": "bounded", "checked": 10, "violation_count": 0, "violations": []}
    found = {
        "GET /v1/carriers": (200, {"items": [CARRIER, {**CARRIER, "account": "http", "state": "draining"}]}),
        "GET /v1/tenants": (200, {"items": [salon]}),
        "GET /v1/tenants/t1": (200, salon),
        "GET /v1/credits/top-ups": (200, {"items": [waits]}),
        "GET /v1/ops/dispatch/suspensions": (200, {"items": []}),
    }
    whole = {"recipients": 412, "accepted": 412, "reserved": 824, "used": 824, "credits": 824, "closed": True}
    kept = {"items": [{"tenant_id": "t1", "bulk_id": f"b{place}", **whole} for place in range(3)], "next_cursor": None}
    found |= {f"GET /v1/ops/{one}/bulks": (200, kept) for one in ("credit", "dispatch", "report")}
    for one in SERVICES:
        letters = [LETTER] if one == "tenant" else []
        found |= {
            f"GET /v1/ops/{one}/dead-letters": (200, {"items": letters}),
            f"GET /v1/ops/{one}/consumers": (200, {"items": []}),
            f"GET /v1/ops/{one}/laws": (200, {"laws": [law]}),
        }
    return found
