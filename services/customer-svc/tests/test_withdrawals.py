"""Withdrawals that wait for somebody: the last day by law, counted down, and what becomes of them."""

from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from conftest import tenant
from test_consents import add, words

from muster.customer.domain import calendars
from muster.customer.domain.deadlines import ELSEWHERE, calendars_of, due_on, rule_of
from muster.customer.handlers import facts, withdrawals
from muster.kit import metrics

ASK = {"channel": "email", "address": "ana@example.com", "wording": "Please stop texting me."}


@pytest.mark.parametrize(
    ("country", "chosen", "asked", "due"),
    [
        # A Monday: it is the first of five; the Saturday after it begins a week later.
        ("AU", (), date(2026, 11, 16), date(2026, 11, 20)),
        ("AU", (), date(2026, 11, 14), date(2026, 11, 20)),
        # Good Friday and Easter Monday are no business days, nor is the Saturday between them.
        ("AU", ("AU-NSW",), date(2026, 4, 2), date(2026, 4, 10)),
        # Melbourne Cup Day is a holiday in Victoria alone.
        ("AU", ("AU-VIC",), date(2026, 11, 2), date(2026, 11, 9)),
        ("AU", ("AU-NSW",), date(2026, 11, 2), date(2026, 11, 6)),
        # Over Christmas and New Year, three of them on weekdays.
        ("AU", ("AU-NSW",), date(2026, 12, 24), date(2027, 1, 4)),
        # Ten days behind the day of the request, over Thanksgiving.
        ("US", (), date(2026, 11, 25), date(2026, 12, 10)),
        ("US", ("AU-NSW",), date(2026, 11, 25), date(2026, 12, 10)),
        # No law of before that day, and no law that names days.
        ("US", (), date(2025, 4, 7), date(2025, 4, 11)),
        ("GB", (), date(2026, 11, 16), date(2026, 11, 20)),
    ],
)
def test_the_last_day_is_counted_in_business_days_of_the_place(
    country: str, chosen: tuple[str, ...], asked: date, due: date
) -> None:
    names = calendars_of(country, chosen)
    assert due_on(asked, rule_of(country, asked), lambda *span: calendars.named_days(names, *span)) == due


def test_a_law_is_known_from_its_first_day_and_a_country_is_no_path() -> None:
    assert (rule_of("US", date(2025, 4, 10)), rule_of("US", date(2025, 4, 11)).business_days) == (ELSEWHERE, 10)
    assert rule_of("AU", date(2026, 1, 1)).law.startswith("Spam Act 2003")
    assert rule_of("../AU", date(2026, 1, 1)) == ELSEWHERE


async def record(salon: Any, **members: Any) -> dict[str, Any]:
    answer = await salon.ask("POST", "/v1/suppressions/requests", {**ASK, **members})
    assert answer.status_code == 201, answer.text
    return dict(answer.json())


async def waiting(salon: Any) -> list[str]:
    answer = await salon.ask("GET", "/v1/suppressions/requests?state=waiting")
    return [one["id"] for one in answer.json()["items"]]


async def test_what_is_due_first_comes_first_and_is_counted_down_by_the_clock_of_the_business(salon: Any) -> None:
    place = tenant(salon.tenant_id, version=2)
    place.time_zone, place.holidays[:] = "Australia/Sydney", ["AU-NSW"]
    await salon.hear(facts.on_tenant_changed, place)
    late = await record(salon)
    # 23:30 UTC on Wednesday is Thursday in Sydney: Easter comes, and the tenth of April is the last day.
    early = await record(salon, received_at="2026-04-01T23:30:00Z")
    assert await waiting(salon) == [early["id"], late["id"]]
    assert (early["due_on"], early["overdue"], early["law"][:8]) == ("2026-04-10", True, "Spam Act")
    assert early["days_left"] < 0 < late["days_left"] + 1
    assert (late["overdue"], late["recorded_by"], late["state"]) == (False, "ada", "waiting")
    page = (await salon.ask("GET", "/v1/suppressions/requests?limit=1")).json()
    rest = (await salon.ask("GET", f"/v1/suppressions/requests?limit=1&cursor={page['next_cursor']}")).json()
    assert [one["id"] for one in page["items"] + rest["items"]] == [early["id"], late["id"]]


async def test_applying_one_stops_the_customer_with_the_words_as_they_came(salon: Any) -> None:
    ana = await add(salon, allow_bulk_sms=True)
    one = await record(salon, received_at="2026-11-01T10:00:00Z", scope="all")
    path = f"/v1/suppressions/requests/{one['id']}/apply"
    done = await salon.ask("POST", path, {"customer_id": ana})
    assert done.status_code == 200, done.text
    assert (done.json()["state"], len(done.json()["suppressions"]), done.json()["ended_by"]) == ("applied", 1, "ada")
    last = (await words(salon, ana))[-1]
    assert (last["kind"], last["wording"], last["address"]) == ("withdrawn", ASK["wording"], ASK["address"])
    assert (last["how"], last["at"]) == ("by email", "2026-11-01T10:00:00Z")
    [said] = await salon.said("SuppressionChanged")
    assert said.message.suppressed
    assert await waiting(salon) == []
    again = await salon.ask("POST", path, {"customer_id": ana})
    assert (again.status_code, again.json()["code"]) == (409, "not_waiting")


async def test_one_is_applied_to_a_number_that_nobody_has_or_dismissed_with_a_reason(salon: Any) -> None:
    one, other = await record(salon), await record(salon)
    applied = await salon.ask("POST", f"/v1/suppressions/requests/{one['id']}/apply", {"number": "0412 000 009"})
    assert applied.status_code == 200, applied.text
    assert (await salon.ask("GET", "/v1/suppressions?number=0412000009")).json()["items"]
    path = f"/v1/suppressions/requests/{other['id']}/dismiss"
    assert (await salon.ask("POST", path, {"reason": ""})).status_code == 422
    assert (await salon.ask("POST", path, {"reason": "a joke"}, by="staff")).status_code == 403
    gone = (await salon.ask("POST", path, {"reason": "a joke"})).json()
    assert (gone["state"], gone["reason"], gone["suppressions"]) == ("dismissed", "a joke", [])
    acts = [fact.message.act for fact in await salon.said("ActRecorded")]
    assert acts == ["withdrawal.recorded"] * 2 + ["withdrawal.applied", "withdrawal.dismissed"]


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, "one_of_two"),
        ({"customer_id": 1, "number": "0412000001"}, "one_of_two"),
        ({"customer_id": 999}, "unknown"),
        ({"number": "(03) 9000 0000"}, "not_mobile"),
    ],
)
async def test_what_cannot_be_applied_waits_on(salon: Any, body: dict[str, Any], code: str) -> None:
    one = await record(salon)
    refused = await salon.ask("POST", f"/v1/suppressions/requests/{one['id']}/apply", body)
    assert (refused.status_code, refused.json()["code"]) == (422, code)
    assert await waiting(salon) == [one["id"]]
    foreign = await salon.ask("POST", f"/v1/suppressions/requests/{one['id']}/apply", {"number": "0412"}, by="other")
    assert foreign.status_code == 404
    early = await salon.ask("POST", "/v1/suppressions/requests", {**ASK, "received_at": "2999-01-01T00:00:00Z"})
    assert (early.status_code, early.json()["code"]) == (422, "in_the_future")


async def test_the_metric_counts_what_waits_and_what_is_late(salon: Any) -> None:
    await record(salon)
    await record(salon, received_at=f"{datetime.now(UTC) - timedelta(days=40):%Y-%m-%dT%H:%M:%SZ}")
    await withdrawals.measure(salon.db)
    found = {state: metrics.withdrawals_waiting.labels(state)._value.get() for state in ("waiting", "overdue")}
    assert found == {"waiting": 2, "overdue": 1}


async def test_a_withdrawal_from_a_number_waits_no_more_once_that_number_is_stopped_in_any_way(salon: Any) -> None:
    await add(salon, allow_bulk_sms=True)
    mine, other = [await record(salon, channel="phone", address=f"0412 000 00{n}") for n in (1, 2)]
    wider = await record(salon, channel="phone", address="0412 000 001", scope="all")
    await salon.load("Ana,,0412000001,,withdrawn\n", "first name,last name,mobile,allow bulk sms,consent")
    assert await waiting(salon) == [other["id"], wider["id"]]
    done = (await salon.ask("GET", "/v1/suppressions/requests?state=applied")).json()["items"]
    [stop] = (await salon.ask("GET", "/v1/suppressions")).json()["items"]
    assert [(one["id"], one["suppressions"], one["ended_by"]) for one in done] == [(mine["id"], [stop["id"]], "ada")]
    for number, scope in (("0412 000 001", "all"), ("0412 000 002", "marketing")):
        await salon.ask("POST", "/v1/suppressions", {"number": number, "scope": scope, "reason": "told the till"})
    assert await waiting(salon) == []
