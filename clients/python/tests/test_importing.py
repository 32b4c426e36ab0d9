"""`muster customers import|start|cancel|imports`: what the API is asked, what a person sees, and how it ends."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from muster.client import Connection, Muster
from muster.client.blocking import importing as client_importing
from muster.client.commands import importing, main
from muster.client.exits import ExitCode

ID = "01931f5e-7b1c-7000-8000-000000000001"
PATH = "/v1/customers/imports"
STANDING: dict[str, Any] = {
    "id": ID, "state": "done", "file_name": "people.csv", "rows": 3, "rows_total": 3, "imported": 2, "created": 2,
    "updated": 0, "unchanged": 0, "rejected": 1, "bytes": 40, "bytes_read": 40, "problem": None, "created_at": None,
    "list": "", "list_id": None, "listed": 0, "removed": 0,
    "repairs": [{"column": "Mobile", "message": "Zeros were lost.", "count": 2, "first_row": 1, "code": "zero"}],
}  # fmt: skip
ERRORS = [{"row": 2, "field": "mobile", "column": "Mobile", "message": "This is no number.", "code": "not_a_number"}]
PREVIEW = {
    **{"kind": "text", "encoding": "utf-8", "separator": ";", "sheet": "", "rows_total": 3, "rows": [], "repairs": []},
    **{"columns": [{"header": "Handy", "holds": "handy"}], "errors": ERRORS},
    "problem": {"field": "file", "code": "no_mobile_column", "message": "No column is named Mobile."},
}
REFUSED = {"field": "file", "code": "wrong_kind", "message": "This is a PDF."}
CONTENT = b"First name,Mobile\n" + b"Ana,0412000001\n" * 20_000


class Fake:
    """An API of imports: `states` are what an import goes through, `statuses` what an upload is answered with."""

    def __init__(self) -> None:
        self.states: list[dict[str, Any]] = [{"state": "reading", "rows_total": None}, {"state": "applying"}, {}]
        self.statuses: list[int] = []
        self.asked: list[tuple[str, str, Any]] = []
        self.uploads: list[tuple[bytes, httpx.Headers]] = []

    def answer(self, request: httpx.Request) -> httpx.Response:
        path, content = request.url.path, request.read()
        if path == "/v1/token":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 900})
        self.asked.append((request.method, path, dict(request.url.params)))
        if (request.method, path) == ("POST", PATH):
            self.uploads.append((content, request.headers))
            status = self.statuses.pop(0) if self.statuses else 202
            return httpx.Response(status, json={**STANDING, "state": "waiting", "rows_total": None})
        if path == f"{PATH}/{ID}":
            state = self.states.pop(0) if len(self.states) > 1 else self.states[0]
            if state.get("raises"):
                raise state["raises"]
            return httpx.Response(200, json={**STANDING, **state})
        answers = {
            PATH: {"items": [STANDING], "next_cursor": None},
            f"{PATH}/{ID}/errors": {"items": ERRORS, "next_cursor": None},
            f"{PATH}/{ID}/preview": PREVIEW,
            f"{PATH}/{ID}/start": {**STANDING, "state": "applying", "body": json.loads(content or b"null")},
            f"{PATH}/{ID}/cancel": {**STANDING, "state": "cancelled"},
        }
        if path == f"{PATH}/{ID}/rejected":
            return httpx.Response(200, content=b"Mobile,Import row\r\nbanana,2\r\n")
        self.asked[-1] = (*self.asked[-1][:2], json.loads(content) if content else self.asked[-1][2])
        return httpx.Response(200, json=answers[path])


@pytest.fixture
def fake(monkeypatch: pytest.MonkeyPatch) -> Fake:
    known = Fake()

    def connected(_: object) -> Muster:
        return Muster(Connection("http://muster", "id", "secret"), transport=httpx.MockTransport(known.answer))

    monkeypatch.setattr(importing, "Muster", connected)
    monkeypatch.setattr(Connection, "from_environment", lambda: None)
    monkeypatch.setattr(client_importing, "LOOK_AGAIN_S", 0)
    monkeypatch.setattr("muster.client.connection._FIRST_PAUSE_S", 0)
    return known


@pytest.fixture
def people(tmp_path: Path) -> str:
    file = tmp_path / "people.csv"
    file.write_bytes(CONTENT)
    return str(file)


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(("customers", *arguments))
    return int(ended.value.code or 0)


def test_a_file_goes_up_piece_by_piece_with_what_is_said_of_it_and_is_watched_to_its_end(
    fake: Fake, people: str, capsys: Any
) -> None:
    options = ("--map", "Handy=mobile", "--map", "A=B=customer no", "--map", "Memo=", "--mode", "update")
    stated = ("--consent", "express", "--wording", "I agree", "--source", "form", "--match", "number", "--list", "vip")
    assert run("import", people, *options, *stated) == ExitCode.PARTLY
    [(content, headers)] = fake.uploads
    assert (content, headers["content-length"]) == (CONTENT, str(len(CONTENT)))
    assert "transfer-encoding" not in headers
    assert headers["prefer"] == "respond-async"
    query = fake.asked[0][2]
    assert json.loads(query.pop("mapping")) == {"Handy": "mobile", "A=B": "customer no", "Memo": ""}
    assert query == {
        **{"mode": "update", "match": "number", "list": "vip", "consent": "express", "consent_wording": "I agree"},
        **{"consent_source": "form", "file_name": "people.csv"},
    }
    shown = capsys.readouterr().out
    assert "Mobile: Zeros were lost. 2 times, first in row 1" in shown
    assert "This is no number." in shown
    assert fake.asked[-1][:2] == ("GET", f"{PATH}/{ID}/errors")


def test_programs_get_json_a_line_for_the_import_and_one_for_each_error(fake: Fake, people: str, capsys: Any) -> None:
    assert run("import", people, "--json") == ExitCode.PARTLY
    assert [json.loads(line) for line in capsys.readouterr().out.splitlines()] == [STANDING, *ERRORS]


def test_a_terminal_shows_how_far_the_upload_and_the_import_are(
    fake: Fake, people: str, capsys: Any, monkeypatch: Any
) -> None:
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("COLUMNS", "120")
    assert run("import", people, "--json") == ExitCode.PARTLY
    told = capsys.readouterr()
    assert "uploading" in told.err
    assert "3 of 3 rows, 1 left out" in told.err
    assert json.loads(told.out.splitlines()[0]) == STANDING


def test_nobody_need_wait_for_the_end(fake: Fake, people: str, capsys: Any) -> None:
    assert run("import", people, "--no-watch", "--json") == 0
    assert json.loads(capsys.readouterr().out.splitlines()[0])["state"] == "waiting"
    assert ("GET", f"{PATH}/{ID}", {}) not in fake.asked


def test_an_upload_that_was_not_taken_is_repeated_whole_under_the_same_key(fake: Fake, people: str) -> None:
    fake.statuses = [503, 502]
    assert run("import", people) == ExitCode.PARTLY
    assert [content for content, _ in fake.uploads] == [CONTENT] * 3
    assert len({headers["idempotency-key"] for _, headers in fake.uploads}) == 1


def test_what_comes_through_a_pipe_is_imported_too(fake: Fake, monkeypatch: Any) -> None:
    class Pipe(io.BytesIO):
        name = "<stdin>"

        def seekable(self) -> bool:
            return False

    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(Pipe(CONTENT)))
    assert run("import", "-") == ExitCode.PARTLY
    assert fake.uploads[0][0] == CONTENT
    assert "file_name" not in fake.asked[0][2]


def test_a_file_is_looked_at_and_then_started_with_other_words(fake: Fake, people: str, capsys: Any) -> None:
    fake.states = [{"state": "preview"}]
    assert run("import", people, "--preview") == 0
    shown = capsys.readouterr().out
    assert fake.asked[0][2]["preview"] == "true"
    assert all(word in shown for word in (ID, "Handy", "No column is named Mobile.", "This is no number."))
    assert not any(path.endswith("/start") for _, path, _ in fake.asked)
    fake.states = [{"rejected": 0}]
    assert run("start", ID, "--map", "Handy=mobile", "--consent", "inferred", "--source", "till") == 0
    body = {"consent": "inferred", "consent_source": "till", "mapping": {"Handy": "mobile"}}
    assert ("POST", f"{PATH}/{ID}/start", body) in fake.asked


def test_rows_that_were_left_out_are_given_back_as_a_file(fake: Fake, people: str, tmp_path: Path, capsys: Any) -> None:
    content = b"Mobile,Import row\r\nbanana,2\r\n"
    assert run("import", people, "--rejected", str(tmp_path / "bad.csv")) == ExitCode.PARTLY
    assert (tmp_path / "bad.csv").read_bytes() == content
    told = capsys.readouterr()
    assert "This is no number." not in told.out
    assert told.err == f"muster: 1 of 3 rows left out\n  they are in {tmp_path / 'bad.csv'}\n"
    assert run("left-out", ID, str(tmp_path / "again.csv"), "--json") == 0
    assert json.loads(capsys.readouterr().out) == {"file": str(tmp_path / "again.csv")}
    assert (tmp_path / "again.csv").read_bytes() == content
    assert run("left-out", ID, "--json") == 0
    assert json.loads(capsys.readouterr().out) == ERRORS[0]
    assert run("left-out", ID, str(tmp_path / "nowhere" / "bad.csv")) == 2
    assert "cannot write" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("ended", "code"),
    [
        ({"rejected": 0}, 0),
        ({"rejected": 1}, 5),
        ({"rejected": 3, "imported": 0}, 1),
        ({"rejected": 0, "problem": {"message": "It is too long."}, "list": "VIP"}, 5),
        ({"rejected": 1, "state": "cancelled"}, 1),
    ],
)
def test_a_script_tells_by_the_exit_code_whether_all_some_or_none_of_a_file_came_in(
    fake: Fake, people: str, capsys: Any, ended: dict[str, Any], code: int
) -> None:
    fake.states = [ended]
    for command in (("import", people), ("start", ID), ("watch", ID)):
        assert run(*command, "--json") == code
        is_said = f"muster customers left-out {ID} FILE.csv" in capsys.readouterr().err
        assert is_said == (ended["rejected"] > 0 and "state" not in ended)


def test_what_is_refused_cancelled_or_written_wrongly_ends_with_its_own_code(
    fake: Fake, people: str, capsys: Any
) -> None:
    fake.states = [{"state": "refused", "problem": REFUSED}]
    assert run("import", people) == 1
    assert "This is a PDF." in capsys.readouterr().err
    fake.states = [{"state": "cancelled", "rejected": 0}]
    assert run("import", people) == 1
    assert "cancelled" in capsys.readouterr().out
    assert run("import", people, "--map", "Handy") == 2
    assert "'Handy' is not HEADER=FIELD" in capsys.readouterr().err
    assert run("import", f"{people}.gone") == 2
    fake.states = [{"state": "applying"}, {"raises": KeyboardInterrupt()}]
    assert run("import", people) == 130
    told = capsys.readouterr().err
    assert f"muster customers cancel {ID}" in told
    assert f"muster customers watch {ID}" in told


def test_imports_are_listed_and_cancelled(fake: Fake, capsys: Any) -> None:
    assert run("imports") == 0
    assert ID in capsys.readouterr().out
    assert run("cancel", ID, "--json") == 0
    assert json.loads(capsys.readouterr().out)["state"] == "cancelled"
    assert fake.asked[-1][:2] == ("POST", f"{PATH}/{ID}/cancel")


def test_an_import_that_fills_a_list_says_who_came_and_went_or_why_it_stayed_as_it_was(
    fake: Fake, people: str, capsys: Any
) -> None:
    filled: dict[str, Any] = {"list": "VIP", "list_id": "0199", "listed": 3, "removed": 1}
    fake.states = [filled]
    assert run("import", people, "--list", "VIP") == ExitCode.PARTLY
    assert "3 came onto the list 'VIP', 1 were taken off it." in capsys.readouterr().out
    fake.states = [filled | {"problem": {"field": "list", "code": "list_too_long", "message": "It is too long."}}]
    assert run("import", people, "--list", "VIP") == ExitCode.PARTLY
    assert "It is too long." in capsys.readouterr().out
