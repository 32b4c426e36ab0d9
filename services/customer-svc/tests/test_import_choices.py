"""What can be chosen of an import: the columns, whom it changes, by what, whose consent; and what comes back."""

import csv
import io
import json
from typing import Any

import openpyxl
from importing import importer_of
from test_importer import finish, stands

HEADER = "Kd-Nr,First name,Last name,Handy,Allow Bulk SMS"
NUMBERED = "Customer no,First name,Last name,Mobile,Allow Bulk SMS"
PATH = "/v1/customers/imports"


async def load(salon: Any, rows: str, header: str = NUMBERED, **given: Any) -> Any:
    answer = await salon.http.post(
        PATH,
        params=given,
        content=f"{header}\n{rows}".encode(),
        headers={"Authorization": "Bearer admin", "Content-Type": "text/csv"},
    )
    return answer.json()


async def people(salon: Any) -> list[Any]:
    return list((await salon.ask("GET", "/v1/customers")).json()["items"])


async def test_a_file_is_looked_at_mapped_and_started_and_its_columns_are_remembered(salon: Any) -> None:
    begun = await load(salon, "7,Ana,S,412000001,yes\n8,Bob,S,banana,no\n", HEADER, preview=True)
    path = f"{PATH}/{begun['id']}"
    assert (begun["state"], await salon.count("customer")) == ("preview", 0)
    seen = (await salon.ask("GET", f"{path}/preview")).json()
    assert (seen["kind"], seen["separator"], seen["rows_total"]) == ("text", ",", 2)
    assert seen["columns"][3] == {"header": "Handy", "holds": "handy"}
    assert (seen["problem"]["code"], seen["rows"][0]["cells"][1]) == ("no_mobile_column", "Ana")
    refused = await salon.ask("POST", f"{path}/start", {})
    assert (refused.status_code, refused.json()["code"]) == (422, "no_mobile_column")
    mapping = {"Handy": "mobile", "Kd-Nr": "customer no", "Last name": ""}
    tried = (await salon.http.get(f"{path}/preview", params={"mapping": json.dumps(mapping)},
                                  headers={"Authorization": "Bearer admin"})).json()  # fmt: skip
    assert [one["code"] for one in tried["errors"]] == ["not_a_number"]
    assert [one["code"] for one in tried["repairs"]] == ["leading_zero_restored"]
    assert (await salon.ask("POST", f"{path}/start", {"mapping": mapping})).json()["state"] == "applying"
    assert (await salon.ask("POST", f"{path}/start", {"mapping": mapping})).status_code == 202
    while await salon.http._transport.app.state.importer.apply_turn():
        pass
    [ana] = await people(salon)
    assert (ana["last_name"], ana["own_fields"]) == ("", {"customer_no": "7"})
    again = await load(salon, "7,Ana,S,412000001,yes\n", HEADER)
    assert (again["state"], again["unchanged"]) == ("done", 1)
    assert again["repairs"][0]["message"] == "Numbers had lost their leading zero."


async def test_a_text_begins_with_the_first_name_also_where_the_file_has_the_last_one_first(salon: Any) -> None:
    done = await load(salon, '"Smith, Ana",0412000001,yes\nBob Lee,0412000002,yes\n', "Name,Mobile,Allow Bulk SMS")
    assert [(one["column"], one["code"], one["count"]) for one in done["repairs"]] == [("Name", "name_turned", 1)]
    assert [(one["first_name"], one["last_name"]) for one in await people(salon)] == [("Ana", "Smith"), ("Bob", "Lee")]


async def test_who_would_be_taken_without_a_mobile_number_is_seen_before(salon: Any) -> None:
    begun = await load(salon, "7,Ana,S,0412000001,yes\n\n8,Bob,S,,no\n9,Cy,S,0298765432,no\n", preview=True)
    seen = (await salon.ask("GET", f"{PATH}/{begun['id']}/preview")).json()
    assert (seen["errors"], seen["without_mobile"]) == ([], [3, 4])


async def test_how_many_of_the_first_rows_would_be_left_out_is_told_however_many_are_listed(salon: Any) -> None:
    begun = await load(salon, "7,Ana,S,0412000001,yes\n" + "8,Bob,S,banana,perhaps\n" * 250, preview=True)
    seen = (await salon.ask("GET", f"{PATH}/{begun['id']}/preview")).json()
    assert (seen["rows_total"], seen["rows_read"], seen["rejected"], len(seen["errors"])) == (251, 50, 49, 50)


async def test_a_file_of_blank_lines_is_refused_as_one_that_holds_nothing(salon: Any) -> None:
    refused = await load(salon, "\r\n  \n", header="", preview=True)
    assert refused["code"] == "empty"
    assert "nothing in the file but blank lines" in str(refused)


async def test_a_mapping_that_is_none_is_refused_by_name(salon: Any) -> None:
    for mapping, code in (("x", "not_valid"), ("[1]", "not_valid"), ('{"Nobody": "mobile"}', "unknown_column")):
        answer = await load(salon, "1,Ana,S,0412000001,yes\n", mapping=mapping)
        assert answer["errors"][0] == {**answer["errors"][0], "field": "mapping", "code": code}
    assert await salon.count("customer") == 0


async def test_an_import_may_only_add_or_only_update(salon: Any) -> None:
    await load(salon, "1,Ana,S,0412000001,yes\n")
    rows = "9,Ana,S,0412000001,no\n2,Bob,S,0412000002,yes\n"
    added = await load(salon, rows, mode="add")
    assert (added["created"], added["updated"], added["unchanged"], added["rejected"]) == (1, 0, 1, 0)
    changed = await load(salon, rows + "3,Cat,S,0412000003,yes\n", mode="update")
    assert (changed["created"], changed["updated"], changed["unchanged"], changed["rejected"]) == (0, 1, 1, 1)
    errors = (await salon.ask("GET", changed["errors_url"])).json()["items"]
    assert [(one["row"], one["code"]) for one in errors] == [(3, "not_known")]
    assert [one["own_fields"]["customer_no"] for one in await people(salon)] == ["9", "2"]


async def test_customers_are_known_by_number_whatever_they_are_called(salon: Any) -> None:
    await load(salon, "1,Ana,Smith,0412000001,yes\n")
    done = await load(salon, "1,Anna,Jones,+61412000001,yes\n2,Bob,S,0412000002,\n3,B,S,0412000002,\n4,C,C,,yes\n",
                      match="number")  # fmt: skip
    assert (done["created"], done["updated"], done["rejected"]) == (1, 1, 2)
    errors = (await salon.ask("GET", done["errors_url"])).json()["items"]
    assert [(one["row"], one["code"]) for one in errors] == [(3, "duplicate_row"), (4, "no_number")]
    ana, bob = await people(salon)
    assert (ana["first_name"], ana["last_name"], bob["first_name"]) == ("Anna", "Jones", "Bob")
    same = await load(salon, "1,Anna,Jones,0412000001,yes\n")
    assert (same["created"], same["unchanged"]) == (0, 1)


async def test_customers_are_known_by_a_field_of_their_own_and_take_the_files_number(salon: Any) -> None:
    await load(salon, "1,Ana,S,0412000001,yes\n2,Bob,S,0412000002,yes\n")
    rows = "2,Bob,S,0412000009,yes\n3,Cat,S,0412000003,yes\n3,Dan,S,0412000004,yes\n,E,E,0412000005,\n"
    done = await load(salon, rows, match="field:Customer no")
    assert (done["created"], done["updated"], done["rejected"]) == (1, 1, 2)
    errors = (await salon.ask("GET", done["errors_url"])).json()["items"]
    assert [(one["row"], one["code"]) for one in errors] == [(3, "duplicate_row"), (4, "no_key")]
    assert [one["mobiles"][0]["number"] for one in await people(salon)] == [
        "+61412000001", "+61412000009", "+61412000003"]  # fmt: skip
    assert (await load(salon, "2,Bob,S,0412000009,yes\n"))["unchanged"] == 1
    assert (await load(salon, "1,A,S,0412000001,yes\n", match="field:crm"))["code"] == "no_key_column"
    assert (await load(salon, "1,A,S,0412000001,yes\n", match="field:"))["code"] == "not_valid"


async def test_consent_is_what_the_importer_states_and_never_invented(salon: Any) -> None:
    header = "First name,Mobile"
    assert (await load(salon, "Ana,0412000001\n", header))["created"] == 1
    for given, field in (
        ({"consent": "express", "consent_source": "form"}, "consent_wording"),
        ({"consent": "inferred"}, "consent_source"),
        ({"consent_wording": "I agree"}, "consent"),
    ):
        assert (await load(salon, "Bob,0412000002\n", header, **given))["errors"][0]["field"] == field
    stated = {"consent": "express", "consent_wording": "Text me offers", "consent_source": "paper form"}
    await load(salon, "Bob,0412000002\n", header, **stated)
    await load(salon, "1,Cat,S,0412000003,yes\n2,Dan,S,0412000004,\n", **stated)
    await load(salon, "1,Cat,S,0412000003,yes\n")
    ana, bob, cat, dan = await people(salon)
    assert [(one["allow_bulk_sms"], one["consent"]) for one in (ana, bob, cat, dan)] == [
        (None, "none"), (True, "express"), (True, "express"), (None, "none")]  # fmt: skip
    evidence = cat["consent_evidence"]
    assert (evidence["how"], evidence["wording"], evidence["by"]) == ("import: paper form", "Text me offers", "ada")


async def test_rows_that_were_left_out_come_back_are_corrected_and_imported_again(salon: Any) -> None:
    header = "First name,Mobile,Allow Bulk SMS,Notes"
    done = await load(salon, "Ana,0412000001,yes,+1\nBob,banana,perhaps,@home\nCat,0412000003,yes,=1+1\n", header)
    assert (done["imported"], done["rejected"]) == (1, 2)
    answer = await salon.ask("GET", done["rejected_url"])
    assert answer.content.startswith(b"\xef\xbb\xbf")
    lines = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert lines[0] == [*header.split(","), "Import row", "Import column", "Import reason"]
    assert [line[:6] for line in lines[1:]] == [
        ["Bob", "banana", "perhaps", "'@home", "2", "Mobile; Allow Bulk SMS"],
        ["Cat", "0412000003", "yes", "'=1+1", "3", "Notes"],
    ]
    fixed = answer.content.decode().replace("banana", "0412000002").replace("perhaps", "yes").replace("'=1+1", "2")
    again = await salon.ask("POST", PATH, fixed.encode(), Content_Type="text/csv")
    assert (again.json()["created"], again.json()["rejected"]) == (2, 0)
    assert [one["own_fields"] for one in await people(salon)] == [{"notes": "+1"}, {"notes": "@home"}, {"notes": "2"}]


async def test_a_workbook_is_imported_and_a_value_that_is_not_of_its_fields_kind_is_named(
    salon: Any, settings: Any
) -> None:
    await salon.ask("PUT", "/v1/own-fields/last_visit", {"name": "Last visit", "kind": "date"})
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for line in (("First name", "Mobile", "Last visit"), ("Ana", 412000001, 46023), ("Bob", "0412000002", "soon")):
        sheet.append(line)
    stored = io.BytesIO()
    book.save(stored)
    kind = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"
    begun = await salon.ask("POST", PATH, stored.getvalue(), Content_Type=kind, Prefer="respond-async")
    assert begun.status_code == 202, "it is left to the worker"
    await finish(importer_of(salon.db, settings))
    done = await stands(salon, begun.json())
    assert (done["created"], done["rejected"]) == (1, 1)
    assert {one["code"] for one in done["repairs"]} == {"leading_zero_restored", "date_restored"}
    [error] = (await salon.ask("GET", done["errors_url"])).json()["items"]
    assert (error["column"], error["code"]) == ("Last visit", "not_a_date")
    [ana] = await people(salon)
    assert ana["own_fields"] == {"last_visit": "2026-01-01"}
