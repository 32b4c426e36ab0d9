"""Time zones by number: what phonenumbers says of numbers that are of an area, and all of a country for the others."""

from bisect import bisect_right
from zoneinfo import ZoneInfo

import pytest
from phonenumbers import SUPPORTED_REGIONS

from muster.text.zones import SEPARATOR, prefix_zones, zones_of_country, zones_of_number


@pytest.mark.parametrize(
    ("number", "country", "zones"),
    [
        (12125550100, "US", ["America/New_York"]),
        (18085550100, "US", ["Pacific/Honolulu"]),
        (19075550100, "US", ["America/Adak", "America/Anchorage"]),
        (14165550100, "CA", ["America/Toronto"]),
        (64211234567, "NZ", ["Pacific/Auckland", "Pacific/Chatham"]),
        (33612345678, "FR", ["Europe/Paris"]),
        (87012345678, "001", []),
    ],
)
def test_a_number_of_an_area_has_its_zone_and_another_all_of_its_country(
    number: int, country: str, zones: list[str]
) -> None:
    assert list(zones_of_number(number, country)) == zones


def test_a_mobile_number_of_australia_may_be_anywhere_in_it() -> None:
    zones = zones_of_number(61412345678, "AU")
    assert zones == zones_of_country("AU")
    assert {"Australia/Perth", "Australia/Sydney", "Australia/Lord_Howe"} <= set(zones)


def test_each_country_that_has_numbers_has_zones_that_exist() -> None:
    missing = {country for country in SUPPORTED_REGIONS if not zones_of_country(country)}
    assert missing <= {"AC", "TA", "XK"}
    for country in SUPPORTED_REGIONS:
        for zone in zones_of_country(country):
            ZoneInfo(zone)


@pytest.mark.parametrize("countries", [None, frozenset({"US"}), frozenset({"BR", "MX"})])
def test_the_search_by_bounds_gives_what_the_longest_prefix_gives(countries: frozenset[str] | None) -> None:
    bounds, names = prefix_zones(countries)
    assert len(names) == len(bounds) + 1
    codes = {"US": "1", "BR": "55", "MX": "52"}
    for code in [codes[country] for country in countries or codes]:
        for rest in range(2000000000, 9999999999, 48765431):
            number = int(f"{code}{rest}")
            found = names[bisect_right(bounds, int(str(number).ljust(15, "0")))]
            assert tuple(filter(None, found.split(SEPARATOR))) == zones_of_number(number, ""), number


def test_countries_without_area_codes_need_no_search() -> None:
    assert prefix_zones(frozenset({"AU", "FR"})) == ([], [""])
