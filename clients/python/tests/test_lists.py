"""`muster lists …`: what the API is asked, and what a person sees of the answer."""

import json
from pathlib import Path
from typing import Any

import httpx
import pytest

from muster.client.commands import lists, main

VIP: dict[str, Any] = {
    "id": "0199", "name": "V/P", "kind": "kept", "customers": 2, "created_at": "2026-11-27T08:00:00Z",
    "created_by": "ada", "changed_at": "2026-11-27T08:00:00Z", "changed_by": "mia", "version": 3,
}  # fmt: skip
ANN: dict[str, Any] = {
    "id": 7, "first_name": "Ann", "last_name": "Lee", "numbers": [{"number": "+61412000001"}], "consent": "express",
}  # fmt: skip
UPLOAD: dict[str, Any] = {
    "id": "01aa", "state": "waiting", "name": "out", "list_id": None, "rows": 0, "rows_total": None, "matched": 0,
    "rejected": 0, "customers": 0, "bytes": 30, "bytes_read": 0, "problem": None, "repairs": [],
    "errors_url": "/v1/customers/imports/01aa/errors", "rejected_url": "/v1/customers/imports/01aa/rejected",
}  # fmt: skip
DONE = UPLOAD | {
    "state": "done",
    "list_id": "0200",
    "rows": 3,
    "rows_total": 3,
    "matched": 2,
    "rejected": 1,
    "customers": 4,
}
ANSWERS: dict[str, Any] = {
    "GET /v1/lists": {"items": [VIP], "next_cursor": None},
    "GET /v1/lists/V%2FP": VIP,
    "PATCH /v1/lists/0199": VIP | {"name": "best"},
    "POST /v1/lists": VIP,
    "GET /v1/lists/0199/members": {"items": [ANN], "next_cursor": None},
    "POST /v1/lists/0199/members": {"changed": 1, "customers": 3},
    "POST /v1/lists/0199/members/remove": {"changed": 2, "customers": 0},
    "POST /v1/lists/uploads": UPLOAD,
    "GET /v1/lists/uploads": {"items": [DONE], "next_cursor": None},
    "GET /v1/lists/uploads/01aa": DONE,
    "GET /v1/customers/imports/01aa/errors": {
        "items": [{"row": 3, "field": "row", "column": "Mobile", "code": "x", "message": "No customer has this."}],
        "next_cursor": None,
    },
}  # fmt: skip


@pytest.fixture
def asked(answering: Any) -> list[Any]:
    """What the API was asked, which answers as if all went well."""
    seen: list[Any] = []

    def answer(request: httpx.Request, path: str) -> httpx.Response:
        is_json = request.headers.get("content-type") == "application/json"
        told = json.loads(request.content) if is_json else request.content or str(request.url.params)
        seen.append((f"{request.method} {path}", told, request.headers.get("if-match")))
        if request.method == "DELETE":
            return httpx.Response(204)
        if path.endswith("/rejected"):
            return httpx.Response(200, content=b"Mobile\r\n0412\r\n")
        return httpx.Response(200, json=ANSWERS[f"{request.method} {path}"])

    answering(answer, lists)
    return seen


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(("lists", *arguments))
    return int(ended.value.code or 0)


@pytest.mark.parametrize(
    ("arguments", "calls"),
    [
        (("list", "--search", "v", "--limit", "5"), [("GET /v1/lists", "search=v&limit=5", None)]),
        (("list", "--kind", "upload"), [("GET /v1/lists", "kind=upload&limit=500", None)]),
        (("create", "V/P"), [("POST /v1/lists", {"name": "V/P"}, None)]),
        (("create", "V/P", "7", "8"), [("POST /v1/lists", {"name": "V/P", "customer_ids": [7, 8]}, None)]),
        (
            ("rename", "V/P", "best"),
            [("GET /v1/lists/V%2FP", "", None), ("PATCH /v1/lists/0199", {"name": "best"}, '"3"')],
        ),
        (
            ("add", "V/P", "7"),
            [("GET /v1/lists/V%2FP", "", None), ("POST /v1/lists/0199/members", {"customer_ids": [7]}, None)],
        ),
        (
            ("remove", "V/P", "--query", "tag is old"),
            [("GET /v1/lists/V%2FP", "", None), ("POST /v1/lists/0199/members/remove", {"query": "tag is old"}, None)],
        ),
        (
            ("add", "V/P", "--saved", "lapsed"),
            [("GET /v1/lists/V%2FP", "", None), ("POST /v1/lists/0199/members", {"saved": "lapsed"}, None)],
        ),
        (("delete", "V/P", "--yes"), [("GET /v1/lists/V%2FP", "", None), ("DELETE /v1/lists/0199", "", None)]),
        (("uploads",), [("GET /v1/lists/uploads", "", None)]),
    ],
)  # fmt: skip
def test_a_command_asks_this_of_the_api(asked: Any, arguments: tuple[str, ...], calls: list[Any]) -> None:
    assert run(*arguments) == 0
    assert asked == calls


def test_a_list_is_shown_with_the_first_on_it(asked: Any, capsys: Any) -> None:
    assert run("show", "V/P") == 0
    assert asked[-1] == ("GET /v1/lists/0199/members", "limit=20", None)
    out = capsys.readouterr().out
    assert "Ann Lee" in out
    assert "mia" in out
    assert run("show", "V/P", "--json") == 0
    first, second = capsys.readouterr().out.splitlines()
    assert (json.loads(first), json.loads(second)["id"]) == (VIP, 7)


def test_whom_to_add_is_said_in_one_way(asked: Any, capsys: Any) -> None:
    assert run("add", "V/P") == 2
    assert run("remove", "V/P", "7", "--query", "ana") == 2
    assert (asked, capsys.readouterr().err.count("one of them")) == ([], 2)


def test_a_file_is_uploaded_watched_and_what_was_left_out_is_shown_or_kept(
    asked: Any, capsys: Any, tmp_path: Path
) -> None:
    file, kept = tmp_path / "numbers.csv", tmp_path / "left out.csv"
    file.write_bytes(b"Handy\n0412000001\n")
    assert run("upload", str(file), "--name", "out", "--map", "Handy=mobile", "--match", "field:crm") == 5
    assert [call for call, *_ in asked] == [
        "POST /v1/lists/uploads", "GET /v1/lists/uploads/01aa", "GET /v1/customers/imports/01aa/errors"]  # fmt: skip
    assert asked[0][1] == b"Handy\n0412000001\n"
    assert "No customer has this." in capsys.readouterr().out
    assert run("upload", str(file), "--name", "out", "--rejected", str(kept), "--json") == 5
    assert kept.read_bytes() == b"Mobile\r\n0412\r\n"
    assert json.loads(capsys.readouterr().out) == DONE
    assert run("upload", str(file), "--name", "out", "--no-watch", "--json") == 0
    assert json.loads(capsys.readouterr().out) == UPLOAD


def test_a_program_makes_fills_and_uploads_lists(asked: Any) -> None:
    muster = lists.Muster(None)
    assert muster.make_list("V/P")["customers"] == 2
    assert muster.add_to_list("0199", query="ana")["changed"] == 1
    assert muster.upload_list(b"Mobile\n", "out")["customers"] == 4
    muster.delete_list("V/P")
    assert [call for call, *_ in asked][-2:] == ["GET /v1/lists/uploads/01aa", "DELETE /v1/lists/V%2FP"]
