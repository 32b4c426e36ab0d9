"""One send by SMPP and by HTTP at once; what is led elsewhere when the SMPP carrier goes away in the middle of it, and
back again: nobody is texted twice, and all sums are exact."""

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import pytest
from e2e_world import STATES, World, eventually

from muster.client import Muster
from muster.client.commands.laws import settled_laws

pytestmark = pytest.mark.e2e

RECIPIENTS = 3_000
WINDOW = 100
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
BODY = {name: f"{{{name}}}" for name in ("to", "from", "text", "reference", "receipts_url")}


@dataclass(slots=True)
class Web:
    """A carrier that speaks HTTP, beside the one that speaks SMPP."""

    world: World
    at: dict[str, Any]

    def ask(self, method: str, path: str, **options: Any) -> Any:
        response = self.world.http.request(method, self.at["control_url"] + path, **options)
        return response.raise_for_status().json() if response.content else None

    @property
    def count(self) -> int:
        """How much it took so far: the list of numbers is long to make, and is not asked for ten times a second."""
        return int(self.ask("GET", "/stats?destinations=0")["accepted"])

    @property
    def accepted(self) -> Counter[str]:
        """How often it took something for each number."""
        return Counter(self.ask("GET", "/stats")["accepted_by_destination"])


@pytest.fixture
def web(world: World) -> Iterator[Web]:
    """Account `web` shares the default route with `smpp`, half and half; afterwards all is as before."""
    command = [sys.executable, "-m", "muster.client", "carrier", "simulate", "--http-port", "0", "--max-seconds", "300"]
    env = {**os.environ, "MUSTER_CARRIER_PASSWORD": "muster"}
    with subprocess.Popen([*command, "--callback-secret", SECRET], env=env, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            found = Web(world, json.loads(process.stdout.readline()))
            with _half_of_all(world.operator, found.at["http_port"], world.run["url"]):
                yield found
        finally:
            process.terminate()


@contextmanager
def _half_of_all(operator: Muster, port: int, url: str) -> Iterator[None]:
    profile = {
        "adapter": "generic", "base_url": f"http://127.0.0.1:{port}", "callback_url": url,
        "generic": {"path": "/v1/messages", "body": BODY},
    }  # fmt: skip
    secrets = {"auth": "muster", "callbacks": [SECRET]}
    operator.create_carrier({"account": "web", "http": {"profile": profile, "secrets": secrets}, "parts_window": 50})
    window = operator.carrier("smpp")["parts_window"]
    operator.change_carrier("smpp", {"parts_window": WINDOW})
    operator.change_route("default", {"accounts": [{"account": name} for name in ("smpp", "web")]})
    eventually(lambda: all(operator.carrier(name)["standing"]["applied"] for name in ("smpp", "web")))
    yield
    operator.change_route("default", {"accounts": [{"account": "smpp"}]})
    operator.control_carrier("web", "close")
    operator.change_carrier("smpp", {"parts_window": window})
    eventually(lambda: operator.carrier("smpp")["standing"]["applied"])


def test_one_send_goes_by_smpp_and_http_and_goes_on_by_http_while_the_smpp_carrier_is_away(
    world: World, web: Web
) -> None:
    business = world.business(credits=RECIPIENTS)
    numbers = business.customers(RECIPIENTS)
    world.faults(response_delay_ms=400)
    web.ask("PUT", "/faults", json={"response_delay_ms": 100})
    by_others = count_by_smpp(world)
    bulk_id = business.send()
    eventually(lambda: min(web.count, count_by_smpp(world) - by_others) > 100)

    world.faults(bind_refused=1.0)
    world.carrier("POST", "/disconnect")
    before = sum(world.stats(numbers).values())
    eventually(lambda: world.operator.carrier("smpp")["health"]["why"] == "down")
    by_http = web.count
    eventually(lambda: web.count > by_http + 200)
    tried = world.operator.test_route(to=numbers[0], sender=business.sender)
    assert [(one["account"], one["percent"]) for one in tried["options"]] == [("smpp", 0), ("web", 100)]
    world.faults(bind_refused=0.0, response_delay_ms=0)
    web.ask("PUT", "/faults", json={"response_delay_ms": 0})

    eventually(
        lambda: _left(business.progress(bulk_id)) == RECIPIENTS,
        wait_s=240,
        told=lambda: (business.progress(bulk_id), web.count, count_by_smpp(world) - by_others),
    )
    progress = business.progress(bulk_id)
    assert sum(progress[state] for state in STATES) == RECIPIENTS
    assert progress["unknown"] <= WINDOW, "what was on the wire when it went away, unless a receipt has told"
    by_smpp = Counter(world.stats(numbers))
    assert sum(by_smpp.values()) > before, "what it had begun it has finished"
    taken = by_smpp + web.accepted
    assert max(taken.values()) == 1, "nobody gets it twice"
    assert progress["delivered"] <= len(taken) <= progress["delivered"] + progress["unknown"]
    assert sorted(row["number"] for row in business.ask.report(bulk_id=bulk_id, limit=500)) == sorted(numbers)
    account = business.ask.credits()
    assert account["granted"] == account["available"] + account["reserved"] + account["consumed"] == RECIPIENTS
    assert account["reserved"] == progress["unknown"]
    assert [law.violations for law in settled_laws(world.operator, 30.0) if law.violation_count] == []


def count_by_smpp(world: World) -> int:
    """How much the SMPP carrier took of all tests so far."""
    return int(world.carrier("GET", "/stats?destinations=0")["accepted"])


def _left(progress: dict[str, int]) -> int:
    """Messages of which nothing more is to come."""
    return progress["recipients"] - progress["queued"] - progress["submitting"] - progress["accepted"]
