"""What `make run` promises: run.json tells where everything is, and what dies comes back by itself."""

import subprocess
import sys

import psutil
import pytest
from e2e_world import STATES, Business, World, eventually, in_flight
from helm.chart import pods, rendered

from muster.client import ApiError, Connection, Muster

pytestmark = pytest.mark.e2e

SERVICES = ("tenant", "customer", "credit", "dispatch", "reply", "report")
EMBEDDED = {"kafka", "postgres", "caddy", "carrier", "mail"}


def test_run_json_names_what_outside_programs_need_and_each_of_it_works(world: World) -> None:
    run = world.run
    processes = {f"{service}.{role}.0" for service in SERVICES for role in ("api", "worker")} | {
        "console.api.1",
        *(f"dispatch.sender.{number}" for number in (0, 1)),
    }
    assert set(run["processes"]) == processes | EMBEDDED
    assert all(psutil.pid_exists(pid) for pid in run["processes"].values())
    assert set(run["metrics"]) == processes
    for name, url in run["metrics"].items():
        assert "python_info" in world.http.get(url).raise_for_status().text, name
    (tenant,) = run["tenants"]
    page = world.http.get(run["url"], follow_redirects=True)
    assert (page.status_code, page.headers["content-type"]) == (200, "text/html; charset=utf-8")
    with Muster(Connection(run["url"], tenant["client_id"], tenant["client_secret"])) as admin:
        settings = admin.get("/v1/tenant")
        assert {member: settings[member] for member in ("id", "name", "country")} == {
            member: tenant[member] for member in ("id", "name", "country")
        }
        users = {(tenant["id"], user["email"], user["role"]) for user in admin.pages("/v1/users")}
    *people, operator = run["users"]
    assert {(user["tenant"], user["email"], user["role"]) for user in people} == users
    assert {user["role"] for user in people} == {"admin", "manager", "staff"}
    assert (operator["tenant"], operator["role"]) == (None, "operator")
    for user in run["users"]:
        credentials = {"email": user["email"], "password": user["password"]}
        opened = world.http.post(f"{run['url']}/v1/sessions", json=credentials).raise_for_status().json()
        assert (opened["user"]["role"], (opened["tenant"] or {"id": None})["id"]) == (user["role"], user["tenant"])


def test_the_questions_of_helm_test_are_answered_by_a_running_muster_as_they_should_be(world: World) -> None:
    [container] = pods(rendered("small"))["smoke"]["spec"]["containers"]
    script, _, *questions = container["args"]
    asked = [sys.executable, "-c", script, world.run["url"], *questions]
    done = subprocess.run(asked, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout
    assert done.stdout.count("ok    GET /") == len(questions) > len(SERVICES)


def test_a_send_goes_on_when_both_stores_are_killed_and_nobody_gets_it_twice(world: World) -> None:
    business = world.business()
    numbers = business.customers(1_000)
    world.faults(response_delay_ms=300)
    bulk_id = business.send()
    eventually(lambda: sum(world.stats(numbers).values()))

    world.stack.kill("postgres")
    world.stack.kill("kafka")

    eventually(lambda: everyone_has_left(business, bulk_id, len(numbers)))
    accepted = world.stats(numbers)
    assert max(accepted.values()) == 1
    progress = business.progress(bulk_id)
    assert sum(progress[state] for state in STATES) == len(numbers)
    assert sum(1 for count in accepted.values() if not count) <= progress["unknown"]


def everyone_has_left(business: Business, bulk_id: str, count: int) -> bool:
    """False also while the database of who answers is being recovered."""
    try:
        progress = business.progress(bulk_id)
    except ApiError as refused:
        if refused.status != 503:
            raise
        return False
    return bool(progress["recipients"] == count and not in_flight(progress))


def test_what_stands_between_the_services_and_the_world_comes_back_when_it_is_killed(world: World) -> None:
    for name in ("caddy", "carrier", "mail"):
        world.stack.kill(name)
    business = world.business()
    (number,) = business.customers(1)
    bulk_id = business.send()
    business.ended(bulk_id)
    world.carrier("POST", "/inbound", json={"from": number, "to": business.sender, "text": "See you"})
    eventually(lambda: any(business.reception in mail["to"] for mail in world.http.get(world.run["mail_url"]).json()))
