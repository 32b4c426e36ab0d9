"""Each path that a service serves is passed to it by the route table, and each entry of the table leads to a path."""

import re

import pytest
from contract.openapi import app_of

from muster.kit.auth import route_permissions
from muster.local.routes import ROUTES, SERVICES, owner

PATHS = sorted({(service, path) for service in SERVICES for _, path in route_permissions(app_of(service))})
AHEAD = {
    # Names that stay, of parts that come with later issues; an entry goes from here when its first path is served.
    "/v1/webhooks/**",
}


def example(path: str) -> str:
    """A path as a client would write it."""
    return re.sub(r"{\w+}", "01931f5e-7b1c-7000-8000-000000000001", path)


@pytest.mark.parametrize(("service", "path"), PATHS)
def test_a_path_is_passed_to_the_service_that_serves_it(service, path):
    assert owner(example(path)) == service


def test_every_entry_of_the_table_leads_to_a_path_of_its_service():
    reached = set()
    for service, path in PATHS:
        entry = next((route for route in ROUTES if re.match(route.regex, example(path))), None)
        if entry is not None and entry.service == service:
            reached.add(entry.pattern)
    assert {route.pattern for route in ROUTES} - reached == AHEAD


def test_no_path_is_served_by_two_services():
    paths = [re.sub(r"{\w+}", "{}", path) for _, path in PATHS]
    assert sorted({path for path in paths if paths.count(path) > 1}) == []


def test_a_path_is_in_lower_case_with_hyphens_and_without_a_slash_at_its_end():
    word = re.compile(r"(/(\{[a-z_]+\}|[a-z0-9.]+(-[a-z]+)*))+")
    assert [path for _, path in PATHS if not word.fullmatch(path)] == []
