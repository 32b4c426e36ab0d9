"""Second persons and tests: what one person may not send alone, and what one sends to oneself first."""

from collections.abc import AsyncIterator
from typing import Any, cast

from muster.client.aio.calls import Calls
from muster.client.paths import segment


class Approving(Calls):
    """Approvals, and tests."""

    def approvals(self, *, state: str | None = None) -> AsyncIterator[dict[str, Any]]:
        """Requests for a second person, the newest first; in one state, such as `open`, where that is said."""
        return self.pages("/v1/approvals", state=state)

    async def approval(self, approval_id: str) -> dict[str, Any]:
        """A request, with the text that it is about."""
        return cast(dict[str, Any], await self.get(f"/v1/approvals/{segment(approval_id)}"))

    async def ask_approval(self, *, note: str = "", **subject: str) -> dict[str, Any]:
        """Ask for the approval of a `quote_id`, a `bulk_id` or a `schedule_id`."""
        return cast(dict[str, Any], await self.post("/v1/approvals", {**subject, "note": note}))

    async def approve(self, approval_id: str, reason: str = "") -> dict[str, Any]:
        """Let it be sent; not by who asked or made it."""
        return cast(
            dict[str, Any], await self.post(f"/v1/approvals/{segment(approval_id)}/approve", {"reason": reason})
        )

    async def refuse(self, approval_id: str, reason: str) -> dict[str, Any]:
        """Do not let it be sent; by who asked for it, the request is withdrawn."""
        return cast(dict[str, Any], await self.post(f"/v1/approvals/{segment(approval_id)}/refuse", {"reason": reason}))

    async def approval_rule(self) -> dict[str, Any]:
        """From how much on the business asks a second person."""
        return cast(dict[str, Any], await self.get("/v1/approval-rule"))

    async def set_approval_rule(
        self, *, credits_above: int | None, recipients_above: int | None, email: str = ""
    ) -> dict[str, Any]:
        """Ask a second person above either; None: not for that. email: who is written to, the reception if empty."""
        body = {"credits_above": credits_above, "recipients_above": recipients_above, "email": email}
        return cast(dict[str, Any], await self.put("/v1/approval-rule", body))

    async def send_test(self, **said: Any) -> dict[str, Any]:
        """Send oneself, or `to` numbers that are kept for tests, what a customer would get, for its credits.

        said: a `quote_id`, or `text`, `template_id`, `template_version`, `audience`, `sender`, `message_class`; and
        perhaps a `customer_id` for whom it is written.
        """
        body = {"class" if name == "message_class" else name: value for name, value in said.items()}
        return cast(dict[str, Any], await self.post("/v1/test-messages", body))

    async def test_numbers(self) -> list[dict[str, Any]]:
        """The numbers that tests may go to."""
        return cast(list[dict[str, Any]], (await self.get("/v1/test-numbers"))["numbers"])

    async def set_own_number(self, number: str) -> list[dict[str, Any]]:
        """Say which number is one's own; all of them."""
        return cast(list[dict[str, Any]], (await self.put("/v1/test-numbers/own", {"number": number}))["numbers"])

    async def add_test_number(self, number: str, name: str = "") -> list[dict[str, Any]]:
        """Keep a number of the business for tests; all of them."""
        added = await self.post("/v1/test-numbers", {"number": number, "name": name})
        return cast(list[dict[str, Any]], added["numbers"])

    async def remove_test_number(self, test_number_id: str) -> None:
        """Send no more tests to a number."""
        await self.delete(f"/v1/test-numbers/{segment(test_number_id)}")
