"""`muster templates …`, and templates in sends and schedules: what the API is asked, and what a person sees of it."""

import json
from typing import Any

import httpx
import pytest

from muster.client.commands import bulk, main, schedule, templates

USES = {"sends": 4, "schedules": 1, "drafts": 0}
OFFER: dict[str, Any] = {
    "id": "01aa", "version": 2, "name": "offer", "category": "news", "language": "en", "text": "Hi {first_name|there}",
    "variants": {"de": "Hallo", "fr": "Salut"}, "fields": ["first_name"], "in_use": USES, "archived": False,
    "created_at": "2026-11-27T08:00:00Z", "created_by": "ada", "warnings": [],
}  # fmt: skip
SAID: dict[str, Any] = {
    "customer_id": 7, "language": "de", "text": "Hallo", "missing": [], "encoding": "GSM7", "parts": 1, "credits": 1,
}  # fmt: skip
ANSWERS: dict[str, Any] = {
    "GET /v1/templates": {"items": [OFFER], "next_cursor": None},
    "GET /v1/templates/01aa": OFFER,
    "GET /v1/templates/01aa/versions": {"items": [OFFER], "next_cursor": None},
    "GET /v1/templates/01aa/versions/1": OFFER | {"version": 1},
    "GET /v1/templates/01aa/preview": SAID,
    "POST /v1/templates": OFFER,
    "PUT /v1/templates/01aa": OFFER | {"version": 3},
    "POST /v1/quotes": {"id": "q", "recipients": 1, "parts": 1, "credits": 1, "left_out": {}},
    "POST /v1/schedules": {"id": "s", "name": "n", "when": {}, "occurrences": []},
}


@pytest.fixture
def asked(answering: Any) -> list[Any]:
    """What the API was asked, which answers as if all went well."""
    seen: list[Any] = []

    def answer(request: httpx.Request, path: str) -> httpx.Response:
        seen.append(
            (f"{request.method} {path}", json.loads(request.content) if request.content else str(request.url.params))
        )
        return httpx.Response(204) if request.method == "DELETE" else httpx.Response(200, json=answers(request, path))

    def answers(request: httpx.Request, path: str) -> Any:
        return ANSWERS[f"{request.method} {path}"]

    answering(answer, templates, bulk, schedule)
    return seen


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


TEMPLATE = "/v1/templates/01aa"


@pytest.mark.parametrize(
    ("arguments", "call"),
    [
        (("list", "--category", "news"), ("GET /v1/templates", "category=news")),
        (("list", "--archived"), ("GET /v1/templates", "archived=true")),
        (("show", "01aa"), (f"GET {TEMPLATE}", "")),
        (("show", "01aa", "--version", "1"), (f"GET {TEMPLATE}/versions/1", "")),
        (("versions", "01aa"), (f"GET {TEMPLATE}/versions", "")),
        (
            ("preview", "01aa", "7", "--version", "1"),
            (f"GET {TEMPLATE}/preview", "customer_id=7&version=1&class=marketing"),
        ),
        (("archive", "01aa"), (f"DELETE {TEMPLATE}", "")),
        (
            ("add", "offer", "Hi", "--category", "news", "--language", "en", "--variant", "de=Ja=ja"),
            (
                "POST /v1/templates",
                {"name": "offer", "text": "Hi", "category": "news", "language": "en", "variants": {"de": "Ja=ja"}},
            ),
        ),
        (
            ("change", "01aa", "--variant", "de=Hi", "--drop-variant", "fr"),
            (
                f"PUT {TEMPLATE}",
                {"name": "offer", "text": "Hi {first_name|there}", "category": "news", "language": "en",
                 "variants": {"de": "Hi"}},
            ),
        ),
    ],
)  # fmt: skip
def test_a_command_asks_the_api(asked: list[Any], arguments: tuple[str, ...], call: Any) -> None:
    assert run("templates", *arguments) == 0
    assert asked[-1] == call


def test_a_list_shows_what_pins_each_template(asked: list[Any], capsys: pytest.CaptureFixture[str]) -> None:
    assert run("templates", "list") == 0
    cells = [cell.strip() for cell in capsys.readouterr().out.splitlines()[3].split("│")]
    assert cells[1:-1] == ["offer", "news", "2", "en", "4", "1", "0", "01aa"]


def test_a_preview_of_somebody_who_would_be_left_out_fails(
    asked: list[Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    left_out = SAID | {"text": None, "missing": ["pet"]}
    monkeypatch.setitem(ANSWERS, f"GET {TEMPLATE}/preview", left_out)
    assert run("templates", "preview", "01aa", "7", "--json") == 1
    assert json.loads(capsys.readouterr().out) == left_out


@pytest.mark.parametrize(
    "arguments",
    [
        ("templates", "add", "offer", "Hi", "--variant", "de"),
        ("quote",),
        ("quote", "Hi", "--template", "01aa"),
        ("quote", "Hi", "--template-version", "1"),
    ],
)
def test_what_makes_no_sense_is_refused_before_the_api_is_asked(asked: list[Any], arguments: tuple[str, ...]) -> None:
    assert run(*arguments) == 2
    assert asked == []


def test_a_quote_and_a_schedule_pin_a_version(asked: list[Any]) -> None:
    pinned = ("--template", "01aa", "--template-version", "1")
    assert run("quote", *pinned, "--json") == 0
    assert asked[-1] == (
        "POST /v1/quotes",
        {"audience": {"all": True}, "template_id": "01aa", "template_version": 1},
    )
    assert run("schedule", "add", *pinned, "--name", "n", "--cron", "0 10 1 * *", "--credits-max", "5", "--json") == 0
    given = asked[-1][1]
    assert (given["template_id"], given["template_version"], "text" in given) == ("01aa", 1, False)
