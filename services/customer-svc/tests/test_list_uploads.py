"""A file of numbers or keys makes a list of the customers whom it means, and tells of every row that means none."""

import csv
import io
from typing import Any

import openpyxl
import pytest
from test_importer import execute, finish
from test_lists import add, make, members

PATH = "/v1/lists/uploads"
XLSX = "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet"


async def upload(salon: Any, rows: str | bytes, *, kind: str = "text/csv", by: str = "admin", **given: Any) -> Any:
    return await salon.http.post(
        PATH,
        params={"name": "mailing", **given},
        content=rows.encode() if isinstance(rows, str) else rows,
        headers={"Authorization": f"Bearer {by}", "Content-Type": kind},
    )


async def told(salon: Any, done: Any) -> list[tuple[int, str, str]]:
    errors = (await salon.ask("GET", done["errors_url"])).json()["items"]
    return [(one["row"], one["column"], one["code"]) for one in errors]


@pytest.fixture
async def people(salon: Any) -> dict[str, int]:
    """Ana and Anna share a number, Bob has a landline too, Cat is archived, and Dora was merged into Bob."""
    numbers = {"Ana": ["0412 000 001"], "Anna": ["0412 000 001"], "Bob": ["0412 000 002", "(03) 9876 5432"],
               "Cat": ["0412 000 003"], "Dora": ["0412 000 004"]}  # fmt: skip
    ids = {}
    for n, (name, written) in enumerate(numbers.items(), 1):
        [ids[name]] = await add(salon, name, numbers=written, own_fields={"customer no": f"K{n}"})
    await salon.ask("POST", f"/v1/customers/{ids['Cat']}/archive")
    merged = await salon.ask("POST", f"/v1/customers/{ids['Bob']}/merge", {"customer_id": ids["Dora"]})
    assert merged.status_code == 200, merged.text
    return ids


async def test_numbers_as_people_type_them_make_a_list_and_nobody_is_added_or_changed(
    salon: Any, people: dict[str, int]
) -> None:
    words = await salon.count("consent_version")
    rows = "Name,Phone,Allow Bulk SMS\nx,0412000001,yes\nx,+61 3 9876 5432,yes\nx,412999999,yes\n"
    answer = await upload(salon, rows, by="staff", name=" Mail\tout ", file_name="out.csv")
    done = answer.json()
    assert (answer.status_code, answer.headers["Location"]) == (201, f"{PATH}/{done['id']}")
    figures = ("state", "name", "rows", "matched", "rejected", "customers", "problem")
    assert [done[one] for one in figures] == ["done", "Mail out", 3, 2, 1, 3, None]
    assert done["repairs"][0]["code"] == "leading_zero_restored"
    assert await told(salon, done) == [(3, "Phone", "not_a_customer")]
    made = (await salon.ask("GET", "/v1/lists/mail%20out")).json()
    assert (made["id"], made["kind"], made["customers"], made["created_by"]) == (done["list_id"], "upload", 3, "sam")
    assert await members(salon, made["id"]) == ["Ana", "Anna", "Bob"]
    versions = [one["version"] for one in (await salon.ask("GET", "/v1/customers")).json()["items"]]
    assert (versions, await salon.count("consent_version")) == ([1, 1, 2], words)
    assert (await salon.ask("GET", f"{PATH}/{done['id']}")).json() == done
    assert [one["id"] for one in (await salon.ask("GET", PATH)).json()["items"]] == [done["id"]]
    assert (await salon.ask("GET", "/v1/customers/imports")).json()["items"] == []
    refused = (await salon.ask("POST", "/v1/quotes", {"text": "Hi", "audience": {"list": "mail out"}})).json()
    assert (refused["code"], refused["customers"], refused["left_out"]["no_consent"]) == ("audience_empty", 3, 3)


async def test_keys_of_the_business_mean_one_customer_each_and_what_is_doubtful_is_told(
    salon: Any, people: dict[str, int]
) -> None:
    await add(salon, "Eve", numbers=["0412 000 005"], own_fields={"customer no": "K2"})
    rows = (
        "K1,\nK2,\nK3,0412000004\nK4,\nK5,\nK9,0412000001\n"
        "K1,0412000002\n,0412000005\n,,x\n,banana\n,0900 123 456\n,٠٤١٢٠٠٠٠٠١\n=1+1,\n"
    )
    done = (await upload(salon, f"Kd-Nr,Handy,Memo\n{rows}", match="field:Customer no",
                         mapping='{"Kd-Nr": "customer no", "Handy": "mobile"}')).json()  # fmt: skip
    assert await told(salon, done) == [
        (2, "Kd-Nr", "several_customers"), (4, "Kd-Nr", "archived"), (5, "Kd-Nr", "duplicate_row"),
        (6, "Kd-Nr", "not_a_customer"), (7, "Kd-Nr", "number_differs"), (9, "", "no_number"),
        (10, "Handy", "not_a_number"), (11, "Handy", "invalid"), (13, "Kd-Nr", "formula"),
    ]  # fmt: skip
    assert await members(salon, done["list_id"]) == ["Ana", "Anna", "Bob", "Eve"]
    assert (done["rows"], done["matched"], done["rejected"], done["customers"]) == (13, 4, 9, 4)


async def test_the_rows_that_were_left_out_come_back_and_are_uploaded_again_as_they_are(
    salon: Any, people: dict[str, int]
) -> None:
    done = (await upload(salon, "Mobile\n0412000001\n0412 000 0O2\n0412000001\n")).json()
    answer = await salon.ask("GET", done["rejected_url"])
    lines = list(csv.reader(io.StringIO(answer.content.decode("utf-8-sig"))))
    assert lines[0] == ["Mobile", "Import row", "Import column", "Import reason"]
    assert [line[:3] for line in lines[1:]] == [["0412 000 0O2", "2", "Mobile"], ["0412000001", "3", "Mobile"]]
    assert lines[2][3] == "The same customer is in an earlier row."
    again = (await upload(salon, answer.content.replace(b"0O2", b"002"), name="again")).json()
    assert (again["matched"], again["rejected"]) == (2, 0)
    assert await members(salon, again["list_id"]) == ["Ana", "Anna", "Bob"]


async def test_a_workbook_and_a_file_of_tabs_are_read_too(salon: Any, people: dict[str, int]) -> None:
    book = openpyxl.Workbook()
    sheet = book.active
    assert sheet is not None
    for line in (("Number",), (412000002,), ("0412 000 001",)):
        sheet.append(line)
    stored = io.BytesIO()
    book.save(stored)
    headers = {"Authorization": "Bearer admin", "Content-Type": XLSX, "Prefer": "respond-async"}
    answer = await salon.http.post(PATH, params={"name": "book"}, content=stored.getvalue(), headers=headers)
    await finish(salon.http._transport.app.state.importer)
    assert (await salon.ask("GET", answer.headers["Location"])).json()["matched"] == 2
    tabs = await upload(salon, "x\tMobile\n1\t0412000002\n", kind="text/tab-separated-values", name="tabs")
    assert tabs.json()["matched"] == 1


@pytest.mark.parametrize(
    ("rows", "given", "field", "code"),
    [
        ("", {}, "file", "empty"),
        ("Mobile\n", {}, "file", "no_rows"),
        ("0412000001\n0412000002\n", {}, "file", "no_mobile_column"),
        ("Mobile\n0412000001\n", {"match": "field:crm"}, "match", "no_key_column"),
        ("Mobile\n0412000001\n", {"match": "field:"}, "match", "not_valid"),
        ("Mobile\n0412000001\n", {"match": "person"}, "match", "not_valid"),
        ("Mobile\n0412000001\n", {"mapping": "x"}, "mapping", "not_valid"),
        ("Mobile\n0412000001\n", {"mapping": '{"Handy": "mobile"}'}, "mapping", "unknown_column"),
        ("Mobile\n0412000001\n", {"name": " "}, "name", "empty"),
        ("Mobile\n0412000001\n", {"name": 'a "b"'}, "name", "quotation_mark"),
        ("Mobile\n0412000001\n", {"name": "x" * 101}, "name", "too_long"),
        ("Mobile\n0412000001\n", {"mode": "add"}, "mode", "unknown_parameter"),
        ("%PDF-1.7 x", {}, "file", "wrong_kind"),
    ],
)
async def test_a_file_that_is_none_is_refused_by_name_and_makes_no_list(
    salon: Any, rows: str, given: Any, field: str, code: str
) -> None:
    answer = await upload(salon, rows, **given)
    assert answer.status_code == 422, answer.text
    told = [(one["field"], one["code"]) for one in answer.json().get("errors", [])] or [(field, answer.json()["code"])]
    assert told == [(field, code)]
    assert await salon.count("customer_list") == 0


async def test_a_name_that_is_taken_is_told_and_one_that_somebody_takes_meanwhile_gets_a_number(
    salon: Any, settings: Any, people: dict[str, int]
) -> None:
    await make(salon, "Mailing")
    taken = await upload(salon, "Mobile\n0412000001\n")
    assert (taken.status_code, taken.json()["code"]) == (409, "list_exists")
    assert await salon.count("customer_import") == 0
    object.__setattr__(settings, "customer_import_once_bytes", 0)
    answer = await salon.http.post(PATH, params={"name": "later"}, content=b"Mobile\n0412000001\n", headers={
        "Authorization": "Bearer admin", "Content-Type": "text/csv", "Prefer": "respond-async"})  # fmt: skip
    assert (answer.status_code, answer.json()["list_id"]) == (202, None)
    await make(salon, "Later")
    await finish(salon.http._transport.app.state.importer)
    done = (await salon.ask("GET", f"{PATH}/{answer.json()['id']}")).json()
    made = (await salon.ask("GET", f"/v1/lists/{done['list_id']}")).json()
    assert (made["name"], made["customers"]) == ("later (2)", 2)


async def test_there_is_no_list_until_the_whole_file_was_read_and_each_block_counts_once(
    salon: Any, settings: Any, people: dict[str, int]
) -> None:
    object.__setattr__(settings, "customer_import_once_bytes", 0)
    numbers = [f"0412{n:06}" for n in (1, *range(900, 1_010), 2, 1)]  # three blocks, the last with a repeated one
    content = "Mobile\n" + "\n".join(numbers) + "\n"
    headers = {"Authorization": "Bearer admin", "Content-Type": "text/csv", "Prefer": "respond-async",
               "Idempotency-Key": "k"}  # fmt: skip
    answers = [await salon.http.post(PATH, params={"name": "big"}, content=content.encode(), headers=headers)
               for _ in range(2)]  # fmt: skip
    assert answers[0].json()["id"] == answers[1].json()["id"]
    path, importer = f"{PATH}/{answers[0].json()['id']}", salon.http._transport.app.state.importer
    await importer.read_turn()
    for _ in range(3):
        assert await importer.apply_turn()
    assert (await salon.count("customer_list"), (await salon.ask("GET", path)).json()["rows"]) == (0, 100)
    # Who applied the last block died before it was committed: the next one does it again.
    await importer.apply_turn()
    await execute(salon, "UPDATE customer_import SET state = state")
    await finish(importer)
    done = (await salon.ask("GET", path)).json()
    assert (done["state"], done["rows"], done["matched"], done["rejected"]) == ("done", 113, 2, 111)
    assert [one for one in await told(salon, done) if one[2] != "not_a_customer"] == []
    last = (await salon.ask("GET", f"{done['errors_url']}?limit=200")).json()["items"][-1]
    assert (last["row"], last["code"]) == (113, "duplicate_row")
    assert await members(salon, done["list_id"]) == ["Ana", "Anna", "Bob"]
    assert await salon.count("customer_import_seen") == 0


async def test_an_upload_is_its_businesss_own_and_no_import_is_one(salon: Any, people: dict[str, int]) -> None:
    done = (await upload(salon, "Mobile\n0412000001\n")).json()
    assert (await salon.ask("GET", f"{PATH}/{done['id']}", by="other")).status_code == 404
    loaded = await salon.load("Ole,S,0412000008,yes\n")
    assert (await salon.ask("GET", f"{PATH}/{loaded['id']}")).status_code == 404
    [act] = [one.message for one in await salon.said("ActRecorded") if one.message.act == "import.list-uploaded"]
    assert act.subject_id == done["id"]
