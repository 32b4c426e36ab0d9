"""Single messages."""

from collections.abc import Mapping, Sequence
from typing import Any, cast

from muster.client import shapes
from muster.client.aio.calls import Calls
from muster.client.paths import segment


class Messaging(Calls):
    """Single messages."""

    async def message(self, text: str, *, key: str | None = None, **options: Any) -> shapes.Message:
        """Send one message: `to` a number or a `customer_id`; repeated with the same key it is sent once.

        options: `message_class` "factual" (the default) or "marketing", `kind` "single" or "reminder", `send_by`,
        `sender`.
        """
        body = {"class" if name == "message_class" else name: value for name, value in options.items()}
        return cast(shapes.Message, await self.post("/v1/messages", {"text": text, **body}, key=key))

    async def messages(self, messages: Sequence[Mapping[str, Any]], *, key: str | None = None) -> shapes.Messages:
        """Send up to 100 messages with one request, each as the API knows one (`text`, `to` …): what became of each, in
        their order. One that is refused has its `problem`, and keeps none of the others back."""
        return cast(shapes.Messages, await self.post("/v1/messages", {"messages": [*map(dict, messages)]}, key=key))

    async def message_status(self, message_id: str) -> shapes.ReportRow:
        """What became of one message."""
        return cast(shapes.ReportRow, await self.get(f"/v1/messages/{segment(message_id)}"))

    async def stop_message(self, message_id: str, reason: str = "") -> dict[str, Any]:
        """Do not send one message, if it has not begun to leave; ApiError 409 where it is too late."""
        return cast(dict[str, Any], await self.post(f"/v1/messages/{segment(message_id)}/stop", {"reason": reason}))
