"""What an operator sees and does: carriers by what they answer a second, laws, dead letters, businesses."""

import json

import pytest

from muster.console import nav

SERVICES = ("tenant", "customer", "credit", "dispatch", "reply", "report")
CARRIER = {
    "account": "smpp",
    "kind": "smpp",
    "state": "open",
    "routes": ["default"],
    "parts_per_second": 500,
    "standing": {"connections": 2, "in_flight": 7, "why": ""},
    "health": {"why": "", "share": 100, "failed": 1, "answered": 1_000},
}
SALON = {"id": "t1", "name": "Salon", "country": "AU", "time_zone": "Australia/Sydney", "sender": "", "closed": False}
LETTER = {
    "id": "d1",
    "type": "ActRecorded",
    "topic": "audit",
    "partition": 0,
    "offset": 5,
    "reason": "not an event",
    "parked_at": "2026-11-28T00:00:00Z",
    "attempts": 1,
    "decided_why": "",
}


@pytest.fixture
def platform(api):
    api.role = "operator"
    nothing = {"items": []}
    api.answers |= {"GET /v1/carriers": (200, {"items": [CARRIER]})}
    for one in SERVICES:
        api.answers |= {
            f"GET /v1/ops/{one}/dead-letters": (200, {"items": [LETTER]} if one == "tenant" else nothing),
            f"GET /v1/ops/{one}/consumers": (200, nothing),
            f"GET /v1/ops/{one}/laws": (200, {"laws": [law("bounded")]}),
        }
    return api


def law(name, broken=0):
    where = [{"tenant_id": "t1", "bulk_id": "b1", "detail": "over"}][:broken]
    return {"law": name, "checked": 10, "violation_count": broken, "violations": where}


async def test_a_rate_is_what_was_answered_since_the_page_was_drawn_before(member, platform, monkeypatch):
    monkeypatch.setattr("muster.kit.clock.unix_ms", lambda: 1_000_000)
    piece = await member.get("/operator/carriers/latest?at=998000&n.smpp=200")
    assert "400 / 500" in piece.text
    assert "at=1000000&amp;n.smpp=1000" in piece.text


async def test_a_law_that_is_broken_says_where_and_one_that_cannot_be_asked_is_not_said_to_hold(member, platform):
    platform.answers["GET /v1/ops/credit/laws"] = (200, {"laws": [law("granted", 1)]})
    page = (await member.get("/operator/laws")).text
    assert "broken in 1 place" in page
    assert "credit: t1 b1 over" in page
    assert (page.count("holds</span>"), page.count("nothing to check yet")) == (1, 6)
    platform.answers["GET /v1/ops/report/laws"] = (503, {"code": "unavailable"})
    page = (await member.get("/operator/laws")).text
    assert "Not answering now: report" in page
    assert "holds</span>" not in page


def kept(platform, service, **figures):
    whole = {
        "tenant_id": "t1",
        "bulk_id": "b1",
        "closed": True,
        "recipients": 9,
        "accepted": 9,
        "used": 9,
        "reserved": 9,
    }
    page = {"items": [{**whole, "credits": 9, **figures}], "next_cursor": None}
    platform.answers[f"GET /v1/ops/{service}/bulks"] = (200, page)


async def test_the_page_of_laws_says_in_what_two_services_differ_about_a_send(member, platform):
    for one in ("dispatch", "credit", "report"):
        kept(platform, one)
    page = (await member.get("/operator/laws?compare=yes")).text
    assert page.count("the same</span>") == 3
    kept(platform, "credit", used=8, released=1)
    page = (await member.get("/operator/laws/between", headers={"HX-Request": "true"})).text
    assert "differs in 1 place" in page
    assert "used 9 at dispatch-svc, 8 at credit-svc; released 0 at dispatch-svc, 1 at credit-svc" in page
    assert page.count("the same</span>") == 2


async def test_books_that_cannot_be_read_now_are_not_said_to_agree(member, platform):
    kept(platform, "dispatch")
    kept(platform, "report")
    platform.answers["GET /v1/ops/credit/bulks"] = (503, {"code": "unavailable"})
    page = (await member.get("/operator/laws?compare=yes")).text
    assert "does not answer now. Compare again" in page
    assert "the same</span>" not in page


async def test_a_dead_letter_is_given_up_with_a_reason_alone(member, platform, token):
    platform.answers["POST /v1/ops/tenant/dead-letters/d1/drop"] = (200, LETTER)
    page = await member.get("/operator/dead-letters")
    assert "not an event" in page.text
    path, form = "/operator/dead-letters/tenant/d1/drop", {"csrf": token(page)}
    assert (await member.post(path, data=form)).status_code == 422
    told = await member.post(path, data={**form, "reason": "never was one"})
    assert "It is given up" in told.text
    (asked,) = platform.asked("POST /v1/ops/tenant/dead-letters/d1/drop")
    assert json.loads(asked.content) == {"reason": "never was one"}


@pytest.mark.parametrize("role", ["admin", "manager", "staff", "operator"])
async def test_whatever_the_menus_show_a_role_it_may_open(member, platform, role):
    platform.role = role
    for entry in (*nav.entries_for(role), *nav.entries_for(role, nav.SETTINGS)):
        assert (await member.get(entry.path)).status_code != 403, entry.path


async def test_only_an_operator_comes_to_these_pages(member, platform):
    platform.role = "admin"
    for page in ("carriers", "laws", "dead-letters", "tenants"):
        assert (await member.get(f"/operator/{page}")).status_code == 403


async def test_credits_above_the_limit_of_one_person_wait_for_another(member, platform, token):
    waiting = {
        "credits": 9_000_000,
        "id": "w1",
        "asked_by": "u2",
        "reason": "paid",
        "expires_at": "2099-01-01T00:00:00Z",
    }
    platform.answers |= {
        "GET /v1/tenants/t1": (200, SALON),
        "GET /v1/credits/top-ups": (200, {"items": [waiting]}),
        "GET /v1/ops/dispatch/suspensions": (200, {"items": []}),
        "POST /v1/credits/top-ups": (202, waiting),
    }
    page = await member.get("/operator/tenants/t1")
    form = {"csrf": token(page), "credits": "9000000", "reason": "paid"}
    told = await member.post("/operator/tenants/t1/top-up", data=form)
    assert "9,000,000 credits wait for another operator to confirm them." in told.text
    assert "Confirm 9,000,000 credits" in told.text


async def test_what_an_operator_typed_stays_and_what_is_wrong_is_told_at_its_own_form(member, platform, token):
    platform.answers |= {
        "GET /v1/tenants/t1": (200, SALON),
        "GET /v1/credits/top-ups": (200, {"items": []}),
        "GET /v1/ops/dispatch/suspensions": (200, {"items": []}),
    }
    page = token(await member.get("/operator/dead-letters"))
    wrong = {"field": "credits", "code": "not_valid", "message": "must be a whole number"}
    platform.answers["POST /v1/credits/top-ups"] = (422, {"code": "not_valid", "errors": [wrong]})
    given = {"csrf": page, "credits": "12,5", "reason": "Invoice 7", "reference": "I-7", "key": "k"}
    told = (await member.post("/operator/tenants/t1/top-up", data=given)).text
    assert all(f'value="{one}"' in told for one in ("12,5", "Invoice 7", "I-7"))
    empty = {"field": "reason", "code": "not_valid", "message": "is too short; it holds at least 1"}
    path = "POST /v1/ops/dispatch/tenants/t1/suspend"
    platform.answers[path] = (422, {"code": "not_valid", "errors": [empty]})
    told = (await member.post("/operator/tenants/t1/suspend", data={"csrf": page, "why": ""})).text
    assert 'id="why-error"' in told
    assert 'id="reason-error"' not in told
