"""The report of a send, its file, and what is asked of a send afterwards."""

import csv
import io
import json

import pytest


@pytest.fixture
def sent(api, said):
    """A send that is over: delivered to one, not to another, and a third was erased since."""
    reply = {"at": "2026-11-28T00:05:00Z", "text": "See you then", "verdict": "ordinary"}
    rows = [
        said.message(3, replies=[reply]),
        said.message(2, status="undelivered", carrier_status="00B", text="=HYPERLINK(1)"),
        said.message(1, number=None, text=None, customer_id=None, erased=True),
    ]
    credits = {"used": 6, "held": 0, "released": 4, "reserved": 10, "refunded": 2}
    over = {"state": "closed", "closed": True, "recipients": 5, "delivered": 2, "undelivered": 1, "failed": 1}
    send = f"/v1/bulk-sms/{said.SEND_ID}"
    api.answers |= {
        f"GET {send}": (200, said.send(state="closed")),
        f"GET {send}/progress": (200, said.progress(**over, stopped=2, credits=credits)),
        "GET /v1/reports/sms": (200, {"items": rows, "next_cursor": None}),
    }
    return f"/sends/{said.SEND_ID}"


async def test_the_report_tells_what_became_of_each_who_was_left_out_and_what_it_cost(member, sent):
    page = (await member.get(f"{sent}/report")).text
    assert f'href="{sent}/report?status=undelivered"' in page
    assert "88 of 500 customers were not texted" in page
    assert "10 reserved = 6 used + 4 given back + 0 held." in page
    assert "2 were refunded because messages failed: it cost 4 in the end." in page
    assert "the carrier says 00B" in page
    assert "See you then" in page
    assert "(erased)" in page


async def test_a_report_is_filtered_without_a_number_or_a_text_in_any_address(member, api, sent, token):
    page = await member.get(f"{sent}/report")
    form = {"csrf": token(page), "status": "delivered", "number": " 0412 340 003 ", "text": "sale"}
    found = await member.post(f"{sent}/report", data=form)
    asked = api.asked("GET /v1/reports/sms")[-1].url.params
    assert (asked["status"], asked["number"], asked["text"]) == ("delivered", "0412 340 003", "sale")
    assert 'value="0412 340 003"' in found.text
    assert found.request.url.query == b""


async def test_a_number_that_cannot_be_read_is_named_and_the_report_stays(member, api, sent, said, token):
    def refused(request):
        if "number" in request.url.params:
            return 422, {"code": "invalid", "errors": [{"field": "number", "code": "x", "message": "is too short"}]}
        return 200, {"items": [said.message(1)], "next_cursor": None}

    api.answers["GET /v1/reports/sms"] = refused
    page = await member.get(f"{sent}/report")
    answer = await member.post(f"{sent}/report", data={"csrf": token(page), "number": "12"})
    assert answer.status_code == 422
    assert 'href="#number">Number is too short' in answer.text
    assert 'value="12"' in answer.text
    assert "+61412340001" in answer.text


async def test_a_report_is_left_alone_until_something_of_it_changes(member, api, sent, said, token):
    page = await member.get(f"{sent}/report")
    mark = page.text.split('"mark": "')[1].split('"')[0]
    form = {"csrf": token(page), "mark": mark}
    assert (await member.post(f"{sent}/report/latest", data=form)).status_code == 204
    api.answers["GET /v1/reports/sms"] = (200, {"items": [said.message(1, status="expired")], "next_cursor": None})
    assert "Given up by the carrier" in (await member.post(f"{sent}/report/latest", data=form)).text


async def test_the_file_holds_each_page_of_the_report_and_no_formula(member, api, sent, said, token):
    def pages(request):
        if request.url.params["limit"] != "500":
            return 200, {"items": [], "next_cursor": None}
        if "cursor" in request.url.params:
            return 200, {"items": [said.message(1, replies=[])], "next_cursor": None}
        return 200, {"items": [said.message(2, text="=HYPERLINK(1)")], "next_cursor": "more"}

    api.answers["GET /v1/reports/sms"] = pages
    page = await member.get(f"{sent}/report")
    answer = await member.post(f"{sent}/report.csv", data={"csrf": token(page), "status": "delivered"})
    assert "attachment" in answer.headers["content-disposition"]
    first, second = csv.DictReader(io.StringIO(answer.content.decode("utf-8-sig")))
    assert (first["text"], first["number"], second["text"]) == ("'=HYPERLINK(1)", "+61412340002", said.TEXT)
    assert first["sent_at"] == "2026-11-28T11:00:01+11:00"
    assert {one.url.params["status"] for one in api.asked("GET /v1/reports/sms")[1:]} == {"delivered"}


async def test_a_file_that_cannot_be_finished_breaks_off_instead_of_ending_early(member, api, sent, said, token):
    def gone(request):
        return (401, {"code": "x"}) if "cursor" in request.url.params else (200, {"items": [], "next_cursor": "more"})

    page = await member.get(f"{sent}/report")
    api.answers["GET /v1/reports/sms"] = gone
    with pytest.raises(ConnectionAbortedError):
        await member.post(f"{sent}/report.csv", data={"csrf": token(page)})


async def test_who_did_not_get_it_is_quoted_again_and_the_bill_comes_first(member, api, sent, said, token):
    api.answers[f"POST /v1/bulk-sms/{said.SEND_ID}/again"] = (201, said.quote())
    page = await member.get(sent)
    assert "To 2 people it was not sent." in page.text
    answer = await member.post(f"{sent}/again", data={"csrf": token(page), "failed": "yes"})
    assert answer.headers["location"] == f"/check/{said.QUOTE_ID}"
    assert json.loads(api.asked(f"POST /v1/bulk-sms/{said.SEND_ID}/again")[0].content) == {"failed": True}
    refused = {"code": "again_under_way", "title": "It is being sent again already", "detail": "Wait for it."}
    api.answers[f"POST /v1/bulk-sms/{said.SEND_ID}/again"] = (409, refused)
    assert "Wait for it." in (await member.post(f"{sent}/again", data={"csrf": token(page)})).text


async def test_what_is_unknown_is_asked_of_who_may_send_alone(member, api, sent, said, token):
    unknown = {"messages": 3, "credits": 6, "rule": "ask", "answer": None, "answer_until": "2099-11-29T00:00:00Z"}
    path = f"/v1/bulk-sms/{said.SEND_ID}/unknown"
    api.answers[f"GET {path}"] = (200, {"items": [], **unknown})
    api.answers[f"POST {path}"] = (200, {"id": said.SEND_ID, "answer": "release", "messages": 3, "credits": 6})
    page = await member.get(sent)
    assert "Give back 6 credits" in page.text
    told = await member.post(f"{sent}/unknown", data={"csrf": token(page), "answer": "release", "reason": "rang"})
    assert "6 credits come back" in told.text
    assert json.loads(api.asked(f"POST {path}")[0].content) == {"answer": "release", "reason": "rang"}
    api.role = "staff"
    member._transport.app.state.house.sessions.forget("s" * 43)
    staff = (await member.get(sent)).text
    assert "An admin or a manager decides" in staff
    assert f'action="{sent}/again"' not in staff


async def test_why_somebody_did_not_get_it_is_told_by_their_number(member, api, sent, said, token):
    why = {"customer_id": 7, "outcome": "left_out", "why": "A number of theirs was suppressed.", "text": None}
    since = {"source": "reply", "changed_at": "2026-11-20T00:00:00Z"}
    path = f"/v1/bulk-sms/{said.SEND_ID}/customers"
    api.answers[f"GET {path}"] = (200, {"items": [{**why, "consent": None, "suppression": since}]})
    page = await member.get(sent)
    told = await member.post(f"{sent}/why", data={"csrf": token(page), "number": "0412 345 678"})
    assert "A number of theirs was suppressed." in told.text
    assert 'href="/customers/7"' in told.text
    assert api.asked(f"GET {path}")[0].url.params["number"] == "0412 345 678"
    assert "Enter a number first" in (await member.post(f"{sent}/why", data={"csrf": token(page)})).text
