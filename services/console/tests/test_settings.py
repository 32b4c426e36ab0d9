"""Settings, team, keys and credits: what is changed is what was meant, and nobody overwrites what they did not see."""

import json
import re
from html.parser import HTMLParser

import pytest


@pytest.fixture
def settings(api, said):
    api.answers |= said.SETTINGS
    return api


OPEN = re.compile(r'<details class="card fold" id="(\w+)" open>')


class Fields(HTMLParser):
    """The fields of a form as a browser would send them."""

    def __init__(self) -> None:
        super().__init__()
        self.found: dict[str, str] = {}
        self.select = ""

    def handle_starttag(self, tag, attrs):
        given = dict(attrs)
        if tag == "input" and (given.get("type") != "checkbox" or "checked" in given):
            self.found[given["name"]] = given.get("value", "")
        if tag == "select":
            self.select = given["name"]
        if tag == "option" and "selected" in given:
            self.found[self.select] = given["value"]


def form_of(page, section: str) -> dict[str, str]:
    """A section of the settings as it was shown."""
    reader = Fields()
    reader.feed(page.text.split(f'action="/settings/{section}/save"')[1].split("</form>")[0])
    return reader.found


async def test_only_what_was_changed_is_written(member, settings):
    settings.answers["PATCH /v1/tenant"] = (200, {})
    page = await member.get("/settings")
    form = form_of(page, "sending") | {"parts_max": "2", "quiet_to": "09:00"}
    told = await member.post("/settings/sending/save", data=form)
    assert "Saved." in told.text
    (asked,) = settings.asked("PATCH /v1/tenant")
    assert json.loads(asked.content) == {"parts_max": 2, "quiet_hours": {"from": "20:00", "to": "09:00"}}


async def test_the_settings_begin_folded_and_what_was_just_saved_stays_open(member, settings):
    settings.answers["PATCH /v1/tenant"] = (200, {})
    page = await member.get("/settings")
    assert OPEN.findall(page.text) == []
    told = await member.post("/settings/business/save", data=form_of(page, "business") | {"name": "Ann's Salon"})
    assert OPEN.findall(told.text) == ["business"]


async def test_who_was_second_sees_what_the_first_has_set_before_it_is_overwritten(member, settings, said):
    page = await member.get("/settings")
    form = form_of(page, "business") | {"name": "Mine"}
    settings.answers["GET /v1/tenant"] = (200, {**said.TENANT_SETTINGS, "name": "Theirs"})
    told = await member.post("/settings/business/save", data=form)
    assert told.status_code == 422
    assert "to: Theirs" in told.text
    assert not settings.asked("PATCH /v1/tenant")
    settings.answers["PATCH /v1/tenant"] = (200, {})
    again = form_of(told, "business")
    assert again["name"] == "Mine"
    await member.post("/settings/business/save", data=again)
    assert json.loads(settings.asked("PATCH /v1/tenant")[0].content) == {"name": "Mine"}


async def test_a_wrong_value_is_told_at_its_field_and_the_others_are_kept(member, settings):
    wrong = {"field": "time_zone", "code": "unknown", "message": "is no time zone"}
    settings.answers["PATCH /v1/tenant"] = (422, {"code": "invalid", "errors": [wrong]})
    page = await member.get("/settings")
    form = form_of(page, "business") | {"time_zone": "Mars/Base", "name": "Ann's"}
    told = await member.post("/settings/business/save", data=form)
    assert 'id="business.time_zone-error">Time zone is no time zone' in told.text
    assert form_of(told, "business")["name"] == "Ann's"


async def test_a_limit_that_is_emptied_is_no_limit(member, settings):
    settings.answers["PUT /v1/approval-rule"] = (200, {})
    page = await member.get("/settings")
    await member.post("/settings/approval/save", data=form_of(page, "approval") | {"credits_above": ""})
    (asked,) = settings.asked("PUT /v1/approval-rule")
    assert json.loads(asked.content) == {"credits_above": None, "recipients_above": None, "email": ""}


async def test_a_field_that_came_with_a_file_is_named_and_what_is_refused_is_told_at_it(member, settings, token):
    shoe = {"key": "shoe_size", "name": "shoe_size", "kind": "text"}
    settings.answers["GET /v1/own-fields"] = (200, {"items": [shoe]})
    settings.answers["PUT /v1/own-fields/shoe_size"] = (200, {**shoe, "name": "Shoe"})
    page = await member.get("/settings/fields")
    assert "<h3>Shoe size</h3>" in page.text
    form = {"csrf": token(page), "name": "Shoe", "kind": "number"}
    assert "Saved." in (await member.post("/settings/fields/shoe_size", data=form)).text
    (asked,) = settings.asked("PUT /v1/own-fields/shoe_size")
    assert json.loads(asked.content) == {"name": "Shoe", "kind": "number"}
    unfit = {"code": "values_do_not_fit", "detail": "Customer 7 has a value of it that is no number."}
    settings.answers["PUT /v1/own-fields/shoe_size"] = (409, unfit)
    told = await member.post("/settings/fields/shoe_size", data=form)
    assert "Customer 7 has a value of it that is no number." in told.text
    assert 'id="f-shoe_size" open>' in told.text
    assert 'value="Shoe"' in told.text


async def test_staff_see_the_settings_and_cannot_change_them(member, settings):
    settings.role = "staff"
    page = await member.get("/settings")
    assert page.text.count("disabled>") == 6
    assert "/settings/team" not in page.text
    assert (await member.get("/settings/team")).status_code == 403


async def test_a_key_is_shown_once(member, api, token):
    made = {"name": "booking", "client_id": "mk_1", "client_secret": "very-secret", "id": "k1"}
    api.answers |= {"GET /v1/api-keys": (200, {"items": []}), "POST /v1/api-keys": (201, made)}
    page = await member.get("/settings/keys")
    told = await member.post("/settings/keys", data={"csrf": token(page), "name": "booking", "role": "manager"})
    assert "very-secret" in told.text
    assert told.headers["Cache-Control"] == "no-store"
    assert "very-secret" not in (await member.get("/settings/keys")).text


async def test_an_invitation_that_is_refused_keeps_what_was_entered(member, api, token):
    wrong = {"field": "email", "code": "taken", "message": "belongs to another user"}
    api.answers |= {
        "GET /v1/users": (200, {"items": []}),
        "POST /v1/users": (422, {"code": "invalid", "errors": [wrong]}),
    }
    page = await member.get("/settings/team")
    form = {"csrf": token(page), "name": "Bo", "email": "bo@demo.example", "role": "staff"}
    told = await member.post("/settings/team", data=form)
    assert "belongs to another user" in told.text
    assert 'value="bo@demo.example"' in told.text


async def test_credits_add_up_or_it_is_said_and_where_none_are_left_how_to_top_up(member, api, said):
    api.answers |= said.SETTINGS | {
        "GET /v1/credits": (200, said.CREDITS),
        "GET /v1/credits/statement": (
            200,
            {"items": [said.entry(3), said.entry(2, kind="pending"), said.entry(1, kind="top_up")]},
        ),
    }
    page = (await member.get("/credits")).text
    assert re.findall(r'data-label="Credits">(.+?)</td>', page) == ["2", "−2", "+2"]
    assert "2,000 credited = 1,000 available + 200 reserved + 800 used." in page
    assert "It adds up." in page
    assert f'href="/sends/{said.SEND_ID}"' in page
    assert '<details class="card"><summary>How to top up' in page
    nothing = dict.fromkeys(said.CREDITS, 0)
    api.answers["GET /v1/credits"] = (200, nothing)
    page = (await member.get("/credits")).text
    assert '<details class="card" open><summary>How to top up' in page
    assert "<code>01931f5e-7b1c-7000-8000-000000000001</code>" in page
    api.answers["GET /v1/credits"] = (200, {**said.CREDITS, "conservation": 3})
    assert "It is off by 3" in (await member.get("/credits")).text


async def test_who_is_invited_is_told_on_the_page_of_the_team_and_who_is_there_already_in_whole_sentences(
    member, api, token
):
    api.answers["GET /v1/users"] = (200, {"items": []})
    api.answers["POST /v1/users"] = (201, {"id": "u9"})
    form = {"csrf": token(await member.get("/settings/team")), "name": "Tom", "email": "tom@salon.example"}
    led = await member.request("POST", "/settings/team", data={**form, "role": "staff"})
    assert led.headers["Location"].startswith("/settings/team?told=")
    assert "tom@salon.example" in (await member.get(led.headers["Location"])).text.split('class="notice good"')[1][:200]
    taken = {"code": "email_taken", "title": "The tenant has a user with this address", "detail": "Give another one."}
    api.answers["POST /v1/users"] = (409, taken)
    told = await member.post("/settings/team", data={**form, "role": "staff"})
    assert "The tenant has a user with this address. Give another one." in told.text
