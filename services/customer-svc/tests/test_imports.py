"""Imports: all of a file or nothing, bad rows listed, safe to repeat."""

import asyncio
import csv
import io
from typing import Any

import pytest
from importing import importer_of

HEADER = "First name,Last name,Mobile,Allow Bulk SMS"


async def errors(salon: Any, done: dict[str, Any]) -> list[tuple[int, str, str]]:
    page = (await salon.ask("GET", f"{done['errors_url']}?limit=500")).json()
    return [(item["row"], item["field"], item["code"]) for item in page["items"]]


async def test_bad_rows_are_left_out_and_listed_with_row_and_field(salon: Any) -> None:
    rows = "Ana,S,0412 000 001,yes\nBob,S,banana,yes\n\nCat,S,0412000003,perhaps\nDan,S,,no\n"
    done = await salon.load(rows)
    assert (done["rows"], done["imported"], done["rejected"]) == (4, 2, 2)
    assert await errors(salon, done) == [(2, "mobile", "not_a_number"), (4, "allow_bulk_sms", "not_yes_or_no")]
    assert len((await salon.ask("GET", "/v1/customers")).json()["items"]) == 2
    assert (await salon.ask("GET", f"/v1/customers/imports/{done['id']}")).json() == done
    assert (await salon.ask("GET", "/v1/customers/imports")).json()["items"] == [done]


async def test_errors_can_be_had_as_csv_without_formulas(salon: Any) -> None:
    done = await salon.load("Ana,banana,maybe\n", 'first name,mobile,"=allow bulk sms"')
    answer = await salon.ask("GET", done["errors_url"], Accept="text/csv")
    lines = list(csv.reader(io.StringIO(answer.text)))
    assert lines[0] == ["row", "field", "column", "code", "message"]
    assert [line[:4] for line in lines[1:]] == [
        ["1", "mobile", "mobile", "not_a_number"],
        ["1", "allow_bulk_sms", "'=allow bulk sms", "not_yes_or_no"],
    ]


async def test_errors_come_in_pages_also_over_batches(salon: Any) -> None:
    done = await salon.load("Ana,S,banana,yes\n" * 130)
    seen: list[int] = []
    cursor = None
    while True:
        page = (
            await salon.ask("GET", f"{done['errors_url']}?limit=50" + (f"&cursor={cursor}" if cursor else ""))
        ).json()
        seen += [item["row"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert seen == list(range(1, 131))


async def test_the_same_file_twice_changes_nobody_and_says_so(salon: Any) -> None:
    rows = "".join(f"Ana{i},S,04120{i:05d},yes\n" for i in range(120)) + "No,Number,,yes\n"
    first, second = await salon.load(rows), await salon.load(rows)
    assert (first["created"], first["updated"], first["unchanged"]) == (121, 0, 0)
    assert (second["created"], second["updated"], second["unchanged"], second["imported"]) == (0, 0, 121, 121)
    assert await salon.count("customer") == 121
    assert await salon.count("customer_number") == 120


async def test_imports_at_once_are_all_taken_one_after_the_other_and_double_nobody(salon: Any) -> None:
    content = f"{HEADER}\n".encode() + b"".join(b"Ana%d,S,04120%05d,yes\n" % (i, i) for i in range(300))

    async def load() -> Any:
        return await salon.ask("POST", "/v1/customers/imports", content, Content_Type="text/csv")

    answers = [answer.json() for answer in await asyncio.gather(*(load() for _ in range(4)))]
    assert {answer["state"] for answer in answers} == {"done"}
    assert {answer["created"] + answer["unchanged"] for answer in answers} == {300}
    assert sum(answer["created"] for answer in answers) == 300
    assert await salon.count("customer") == 300


async def test_a_person_twice_in_one_file_is_one_customer_and_the_second_row_is_named(salon: Any) -> None:
    rows = (
        "Ana,S,0412000001,yes\n" + "".join(f"B{i},S,04120{i:05d},yes\n" for i in range(60)) + "ANA,s,+61412000001,no\n"
    )
    done = await salon.load(rows)
    assert (done["rows"], done["imported"], done["rejected"]) == (62, 61, 1)
    assert await errors(salon, done) == [(62, "row", "duplicate_row")]


async def test_a_later_file_adds_and_does_not_bring_back_who_withdrew(salon: Any) -> None:
    await salon.load("Ana,S,0412000001,yes\nBob,S,0412000002,\nCat,S,0412000003,yes\n")
    items = (await salon.ask("GET", "/v1/customers")).json()["items"]
    await salon.ask("PATCH", f"/v1/customers/{items[2]['id']}", {"consent": "withdrawn"})
    await salon.load("Ana,S,0412000001,,Rex\nBob,S,0412000002,yes,\nCat,S,0412000003,yes,Tom\n", f"{HEADER},Pet")
    ana, bob, cat = (await salon.ask("GET", "/v1/customers")).json()["items"]
    assert (ana["own_fields"], ana["allow_bulk_sms"]) == ({"pet": "Rex"}, True)
    assert (bob["allow_bulk_sms"], bob["consent"], bob["consent_evidence"]["how"]) == (True, "inferred", "import")
    assert (cat["allow_bulk_sms"], cat["consent"], cat["own_fields"]) == (False, "withdrawn", {})


UNREADABLE = [
    (b"", "empty"),
    (b"First name,Mobile\n", "no_rows"),
    (b"\n\n", "empty"),
    (b"Name,Town\nAna,Perth\n", "no_mobile_column"),
    (b"First name,Given name,Mobile\n", "repeated_column"),
    (",".join(["Mobile", *map(str, range(100))]).encode(), "too_many_columns"),
    (b'"Mobile,Note\n0412000001,fine\n', "not_csv"),
    (b"Mobile\x00,Note\n0412000001,fine\n", "not_text"),
    (b"\xff\xfe" + "Mobile\n0412000001".encode("utf-16-le") + b"\n", "not_text"),
]


@pytest.mark.parametrize(
    ("bad", "code"),
    [
        ('"Ana,S,0412000001,yes', "not_csv"),
        ('"Ana"x,S,0412000001,yes', "not_csv"),
        (f"Ana,{'x' * 140_000},0412000001,yes", "not_csv"),
        ("A\x00na,S,0412000001,yes", "not_text"),
        ("Ana,S,0412000001,yes,more", "too_many_cells"),
        (" ,,,yes", "nobody"),
    ],
)
async def test_a_row_that_is_none_is_named_and_those_around_it_are_imported(salon: Any, bad: str, code: str) -> None:
    done = await salon.load(f'Al,S,0412000005,yes\n{bad}\n"Bo\nB",S,0412000006,yes\n, ,\nCy,S,0412000007,yes\n', HEADER)
    assert (done["rows"], done["imported"], done["rejected"]) == (4, 3, 1)
    assert await errors(salon, done) == [(2, "row", code)]
    assert [one["first_name"] for one in (await salon.ask("GET", "/v1/customers")).json()["items"]] == [
        "Al",
        "Bo B",
        "Cy",
    ]


async def test_a_file_that_cannot_be_read_changes_nothing(salon: Any, subtests: Any) -> None:
    for content, code in UNREADABLE:
        with subtests.test(code=code):
            answer = await salon.ask("POST", "/v1/customers/imports", content, Content_Type="text/csv")
            assert answer.status_code == 422
            assert [(error["field"], error["code"]) for error in answer.json()["errors"]] == [("file", code)]
            assert await salon.count("customer") == 0


async def test_too_many_rows_name_the_limit_and_change_nothing(salon: Any, app: Any, settings: Any) -> None:
    app.state.importer = importer_of(salon.db, settings.model_copy(update={"customer_import_rows_max": 3}))
    rows = f"{HEADER}\n" + "".join(f"A{i},S,041200000{i},yes\n" for i in range(4))
    answer = await salon.ask("POST", "/v1/customers/imports", rows.encode(), Content_Type="text/csv")
    assert (answer.status_code, answer.json()["code"]) == (422, "too_many_rows")
    assert "3" in answer.json()["detail"]
    assert await salon.count("customer") == 0
    assert (await salon.load(rows.split("\n", 1)[1].rsplit("A3", 1)[0]))["imported"] == 3


async def test_a_customer_with_too_many_numbers_is_named_by_row(salon: Any) -> None:
    columns, numbers = [f"mobile {i}" for i in range(11)], [f"04120000{i:02d}" for i in range(11)]
    done = await salon.load(",".join(["Ana", *numbers]) + "\nBob,0412000077\n", ",".join(["first name", *columns]))
    assert (done["imported"], await errors(salon, done)) == (1, [(1, "mobile", "too_many")])


async def test_a_body_over_the_limit_is_refused_with_the_limit(salon: Any) -> None:
    answer = await salon.ask(
        "POST", "/v1/customers/imports", b"x", Content_Type="text/csv", Content_Length=str(513 << 20)
    )
    told = answer.json()
    assert (answer.status_code, told["limit_bytes"], told["size_bytes"]) == (413, 512 << 20, 513 << 20)
    assert told["detail"].startswith("It has 537,919,488 bytes (513 MiB); at most 536,870,912 bytes (512 MiB)")


async def test_another_media_type_is_refused(salon: Any) -> None:
    answer = await salon.ask("POST", "/v1/customers/imports", {"rows": []})
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")


async def test_a_form_with_a_file_is_read_too(salon: Any) -> None:
    files = {"file": ("people.csv", f"{HEADER}\nAna,S,0412000001,yes\n".encode(), "text/csv")}
    answer = await salon.http.post("/v1/customers/imports", headers={"Authorization": "Bearer admin"}, files=files)
    assert (answer.status_code, answer.json()["imported"]) == (201, 1)
    without = {"other": ("people.csv", b"x", "text/csv")}
    answer = await salon.http.post("/v1/customers/imports", headers={"Authorization": "Bearer admin"}, files=without)
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (422, "file")


async def test_a_form_that_is_none_is_a_problem_of_the_body(salon: Any) -> None:
    answer = await salon.ask("POST", "/v1/customers/imports", b"--x", Content_Type="multipart/form-data")
    assert (answer.status_code, answer.json()["errors"][0]["field"]) == (400, "body")


WRITTEN = {
    "UTF-8 with its mark": f"\ufeff{HEADER}\nZoë,S,0412000001,yes\n".encode(),
    "Western Windows": f"{HEADER}\nZoë,S,0412000001,yes\n".encode("cp1252"),
    "UTF-16": f"{HEADER}\nZoë,S,0412000001,yes\n".encode("utf-16"),
    "UTF-16 without its mark": f"{HEADER}\nZoë,S,0412000001,yes\n".encode("utf-16-le"),
    "UTF-16, the other way round": f"{HEADER}\nZoë,S,0412000001,yes\n".encode("utf-16-be"),
    "bars": f"{HEADER}\nZoë,S,0412000001,yes\n".replace(",", "|").encode(),
    "semicolons": f"{HEADER}\r\nZoë,S,0412000001,yes\r\n".replace(",", ";").encode(),
    "tabs": f"{HEADER}\nZoë,S,0412000001,yes".replace(",", "\t").encode(),
    "quoted": f'{HEADER}\n"Zoë","S","0412 000 001","yes"\n'.encode(),
}


async def test_files_are_read_as_spreadsheets_write_them(salon: Any, subtests: Any) -> None:
    for name, content in WRITTEN.items():
        with subtests.test(name):
            answer = await salon.ask("POST", "/v1/customers/imports", content, Content_Type="text/csv")
            assert answer.json()["imported"] == 1, answer.text
            [zoe] = (await salon.ask("GET", "/v1/customers")).json()["items"]
            assert (zoe["first_name"], zoe["mobiles"]) == ("Zoë", [{"number": "+61412000001", "country": "AU"}])


async def test_the_same_key_imports_once_and_another_file_under_it_is_refused(salon: Any) -> None:
    content = f"{HEADER}\nAna,S,0412000001,yes\n".encode()
    head = {"Content_Type": "text/csv", "Idempotency_Key": "monday"}
    first = await salon.ask("POST", "/v1/customers/imports", content, **head)
    again = await salon.ask("POST", "/v1/customers/imports", content, **head)
    assert first.json() == again.json()
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await salon.ask("POST", "/v1/customers/imports", content + b"Bob,S,0412000002,yes\n", **head)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert await salon.count("customer_import") == 1


async def test_another_tenants_import_is_not_found(salon: Any) -> None:
    done = await salon.load("Bob,S,banana,yes\n")
    for path in (f"/v1/customers/imports/{done['id']}", done["errors_url"]):
        assert (await salon.ask("GET", path, by="other")).status_code == 404
