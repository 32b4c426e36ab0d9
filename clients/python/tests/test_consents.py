"""`muster suppressions` and `muster customers consent`: what is typed is what is asked."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from typer.testing import CliRunner

import muster.client.commands.consents as command
from muster.client.commands import app


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    said: list[Any] = []
    answer = {"rows": 2, "suppressed": 1, "already": 0, "repeated": 0, "rejected": 1}
    errors = [{"row": 2, "code": "not_a_number", "message": "no number"}]
    monkeypatch.setattr(command.Muster, "post", lambda _, *given: said.append(given) or {**answer, "errors": errors})
    monkeypatch.setattr(command.Muster, "delete", lambda _, *given: said.append(given))
    for name in ("URL", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.setenv(f"MUSTER_{name}", "http://127.0.0.1:1")
    return said


@pytest.mark.parametrize(
    ("words", "path", "body"),
    [
        (
            ["customers", "consent", "7", "withdrawn", "--number", "0412", "--scope", "all"],
            "/v1/customers/7/consents",
            {"kind": "withdrawn", "number": "0412", "scope": "all", "source": "person"},
        ),
        (
            ["suppressions", "lift", "a/b", "--source", "form", "--wording", "Yes."],
            "/v1/suppressions/a%2Fb/lift",
            {"source": "form", "wording": "Yes."},
        ),
        (
            ["suppressions", "request", "email", "Stop it.", "--address", "ana@example.com"],
            "/v1/suppressions/requests",
            {"channel": "email", "wording": "Stop it.", "address": "ana@example.com", "scope": "marketing"},
        ),
        (
            ["suppressions", "apply", "R", "--customer-id", "7"],
            "/v1/suppressions/requests/R/apply",
            {"customer_id": 7},
        ),
        (
            ["suppressions", "dismiss", "R", "--reason", "a joke"],
            "/v1/suppressions/requests/R/dismiss",
            {"reason": "a joke"},
        ),
        (
            ["suppressions", "add", "0412", "--source", "complaint"],
            "/v1/suppressions",
            {"number": "0412", "scope": "all", "source": "complaint"},
        ),
    ],
)
def test_a_command_asks_the_api_for_what_it_says(asked: list[Any], words: list[str], path: str, body: Any) -> None:
    ran = CliRunner().invoke(app, words)
    assert ran.exit_code == 0, ran.output
    [(to, given)] = asked
    assert (to, {name: value for name, value in given.items() if value}) == (path, body)


def test_a_correction_names_its_reason(asked: list[Any]) -> None:
    assert CliRunner().invoke(app, ["suppressions", "correct", "ab", "--reason", "a slip & more"]).exit_code == 0
    assert asked == [("/v1/suppressions/ab?reason=a+slip+%26+more",)]


def test_a_long_list_goes_in_slices_and_its_bad_lines_are_named_as_in_the_file(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(command, "_AT_ONCE", 2)
    file = tmp_path / "numbers.csv"
    file.write_text("\ufeff0412000001,Ana\nrubbish\n\n0412000003\n", encoding="utf-8")
    ran = CliRunner().invoke(app, ["suppressions", "upload", str(file)])
    assert [numbers for _, numbers in asked] == [["0412000001", "rubbish"], ["", "0412000003"]]
    assert ran.exit_code == 5
    assert "no number" in ran.output
    assert " 4 " in ran.output, "the second line of the second slice"


def test_the_numbers_of_a_list_are_in_the_column_that_is_called_so(asked: list[Any], tmp_path: Path) -> None:
    file = tmp_path / "stopped.csv"
    file.write_bytes("Name;Mobile\nZoë;0412000001\nBob\n".encode("cp1252"))
    ran = CliRunner().invoke(app, ["suppressions", "upload", str(file)])
    assert [numbers for _, numbers in asked] == [["", "0412000001", ""]], ran.output


@pytest.mark.parametrize(
    ("words", "path", "media_type"),
    [
        (["evidence", "7", "e.txt"], "/v1/customers/7/consents/evidence", "text/plain"),
        (["evidence", "7", "e.CSV"], "/v1/customers/7/consents/evidence", "text/csv"),
        (["export", "7", "p.txt"], "", ""),
    ],
)
def test_a_file_is_what_its_ending_says(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, asked: list[Any], words: list[str], path: str, media_type: str
) -> None:
    @contextmanager
    def download(_: Any, *given: str) -> Iterator[httpx.Response]:
        asked.append(given)
        yield httpx.Response(200, content=b"held")

    monkeypatch.setattr(command.Muster, "download", download)
    *command_words, name = words
    ran = CliRunner().invoke(app, ["customers", *command_words, str(tmp_path / name)])
    assert asked == ([(path, media_type)] if path else [])
    assert (ran.exit_code == 0) == bool(path), ran.output
    assert [file.read_bytes() for file in tmp_path.iterdir()] == ([b"held"] if path else [])
