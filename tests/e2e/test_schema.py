"""The OpenAPI document against the running product: no server error, no answer off the schema, whatever one sends."""

import os
from collections.abc import Iterator
from contextlib import suppress
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from e2e_world import Business, World
from hypothesis import HealthCheck, Phase, Verbosity, given, seed, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import Case, GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

pytestmark = pytest.mark.e2e

DOCUMENT = Path(__file__).parents[2] / "docs" / "openapi.json"
EXAMPLES = int(os.environ.get("SCHEMA_EXAMPLES", "1"))
"""How many requests that fit the document, and how many that do not, each operation gets for each role that may."""
SEED = int(os.environ.get("SCHEMA_SEED", "20261128"))
TIMEOUT_S = 60
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]

HARMFUL = {
    "POST /v1/ops/dispatch/platform/stop": "stops what all the other tests of this stack send",
    "POST /v1/carriers": "a carrier that nobody answers at would be given the messages of other tests",
    "POST /v1/routes": "a route would take the messages of other tests elsewhere",
    "PUT /v1/rates": "what a message costs, to all businesses",
    "POST /v1/credits/prices": "what credits cost, to all businesses",
    "POST /v1/sessions": "guesses from this address are counted, and other tests sign in from it",
    "POST /v1/password-resets": "likewise",
    "POST /v1/links/look": "likewise",
    "POST /v1/links/use": "likewise",
    "PUT /v1/me/password": "likewise",
    "GET /o/{token}": "no random token is one: tests of customer-svc try it",
    "POST /o/{token}": "likewise",
}
"""What no random call may do where others work, and why."""


def test_no_request_gets_a_server_error_or_an_answer_that_the_document_does_not_describe(world: World) -> None:
    business = world.business(credits=10)
    known = things_of(business)
    table = {one["name"]: one["roles"] for one in business.ask.get("/v1/roles")["permissions"]}
    made = world.operator.post("/v1/api-keys", {"tenant_id": business.id, "name": "schema", "role": "admin"})
    tokens = {"admin": token_of(world, made), "operator": token_of(world, world.run["operator"])}
    wrong: list[str] = []
    answered: dict[str, int] = {}
    with requests.Session() as session:
        for operation in operations():
            permission = operation.definition.raw.get("x-permission")
            for role in [role for role in tokens if permission is None or role in table[permission]]:
                headers = {"Authorization": f"Bearer {tokens[role]}"} if permission else {}
                for case in cases(operation, known):
                    response = case.call(world.run["url"], session, headers, timeout=TIMEOUT_S)
                    if response.status_code == HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE:
                        continue  # Go's server has answered, before anything of ours
                    answered[operation.label] = max(answered.get(operation.label, 0), response.status_code)
                    try:
                        case.validate_response(response, CHECKS)
                    except FailureGroup as found:
                        wrong.append(f"as {role}: {found}")
    assert wrong == [], "\n".join(wrong)
    assert len(answered) > 200


def things_of(business: Business) -> dict[str, str]:
    """What there is to ask about, by the names that paths give it."""
    business.customers(3)
    ask = business.ask
    customer = ask.get("/v1/customers", limit=1)["items"][0]["id"]
    made = {"customer_id": str(customer), "list_id": ask.make_list("Regulars")["id"], "list": "Regulars"}
    made["template_id"] = ask.add_template("Hello", "Hello {{first_name}}")["id"]
    made["bulk_id"] = business.send()
    business.ended(made["bulk_id"])
    made["quote_id"] = ask.quote("Hello")["id"]
    made["message_id"] = f"{made['bulk_id']}-1"
    return made


def token_of(world: World, key: dict[str, str]) -> str:
    asked = {name: key[name] for name in ("client_id", "client_secret")} | {"grant_type": "client_credentials"}
    return world.http.post(world.run["url"] + "/v1/token", json=asked).raise_for_status().json()["access_token"]


def operations() -> Iterator[Any]:
    """Those of the document that harm nobody."""
    schema = schemathesis.openapi.from_path(DOCUMENT)
    for found in schema.get_all_operations():
        operation = found.ok()
        if operation.label not in HARMFUL:
            yield operation


def cases(operation: Any, known: dict[str, str]) -> list[Case]:
    """Requests for an operation, the same in each run: on what exists and on what does not, in form and out of it."""
    made: list[Case] = []
    named = {one.name: known[one.name] for one in operation.path_parameters if one.name in known}
    for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

        @seed(SEED)
        @settings(
            max_examples=EXAMPLES,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            verbosity=Verbosity.quiet,
            suppress_health_check=list(HealthCheck),
        )
        @given(operation.as_strategy(generation_mode=mode))
        def collect(case: Case) -> None:
            made.append(case)

        # Where there is nothing that could be wrong.
        with suppress(Unsatisfiable):
            collect()
    for number, case in enumerate(made):
        if named and number % 2 == 0:
            case.path_parameters = {**case.path_parameters, **named}
    return made
