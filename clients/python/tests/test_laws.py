"""The laws over what the services serve: what is balanced passes, and each way to break a law is found."""

from collections.abc import Iterable
from typing import Any

import pytest

from muster.client.laws import SERVICES, Law, check_laws
from muster.laws.across import COUNTS, MONEY
from muster.laws.between import between, compare
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
        self.messages: dict[str, list[dict[str, Any]]] = {}
        self.found: dict[str, list[dict[str, Any]]] = {}

    def get(self, path: str) -> dict[str, Any]:
        service = path.split("/")[3]
        return {"laws": self.found.get(service, [])}

    def pages(self, path: str, **query: str) -> Iterable[dict[str, Any]]:
        service, what = path.split("/")[3:]
        return self._bulks[service] if what == "bulks" else self.messages.get(service, [])

    def broken(self) -> dict[str, int]:
        """Violations by law, of those laws that have any."""
        laws: list[Law] = check_laws(self.get, self.pages)
        assert [law.name for law in laws] == list(LAWS)
        return {law.name: law.violation_count for law in laws if law.violation_count}


def report_of(one: dict[str, Any]) -> dict[str, Any]:
    """The rows of a send, added up by report-svc."""
    return one | {"credits": one["used"]}


def test_services_that_agree_break_no_law() -> None:
    assert System(dispatch=[send()], credit=[send()], report=[report_of(send())]).broken() == {}


def message(seq: int, **members: int) -> dict[str, Any]:
    """A message as both services serve it."""
    return {"tenant_id": "t", "bulk_id": "b", "message": seq, "left": 2, "accepted": 1, "credits": 1} | members


def test_the_messages_that_make_two_services_differ_are_named() -> None:
    system = System(
        dispatch=[send()], credit=[send()], report=[report_of(send(accepted=9, rejected=1)) | {"credits": 9}]
    )
    system.messages = {
        "dispatch": [message(1, receipt=1), message(2), message(3)],
        "report": [message(1), message(2, left=4, accepted=0, credits=0)],
    }

    named = {law.name: law.violations for law in check_laws(system.get, system.pages) if law.violation_count}

    assert list(named) == ["used", "report"]
    for violations in named.values():
        assert [(one["bulk_id"], one["message"], one["message_id"]) for one in violations] == [
            ("b", "2", "b-2"),
            ("b", "3", "b-3"),
        ]
        assert violations[0]["detail"] == "left 2, in its row 4, accepted 1, in its row 0, credits 1, in its row 0"
        assert violations[1]["detail"] == "has no row"


def test_only_so_many_messages_are_compared_and_none_is_missed_that_was_not_read() -> None:
    system = System(dispatch=[send()], credit=[send()], report=[report_of(send(accepted=9, rejected=1))])
    system.messages = {
        "dispatch": [message(9), message(2), message(1)],
        "report": [message(1), message(2, left=4), message(9)],
    }

    found = compare(system.pages, between(messages_max=2))

    assert [one.message for result in found.results for one in result.violations] == ["2"]


def test_of_more_sends_than_are_asked_for_those_are_compared_that_every_service_has_told_of() -> None:
    """Each lists by tenant and id: what one of them has not come to is no difference."""
    told = [send(bulk_id=place) for place in "abcd"]
    system = System(dispatch=told, credit=told[1:], report=[report_of(one) for one in told])

    found = compare(system.pages, between(sends_max=2))

    assert (found.is_whole, [one.checked for one in found.results]) == (False, [2, 2, 2])
    assert [one.bulk_id for result in found.results for one in result.violations] == ["a"]


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
