"""Write, check, send, stop: nothing is sent twice and nothing that was written is lost."""

import html
import importlib.util
import json
import re
from pathlib import Path

import pytest

from muster.console import guard
from muster.console import visit as visits
from muster.console.quoted import cut, marked

_spec = importlib.util.spec_from_file_location("console_fakes", Path(__file__).with_name("fakes.py"))
fakes = importlib.util.module_from_spec(_spec)
_spec.loader.exec_module(fakes)

DRAFT = {"text": "Hi {first_name},\r\nit’s on", "whom": "list", "list_name": "Regulars", "not_days": "7", "do": "check"}
CHECK = f"/check/{fakes.QUOTE_ID}"
SEND = f"/sends/{fakes.SEND_ID}"


@pytest.fixture
def busy(api):
    """An API with a quote and a send of it."""
    api.answers |= {
        "POST /v1/quotes": (201, fakes.quote()),
        f"GET /v1/quotes/{fakes.QUOTE_ID}": (200, fakes.quote()),
        "POST /v1/bulk-sms": (202, fakes.send()),
        "GET /v1/bulk-sms": (200, {"items": [fakes.send()], "next_cursor": None}),
        f"GET /v1/bulk-sms/{fakes.SEND_ID}": (200, fakes.send()),
        f"GET /v1/bulk-sms/{fakes.SEND_ID}/progress": (200, fakes.progress()),
        "GET /v1/test-numbers": (200, {"numbers": []}),
        "GET /v1/approvals": (200, {"items": []}),
        "GET /v1/lists": (200, {"items": [{"id": "l1", "name": "Regulars"}, {"id": "l2", "name": "Staff"}]}),
    }
    return api


async def post(browser, token, path, **fields):
    return await browser.post(path, data={**fields, "csrf": token(await browser.get("/compose"))})


async def test_the_form_asks_for_the_quote_that_it_shows_and_counts_no_line_end_twice(member, busy, token):
    csrf = token(await member.get("/compose"))
    answer = await member.post("/compose", data={**DRAFT, "csrf": csrf}, follow_redirects=True)
    asked = json.loads(busy.asked("POST /v1/quotes")[0].content)
    assert asked == {
        "text": "Hi {first_name},\nit’s on",
        "class": "marketing",
        "audience": {"list": "Regulars", "exclude": {"messaged_in_days": 7}},
    }
    assert (answer.status_code, answer.url.path) == (200, CHECK)
    assert "Send to 412 people" in answer.text
    assert "<mark>’</mark>" in answer.text
    # A button that changes the text would be one of the form that sends.
    assert 'value="plain"' not in answer.text


FOR_LIST = {"lists": ["l2"], "exclude": {"lists": ["l1"], "tags": ["vip", "a b"], "messaged_in_days": 7}}


@pytest.mark.parametrize(
    "audience",
    [{"all": True}, FOR_LIST, {"tag": "colour"}, {"query": "tag is colour"}, {"saved_search": "Lapsed"}],
)
async def test_who_changes_a_checked_message_finds_whom_it_was_for_whichever_console_answers(
    member, busy, token, audience
):
    asked = fakes.quote(audience={**audience, "saved_query": "visits is 0"}, **{"class": "factual"})
    busy.answers[f"GET /v1/quotes/{fakes.QUOTE_ID}"] = (200, asked)
    checked = await member.get(CHECK)
    fields = re.findall(r'<input type="hidden" name="([^"]+)" value="([^"]*)"', checked.text)
    back = {name: [html.unescape(value) for known, value in fields if known == name] for name, _ in fields}
    form = await member.post("/compose", data={**back, "do": "edit"})
    assert ("selected>Staff</option>" in form.text) is ("lists" in audience)
    assert ("selected>Lapsed</option>" in form.text) is ("saved_search" in audience)
    await member.post("/compose", data={**back, "do": "check"})
    again = json.loads(busy.asked("POST /v1/quotes")[-1].content)
    assert again["class"] == "factual"
    wanted = {"list": "l2", "exclude": audience["exclude"]} if "lists" in audience else audience
    assert again["audience"] == wanted


@pytest.mark.parametrize(
    "asked",
    [
        {"audience": {"customer_ids": [1, 2]}},
        {"audience": {"lists": ["l1", "l2"]}},
        {"audience": {"tag": "vip", "query": "visits is 0"}},
        {"audience": {"all": True, "exclude": {"query": "visits is 0"}}},
        {"audience": {"all": True, "exclude": {"tags": ["a, b"]}}},
        {"audience": {"again": {"bulk_id": fakes.SEND_ID, "failed": False}}},
        {"local_time": "2026-12-24T10:00"},
    ],
)
async def test_what_the_form_has_no_place_for_is_not_changed_there_into_a_message_to_others(member, busy, asked):
    busy.answers[f"GET /v1/quotes/{fakes.QUOTE_ID}"] = (200, fakes.quote(**asked))
    checked = await member.get(CHECK)
    assert 'value="edit"' not in checked.text
    assert 'name="whom"' not in checked.text
    assert "data-send" in checked.text


async def test_figures_appear_as_one_types_and_before_anything_is_written(member, busy, token):
    answer = await post(member, token, "/compose/figures", text="", whom="all")
    assert json.loads(busy.asked("POST /v1/quotes")[0].content)["audience"] == {"all": True}
    assert ">412<" in answer.text
    assert "credits are left after" not in answer.text
    assert "do not allow Bulk SMS" in answer.text


async def test_a_field_that_is_wrong_is_named_and_what_was_written_stays(member, busy, token):
    errors = [{"field": "audience.list", "code": "unknown_list", "message": "there is no list of this name"}]
    busy.answers["POST /v1/quotes"] = (422, {"code": "unknown_list", "errors": errors})
    answer = await post(member, token, "/compose", **DRAFT)
    assert answer.status_code == 422
    assert 'href="#list_name">there is no list of this name' in answer.text
    assert "it’s on" in answer.text


async def test_a_space_without_a_break_is_named_since_it_cannot_be_seen(member, busy, token):
    space = {"name": "NO-BREAK SPACE", "positions": [2], "reason": "ucs2", "replacement": " ", "text": "\u00a0"}
    quote = fakes.quote()
    quote["advice"]["costly"][0]["characters"] = [space]
    busy.answers["POST /v1/quotes"] = (201, quote)
    answer = await post(member, token, "/compose/figures", text="It\u00a0is on")
    assert "<mark>no-break space</mark> becomes <code>a space</code>" in answer.text


async def test_under_the_text_stands_what_it_comes_to_or_why_it_is_too_long(member, busy, token):
    answer = await post(member, token, "/compose/figures", text="It is on")
    assert "8 characters · 2 parts · special characters · 824 credits" in answer.text
    mixed = {**fakes.quote(), "by_encoding": {"UCS2": 13, "GSM7": 399}}
    busy.answers["POST /v1/quotes"] = (201, mixed)
    answer = await post(member, token, "/compose/figures", text="It is on")
    assert "special characters for 13 of them · 824 credits" in answer.text
    long = {"field": "text", "code": "too_many_parts", "message": "The longest message has 14 parts; the limit is 6."}
    busy.answers["POST /v1/quotes"] = (422, {"code": "too_many_parts", "errors": [long]})
    under = (await post(member, token, "/compose/figures", text="x" * 2_000)).text.split('id="under-text"')[1]
    assert "the limit is 6. Shorten the text, or have an admin raise the limit" in under


async def test_what_is_dear_is_replaced_by_one_button_also_without_scripts(member, busy, token):
    answer = await post(member, token, "/compose", **{**DRAFT, "do": "plain"})
    assert "it&#39;s on" in answer.text
    assert "save 412 credits" in (await post(member, token, "/compose/figures", **DRAFT)).text


async def test_two_clicks_send_once_and_both_show_the_same_send(member, busy, token):
    first = await post(member, token, f"{CHECK}/send")
    again = await post(member, token, f"{CHECK}/send")
    keys = {one.headers["Idempotency-Key"] for one in busy.asked("POST /v1/bulk-sms")}
    assert len(keys) == 1
    assert first.headers["location"] == again.headers["location"] == SEND


async def test_the_page_of_before_leads_to_the_send_that_it_became(member, busy, token):
    csrf = token(await member.get("/compose"))
    used = fakes.quote(used_by=fakes.SEND_ID)
    busy.answers[f"GET /v1/quotes/{fakes.QUOTE_ID}"] = (200, used)
    busy.answers["POST /v1/bulk-sms"] = (409, {"code": "quote_used", "detail": "used"})
    for answer in (
        await member.get(CHECK),
        await member.post(f"{CHECK}/send", data={"csrf": csrf, "partial": "first_n"}),
    ):
        assert (answer.status_code, answer.headers["location"]) == (303, SEND)


async def test_what_the_law_blocks_has_no_send_button_but_for_an_admin_with_a_reason(member, busy, token):
    check = {
        "check": "consent",
        "country": "US",
        "status": "blocked",
        "absolute": False,
        "message": "no",
        "source": "TCPA",
        "found": [],
    }
    busy.answers[f"GET /v1/quotes/{fakes.QUOTE_ID}"] = (200, fakes.quote(checks=[check]))
    assert 'name="override.consent.US"' in (await member.get(CHECK)).text
    await post(member, token, f"{CHECK}/send", **{"override.consent.US": "signed forms"})
    sent = json.loads(busy.asked("POST /v1/bulk-sms")[0].content)
    assert sent["overrides"] == [{"check": "consent", "country": "US", "reason": "signed forms"}]
    busy.role = "manager"
    member._transport.app.state.house.sessions.forget("s" * 43)
    assert "data-send" not in (await member.get(CHECK)).text


async def test_staff_browse_and_do_not_send(member, busy, token):
    csrf = token(await member.get("/compose"))
    busy.role = "staff"
    member._transport.app.state.house.sessions.forget("s" * 43)
    assert (await member.get("/compose")).status_code == 403
    assert (await member.post(f"{CHECK}/send", data={"csrf": csrf})).status_code == 403
    page = await member.get(SEND)
    assert page.status_code == 200
    assert f"{SEND}/stop" not in page.text
    assert not busy.asked("POST /v1/bulk-sms")


async def test_what_went_to_many_is_not_lost_among_answers_and_single_messages(member, busy):
    home, listed = (await member.get("/")).text, (await member.get("/sends")).text
    assert [one.url.params["kind"] for one in busy.asked("GET /v1/bulk-sms")] == ["bulk", "bulk"]
    assert fakes.SEND_ID in home
    assert 'href="/sends?show=all"' in listed
    busy.answers["GET /v1/bulk-sms"] = (200, {"items": [fakes.send()], "next_cursor": "c2"})
    assert 'href="/sends?show=all&amp;cursor=c2"' in (await member.get("/sends?show=all")).text.replace("&c", "&amp;c")
    assert "kind" not in busy.asked("GET /v1/bulk-sms")[-1].url.params


async def test_the_own_number_of_a_test_can_be_changed_and_a_wrong_one_is_told_at_its_field(member, busy, token):
    own = {"user_id": "u1", "number": "+61412000999"}
    busy.answers["GET /v1/test-numbers"] = (200, {"numbers": [own]})
    page = await member.get(CHECK)
    assert 'value="+61412000999"' in page.text
    wrong = {"field": "number", "code": "not_mobile", "message": "This is not a mobile number."}
    busy.answers["PUT /v1/test-numbers/own"] = (422, {"code": "not_valid", "errors": [wrong]})
    told = await member.post(f"{CHECK}/test", data={"csrf": token(page), "own_number": "02 9876 5432"})
    assert 'id="own_number-error">This is not a mobile number.' in told.text
    assert 'value="02 9876 5432"' in told.text


async def test_stop_tells_exact_counts_and_what_came_back(member, busy, token):
    counts = {
        "accepted": 150,
        "unknown": 0,
        "stopped": 262,
        "submitting": 0,
        "queued": 0,
        "rejected": 0,
        "suppressed": 0,
    }
    told = {"state": "closed", "counts": counts, "credits": {"released": 524, "used": 300, "held": 0, "reserved": 824}}
    busy.answers[f"POST /v1/bulk-sms/{fakes.SEND_ID}/stop"] = (200, told)
    answer = await post(member, token, f"{SEND}/stop")
    assert "Stopped. 150 had left, 262 were kept back, 524 credits came back." in answer.text


async def test_what_an_act_came_to_is_told_at_the_address_of_its_page_for_a_while_and_to_nobody_else(
    member, busy, token, monkeypatch
):
    busy.answers[f"POST /v1/bulk-sms/{fakes.SEND_ID}/pause"] = (200, {"id": fakes.SEND_ID})
    form = {"csrf": token(await member.get(SEND))}
    led = await member.request("POST", f"{SEND}/pause", data=form)
    there = led.headers["Location"]
    assert (led.status_code, there.partition("?told=")[0]) == (303, SEND)
    assert "Paused. Nothing leaves" in (await member.get(there)).text
    monkeypatch.setattr(visits, "_NEWS_S", -1)
    assert "Paused. Nothing leaves" not in (await member.get(there)).text
    monkeypatch.undo()
    mine = guard.sealed("another session", '{"notice": "Paid in full"}')
    assert "Paid in full" not in (await member.get(f"{SEND}?told={mine}")).text


async def test_a_send_that_was_over_before_all_had_left_is_not_said_to_be_finished(member, busy):
    for stopped, says, never in ((0, "Finished", "Ended early"), (262, "Ended early", "Finished")):
        over = fakes.send(state="closed", counts={"accepted": 150, "stopped": stopped})
        busy.answers["GET /v1/bulk-sms"] = (200, {"items": [over], "next_cursor": None})
        busy.answers[f"GET /v1/bulk-sms/{fakes.SEND_ID}"] = (200, over)
        gone = fakes.progress(state="closed", stopped=stopped, left=0)
        busy.answers[f"GET /v1/bulk-sms/{fakes.SEND_ID}/progress"] = (200, gone)
        for page in ("/", "/sends", SEND):
            text = (await member.get(page)).text
            assert f"{says}</span>" in text
            assert f"{never}</span>" not in text


async def test_a_send_of_which_nothing_is_known_yet_is_being_prepared(member, busy):
    empty = {**fakes.progress(state="planning"), "recipients": 0}
    busy.answers[f"GET /v1/bulk-sms/{fakes.SEND_ID}"] = (200, {**fakes.send(state="planning"), "recipients": None})
    busy.answers[f"GET /v1/bulk-sms/{fakes.SEND_ID}/progress"] = (200, empty)
    page = (await member.get(SEND)).text
    assert "It is being prepared" in page
    assert "0 of 0" not in page


async def test_what_became_dearer_is_sent_only_for_the_sum_that_is_shown(member, busy, token):
    dearer = fakes.send(state="needs_confirmation", credits=900, problem={"title": "dearer", "code": "dearer"})
    busy.answers[f"GET /v1/bulk-sms/{fakes.SEND_ID}"] = (200, dearer)
    busy.answers[f"GET /v1/bulk-sms/{fakes.SEND_ID}/progress"] = (200, fakes.progress(state="waiting"))
    assert "Send for 900 credits" in (await member.get(SEND)).text
    busy.answers[f"POST /v1/bulk-sms/{fakes.SEND_ID}/confirm"] = (202, fakes.send())
    await post(member, token, f"{SEND}/confirm", credits="900")
    assert json.loads(busy.asked(f"POST /v1/bulk-sms/{fakes.SEND_ID}/confirm")[0].content) == {"credits": 900}


async def test_a_form_sent_after_the_session_ended_is_found_again_after_signing_in(member, busy, token):
    csrf = token(await member.get("/compose"))
    busy.is_open = False
    member._transport.app.state.house.sessions.forget("s" * 43)
    page = await member.post("/compose", data={**DRAFT, "csrf": csrf})
    assert page.status_code == 401
    assert 'name="carried.text"' in page.text
    busy.is_open = True
    fields = {"email": "a@b.example", "password": "p", "next": "/compose", "carried.text": DRAFT["text"], "csrf": csrf}
    on = await member.post("/sign-in", data=fields)
    assert (on.status_code, 'action="/compose"' in on.text, "it’s on" in on.text) == (200, True, True)
    assert not busy.asked("POST /v1/quotes")


@pytest.mark.parametrize("text", ["a" * 160, "a" * 307, "]" * 153, "😀" * 67, "Héllo’" * 40])
def test_a_phone_shows_all_of_a_text_part_by_part(text):
    assert "".join(cut(text)) == text
    assert "".join(run for run, _ in marked(text, frozenset("’]"))) == text


async def test_a_send_comes_live_as_pieces_of_the_page(member, busy):
    event = json.dumps(fakes.progress(state="paused", sent=151))
    busy.streams = {f"GET /v1/bulk-sms/{fakes.SEND_ID}/progress": f"id: 1\nevent: progress\ndata: {event}\n\n"}
    answer = await member.get(f"{SEND}/live")
    assert answer.headers["content-type"].startswith("text/event-stream")
    told = json.loads(answer.text.split("event: numbers\ndata: ")[1].split("\n")[0])
    assert (told["state"], told["sent"], told["end"]) == ("paused", 151, False)
    assert "<dd>151</dd>" in told["html"]


async def test_a_send_of_which_the_report_has_not_heard_is_shown_with_its_state(member, busy):
    busy.answers[f"GET /v1/bulk-sms/{fakes.SEND_ID}"] = (200, fakes.send(state="planning"))
    busy.answers[f"GET /v1/bulk-sms/{fakes.SEND_ID}/progress"] = (404, {"code": "not_found"})
    assert "Being prepared" in (await member.get(SEND)).text
    assert 'event: state\ndata: {"state": "planning"}' in (await member.get(f"{SEND}/live")).text


async def test_who_can_text_nobody_is_told_why_and_what_would_let_them(member, busy, token):
    wrong = {"field": "audience", "code": "audience_empty", "message": "all 61 customers in it are left out"}
    refused = {
        "code": "audience_empty",
        "errors": [wrong],
        "customers": 61,
        "left_out": {"no_consent": 60, "duplicate_number": 1},
    }
    busy.answers["POST /v1/quotes"] = (422, refused)
    page = await member.get("/compose")
    told = await member.post("/compose/figures", data={**DRAFT, "csrf": token(page)}, headers={"HX-Request": "true"})
    assert (
        "Nobody in this audience can be texted: 60 do not allow Bulk SMS, 1 shares a number with somebody who gets it."
        in told.text
    )
    assert "import a file with the column Allow Bulk SMS" in told.text
