"""`muster api`: any route, as the profile and at its server alone."""

import io
import json
import sys
from pathlib import Path
from typing import Any

import httpx
import pytest

from muster.client import Connection, Muster
from muster.client.commands import calling, main

PAGES: dict[str, dict[str, Any]] = {
    "": {"items": [{"id": 1}, {"id": 2}], "next_cursor": "c"},
    "c": {"items": [{"id": 3}], "next_cursor": None},
}
PROBLEM = {"title": "No", "status": 422, "code": "not_valid", "errors": [{"field": "days", "message": "too many"}]}
CSV = b"number,text\r\n+61491570156,\x1b[31mHi\r\n"


class Api:
    """What was asked of it, and what it answers with."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, bytes]] = []
        self.headers: list[httpx.Headers] = []
        self.answers: list[httpx.Response | Exception] = []

    def respond(self, request: httpx.Request) -> httpx.Response:
        if request.url.path == "/muster/v1/token":
            return httpx.Response(200, json={"access_token": "t", "expires_in": 900})
        self.asked.append((request.method, str(request.url), request.read()))
        self.headers.append(request.headers)
        answer = self.answers.pop(0) if self.answers else httpx.Response(200, json={"id": "x"})
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Api:
    known = Api()
    connection = Connection("https://muster.example/muster", "id", "secret")
    transport = httpx.MockTransport(known.respond)
    monkeypatch.setattr(calling, "Muster", lambda _: Muster(connection, transport=transport))
    monkeypatch.setattr(Connection, "from_environment", lambda **_: connection)
    monkeypatch.setattr("muster.client.connection._FIRST_PAUSE_S", 0)
    return known


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(("api", *arguments))
    return int(ended.value.code or 0)


AT = "https://muster.example/muster/v1"


@pytest.mark.parametrize(
    ("words", "asked"),
    [
        (("get", "/v1/customers"), ("GET", f"{AT}/customers", b"")),
        (
            ("GET", "/v1/customers?query=ana%20li", "-F", "limit=2", "-F", "path=p", "-F", "tag=a", "-F", "tag=b"),
            ("GET", f"{AT}/customers?query=ana+li&limit=2&path=p&tag=a&tag=b", b""),
        ),
        (
            ("PUT", "/v1/frequency-cap", "--field", "messages=4", "--field", "days=7"),
            ("PUT", f"{AT}/frequency-cap", b'{"messages": 4, "days": 7}'),
        ),
        (
            ("POST", "/v1/x", "-F", "a=true", "-F", "b=null", "-F", "c=0412000001", "-F", "d=-3", "-F", "e=a=b"),
            ("POST", f"{AT}/x", b'{"a": true, "b": null, "c": "0412000001", "d": -3, "e": "a=b"}'),
        ),
        (
            ("PATCH", "/v1/x", "-f", "number=61412000001", "-f", "yes=true"),
            ("PATCH", f"{AT}/x", b'{"number": "61412000001", "yes": "true"}'),
        ),
        (("POST", "/v1/x/stop?now=1"), ("POST", f"{AT}/x/stop?now=1", b"null")),
        (("DELETE", "/v1/x/a%2Fb", "-F", "reason=a slip"), ("DELETE", f"{AT}/x/a%2Fb?reason=a+slip", b"")),
    ],
)
def test_a_call_is_what_is_written(api: Api, words: tuple[str, ...], asked: Any) -> None:
    assert run(*words) == 0
    assert api.asked == [asked]
    assert api.headers[0]["authorization"] == "Bearer t"
    assert ("idempotency-key" in api.headers[0]) == (asked[0] != "GET")


@pytest.mark.parametrize(
    "path",
    [
        *(
            "https://evil.example/v1/customers",
            "//evil.example/v1",
            "evil.example/v1",
            "v1/customers",
            "",
            "@evil.example",
        ),
        *("/v1/../ops", "/v1/./x", "/..", "/v1/%2e%2e/ops", "/v1/%252e%252e/ops", "/v1/..%2Fops", "/v1/x%5c..%5cops"),
        *("/v1\\x", "/\\evil.example", "/v1/x y", "/v1/x\r\nHost: evil.example", "/v1/x\x00", "/v1/x#y", "/v1/\t"),
    ],
)
def test_a_path_that_could_lead_elsewhere_asks_nothing(api: Api, capsys: Any, path: str) -> None:
    assert run("GET", path) == 2
    assert api.asked == []
    assert "PATH" in capsys.readouterr().err


@pytest.mark.parametrize(
    "path", ["/@evil.example/v1", "/v1/é", "/v1:80//evil.example", "/v1/\udcff", "/v1/...", "/%zz"]
)
def test_whatever_a_path_holds_the_token_goes_to_the_profiles_own_server(api: Api, path: str) -> None:
    assert run("GET", path) == 0
    assert httpx.URL(api.asked[0][1]).host == "muster.example"
    assert httpx.URL(api.asked[0][1]).path.startswith("/muster/")


def test_an_answer_that_leads_elsewhere_is_not_followed(api: Api, capsys: Any) -> None:
    api.answers = [httpx.Response(302, headers={"Location": "https://evil.example/"})]
    assert run("GET", "/v1/x") == 1
    assert len(api.asked) == 1


def test_pages_are_followed_and_each_item_is_a_line(api: Api, capsys: Any) -> None:
    api.answers = [httpx.Response(200, json=PAGES[""]), httpx.Response(200, json=PAGES["c"])]
    assert run("GET", "/v1/customers", "--paginate", "-F", "limit=2") == 0
    assert [json.loads(line)["id"] for line in capsys.readouterr().out.splitlines()] == [1, 2, 3]
    assert [url for _, url, _ in api.asked] == [f"{AT}/customers?limit=2", f"{AT}/customers?limit=2&cursor=c"]
    assert run("GET", "/v1/me", "--paginate") == 2
    assert "is no listing" in capsys.readouterr().err


def test_a_body_comes_from_a_file_or_from_standard_input(
    api: Api, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    file = tmp_path / "body.json"
    file.write_text('{"audience": {"all": true}}', encoding="utf-8")
    assert run("POST", "/v1/quotes", "--input", str(file), "--if-match", '"3"', "-F", "dry=1") == 0
    assert api.asked[-1] == ("POST", f"{AT}/quotes?dry=1", b'{"audience": {"all": true}}')
    assert api.headers[-1]["if-match"] == '"3"'
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"not JSON")))
    assert run("POST", "/v1/quotes", "--input", "-") == 2
    assert "is not JSON" in capsys.readouterr().err
    file.write_bytes(b"Mobile\n0412000001\n")
    assert run("POST", "/v1/customers/imports", "--input", str(file), "--type", "text/csv", "-F", "mode=add") == 0
    assert api.asked[-1] == ("POST", f"{AT}/customers/imports?mode=add", b"Mobile\n0412000001\n")
    assert api.headers[-1]["content-type"] == "text/csv"


def test_a_refusal_is_on_standard_error_and_with_json_as_it_was_answered(api: Api, capsys: Any) -> None:
    api.answers = [httpx.Response(422, json=PROBLEM), httpx.Response(422, json=PROBLEM), httpx.Response(401, json={})]
    assert run("PUT", "/v1/frequency-cap") == 1
    assert capsys.readouterr() == ("", "muster: 422 No\n  days: too many\n")
    assert run("PUT", "/v1/frequency-cap", "--json") == 1
    told = capsys.readouterr()
    assert (told.out, json.loads(told.err)) == ("", PROBLEM)
    assert run("GET", "/v1/me", "--json") == 3


def test_a_call_of_which_nothing_was_heard_is_repeated_under_one_key_and_says_it(api: Api, capsys: Any) -> None:
    api.answers = [httpx.ConnectError("gone") for _ in range(4)]
    assert run("POST", "/v1/x", "--key", "mine") == 3
    assert {headers["idempotency-key"] for headers in api.headers} == {"mine"}
    assert "--key mine" in capsys.readouterr().err


def test_another_kind_of_answer_comes_as_it_is_and_steers_no_terminal(
    api: Api, capsysbinary: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    api.answers = [httpx.Response(200, content=CSV), httpx.Response(200, content=CSV)]
    assert run("GET", "/v1/reports/sms", "--accept", "text/csv") == 0
    assert capsysbinary.readouterr().out == CSV
    assert api.headers[-1]["accept"] == "text/csv"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run("GET", "/v1/reports/sms", "--accept", "text/csv") == 0
    assert b"\x1b" not in capsysbinary.readouterr().out


def test_people_read_an_answer_in_lines_and_programs_get_one(api: Api, capsys: Any, monkeypatch: Any) -> None:
    told = {"name": "Zo\u00eb \x9b31m"}
    api.answers = [httpx.Response(200, json=told) for _ in range(3)] + [httpx.Response(204)]
    assert run("GET", "/v1/x") == 0
    assert capsys.readouterr().out == json.dumps(told) + "\n"
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run("GET", "/v1/x") == 0
    shown = capsys.readouterr().out
    assert "Zo\u00eb \\u009b31m" in shown
    assert json.loads(shown) == told
    assert run("GET", "/v1/x", "--json") == 0
    assert capsys.readouterr().out.count("\n") == 1
    assert run("DELETE", "/v1/x") == 0
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize(
    "words",
    [
        *(("HEAD", "/v1/x"), ("POST", "/v1/x", "--paginate"), ("POST", "/v1/x", "--accept", "text/csv")),
        *(("PUT", "/v1/x", "--if-match", "3"), ("POST", "/v1/x", "--type", "text/csv"), ("POST", "/v1/x", "-F", "a")),
        *(("POST", "/v1/x", "-F", "a=1", "-f", "a=2"), ("GET", "/v1/x", "--accept", "text/csv", "--paginate")),
        *(("GET", "/v1/x", "--input", __file__), ("PUT", "/v1/x", "--input", __file__, "--type", "text/csv")),
    ],
)
def test_what_does_not_go_together_asks_nothing(api: Api, words: tuple[str, ...]) -> None:
    assert run(*words) == 2
    assert api.asked == []
