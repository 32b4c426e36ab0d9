"""Processes that die by kill -9: at a random moment, or at a point that matters."""

import uuid
from collections.abc import Callable
from typing import Any

from chaos.nemesis import Chaos, must
from chaos.registry import row
from chaos.storm import open_tenant, tenant_balances


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


def dies_and_answers(chaos: Chaos, process: str, write: Callable[[str], Any]) -> Any:
    """A write whose answer is lost with its armed process: it answers in the end, and repeated it answers the same."""
    key = str(uuid.uuid4())
    first = chaos.patiently(lambda: write(key), "a write is answered")
    chaos.until_fired(process)
    again = chaos.patiently(lambda: write(key), "and repeated")
    must(first == again, f"the stored answer is repeated: {first}, then {again}")
    return first
