"""Processes that die by kill -9: at a random moment, or at a point that matters."""

import time
import uuid
from collections.abc import Callable
from typing import Any

from chaos.events import ends, repeated_with_the_same_id_only
from chaos.nemesis import Chaos, must
from chaos.registry import row
from chaos.storm import Storm, open_tenant, tenant_balances

BACK_S = 10.0


@row("2", "crash after commit, before the HTTP answer", fires=3, short=True)
def crash_before_the_answer(chaos: Chaos) -> None:
    """The retry returns the stored answer: a top-up and a send happen once, and so does a stop."""
    tenant = open_tenant(chaos, 5)
    ask = tenant.business.ask
    body = {"tenant_id": tenant.business.id, "credits": 77, "reason": "chaos", "reference": "row 2"}
    chaos.arm(**dict.fromkeys(("credit.api.0", "customer.api.0", "dispatch.api.0"), "http.before_answer:exit"))
    dies_and_answers(chaos, "credit.api.0", lambda key: chaos.operator.post("/v1/credits/top-ups", body, key=key))
    tenant.granted += 77
    quote = ask.quote("Only once. STOP to opt out")
    tenant.texts += 1
    chaos.carrier_does(response_delay_ms=3_000)
    bulk = dies_and_answers(chaos, "customer.api.0", lambda key: ask.send(quote["id"], key=key))
    chaos.bulks.add(bulk["id"])
    stop = f"/v1/bulk-sms/{bulk['id']}/stop"
    dies_and_answers(chaos, "dispatch.api.0", lambda key: ask.post(stop, {}, key=key))
    chaos.check_when_quiet(lambda: tenant_balances(chaos, tenant))


@row("1", "kill -9 of credit-svc at a random point, again and again, during a storm of reservations", fires=50)
def credit_dies_again_and_again(chaos: Chaos) -> None:
    """No credit is lost or made, and the same request gives the same answer."""
    start = ends(chaos)
    kills = 200 if chaos.full else 50
    with Storm(chaos, tenants=4, recipients=3, top_up_ratio=0.6) as storm:
        for _ in range(kills):
            name = chaos.random.choice(("credit.worker.0", "credit.api.0"))
            chaos.until_started(name, chaos.kill(name))
            if chaos.random.random() < 0.7:  # else it may die while it starts
                chaos.until_ready(name)
            time.sleep(chaos.random.uniform(0, 2.5))  # the moment is what chance decides

    def check() -> None:
        storm.balances()
        repeated_with_the_same_id_only(chaos, start)
        must(storm.done["top-up again"] > 0, f"requests were repeated: {storm.done}")

    chaos.check_when_quiet(check)


@row("13", "PostgreSQL killed and restarted, 20 times", fires=20)
def postgres_dies_again_and_again(chaos: Chaos) -> None:
    """The services are back within ten seconds of its being back, and no saga is left half done."""
    longest = 0.0
    with Storm(chaos, tenants=2) as storm:
        for _ in range(20):
            chaos.until_ended("postgres", chaos.kill("postgres"))
            chaos.until_ready("postgres")
            began = time.monotonic()
            chaos.until_ready(*chaos.services())
            chaos.patiently(lambda: storm.tenants[0].business.ask.credits(), "credits are told", BACK_S)
            longest = max(longest, time.monotonic() - began)
            must(longest <= BACK_S, f"the services are back within {BACK_S:g} s: {longest:.1f} s")
            time.sleep(chaos.random.uniform(0, 1.0))  # the moment is what chance decides
    chaos.check_when_quiet(storm.balances)


def dies_and_answers(chaos: Chaos, process: str, write: Callable[[str], Any]) -> Any:
    """A write whose answer is lost with its armed process: it answers in the end, and repeated it answers the same."""
    key = str(uuid.uuid4())
    first = chaos.patiently(lambda: write(key), "a write is answered")
    chaos.until_fired(process)
    again = chaos.patiently(lambda: write(key), "and repeated")
    must(first == again, f"the stored answer is repeated: {first}, then {again}")
    return first
