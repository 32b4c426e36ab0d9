"""docs/openapi.json is what the services say of themselves, and a document that clients can be made from."""

import json
import re
from collections import Counter

from contract import acts, metrics, openapi, roles
from prometheus_client.metrics import MetricWrapperBase

import muster.kit.metrics
from muster.kit.auth import PUBLIC, Permission, route_permissions
from muster.local.routes import SERVICES

DOCUMENT = openapi.joined()
PERMISSIONS = {
    route: found for service in SERVICES for route, found in route_permissions(openapi.app_of(service)).items()
}
OPERATIONS = [
    (verb.upper(), path, operation) for path, item in DOCUMENT["paths"].items() for verb, operation in item.items()
]


def test_the_committed_document_is_what_the_code_says():
    committed = openapi.FILE.read_text(encoding="utf-8")
    assert committed == openapi.text(), "python tests/contract/openapi.py makes it anew"


def test_every_route_of_every_service_is_in_the_document_once():
    served = Counter(route for service in SERVICES for route in route_permissions(openapi.app_of(service)))
    assert served == Counter((verb, path) for verb, path, _ in OPERATIONS)


def test_every_operation_has_a_name_of_its_own():
    names = Counter(operation["operationId"] for _, _, operation in OPERATIONS)
    assert [name for name, times in names.items() if times > 1] == []


def test_every_reference_leads_to_a_schema_and_every_schema_is_referred_to():
    written = json.dumps(DOCUMENT)
    referred = set(re.findall(r'"#/components/schemas/([^"]+)"', written))
    assert referred == set(DOCUMENT["components"]["schemas"])


def test_every_operation_but_the_public_ones_asks_for_a_token():
    open_ones = {(verb, path) for verb, path, operation in OPERATIONS if not operation.get("security")}
    assert open_ones == {route for route, found in PERMISSIONS.items() if found == PUBLIC}


def test_every_other_operation_names_its_permission():
    named = {(verb, path): operation.get("x-permission") for verb, path, operation in OPERATIONS}
    assert named == {
        route: found.key if isinstance(found, Permission) else None for route, found in PERMISSIONS.items()
    }


def test_every_operation_says_what_its_errors_look_like():
    silent = [
        (verb, path)
        for verb, path, operation in OPERATIONS
        if operation["responses"].get("default", {}).get("$ref") != "#/components/responses/Problem"
    ]
    assert silent == []


def test_the_page_of_roles_is_what_the_code_says():
    committed = roles.FILE.read_text(encoding="utf-8")
    assert committed == roles.text(), "python tests/contract/roles.py makes it anew"


def test_the_page_of_acts_is_what_the_code_says():
    committed = acts.FILE.read_text(encoding="utf-8")
    assert committed == acts.text(), "python tests/contract/acts.py makes it anew"


def test_the_page_of_metrics_is_what_the_code_says_and_has_every_metric():
    committed = metrics.FILE.read_text(encoding="utf-8")
    assert committed == metrics.text(), "python tests/contract/metrics.py makes it anew"
    known = {one for one in vars(muster.kit.metrics).values() if isinstance(one, MetricWrapperBase)}
    assert len(list(metrics.named())) == len(known)
    assert all(one.section and one.says.endswith(".") for one in metrics.named())
