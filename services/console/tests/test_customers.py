"""Customers, their opt-outs and files of them: nothing is overwritten unseen, and errors are told where they are."""

import json
import re

import pytest

from muster.console import guard
from muster.console.formats import formats


@pytest.fixture
def people(api, said):
    api.answers |= said.CUSTOMERS
    return api


async def test_who_fits_is_shown_as_one_types_with_how_many_there_are(member, people, token):
    page = await member.get("/customers")
    piece = await member.post("/customers/found", data={"csrf": token(page), "query": "ann"})
    assert "About 1,204 customers" in piece.text
    assert 'href="/customers/7"' in piece.text
    assert people.asked("GET /v1/customers")[-1].url.params["query"] == "ann"
    address = piece.headers["HX-Replace-Url"]
    assert "ann" not in address
    more = re.search(r'href="(/customers\?q=[^"]*cursor=c2)"', piece.text).group(1).replace("&amp;", "&")
    await member.get(more)
    assert people.asked("GET /v1/customers")[-1].url.params["query"] == "ann"
    sealed = address.partition("q=")[2]
    session = member.cookies["__Host-muster_session"]
    assert (guard.unsealed(session, sealed), guard.unsealed("another", sealed)) == ("ann", None)


async def test_a_condition_that_cannot_be_read_is_told_and_what_was_written_stays(member, people, token):
    wrong = {"field": "query", "code": "unknown_field", "message": "there is no field 'shoe'"}
    people.answers["GET /v1/customers"] = (422, {"code": "invalid", "errors": [wrong]})
    form = {"csrf": token(await member.get("/customers")), "query": "shoe is red"}
    found = await member.post("/customers", data=form)
    page = await member.get(found.headers["Location"])
    assert "There is no field &#39;shoe&#39;" in page.text
    assert 'value="shoe is red"' in page.text


async def test_a_customer_is_shown_with_numbers_as_typed_and_what_they_are(member, people):
    page = (await member.get("/customers/7")).text
    assert "written as 0412 345 678" in page
    assert "landline, cannot be texted" in page
    assert "Text me about offers" in page


async def test_a_field_of_a_business_has_its_name_and_its_day_on_every_clock(member, people, said):
    own = {"last_visit": "2026-05-01", "shoe_size": "41"}
    people.answers["GET /v1/customers/7"] = (200, {**said.CUSTOMER, "own_fields": own})
    known = {"key": "last_visit", "name": "Was here last", "kind": "date"}
    people.answers["GET /v1/own-fields"] = (200, {"items": [known]})
    page = (await member.get("/customers/7")).text
    assert "<dt>Was here last</dt><dd>1 May 2026</dd>" in page
    assert "<dt>Shoe size</dt><dd>41</dd>" in page
    assert formats("en-US", "US", "America/Los_Angeles").day("2026-05-01") == "May 1, 2026"


async def test_of_two_who_change_a_customer_the_second_sees_what_the_first_did(member, people, said, token):
    page = await member.get("/customers/7/edit")
    assert 'name="version" value="3"' in page.text
    people.answers["PATCH /v1/customers/7"] = (412, {"code": "changed", "status": 412})
    people.answers["GET /v1/customers/7"] = (200, {**said.CUSTOMER, "last_name": "Leigh", "version": 4})
    form = {"csrf": token(page), "version": "3", "first_name": "Anna", "last_name": "Lee", "numbers": "0412 345 678"}
    form |= {"tags": "vip", "language": "en", "time_zone": "", "own.last_visit": "2026-05-01"}
    told = await member.post("/customers/7/edit", data=form)
    assert told.status_code == 409
    assert "Last name: Leigh" in told.text
    assert 'value="Anna"' in told.text
    assert 'name="version" value="4"' in told.text
    (asked,) = people.asked("PATCH /v1/customers/7")
    assert asked.headers["If-Match"] == '"3"'
    assert json.loads(asked.content)["numbers"] == ["0412 345 678"]


async def test_a_withdrawal_says_that_nothing_is_sent_any_more(member, people, token):
    people.answers["POST /v1/customers/7/consents"] = (201, {})
    page = await member.get("/customers/7")
    told = await member.post("/customers/7/consent", data={"csrf": token(page), "kind": "withdrawn", "how": "by phone"})
    assert "Nothing is sent to them any more" in told.text
    (asked,) = people.asked("POST /v1/customers/7/consents")
    assert json.loads(asked.content) == {"kind": "withdrawn", "how": "by phone"}


async def test_staff_neither_merge_nor_erase(member, people):
    people.role = "staff"
    page = (await member.get("/customers/7")).text
    assert "/erase" not in page
    assert "/merge" not in page
    assert (await member.get("/customers/7/erase")).status_code == 403


async def test_a_file_is_handed_on_as_it_is_and_looked_at_before_anybody_is_changed(member, people, said, token):
    people.answers |= said.IMPORTS
    people.answers["POST /v1/customers/imports"] = (202, said.imported("waiting"))
    page = await member.get("/customers/import")
    key = page.text.split('name="key" value="')[1].split('"')[0]
    files = {"file": ("people.csv", b"Name,Handy\nAnn Lee,0412 345 678\n")}
    told = await member.post("/customers/import", data={"csrf": token(page), "key": key}, files=files)
    assert (told.status_code, told.headers["Location"]) == (303, f"/customers/import/{said.IMPORT_ID}")
    (asked,) = people.asked("POST /v1/customers/imports")
    assert asked.content == files["file"][1]
    assert (asked.url.params["preview"], asked.headers["Idempotency-Key"]) == ("true", key)


async def test_nobody_sends_a_file_who_is_not_signed_in(browser, api):
    files = {"file": ("people.csv", b"x" * 5_000_000)}
    told = await browser.post("/customers/import", files=files)
    assert told.headers["Location"] == "/sign-in?next=/customers/import"


async def test_a_photo_is_told_what_it_is_not(member, people, said, token):
    people.answers |= said.IMPORTS
    wrong = {"field": "file", "code": "wrong_kind", "message": "is a picture: export the customers as CSV or XLSX"}
    people.answers["POST /v1/customers/imports"] = (422, {"code": "invalid", "errors": [wrong]})
    page = await member.get("/customers/import")
    told = await member.post("/customers/import", data={"csrf": token(page)}, files={"file": ("a.jpg", b"\xff\xd8")})
    assert told.status_code == 422
    assert "is a picture" in told.text
    empty = await member.post("/customers/import", data={"csrf": token(page)}, files={"file": ("b.csv", b"")})
    assert "b.csv is empty" in empty.text


async def test_what_columns_hold_is_tried_and_then_imported_so(member, people, said, token):
    people.answers |= said.IMPORTS
    path = f"/customers/import/{said.IMPORT_ID}"
    page = await member.get(path)
    assert "A leading zero was lost. Repaired 3 times, first in row 2." in page.text
    assert "No column is named Mobile." in page.text
    assert "No column says who allows Bulk SMS." in page.text
    assert "Row 2, Handy: This is no number." in page.text
    assert "<mark>banana (cannot be used)</mark>" in page.text
    assert "Row 4 has no mobile number" in page.text
    assert "3 rows would be left out" in page.text
    assert "The first 30 rows were looked at; in the others there may be more." in page.text
    assert "… and 2 rows more" in page.text
    form = {"csrf": token(page), "column.0": "Name", "holds.0": "full_name", "column.1": "Handy", "holds.1": "mobile"}
    await member.post(f"{path}/start", data={**form, "do": "try"})
    mapping = {"Name": "full_name", "Handy": "mobile"}
    tried = people.asked(f"GET /v1/customers/imports/{said.IMPORT_ID}/preview")[-1]
    assert json.loads(tried.url.params["mapping"]) == mapping
    people.answers[f"POST /v1/customers/imports/{said.IMPORT_ID}/start"] = (202, said.imported("waiting"))
    stated = {"mode": "add", "match": "number", "consent": "express", "consent_wording": "Yes", "do": "start"}
    await member.post(f"{path}/start", data={**form, **stated})
    (asked,) = people.asked(f"POST /v1/customers/imports/{said.IMPORT_ID}/start")
    body = json.loads(asked.content)
    assert {name: body[name] for name in ("mode", "match", "consent", "consent_wording")} == {
        name: stated[name] for name in ("mode", "match", "consent", "consent_wording")
    }
    assert body["mapping"] == mapping


async def test_who_states_no_consent_is_told_what_a_yes_in_the_file_then_counts_as(member, people, said):
    page = f"/customers/import/{said.IMPORT_ID}"
    people.answers |= said.IMPORTS
    assert "nobody new is texted for marketing" in (await member.get(page)).text
    columns = [*said.PREVIEW["columns"], {"header": "OK", "holds": "allow_bulk_sms"}]
    rows = [{**one, "cells": [*one["cells"], "yes"]} for one in said.PREVIEW["rows"]]
    path = f"GET /v1/customers/imports/{said.IMPORT_ID}/preview"
    people.answers[path] = (200, {**said.PREVIEW, "columns": columns, "rows": rows})
    shown = (await member.get(page)).text
    assert "consent is inferred, without proof" in shown
    assert "nobody new is texted" not in shown


async def test_progress_is_told_and_the_end_leads_to_what_was_left_out(member, people, said):
    people.answers |= said.IMPORTS
    own, path = f"GET /v1/customers/imports/{said.IMPORT_ID}", f"/customers/import/{said.IMPORT_ID}"
    people.answers[own] = (200, said.imported("applying"))
    assert "10 of 40 rows" in (await member.get(f"{path}/progress")).text
    people.answers[own] = (200, said.imported("done"))
    over = await member.get(f"{path}/progress", headers={"HX-Request": "true"})
    assert over.headers["HX-Redirect"] == path
    page = (await member.get(path)).text
    assert "This is no number." in page
    assert f'href="{path}/left-out.csv"' in page


async def test_several_numbers_are_stopped_at_once_and_each_that_is_none_is_named(member, api, said, token):
    api.answers |= said.OPT_OUTS
    found = {"suppressed": 1, "errors": [{"row": 2, "code": "not_a_number", "message": "is no number"}]}
    api.answers["POST /v1/suppressions/uploads"] = (200, found)
    page = await member.get("/customers/opt-outs")
    form = {"csrf": token(page), "numbers": "0412 345 678\nhello", "scope": "all"}
    told = await member.post("/customers/opt-outs", data=form)
    assert "1 number is stopped" in told.text
    assert "line 2: is no number" in told.text
    (asked,) = api.asked("POST /v1/suppressions/uploads")
    assert json.loads(asked.content) == ["0412 345 678", "hello"]
    assert asked.url.params["scope"] == "all"
