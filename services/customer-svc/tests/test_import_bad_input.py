"""What people send that is no file of customers, or no number: each is named with its limit, and nothing is left."""

import io
import re
import zipfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from importing import importer_of
from test_import_files import rezipped, workbook
from test_importer import finish, stands

from muster.customer.importer.engine import Child

PATH = "/v1/customers/imports"
BOOK = workbook(("First name", "Mobile"), ("Zed", "0412000009"))
SHEET = "xl/worksheets/sheet1.xml"
MEMORY_BYTES_MAX = 300 << 20
ROW = b"Ana,0412000001\n"

# Name, what is sent, the code, and the limit that the message names.
FILES: list[tuple[str, bytes, str, str]] = [
    ("empty", b"", "empty", ""),
    ("a header alone", b"First name,Mobile\r\n", "no_rows", ""),
    ("a million columns", b"Mobile" + b"," * 1_000_000 + b"\n" + ROW, "too_many_columns", "100"),
    ("a million columns with names", b"Mobile" + b",x" * 1_000_000 + b"\n" + ROW, "line_too_long", "1048576"),
    ("one line of 8 MiB", b"x" * (8 << 20), "line_too_long", "1048576"),
    ("a million lines of quotes", b"Mobile\n" + b'"a"b\n' * 11_000, "not_csv", "10000"),
    ("a header in an open quote", b'"First name,Mobile\n' + ROW, "not_csv", ""),
    ("NUL in the header", b"First\x00name,Mobile\n" + ROW, "not_text", ""),
    ("UTF-16 that ends in the middle", "Mobile\n0412000001\n".encode("utf-16")[:-1], "not_text", ""),
    ("a PDF", b"%PDF-1.7\n" + ROW, "wrong_kind", "PDF"),
    ("a picture", b"\x89PNG\r\n\x1a\n" + ROW, "wrong_kind", "picture"),
    ("a gzip archive", b"\x1f\x8b\x08\x00" + ROW, "wrong_kind", "gzip"),
    ("an old workbook", b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + ROW, "wrong_kind", "Excel"),
    ("a web page named .xls", b"<html><table><tr><td>Ana", "wrong_kind", "web page"),
    ("an archive of a letter", b"", "wrong_kind", "archive"),
    ("a workbook that is cut off", BOOK[: len(BOOK) // 2], "damaged", ""),
    ("a zip bomb of nothing", b"", "too_large_unpacked", "200"),
    ("a zip bomb of texts", b"", "too_large_unpacked", "200"),
    ("a workbook of 2,100 parts", b"", "too_large_unpacked", "2000"),
]  # fmt: skip


def _made(name: str, content: bytes) -> bytes:
    """The files that take a moment to make."""
    if name == "an archive of a letter":
        stored = io.BytesIO()
        with zipfile.ZipFile(stored, "w") as made:
            made.writestr("letter.txt", "hello")
        return stored.getvalue()
    if name == "a zip bomb of nothing":
        return rezipped(BOOK, {SHEET: b"0" * (64 << 20)})
    if name == "a zip bomb of texts":
        rels = zipfile.ZipFile(io.BytesIO(BOOK)).read("xl/_rels/workbook.xml.rels")
        texts = b'<Relationship Type="x/sharedStrings" Target="texts.xml" Id="t"/></Relationships>'
        related = rels.replace(b"</Relationships>", texts)
        bomb = b"<sst>" + b"<si><t>a</t></si>" * 1_500_000 + b"</sst>"
        return rezipped(BOOK, {"xl/_rels/workbook.xml.rels": related, "xl/texts.xml": bomb})
    return rezipped(BOOK, {f"x{n}": b"" for n in range(2_100)}) if name == "a workbook of 2,100 parts" else content


async def sent(salon: Any, content: bytes, importer: Any) -> Any:
    """What becomes of a file: the problem that the answer has, or the import has later."""
    head = {"Content_Type": "text/csv", "Prefer": "respond-async"}
    answer = await salon.ask("POST", PATH, content, **head)
    if answer.status_code != 202:
        return answer.json()
    await finish(importer)
    stood = await stands(salon, answer.json())
    return stood["problem"] or stood


def peak_bytes(pid: int) -> int:
    """The most memory that a process has had."""
    found = re.search(r"VmHWM:\s+(\d+) kB", Path(f"/proc/{pid}/status").read_text())
    assert found is not None
    return int(found[1]) << 10


async def test_a_file_that_is_none_of_customers_is_named_leaves_nothing_and_takes_little_memory(
    salon: Any, settings: Any, subtests: Any
) -> None:
    child = Child(idle_s=60, memory_bytes_max=MEMORY_BYTES_MAX)
    importer = importer_of(salon.db, settings, child)
    try:
        assert (await sent(salon, BOOK, importer))["created"] == 1
        assert (await sent(salon, b"Mobile\n0412000001\n", importer))["created"] == 1, "one column is a file"
        for name, content, code, limit in FILES:
            with subtests.test(name):
                problem = await sent(salon, _made(name, content), importer)
                told = problem.get("message") or problem["detail"]
                assert (problem["code"], limit in told.replace(",", "")) == (code, True), told
        assert child._process is not None
        assert peak_bytes(child._process.pid) < MEMORY_BYTES_MAX
    finally:
        await importer._applying.stop()
        await child.stop()
    assert await salon.count("customer") == 2
    assert await salon.count("customer_import_part") == await salon.count("customer_import_block") == 0
    states = [one["state"] for one in (await salon.ask("GET", f"{PATH}?limit=100")).json()["items"]]
    assert sorted(states) == ["done", "done", *["refused"] * len(FILES)]


async def test_a_file_without_end_is_refused_at_the_limit_and_what_had_come_is_gone(salon: Any, settings: Any) -> None:
    object.__setattr__(settings, "customer_import_bytes_max", 5 << 20)
    pieces = 0

    async def endless() -> AsyncIterator[bytes]:
        nonlocal pieces
        while True:
            pieces += 1
            yield ROW * 10_000

    head = {"Authorization": "Bearer admin", "Content-Type": "text/csv"}
    answer = await salon.http.post(PATH, content=endless(), headers=head)
    assert (answer.status_code, answer.json()["limit_bytes"]) == (413, 5 << 20)
    assert pieces < 50
    assert await salon.count("customer_import") == await salon.count("customer_import_part") == 0


NUMBERS = [
    ("1900 123 456", "premium"),
    ("000", "emergency"),
    ("112", "emergency"),
    ("0412 345 678 901 234 567", "too_long"),
    ("O412 E45 678", "not_a_number"),
    ("0412 345 678 / 0412 345 679", "ambiguous"),
    ("6.14E+10", "ambiguous"),
    ("\u200f\u202b0412 345 678\u202c\u200e", ["mobile"]),
    ("٠٤١٢ ٣٤٥ ٦٧٨", ["mobile"]),
    ("０４１２３４５６７８", ["mobile"]),
    ("(03) 9650 1234", ["landline"]),
    ("1300 123 456", ["shared_cost"]),
    ("1234", ["short"]),
    ("+44 20 7946 0018", ["landline"]),
    ("+447400900123", ["mobile"]),
]


async def test_a_number_in_a_file_is_judged_as_the_api_judges_it(salon: Any, subtests: Any) -> None:
    header = "First name,Mobile,Phone 2\n"
    rows = "".join(f"P{n},{written},\n" for n, (written, _) in enumerate(NUMBERS))
    answer = await salon.ask("POST", PATH, (header + rows).encode(), Content_Type="text/csv")
    page = (await salon.ask("GET", f"{answer.json()['errors_url']}?limit=100")).json()["items"]
    errors = {one["row"] - 1: (one["column"], one["code"]) for one in page}
    stored = {one["first_name"]: one for one in (await salon.ask("GET", "/v1/customers?limit=100")).json()["items"]}
    for n, (written, meant) in enumerate(NUMBERS):
        with subtests.test(written):
            by_hand = await salon.ask("POST", "/v1/customers", {"first_name": "By hand", "numbers": [written]})
            if isinstance(meant, str):
                assert (by_hand.json()["code"], errors[n]) == (meant, ("Mobile", meant))
                assert f"P{n}" not in stored
            else:
                assert [one["kind"] for one in stored[f"P{n}"]["numbers"]] == meant
                assert stored[f"P{n}"]["numbers"] == by_hand.json()["numbers"]


@pytest.mark.parametrize("kind", ["date", "number"])
async def test_a_value_in_a_file_is_judged_as_the_api_judges_it(salon: Any, kind: str) -> None:
    await salon.ask("PUT", "/v1/own-fields/worth", {"name": "Worth", "kind": kind})
    values = ["2026-05-01", "2026-02-30", "12.50", "-0", "1e3", "soon", "٢٠٢٦-٠٥-٠١", "007"]
    rows = "".join(f"P{n},0412{n:06d},{value}\n" for n, value in enumerate(values))
    answer = await salon.ask("POST", PATH, f"First name,Mobile,Worth\n{rows}".encode(), Content_Type="text/csv")
    page = (await salon.ask("GET", f"{answer.json()['errors_url']}?limit=100")).json()["items"]
    by_file: dict[str, Any] = {f"P{one['row'] - 1}": one["code"] for one in page}
    for one in (await salon.ask("GET", "/v1/customers?limit=100")).json()["items"]:
        by_file[one["first_name"]] = one["own_fields"].get("worth")
    by_hand = {}
    for n, value in enumerate(values):
        body = {"first_name": "By hand", "own_fields": {"worth": value}}
        said = (await salon.ask("POST", "/v1/customers", body)).json()
        by_hand[f"P{n}"] = said["own_fields"]["worth"] if "own_fields" in said else said["code"]
    assert by_file == by_hand
    assert f"not_a_{kind}" in by_file.values()
