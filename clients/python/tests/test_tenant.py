"""`muster tenant` and a customer's time zone: what the API is asked, and what is said to mistakes before."""

import json
from typing import Any

import httpx
import pytest

from muster.client import Connection, Muster
from muster.client.commands import customers, main, tenant

TENANT = {
    "id": "t", "name": "Salon", "quiet_hours": {"from": "20:00", "to": "09:00"}, "customary_hours": True,
    "countries": ["AU", "NZ"], "countries_max": [], "holidays": ["AU-NSW"], "closed_days": ["2026-12-24"],
}  # fmt: skip
DAYS = {"items": [{"day": "2026-12-25", "name": "Christmas Day"}, {"day": "2026-12-24", "name": None}]}
PERTH = "Australia/Perth"
ANN = {"id": 7, "first_name": "Ann", "last_name": "Lee", "mobiles": [{"number": "+61412000001"}], "time_zone": PERTH}


@pytest.fixture
def asked(answering: Any, monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What the API was asked, which answers as if all went well; first of all, as whom."""
    seen: list[Any] = []

    def answer(request: httpx.Request, path: str) -> httpx.Response:
        query = str(request.url.params)
        seen.append((request.method, path, json.loads(request.content) if request.content else query))
        page = {"items": [ANN], "next_cursor": None}
        customer = page if path == "/v1/customers" else ANN
        if path == "/v1/api-keys":
            return httpx.Response(201, json={"client_id": "mine", "client_secret": "shown once", "id": "k"})
        return httpx.Response(200, json=DAYS if "days" in path else TENANT if "tenant" in path else customer)

    answering(answer, tenant, customers)
    monkeypatch.setattr(Connection, "from_environment", lambda operator=False: seen.append(f"operator {operator}"))
    return seen


def run(*arguments: str) -> int:
    with pytest.raises(SystemExit) as ended:
        main(arguments)
    return int(ended.value.code or 0)


def test_the_settings_are_shown_in_words(asked: Any, capsys: Any) -> None:
    assert run("tenant", "show") == 0
    assert asked == ["operator False", ("GET", "/v1/tenant", "")]
    out = capsys.readouterr().out
    assert "20:00-09:00" in out
    assert "AU, NZ" in out


def test_an_operator_makes_a_business_and_the_key_of_its_admin(asked: Any, capsys: Any) -> None:
    made = ("--country", "AU", "--time-zone", "Australia/Sydney", "--sender", "Salon", "--sandbox")
    assert run("tenant", "create", "Try it", *made, "--json") == 0

    body = {
        "name": "Try it", "country": "AU", "time_zone": "Australia/Sydney", "sender": "Salon", "sandbox": True,
    }  # fmt: skip
    key = {"tenant_id": "t", "name": "first admin"}
    assert asked == ["operator True", ("POST", "/v1/tenants", body), ("POST", "/v1/api-keys", key)]
    said = json.loads(capsys.readouterr().out)
    assert (said["id"], said["client_id"], said["client_secret"]) == ("t", "mine", "shown once")


def test_only_what_is_named_is_changed(asked: Any) -> None:
    days = ("--closed", "2026-12-24, 2026-12-31", "--holidays", "none", "--parts-max", "3")
    assert run("tenant", "set", "--quiet", "20:00-09:00", "--customary", *days) == 0
    assert run("tenant", "set", "--quiet", "none", "--no-replies", "--tenant", "a/b", "--countries", "*") == 0
    max_ = ("--countries-max", "AU,NZ")
    assert run("tenant", "set", "--tenant", "a", "--parts-per-second", "20", "--at-least-once", *max_) == 0
    assert asked == [
        "operator False",
        ("PATCH", "/v1/tenant", {
            "quiet_hours": {"from": "20:00", "to": "09:00"}, "customary_hours": True, "holidays": [],
            "closed_days": ["2026-12-24", "2026-12-31"], "parts_max": 3,
        }),
        "operator True",
        ("PATCH", "/v1/tenants/a%2Fb", {"quiet_hours": None, "allow_sms_replies": False, "countries": ["*"]}),
        "operator True",
        ("PATCH", "/v1/tenants/a", {"at_least_once": True, "countries_max": ["AU", "NZ"], "parts_per_second": 20}),
    ]  # fmt: skip


def test_an_operator_closes_and_reopens_a_business_and_names_its_reseller(asked: Any) -> None:
    commands = (
        ("close", "a"),
        ("reopen", "a"),
        ("sub-account", "a", "--of", "b"),
        ("sub-account", "a", "--of", "none"),
    )
    assert [run("tenant", *words) for words in commands] == [0] * 4
    changes = ({"closed": True}, {"closed": False}, {"parent_id": "b"}, {"parent_id": None})
    told = [call for one in changes for call in ("operator True", ("PATCH", "/v1/tenants/a", one))]
    assert asked == told
    assert run("tenant", "sub-account", "a") == 2


@pytest.mark.parametrize(
    "given",
    [
        *((), ("--quiet", "20:00"), ("--unknown", "maybe"), ("--parts-per-second", "20"), ("--countries-max", "*")),
    ],
)
def test_a_change_of_nothing_of_no_hours_or_of_what_is_the_operator_s_is_not_asked_for(
    asked: Any, given: tuple[str, ...]
) -> None:
    assert run("tenant", "set", *given) == 2
    assert asked == []


def test_the_days_without_marketing_are_listed(asked: Any, capsys: Any) -> None:
    assert run("tenant", "closed-days", "--until", "2026-12-31", "--holidays", "AU,NZ") == 0
    assert asked[1] == ("GET", "/v1/closed-days", "until=2026-12-31&holidays=AU&holidays=NZ")
    assert "Christmas Day" in capsys.readouterr().out


def test_a_customer_is_found_and_given_a_time_zone_or_none(asked: Any, capsys: Any) -> None:
    assert run("customers", "find", "Ann") == 0
    assert run("customers", "zone", "7", "Australia/Perth") == 0
    assert run("customers", "zone", "7", "none") == 0
    assert asked[1::2] == [
        ("GET", "/v1/customers", "search=Ann"),
        ("PATCH", "/v1/customers/7", {"time_zone": "Australia/Perth"}),
        ("PATCH", "/v1/customers/7", {"time_zone": ""}),
    ]
    assert "Australia/Perth" in capsys.readouterr().out


def test_the_words_of_marketing_are_shown_and_one_is_changed(asked: list[Any], monkeypatch: pytest.MonkeyPatch) -> None:
    words: dict[str, Any] = {"identity": "{business}: ", "reply": "Reply STOP to opt out", "by_link": "Opt out: {link}"}
    words |= {"languages": {"de": {"reply": "Ende mit STOP"}}}
    changes: list[Any] = []
    monkeypatch.setattr(Muster, "get", lambda *_: words)
    monkeypatch.setattr(Muster, "put", lambda _, path, body: changes.append((path, body)) or body)
    assert run("tenant", "notices") == 0
    assert run("tenant", "notices", "--reply", "STOP to end") == 0
    assert run("tenant", "notices", "--by-link", "Ende: {link}", "--language", "de") == 0
    german = {"de": {"reply": "Ende mit STOP", "by_link": "Ende: {link}"}}
    assert changes == [
        ("/v1/notices", {**words, "reply": "STOP to end"}),
        ("/v1/notices", {**words, "languages": german}),
    ]


@pytest.mark.parametrize("cap", [{"messages": None, "days": None}, {"messages": 4, "days": 30}])
def test_where_there_is_no_frequency_cap_it_says_so(
    asked: list[Any], capsys: Any, monkeypatch: pytest.MonkeyPatch, cap: dict[str, Any]
) -> None:
    monkeypatch.setattr(Muster, "get", lambda *_: cap)
    assert run("tenant", "frequency-cap") == 0
    out = capsys.readouterr().out
    assert ("There is no cap." in out, "30" in out) == (cap["days"] is None, cap["days"] == 30)
    assert asked == ["operator False"]


def test_the_frequency_cap_is_shown_set_and_taken_away(asked: list[Any]) -> None:
    for options in ((), ("--messages", "4", "--days", "30"), ("--none",)):
        with pytest.raises(SystemExit) as ended:
            main(["tenant", "frequency-cap", *options, "--json"])
        assert not ended.value.code
    path = "/v1/frequency-cap"
    shown = ("GET", path, "")
    calls = [one for one in asked if not isinstance(one, str)]
    assert calls == [shown, ("PUT", path, {"messages": 4, "days": 30}), shown, ("DELETE", path, ""), shown]
    for options in (("--messages", "4"), ("--none", "--messages", "4", "--days", "3")):
        with pytest.raises(SystemExit) as ended:
            main(["tenant", "frequency-cap", *options])
        assert ended.value.code == 2
