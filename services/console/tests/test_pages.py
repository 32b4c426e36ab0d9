"""What people meet: each error says what to do, and no page is a dead end."""

import re
from pathlib import Path

import httpx
import pytest

from muster.console import strings

ROOT = Path(strings.__file__).parents[1]
SIGN_IN = {"email": "ann@demo.example", "password": "correct horse battery"}


async def try_to_sign_in(browser, token):
    return await browser.post("/sign-in", data={**SIGN_IN, "csrf": token(await browser.get("/sign-in"))})


async def test_who_is_wrong_too_often_is_told_how_long_to_wait_and_what_else_to_do(browser, api, token):
    api.answers["POST /v1/sessions"] = (401, {"code": "wrong_credentials"})
    answer = await try_to_sign_in(browser, token)
    assert answer.status_code == 422
    assert "do not belong together" in answer.text
    assert SIGN_IN["password"] not in answer.text

    def slowed(_: httpx.Request):
        return 429, {"code": "too_many_attempts"}

    api.answers["POST /v1/sessions"] = slowed
    answer = await try_to_sign_in(browser, token)
    assert answer.status_code == 429
    assert "Try again in a minute" in answer.text
    assert "Wait a moment" in answer.text
    assert 'href="/forgot"' in answer.text


async def test_whose_address_belongs_to_several_businesses_chooses_one(browser, api, token):
    tenants = [{"id": "a", "name": "Salon"}, {"id": "b", "name": "Clinic"}]
    api.answers["POST /v1/sessions"] = (409, {"code": "choose_tenant", "tenants": tenants})
    answer = await try_to_sign_in(browser, token)
    assert '<option value="b">Clinic</option>' in answer.text


@pytest.mark.parametrize(("status", "code"), [(404, "link_unknown"), (410, "link_used"), (410, "link_expired")])
async def test_a_link_that_does_not_work_any_more_says_how_to_get_another(browser, api, status, code):
    api.answers["POST /v1/links/look"] = (status, {"code": code})
    answer = await browser.get("/join/abc")
    assert answer.status_code == status
    assert 'href="/forgot"' in answer.text


async def test_looking_at_a_link_uses_nothing_and_two_different_passwords_are_not_taken(browser, api, token):
    api.answers["POST /v1/links/look"] = (
        200,
        {"kind": "invitation", "email": "a@b.example", "name": "", "tenant": {"name": "Salon"}},
    )
    page = await browser.get("/join/abc")
    answer = await browser.post("/join/abc", data={"csrf": token(page), "password": "one", "password_again": "two"})
    assert (page.status_code, answer.status_code) == (200, 422)
    assert not api.asked("POST /v1/links/use")


async def test_what_is_wrong_with_a_field_is_a_sentence_that_names_it(member, api, token):
    api.answers["POST /v1/links/look"] = (200, {"kind": "first_admin", "tenant": {"name": "Demo Salon"}, "email": None})
    wrong = [("email", "is not an e-mail address"), ("name", "There is one."), ("hours[2].from_time", "must be a time")]
    errors = [{"field": field, "code": "x", "message": message} for field, message in wrong]
    api.answers["POST /v1/links/use"] = (422, {"code": "not_valid", "errors": errors})
    form = {"csrf": token(await member.get("/join/x")), "password": "quiet lamp", "password_again": "quiet lamp"}
    told = (await member.post("/join/x", data=form)).text
    assert '<a href="#email">Email is not an e-mail address</a>' in told
    assert '<a href="#name">There is one.</a>' in told
    assert "<li>Hours from time must be a time</li>" in told


async def test_a_part_of_the_home_page_that_is_not_to_be_had_takes_no_other_with_it(member, api):
    api.answers["GET /v1/credits"] = (200, {"available": 1234567, "reserved": 0, "owed": 0})
    api.answers["GET /v1/bulk-sms"] = (503, {"code": "unavailable"})
    answer = await member.get("/")
    assert answer.status_code == 200
    assert "1,234,567" in answer.text
    assert "cannot be shown right now" in answer.text


async def test_home_tells_what_needs_somebody_the_urgent_first(member, api):
    api.answers["GET /v1/credits"] = (200, {"available": 5, "reserved": 0, "owed": 0})
    api.answers["GET /v1/credits/settings"] = (200, {"alert_below": 100})
    api.answers["GET /v1/suppressions/requests"] = (200, {"items": [{"days_left": -1}]})
    text = (await member.get("/")).text
    assert 0 < text.index("overdue by law") < text.index("Only 5 credits")


async def test_where_a_server_fails_the_page_has_a_reference_to_quote_by_which_every_line_of_a_log_is_found(
    member, api
):
    trace_id = "4bf92f3577b34da6a3ce929d0e0e4736"
    asked = {"traceparent": f"00-{trace_id}-00f067aa0ba902b7-01"}
    api.answers["GET /v1/credits"] = (500, {"code": "internal"})
    page = await member.get("/credits", headers=asked)
    assert (page.status_code, page.headers["x-trace-id"]) == (502, trace_id)
    assert f"<code>{trace_id}</code>" in page.text
    assert api.asked("GET /v1/credits")[0].headers["traceparent"][3:35] == trace_id
    api.answers["GET /v1/credits"] = lambda _: 1 // 0
    broken = await member.get("/credits", headers=asked)
    assert (broken.status_code, f"<code>{trace_id}</code>" in broken.text) == (500, True)
    assert "reference" not in (await member.get("/no/such/page")).text


async def test_an_address_without_a_page_leads_home(member):
    answer = await member.get("/no/such/page")
    assert answer.status_code == 404
    assert 'href="/"' in answer.text


async def test_who_asks_for_a_page_signs_in_first_and_then_gets_it(browser):
    answer = await browser.get("/?x=1")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")


async def test_the_first_page_is_under_150_kb_on_the_wire_and_its_files_are_kept_for_ever(member):
    wire = {"accept-encoding": "br"}
    page = await member.get("/", headers=wire)
    size = len(page.content)
    for path in re.findall(r'(?:src|href)="(/assets/[^"]+)"', page.text):
        async with member.stream("GET", path, headers=wire) as answer:
            assert "immutable" in answer.headers["cache-control"]
            size += sum([len(chunk) async for chunk in answer.aiter_raw()])
    assert 5_000 < size < 150_000


def test_every_entry_that_a_page_names_is_there_and_every_entry_is_used():
    sources = [*ROOT.rglob("templates/*.html"), *ROOT.rglob("*.py")]
    text = "\n".join(path.read_text(encoding="utf-8") for path in sources)
    named = set(re.findall(r'\bt\("([a-z_]+\.[a-z_]+)"[,)]', text))
    assert named <= set(strings.entries()), named - set(strings.entries())
    # Those whose names are put together: t("state." ~ state), t(f"errors.{kind}").
    made = ("nav", "state", "errors", "link", "home", "sign_in", "reason", "check", "compose", "send", "approvals")
    made += ("credits", "operator", "replies", "report", "roles", "settings", "team", "tenants")
    made += ("customer", "customers", "imports", "opt_outs", "subject", "fields")
    assert {key for key in strings.entries() if key.partition(".")[0] not in made} <= named


async def test_a_second_person_sees_what_they_approve_and_nobody_approves_their_own(member, api, token):
    shown = {"credits": 900, "recipients": 450, "note": "", "expires_at": "2099-11-28T00:00:00Z", "schedule_id": None}
    others = {**shown, "id": "a1", "text": "It is on", "asked_by": "u2", "made_by": "u2"}
    own = {**shown, "id": "a2", "text": "Mine", "asked_by": "u1", "made_by": "u1"}
    api.answers["GET /v1/approvals"] = (200, {"items": [others, own]})
    api.answers |= {f"GET /v1/approvals/{one['id']}": (200, one) for one in (others, own)}
    page = await member.get("/approvals")
    assert "900 credits to 450 recipients" in page.text
    assert 'action="/approvals/a1/approve"' in page.text
    assert 'action="/approvals/a2/approve"' not in page.text
    refused = await member.post("/approvals/a1/refuse", data={"csrf": token(page), "reason": " "})
    assert (refused.status_code, 'href="#reason-a1"' in refused.text) == (422, True)
    api.answers["POST /v1/approvals/a1/approve"] = (200, others)
    assert "Approved." in (await member.post("/approvals/a1/approve", data={"csrf": token(page)})).text


@pytest.mark.parametrize("path", ["/sends/xyz", "/replies/xyz", "/sends?cursor=zz"])
async def test_an_address_that_cannot_be_one_is_one_at_which_there_is_nothing(member, api, path):
    wrong = {"field": "bulk_id", "code": "uuid", "message": "must be an id"}
    for asked in ("/v1/bulk-sms/xyz", "/v1/replies/xyz", "/v1/bulk-sms"):
        api.answers[f"GET {asked}"] = (422, {"code": "invalid", "status": 422, "errors": [wrong]})
    page = await member.get(path)
    assert page.status_code == 404
    assert "There is nothing at this address" in page.text
