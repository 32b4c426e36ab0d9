"""What keeps pages from being used by others."""

import re

import httpx
import pytest

from muster.console import guard, pages

SIGN_IN = {"email": "ann@demo.example", "password": "correct horse battery"}
FORMS = sorted({(route.path, method) for one in pages.ALL for route in one.routes for method in route.methods or ()})


def example(path):
    """An address of a route."""
    return path.replace("{id:int}", "7").replace("{", "").replace("}", "")


async def signed_in(browser, token):
    page = await browser.get("/sign-in")
    return await browser.post("/sign-in", data={**SIGN_IN, "csrf": token(page)})


async def test_who_signs_in_gets_a_cookie_that_no_script_and_no_other_site_can_use(browser, token):
    answer = await signed_in(browser, token)
    assert (answer.status_code, answer.headers["location"]) == (303, "/")
    cookie = next(one for one in answer.headers.get_list("set-cookie") if "muster_session" in one).lower()
    assert "__host-" in cookie
    assert all(word in cookie for word in ("httponly", "secure", "samesite=lax", "path=/"))
    assert (await browser.get("/", follow_redirects=False)).status_code == 200


async def test_every_answer_forbids_inline_scripts_and_frames(browser, member):
    for path in ("/", "/sign-in", "/no-such-page", "/assets/none.js"):
        answer = await browser.get(path)
        policy = answer.headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "unsafe" not in policy
        assert "frame-ancestors 'none'" in policy
        assert not re.search(r"<script(?! src=)|<style|\sstyle=|\son\w+=", answer.text)


@pytest.mark.parametrize(("path", "method"), [one for one in FORMS if one[1] == "POST"])
async def test_no_form_does_anything_without_the_token_of_its_browser(member, api, path, method):
    answer = await member.request(method, example(path), data={"csrf": "0" * 64})
    assert answer.status_code == 403
    assert {(one.method, one.url.path) for one in api.calls} <= {("POST", "/v1/token"), ("GET", "/v1/me")}


@pytest.mark.parametrize(
    "headers", [{"Origin": "https://evil.example"}, {"Origin": "null"}, {"Sec-Fetch-Site": "cross-site"}]
)
async def test_a_form_that_another_site_sends_is_refused_even_with_the_token(member, token, headers):
    data = {"csrf": token(await member.get("/")), "email": "ann@demo.example"}
    assert (await member.post("/forgot", data=data, headers=headers)).status_code == 403


async def test_a_session_that_ended_keeps_what_was_entered(member, api, token):
    csrf = token(await member.get("/"))
    api.is_open = False
    shared = member._transport.app.state.house.sessions
    shared.forget("s" * 43)
    answer = await member.get("/")
    assert (answer.status_code, answer.headers["location"]) == (303, "/sign-in")
    assert csrf == guard.form_token("s" * 43)


@pytest.mark.parametrize("given", ["//evil.example", "https://evil.example", "/\\evil", "javascript:1", "", "/a\nb"])
def test_signing_in_leads_to_no_other_site(given):
    assert guard.own_path(given) == "/"


async def test_names_of_the_api_are_text_and_never_markup(member, api):
    api.answers["GET /v1/credits"] = (200, {"available": 5, "reserved": 0, "owed": 0})
    hostile = {
        "id": "1",
        "state": "sending",
        "text": "<img src=x onerror=alert(1)>",
        "recipients": 2,
        "created_at": "2026-11-28T00:00:00Z",
    }
    api.answers["GET /v1/bulk-sms"] = (200, {"items": [hostile], "next_cursor": None})
    answer = await member.get("/")
    assert "<img" not in answer.text
    assert "&lt;img" in answer.text


async def test_the_api_is_told_from_where_a_browser_comes_and_not_from_where_the_console_does(browser, api, token):
    page = await browser.get("/sign-in")
    headers = {"X-Forwarded-For": "198.51.100.9, 203.0.113.7", "User-Agent": "A browser"}
    await browser.post("/sign-in", data={**SIGN_IN, "csrf": token(page)}, headers=headers)
    (asked,) = api.asked("POST /v1/sessions")
    assert (asked.headers["x-forwarded-for"], asked.headers["user-agent"]) == ("203.0.113.7", "A browser")


SHOWN = {path for path, method in FORMS if method == "GET"}


@pytest.mark.parametrize("path", sorted({path for path, _ in FORMS} - SHOWN - {"/sign-out"}))
async def test_the_address_that_an_act_leaves_in_the_browser_leads_back_to_its_page_and_does_nothing(member, api, path):
    there = await member.get(example(path))
    assert there.status_code == 303
    assert there.headers["Location"] in {example(one) for one in SHOWN}
    assert {(one.method, one.url.path) for one in api.calls} <= {("POST", "/v1/token"), ("GET", "/v1/me")}


@pytest.mark.parametrize("odd", ["%00", "%0a", "%E2%80%AE", "a%3Fb", "a%23b", "%F0%9F%98%80"])
async def test_an_id_that_cannot_be_one_leads_to_nothing_and_to_no_other_path_of_the_api(member, api, token, odd):
    form = {"csrf": token(await member.get("/compose"))}
    before = len(api.calls)
    assert (await member.get(httpx.URL(str(member.base_url), raw_path=f"/sends/{odd}".encode()))).status_code == 404
    assert (await member.get(httpx.URL(str(member.base_url), raw_path=f"/check/{odd}".encode()))).status_code == 404
    stop = httpx.URL(str(member.base_url), raw_path=f"/sends/{odd}/stop".encode())
    assert (await member.post(stop, data=form)).status_code == 404
    assert {one.url.path for one in api.calls[before:]} <= {"/v1/token", "/v1/me"}


@pytest.mark.parametrize("odd", ["\x00", "a\nb", "\u202e", "\U0001f600"])
async def test_what_stands_in_a_key_a_version_or_a_seal_that_none_of_our_pages_made_is_refused(
    member, api, said, token, odd
):
    api.answers |= said.CUSTOMERS
    form = {"csrf": token(await member.get("/compose"))}
    new = await member.post("/customers/new", data={**form, "first_name": "Ann", "key": odd})
    assert new.status_code == 422
    edit = await member.post("/customers/7/edit", data={**form, "first_name": "Ann", "version": odd})
    assert edit.status_code in (409, 422)
    assert not api.asked("POST /v1/customers") + api.asked("PATCH /v1/customers/7")
    assert (await member.get("/customers", params={"q": odd, "told": odd})).status_code == 200
