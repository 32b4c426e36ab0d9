# Made by generate.py.
"""Credits: the account, top-ups, transfers, caps."""

from typing import Any, cast

from muster.client import shapes
from muster.client.blocking.calls import Calls
from muster.client.paths import segment


class Crediting(Calls):
    """Credits."""

    def credits(self) -> shapes.Credits:
        """The account as it stands."""
        return cast(shapes.Credits, self.get("/v1/credits"))

    def top_up(self, tenant_id: str, credits: int, *, reason: str, reference: str) -> shapes.TopUp:
        """Grant credits to a tenant, as the operator; above the limit of one person the answer has a `state`, and a
        second operator confirms it."""
        body = {"tenant_id": tenant_id, "credits": credits, "reason": reason, "reference": reference}
        return cast(shapes.TopUp, self.post("/v1/credits/top-ups", body))

    def decide_top_up(self, tenant_id: str, top_up_id: str, act: str, *, reason: str | None = None) -> dict[str, Any]:
        """As an operator: `confirmation` (not by who asked for it), `rejection` or `reversal` with a reason."""
        body = {"tenant_id": tenant_id, **({"reason": reason} if reason is not None else {})}
        path = f"/v1/credits/top-ups/{segment(top_up_id)}/{act}"
        return cast(dict[str, Any], self.post(path, body))

    def transfer(
        self, from_id: str, to_id: str, credits: int, *, reason: str, key: str | None = None
    ) -> dict[str, Any]:
        """Move credits between a reseller and a sub-account; repeated with the same key they move once."""
        body = {"from_tenant_id": from_id, "to_tenant_id": to_id, "credits": credits, "reason": reason}
        return cast(dict[str, Any], self.post("/v1/credits/transfers", body, key=key))

    def change_wallet(self, **changes: object) -> dict[str, Any]:
        """Set caps, the alert and automatic top-ups; None ends one, what is left out stays."""
        return cast(dict[str, Any], self.patch("/v1/credits/settings", changes))
