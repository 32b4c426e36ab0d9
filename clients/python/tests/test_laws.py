"""The laws over what the services serve: what is balanced passes, and each way to break a law is found."""

from collections.abc import Iterable
from typing import Any

import pytest

from muster.client.laws import SERVICES, Law, check_laws
from muster.laws.across import COUNTS, MONEY
from muster.laws.result import LAWS

NOTHING = dict.fromkeys((*MONEY, *COUNTS), 0)


def send(**members: Any) -> dict[str, Any]:
    """A closed send of ten recipients, all accepted for a credit each, as dispatch-svc sums it up."""
    whole = {"recipients": 10, "accepted": 10, "reserved": 10, "used": 10}
    return {"tenant_id": "t", "bulk_id": "b", "closed": True} | NOTHING | whole | members


class System:
    """What the operator is served."""

    def __init__(self, **bulks: list[dict[str, Any]]) -> None:
        self._bulks = bulks
        self.found: dict[str, list[dict[str, Any]]] = {}

    def get(self, path: str) -> dict[str, Any]:
        service = path.split("/")[3]
        return {"laws": self.found.get(service, [])}

    def bulks(self, path: str) -> Iterable[dict[str, Any]]:
        return self._bulks[path.split("/")[3]]

    def broken(self) -> dict[str, int]:
        """Violations by law, of those laws that have any."""
        laws: list[Law] = check_laws(self.get, self.bulks)
        assert [law.name for law in laws] == list(LAWS)
        return {law.name: law.violation_count for law in laws if law.violation_count}


def report_of(one: dict[str, Any]) -> dict[str, Any]:
    """The rows of a send, added up by report-svc."""
    return one | {"credits": one["used"]}


def test_services_that_agree_break_no_law() -> None:
    assert System(dispatch=[send()], credit=[send()], report=[report_of(send())]).broken() == {}


def test_a_send_that_was_stopped_before_anybody_heard_of_it_breaks_no_law() -> None:
    assert System(dispatch=[send(**NOTHING)], credit=[], report=[]).broken() == {}


@pytest.mark.parametrize("member", MONEY)
def test_a_credit_more_or_less_in_one_of_two_services_breaks_the_second_law(member: str) -> None:
    other = send()
    other[member] += 1
    assert System(dispatch=[send()], credit=[other], report=[report_of(send())]).broken() == {"reserved": 1}


@pytest.mark.parametrize("member", COUNTS)
def test_a_row_more_in_the_report_breaks_the_sixth_law(member: str) -> None:
    other = report_of(send())
    other[member] += 1
    assert System(dispatch=[send()], credit=[send()], report=[other]).broken() == {"report": 1}


def test_a_send_that_another_service_lost_breaks_each_law_that_compares_it() -> None:
    assert System(dispatch=[send()], credit=[], report=[]).broken() == {"reserved": 1, "used": 1, "report": 1}


def test_a_charge_that_no_row_explains_breaks_the_third_law() -> None:
    other = report_of(send()) | {"credits": 9}
    assert System(dispatch=[send()], credit=[send()], report=[other]).broken() == {"used": 1}


def test_a_send_that_goes_on_is_not_compared_yet() -> None:
    assert System(dispatch=[send(closed=False)], credit=[], report=[]).broken() == {}


@pytest.mark.parametrize("service", SERVICES)
def test_what_a_service_finds_in_its_own_database_counts(service: str) -> None:
    system = System(dispatch=[], credit=[], report=[])
    system.found[service] = [{"law": "tenant", "checked": 5, "violations": [{"message": "x"}], "violation_count": 3}]
    assert system.broken() == {"tenant": 3}
