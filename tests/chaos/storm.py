"""Work that can be counted: businesses that import, send, stop and top up through the public API while things break.

Each write has a key of its own and is repeated until it is answered; some are repeated after that, and must be answered
the same. What is answered otherwise than with success or "not now" is kept as a finding.
"""

import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from e2e_world import Business

from chaos.nemesis import Broken, Chaos, must
from muster.client import ApiError

TOP_UP = 1_000
_ENDED = ("closed", "refused")


@dataclass(slots=True)
class Tenant:
    """One business of a storm, with what was done to it and answered."""

    business: Business
    numbers: list[str]
    granted: int
    texts: int = 0
    bulks: list[str] = field(default_factory=list)
    stopped: set[str] = field(default_factory=set)


class Storm:
    """`with Storm(chaos, tenants=3, recipients=30) as storm:` works until the block ends, then `storm.balances()`."""

    def __init__(
        self,
        chaos: Chaos,
        *,
        tenants: int = 2,
        recipients: int = 20,
        pause_s: float = 0.05,
        stop_ratio: float = 0.1,
        top_up_ratio: float = 0.3,
    ) -> None:
        self.done: Counter[str] = Counter()
        self.findings: list[str] = []
        self._chaos = chaos
        self._pause_s = pause_s
        self._ratios = (stop_ratio, top_up_ratio)
        self._over = threading.Event()
        self.tenants = [open_tenant(chaos, recipients) for _ in range(tenants)]
        self._threads = [threading.Thread(target=self._work, args=(tenant,)) for tenant in self.tenants]

    def __enter__(self) -> "Storm":
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        for thread in self._threads:
            thread.join()

    def _work(self, tenant: Tenant) -> None:
        stop_ratio, top_up_ratio = self._ratios
        chance = self._chaos.random
        try:
            while not self._over.is_set():
                bulk_id = self._send(tenant)
                if chance.random() < stop_ratio:
                    self._stop(tenant, bulk_id)
                if chance.random() < top_up_ratio:
                    self._top_up(tenant)
                self._over.wait(self._pause_s)
        except Exception as error:
            self.findings.append(f"{type(error).__name__}: {error}")

    def _send(self, tenant: Tenant) -> str:
        quote = self._chaos.patiently(lambda: tenant.business.ask.quote(next_text(tenant)), "a quote is answered")
        bulk = self._twice("send", lambda key: tenant.business.ask.send(quote["id"], key=key), "id")
        return remember(self._chaos, tenant, bulk)

    def _stop(self, tenant: Tenant, bulk_id: str) -> None:
        try:
            self._chaos.patiently(lambda: tenant.business.ask.control(bulk_id, "stop"), "a stop is answered")
        except ApiError as refused:
            if refused.status not in (404, 409):  # it has ended by itself
                raise
            return
        tenant.stopped.add(bulk_id)
        self.done["stop"] += 1

    def _top_up(self, tenant: Tenant) -> None:
        body = {"tenant_id": tenant.business.id, "credits": TOP_UP, "reason": "storm", "reference": "storm"}
        operator = self._chaos.operator
        self._twice("top-up", lambda key: operator.post("/v1/credits/top-ups", body, key=key), "id", "available")
        tenant.granted += TOP_UP

    def _twice(self, what: str, write: Callable[[str], Any], *members: str) -> Any:
        """One write, until it is answered; then perhaps again with the same key: the answer must be the same."""
        key = str(uuid.uuid4())
        first = self._chaos.patiently(lambda: write(key), f"a {what} is answered")
        self.done[what] += 1
        if self._chaos.random.random() < 0.3:
            again = self._chaos.patiently(lambda: write(key), f"a repeated {what} is answered")
            self.done[f"{what} again"] += 1
            if any(first[member] != again[member] for member in members):
                self.findings.append(f"{what}: {first} and, asked again, {again}")
        return first

    # -- afterwards ---------------------------------------------------------------------------------------------------

    def balances(self) -> None:
        """Nothing was answered wrongly, and every account is what was granted less what the carrier took."""
        must(not self.findings, "; ".join(self.findings[:5]))
        must(self.done["send"] > 0, "the storm sent something")
        for tenant in self.tenants:
            tenant_balances(self._chaos, tenant)


def open_tenant(chaos: Chaos, recipients: int, credits: int = 20_000) -> Tenant:
    """A business with customers and credits; nobody but them is texted by it."""
    business = chaos.patiently(lambda: chaos.world.business(credits=credits), "a business is opened")
    return Tenant(business, business.customers(recipients), credits)


def tenant_balances(chaos: Chaos, tenant: Tenant) -> None:
    """The account, the sagas and the carrier agree to the credit; nobody got one text twice."""
    account = tenant.business.ask.credits()
    sums = chaos.sql(
        "dispatch",
        "SELECT coalesce(sum(used), 0)::bigint AS used, coalesce(sum(held), 0)::bigint AS held,"
        " coalesce(sum(unknown), 0)::bigint AS unknown, coalesce(sum(accepted), 0)::bigint AS accepted,"
        " count(*) FILTER (WHERE state NOT IN ('closed', 'refused')) AS open"
        " FROM saga WHERE tenant_id = $1::text::uuid",
        tenant.business.id,
    )[0]
    taken = chaos.accepted(tenant.numbers)
    said = f"account {account}, sagas {sums}, carrier {taken.total()}"
    must(account["granted"] == tenant.granted, f"granted is the sum of the top-ups, {tenant.granted}: {said}")
    must(account["reserved"] == 0 and sums["held"] == 0 and sums["open"] == 0, f"nothing is held: {said}")
    must(account["consumed"] == sums["used"], f"what is consumed was used: {said}")
    least = 0 if chaos.carrier_forgot else sums["accepted"]
    must(least <= taken.total() <= sums["accepted"] + sums["unknown"], f"the carrier's count: {said}")
    must(max(taken.values(), default=0) <= tenant.texts, f"nobody got more than was sent: {taken.most_common(3)}")


def until_ended(chaos: Chaos, tenant: Tenant, bulk_id: str, within_s: float = 180.0) -> dict[str, Any]:
    """A send, once it has ended."""
    until = time.monotonic() + within_s
    while True:
        bulk = chaos.patiently(lambda: tenant.business.ask.bulk(bulk_id), "a send is shown")
        if bulk["state"] in _ENDED:
            return dict(bulk)
        if time.monotonic() > until:
            raise Broken(f"a send has not ended within {within_s:g} s: {bulk}")
        time.sleep(0.1)


def next_text(tenant: Tenant) -> str:
    """A text that no send of this tenant had before: so the carrier can tell one that comes twice."""
    tenant.texts += 1
    return f"No {tenant.texts} of {tenant.business.id[:8]}. STOP to opt out"


def remember(chaos: Chaos, tenant: Tenant, bulk: Mapping[str, Any]) -> str:
    """Count a send among what must come to its end; its id."""
    tenant.bulks.append(bulk["id"])
    chaos.bulks.add(bulk["id"])
    return str(bulk["id"])


def one_more_send(chaos: Chaos, tenant: Tenant) -> str:
    """Quote and confirm; the id of the send."""
    ask, key = tenant.business.ask, str(uuid.uuid4())
    quote = chaos.patiently(lambda: ask.quote(next_text(tenant)), "a quote is answered")
    return remember(chaos, tenant, chaos.patiently(lambda: ask.send(quote["id"], key=key), "a send is answered"))


def works_again(chaos: Chaos) -> None:
    """When all is healed a send goes out as if nothing had been."""
    tenant = open_tenant(chaos, 3, credits=10)
    until_ended(chaos, tenant, one_more_send(chaos, tenant))
    must(chaos.accepted(tenant.numbers) == Counter(tenant.numbers), "a send after healing reaches each customer once")
