"""The registry of topics and the code agree, both ways: who says what, who hears what."""

import ast
from functools import cache
from importlib import import_module
from pathlib import Path

import pytest

from muster.events import TOPICS, TYPES, consumed_by, produced_by
from muster.local.routes import SERVICES

ROOT = Path(__file__).resolve().parents[2]
CARRIED = {"dispatch": {"BulkRecipientsAttached"}, "reply": {"BulkRecipientsAttached"}}
"""Built by who does not say it: both keep a chunk as the compressed bytes of this message."""


@cache
def trees(service: str) -> tuple[ast.Module, ...]:
    folder = ROOT / "services" / f"{service}-svc" / "muster" / service
    return tuple(ast.parse(path.read_text(encoding="utf-8")) for path in sorted(folder.rglob("*.py")))


def subscriptions(service: str) -> list[str]:
    """The topics that the service's consumers are built with: what `topics=` is worth where one is started."""
    main = import_module(f"muster.{service}.main")
    tree = ast.parse(Path(str(main.__file__)).read_text(encoding="utf-8"))
    written = [
        keyword.value
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and isinstance(call.func, ast.Name) and call.func.id == "start_consumer"
        for keyword in call.keywords
        if keyword.arg == "topics"
    ]
    return [topic for one in written for topic in eval(compile(ast.Expression(one), "topics", "eval"), vars(main))]


def heard(service: str) -> list[str]:
    if service == "report":  # the stream processor has an agent for each of these
        return list(import_module("muster.report.events").HEARD)
    return subscriptions(service)


@cache
def handled(service: str) -> set[str]:
    """The event types that are keys of a dictionary: the tables of handlers."""
    keys = (
        key for tree in trees(service) for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys
    )
    return {str(key.value) for key in keys if isinstance(key, ast.Constant)} & set(TYPES)


@cache
def built(service: str) -> set[str]:
    """The event types whose messages the service makes."""
    calls = (node.func for tree in trees(service) for node in ast.walk(tree) if isinstance(node, ast.Call))
    names = {
        function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "") for function in calls
    }
    return names & set(TYPES)


@cache
def records_acts(service: str) -> bool:
    return any(
        ast.unparse(node.func) == "audit.record"
        for tree in trees(service)
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
    )


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_hears_exactly_the_topics_that_the_registry_names_it_for(service):
    assert sorted(heard(service)) == sorted(topic.name for topic in consumed_by(service))


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_acts_on_something_of_each_topic_it_hears_and_on_nothing_else(service):
    acts_on = handled(service)
    assert [topic.name for topic in consumed_by(service) if not acts_on & set(topic.events)] == []
    assert acts_on <= {event for topic in consumed_by(service) for event in topic.events}


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_says_exactly_the_events_that_the_registry_gives_it(service):
    given = {event for topic in produced_by(service) if topic.producer == service for event in topic.events}
    assert built(service) - CARRIED.get(service, set()) == given


def test_every_event_is_acted_on_by_somebody():
    acted_on = {event for service in SERVICES for event in handled(service)}
    assert set(TYPES) - acted_on == set()


def test_people_s_acts_are_recorded_by_every_service_that_takes_their_requests():
    assert {service for service in SERVICES if records_acts(service)} == {
        "tenant",
        "customer",
        "credit",
        "dispatch",
        "reply",
    }
    assert TOPICS["audit"].producer == "all"


def test_the_registry_names_only_services_and_only_known_events():
    named = {name for topic in TOPICS.values() for name in (topic.producer, *topic.consumers)}
    assert named - {"all"} <= set(SERVICES)
    assert {event for topic in TOPICS.values() for event in topic.events} == set(TYPES)
