"""`muster customers list|count|show|add|edit|…`: what the API is asked, and what a person sees of the answer."""

import json
from typing import Any

import httpx
import pytest

from muster.client.commands import main, people

ANN: dict[str, Any] = {
    "id": 7, "version": 3, "first_name": "Ann", "last_name": "Lee", "mobiles": [], "allow_bulk_sms": True,
    "numbers": [{"number": "+61398765432", "kind": "toll_free"}], "consent": "express", "opted_out": False,
    "language": "", "time_zone": "", "tags": ["vip", "old"], "own_fields": {"pet": "Rex"}, "changed_at": None,
    "archived_at": None, "merged_into": None,
}  # fmt: skip
ANSWERS: dict[str, Any] = {
    "/v1/customers": {"items": [ANN], "next_cursor": None},
    "/v1/customers/count": {"count": 12, "exact": False},
    "/v1/searches": {"items": [{"name": "lapsed", "query": "tag is old"}], "next_cursor": None},
    "/v1/own-fields": {"items": [{"key": "pet", "name": "Pet", "kind": "text"}], "next_cursor": None},
}
HEADERS = ("if-match",)


@pytest.fixture
def asked(answering: Any) -> list[Any]:
    """What the API was asked, which answers as if all went well."""
    seen: list[Any] = []

    def answer(request: httpx.Request, path: str) -> httpx.Response:
        told = json.loads(request.content) if request.content else str(request.url.params)
        seen.append((request.method, path, told, *(request.headers[one] for one in HEADERS if one in request.headers)))
        return httpx.Response(200, json=ANSWERS.get(path, ANN) if request.method == "GET" else ANN)

    answering(answer, people)
    return seen


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(("customers", *arguments))
    return int(ended.value.code or 0)


def test_customers_are_listed_and_counted_by_a_query_or_a_saved_one(asked: Any, capsys: Any) -> None:
    assert run("list", "ana tag is vip", "--limit", "5") == 0
    assert run("list", "--saved", "lapsed") == 0
    assert run("count", "ana") == 0
    assert run("count", "--saved", "lapsed", "--exact") == 0
    assert asked == [
        ("GET", "/v1/customers", "query=ana+tag+is+vip&limit=5"),
        ("GET", "/v1/customers", "saved=lapsed&limit=100"),
        ("GET", "/v1/customers/count", "query=ana"),
        ("GET", "/v1/customers/count", "saved=lapsed&exact=True"),
    ]
    out = capsys.readouterr().out
    assert "Ann Lee" in out
    assert "+61398765432" in out
    assert "12" in out


def test_a_customer_is_shown_added_put_away_taken_back_and_merged(asked: Any, capsys: Any) -> None:
    assert run("show", "7") == 0
    assert "+61398765432 (toll free)" in capsys.readouterr().out
    given = ("--first", "Ann", "--number", "0412 345 678", "--number", "03 9876 5432", "--allow", "--tag", "vip")
    assert run("add", *given, "--consent", "express", "--field", "pet=Rex=1") == 0
    assert run("archive", "7") == 0
    assert run("unarchive", "7") == 0
    assert run("merge", "7", "8", "--yes") == 0
    assert asked[1:] == [
        ("POST", "/v1/customers", {
            "first_name": "Ann", "numbers": ["0412 345 678", "03 9876 5432"], "allow_bulk_sms": True,
            "consent": "express", "tags": ["vip"], "own_fields": {"pet": "Rex=1"},
        }),
        ("POST", "/v1/customers/7/archive", None),
        ("POST", "/v1/customers/7/unarchive", None),
        ("POST", "/v1/customers/7/merge", {"customer_id": 8}),
    ]  # fmt: skip


def test_an_edit_changes_what_it_names_of_the_customer_as_they_were_seen(asked: Any) -> None:
    assert run("edit", "7", "--last", "", "--no-allow", "--tag", "new", "--no-tag", "old", "--field", "hat=5") == 0
    change = {
        "last_name": "", "allow_bulk_sms": False, "tags": ["vip", "new"], "own_fields": {"pet": "Rex", "hat": "5"},
    }  # fmt: skip
    assert asked == [("GET", "/v1/customers/7", ""), ("PATCH", "/v1/customers/7", change, '"3"')]


@pytest.mark.parametrize("given", [("edit", "7"), ("edit", "7", "--field", "pet"), ("add", "--field", "pet")])
def test_a_change_of_nothing_or_of_half_a_field_is_not_asked_for(asked: Any, given: tuple[str, ...]) -> None:
    assert run(*given) == 2
    assert asked == []


def test_searches_and_fields_are_kept_by_name(asked: Any, capsys: Any) -> None:
    assert run("save-search", "a/b", "tag is vip") == 0
    assert run("searches") == 0
    assert run("forget-search", "a/b") == 0
    assert run("define-field", "last_visit", "date", "--name", "Last visit") == 0
    assert run("fields") == 0
    assert asked == [
        ("PUT", "/v1/searches/a%2Fb", {"query": "tag is vip"}),
        ("GET", "/v1/searches", ""),
        ("DELETE", "/v1/searches/a%2Fb", ""),
        ("PUT", "/v1/own-fields/last_visit", {"name": "Last visit", "kind": "date"}),
        ("GET", "/v1/own-fields", ""),
    ]
    out = capsys.readouterr().out
    assert "lapsed" in out
    assert "pet" in out
