"""`muster customers export` and `erase`: one file of what every service holds."""

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from muster.client.api import Muster
from muster.client.commands import app

HELD: dict[str, Any] = {
    "customer": {"id": 7, "first_name": "=Ana", "numbers": [{"number": "+61491570156"}, {"number": "000"}]},
    "elsewhere": "in the report",
    "consents": [{"number": None, "kind": "express"}],
    "sends": [{"number": "+61491570157", "text": "Hi"}],
    "suppressions": [],
}


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    said: list[Any] = []

    def report(_: Any, **filters: str) -> Any:
        said.append(("report", filters["number"]))
        return iter([{"number": filters["number"], "status": "delivered", "replies": [{"text": "ok"}]}])

    def pages(_: Any, path: str, **query: str) -> Any:
        said.append((path, query["number"]))
        return iter([{"number": query["number"], "text": "@home", "email": {"state": "sent", "to": "a@b.example"}}])

    monkeypatch.setattr(Muster, "get", lambda _, path: json.loads(json.dumps(HELD)))
    monkeypatch.setattr(Muster, "report", report)
    monkeypatch.setattr(Muster, "pages", pages)
    monkeypatch.setattr(Muster, "post", lambda _, *given: said.append(given) or {"id": "E", "state": "running"})
    for name in ("URL", "CLIENT_ID", "CLIENT_SECRET"):
        monkeypatch.setenv(f"MUSTER_{name}", "http://127.0.0.1:1")
    return said


def test_the_file_holds_what_each_service_has_of_each_number_they_have_or_had(asked: list[Any], tmp_path: Path) -> None:
    for name in ("ana.json", "ana.csv"):
        ran = CliRunner().invoke(app, ["customers", "export", "7", str(tmp_path / name)])
        assert ran.exit_code == 0, ran.output

    numbers = ["+61491570156", "+61491570157"]
    assert asked[:4] == [("report", one) for one in numbers] + [("/v1/replies", one) for one in numbers]
    held = json.loads((tmp_path / "ana.json").read_text())
    assert [row["number"] for row in held["messages"]] == numbers
    assert [row["email"]["state"] for row in held["replies"]] == ["sent", "sent"]
    assert "elsewhere" not in held
    rows = list(csv.DictReader((tmp_path / "ana.csv").read_text().splitlines()))
    cells = {(row["section"], row["entry"], row["field"]): row["value"] for row in rows}
    assert cells["customer", "1", "first_name"] == "'=Ana"
    assert cells["customer", "1", "numbers.1.number"] == "+61491570156"
    assert cells["messages", "2", "replies.1.text"] == "ok"
    assert cells["replies", "1", "text"] == "'@home"


def test_a_person_is_erased_on_a_ground_and_so_is_a_number_of_no_customer(asked: list[Any]) -> None:
    done = CliRunner().invoke(app, ["customers", "erase", "7", "--ground", "objected", "--yes", "--json"])

    assert json.loads(done.output)["state"] == "running"
    assert asked == [("/v1/customers/7/erasure", {"ground": "objected"})]

    written = ["customers", "erase-number", "0491 570 156"]
    assert CliRunner().invoke(app, [*written, "--yes", "--json"]).exit_code == 0
    assert asked[1:] == [("/v1/erasures", {"number": "0491 570 156", "ground": "asked"})]
