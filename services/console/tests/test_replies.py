"""Replies: the list, a conversation, an answer that leaves once, and what an unclear one means."""

import json

import pytest


@pytest.fixture
def inbox(api, said):
    """A reply of a customer, with what was written before it."""
    sent = {"at": "2026-11-27T00:00:00Z", "direction": "out", "text": "It is on", "verdict": None, "reply_id": None}
    came = {**said.reply(), "direction": "in", "reply_id": said.REPLY_ID}
    ann = {"id": 7, "first_name": "Ann", "last_name": "Lee", "numbers": [{"number": "+61412345678"}]}
    api.answers |= {
        "GET /v1/replies": (200, {"items": [said.reply()], "next_cursor": None}),
        f"GET /v1/replies/{said.REPLY_ID}": (200, said.reply()),
        "GET /v1/conversations": (200, {"items": [came, sent]}),
        "GET /v1/customers": (200, {"items": [ann]}),
        "GET /v1/suppressions": (200, {"items": []}),
        "GET /v1/rates": (200, {"items": [{"country": "AU", "credits_per_part": 2}]}),
        "POST /v1/messages": (202, {"id": "m", "credits": 4, "parts": 2}),
    }
    return f"/replies/{said.REPLY_ID}"


async def test_replies_of_one_number_are_one_conversation(member, api, said, inbox):
    later = said.reply(id="01931f5e-7b1c-7000-8000-00000000000d", text="And thank you")
    api.answers["GET /v1/replies"] = (200, {"items": [later, said.reply()], "next_cursor": None})
    page = await member.get("/replies")
    assert page.text.count("+61412345678") == 1
    assert "And thank you" in page.text
    assert "2 messages" in page.text


async def test_the_list_is_left_alone_until_something_has_come(member, api, said, inbox):
    known = f"/replies/latest?show=all&newest={said.REPLY_ID}"
    assert (await member.get(known)).status_code == 204
    newer = said.reply(id="01931f5e-7b1c-7000-8000-00000000000d", text="Stop it", verdict="unclear")
    api.answers["GET /v1/replies"] = (200, {"items": [newer, said.reply()]})
    piece = await member.get(known)
    assert "Stop it" in piece.text
    assert "A new reply has come in." in piece.text


async def test_a_conversation_is_read_from_the_top_down_with_whose_it_is(member, inbox):
    page = (await member.get(inbox)).text
    assert page.index("It is on") < page.index("See you at ten")
    assert "Customer: Ann Lee" in page


async def test_an_answer_goes_to_the_number_once_for_each_form(member, api, inbox, token):
    page = await member.get(inbox)
    key = page.text.split('name="key" value="')[1].split('"')[0]
    form = {"csrf": token(page), "key": key, "text": " See you then "}
    for _ in range(2):
        told = await member.post(f"{inbox}/answer", data=form)
        assert "it costs 4 credits" in told.text
    sent = api.asked("POST /v1/messages")
    assert {one.headers["Idempotency-Key"] for one in sent} == {key}
    assert json.loads(sent[0].content) == {"to": "+61412345678", "text": "See you then"}


async def test_an_answer_that_is_refused_is_kept_with_the_reason(member, api, inbox, token):
    refused = {"code": "invalid", "errors": [{"field": "to", "code": "opted_out", "message": "has opted out"}]}
    api.answers["POST /v1/messages"] = (422, refused)
    page = await member.get(inbox)
    told = await member.post(f"{inbox}/answer", data={"csrf": token(page), "text": "Please come back"})
    assert told.status_code == 422
    assert "has opted out" in told.text
    assert "Please come back" in told.text


async def test_what_an_answer_comes_to_is_told_as_one_types(member, inbox, token):
    page = await member.get(inbox)
    piece = await member.post(f"{inbox}/count", data={"csrf": token(page), "text": "x" * 161})
    assert "2 parts, 4 credits" in piece.text


async def test_staff_decide_what_an_unclear_reply_means_and_do_not_answer(member, api, said, inbox, token):
    api.role = "staff"
    api.answers[f"GET /v1/replies/{said.REPLY_ID}"] = (200, said.reply(verdict="unclear"))
    api.answers[f"POST /v1/replies/{said.REPLY_ID}/verdict"] = (200, said.reply(verdict="opt_out"))
    page = await member.get(inbox)
    assert "/answer" not in page.text
    told = await member.post(f"{inbox}/verdict", data={"csrf": token(page), "verdict": "opt_out"})
    assert "nothing is sent to this number any more" in told.text
    (asked,) = api.asked(f"POST /v1/replies/{said.REPLY_ID}/verdict")
    assert json.loads(asked.content) == {"verdict": "opt_out", "scope": "marketing"}


async def test_of_somebody_who_was_erased_nothing_is_asked(member, api, said, inbox):
    api.answers[f"GET /v1/replies/{said.REPLY_ID}"] = (200, said.reply(number="", text="", erased=True))
    page = await member.get(inbox)
    assert "(erased)" in page.text
    assert not api.asked("GET /v1/conversations")
