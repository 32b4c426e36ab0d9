"""What an admin says of hours and days: customary hours, public holidays, and days of the business's own."""

from typing import Any

import pytest

from muster.kit.testing import facts


async def test_an_admin_chooses_customary_hours_holidays_and_closed_days_and_it_is_told(
    service: Any, business: Any
) -> None:
    before = (await service.call(business.token, "GET", "/v1/tenant")).json()
    days = ["2026-12-28", "2026-12-24", "2026-12-24"]
    change = {"customary_hours": True, "holidays": ["AU-NSW", "NZ"], "closed_days": days}
    chosen = (await service.call(business.token, "PATCH", "/v1/tenant", json=change)).json()
    same = (await service.call(business.token, "PATCH", "/v1/tenant", json=change)).json()

    assert (before["customary_hours"], before["holidays"], before["closed_days"]) == (False, [], [])
    assert (chosen["customary_hours"], chosen["holidays"]) == (True, ["AU-NSW", "NZ"])
    assert chosen["closed_days"] == ["2026-12-24", "2026-12-28"]
    assert same["version"] == chosen["version"] == before["version"] + 1
    async with service.db.worker() as tx:
        said = (await facts(tx, "TenantChanged"))[-1].message
    assert (said.customary_hours, list(said.holidays)) == (True, ["AU-NSW", "NZ"])
    assert list(said.closed_days) == ["2026-12-24", "2026-12-28"]
    none = {"customary_hours": False, "holidays": [], "closed_days": []}
    ended = (await service.call(business.token, "PATCH", "/v1/tenant", json=none)).json()
    assert {name: ended[name] for name in none} == none


@pytest.mark.parametrize(
    ("change", "field", "words"),
    [
        ({"holidays": ["Sydney"]}, "holidays", "AU-NSW"),
        ({"holidays": ["AU-QQQ"]}, "holidays", "AU-NSW, AU-NT, AU-QLD"),
        ({"holidays": ["ZZ"]}, "holidays", "ZZ is no country"),
        ({"holidays": ["au"]}, "holidays", "au is no country"),
        ({"holidays": ["AU"] * 11}, "holidays", "10"),
        ({"closed_days": ["2026-02-30"]}, "closed_days", "no day of the calendar"),
        ({"closed_days": ["24.12.2026"]}, "closed_days", ""),
        ({"closed_days": ["9999-12-31"]}, "closed_days", "five years"),
        ({"closed_days": [f"20{year}-01-01" for year in range(10, 99)] * 5}, "closed_days", "400"),
        ({"closed_days": [1]}, "closed_days", ""),
        ({"customary_hours": "yes"}, "customary_hours", ""),
        ({"customary_hours": None}, "customary_hours", ""),
    ],
)
async def test_what_cannot_be_is_named_and_changes_nothing(
    service: Any, business: Any, change: Any, field: str, words: str
) -> None:
    answer = await service.call(business.token, "PATCH", "/v1/tenant", json=change)

    assert answer.status_code == 422
    [wrong, *_] = answer.json()["errors"]
    assert wrong["field"].startswith(field[:11])
    assert words in wrong["message"]
    assert (await service.call(business.token, "GET", "/v1/tenant")).json()["version"] == 1
