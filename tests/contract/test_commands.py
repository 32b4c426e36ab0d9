"""Every route has a command, or a reason why it has none; and each command asks what the document says, and can do
with what the document says is answered."""

import io
import json
import re
import shlex
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest
import yaml
from contract.answers import DOCUMENT, ID, Answering, example, is_example_of, routes

from muster.client import Connection, Muster
from muster.client.commands import main
from muster.local.routes import SERVICES

TABLE = yaml.safe_load(Path(__file__).with_name("commands.yaml").read_text(encoding="utf-8"))
FILES = {
    "PEOPLE.csv": "Mobile\n0491570156\n",
    "CHECKS.json": json.dumps({"bulk_id": ID, "signed": {}, "signature": "ab" * 64}),
}
_COLUMNS = 80
_STEERING = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")
_PLAIN = Muster.__init__


def lines() -> list[tuple[str, str, str]]:
    """The verb and path of each route that has a command, and the command; of those that services share, one each."""
    known = set(routes())
    found = []
    for route, command in TABLE["commands"].items():
        verb, path = route.split()
        if "{service}" not in path:
            found.append((verb, path, command))
            continue
        for service in SERVICES:
            one = path.replace("{service}", service)
            found += [(verb, one, command.replace("SERVICE", service))] if (verb, one) in known else []
    return found


def test_every_route_has_a_command_or_a_reason_why_it_has_none():
    without = [tuple(route.split()) for some in TABLE["none"].values() for route in some]
    named = [(verb, path) for verb, path, _ in lines()] + without
    assert sorted(named) == sorted(routes())


def test_the_answers_that_commands_are_tried_on_are_what_the_document_allows():
    schemas = [
        (verb, path, kinds["application/json"]["schema"])
        for path, item in DOCUMENT["paths"].items()
        for verb, operation in item.items()
        for status, answer in operation["responses"].items()
        if status[0] == "2" and (kinds := answer.get("content", {})) and "application/json" in kinds
    ]
    assert [(verb, path) for verb, path, schema in schemas if not is_example_of(schema, example(schema))] == []


def test_every_command_asks_what_the_document_says_and_shows_what_it_answers_within_eighty_columns(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: Any
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MUSTER_CONFIG", str(tmp_path))
    for name, content in FILES.items():
        Path(name).write_text(content, encoding="utf-8")
    connection = Connection("http://muster", "id", "secret")
    monkeypatch.setattr("muster.client.commands.carrier._POLL_S", 0)
    monkeypatch.setattr(Connection, "from_environment", lambda **_: connection)
    # A terminal of eighty columns.
    for name, value in {"FORCE_COLOR": "1", "TTY_COMPATIBLE": "1", "NO_COLOR": "1", "COLUMNS": str(_COLUMNS)}.items():
        monkeypatch.setenv(name, value)
    asked: dict[str, Answering] = {}
    broken = []
    for verb, path, command in lines():
        if command not in asked:
            asked[command] = answers = Answering()
            broken += [f"{command}: {why}" for why in run(command, answers, monkeypatch)]
            broken += [f"{command}: {why}" for why in answers.wrong]
            shown = _STEERING.sub("", capsys.readouterr().out).splitlines()
            broken += [
                f"{command}: {len(line)} columns: {line}" for line in shown if len(line) > _COLUMNS or "…" in line
            ]
        if (verb, path) not in asked[command].asked:
            broken.append(f"{command}: it does not ask {verb} {path}, but {asked[command].asked}")
    assert not broken, "\n".join(broken)


def run(command: str, answers: Answering, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What goes wrong where a command runs on some answers."""
    transport = httpx.MockTransport(answers)
    monkeypatch.setattr(Muster, "__init__", lambda self, to, **_: _PLAIN(self, to, transport=transport))
    monkeypatch.setattr(httpx, "post", lambda url, **told: httpx.Client(transport=transport).post(url, **_sent(told)))
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"before\nafterwards\n")))
    try:
        main([word.replace("ID", ID) if word.startswith("ID") else word for word in shlex.split(command)])
    except SystemExit as ended:
        return [f"exit {ended.code}"] if ended.code else []
    except Exception as fault:
        return [f"{type(fault).__name__}: {fault}"]
    return []


def _sent(told: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in told.items() if name != "timeout"}
