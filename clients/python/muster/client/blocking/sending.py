# Made by generate.py.
"""Sends: quoted, confirmed, controlled, watched, and their report."""

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any, Final, cast

import httpx

from muster.client import shapes
from muster.client.blocking.calls import Calls
from muster.client.errors import ApiError
from muster.client.events import Events
from muster.client.paths import segment

WATCH_RETRY_S: Final = 2.0


class Sending(Calls):
    """Sends, and the report."""

    def quote(self, text: str | None, audience: Mapping[str, Any] | None = None, **options: Any) -> shapes.Quote:
        """What a text to an audience takes: recipients, parts, credits, and who is left out.

        options: `template_id`, and perhaps `template_version`, instead of a text; `sender`, and `local_time`, at which
        each recipient is texted by the clock of their own zone.
        """
        written = {} if text is None else {"text": text}
        body = {**written, "audience": audience or {"all": True}, **options}
        return cast(shapes.Quote, self.post("/v1/quotes", body))

    def quoted(self, quote_id: str) -> shapes.Quote:
        """A quote as it was given, with the balance of now."""
        return cast(shapes.Quote, self.get(f"/v1/quotes/{segment(quote_id)}"))

    def send(self, quote_id: str, *, key: str | None = None, **options: Any) -> shapes.Bulk:
        """Confirm a quote; repeated with the same key it sends once. options: `send_by`, `partial`, and `overrides` of
        checks that block it, each with `check`, `country` and `reason`."""
        return cast(shapes.Bulk, self.post("/v1/bulk-sms", {"quote_id": quote_id, **options}, key=key))

    def bulk(self, bulk_id: str) -> shapes.Bulk:
        """A send as it stands."""
        return cast(shapes.Bulk, self.get(_send_path(bulk_id)))

    def checks(self, bulk_id: str) -> dict[str, Any]:
        """What was checked of a send by law before it was confirmed, as it was signed."""
        return cast(dict[str, Any], self.get(_send_path(bulk_id, "checks")))

    def verify_checks(self, bulk_id: str, copy: Mapping[str, Any]) -> dict[str, Any]:
        """Whether a copy (`signed`, `signature`) is signed by Muster (`valid`), and kept with its send (`kept`)."""
        return cast(dict[str, Any], self.post(_send_path(bulk_id, "checks", "verification"), dict(copy)))

    def confirm(self, bulk_id: str, credits: int) -> shapes.Bulk:
        """Agree to what a send costs that came to more than its quote."""
        return cast(shapes.Bulk, self.post(_send_path(bulk_id, "confirm"), {"credits": credits}))

    def again(self, bulk_id: str, *, failed: bool = False) -> shapes.Quote:
        """Quote a closed send again for those who certainly did not get it; `failed`: also for those of whom a receipt
        says so."""
        return cast(shapes.Quote, self.post(_send_path(bulk_id, "again"), {"failed": failed}))

    def control(self, bulk_id: str, act: str, reason: str = "") -> dict[str, Any]:
        """`stop`, `pause` or `resume` a send; a stop answers with exact counts, or with the state `stopping`."""
        return cast(dict[str, Any], self.post(_send_path(bulk_id, act), {"reason": reason}))

    def unknown(self, bulk_id: str) -> Iterator[dict[str, Any]]:
        """Messages of a send of which nobody knows whether the carrier took them."""
        return self.pages(_send_path(bulk_id, "unknown"))

    def answer_unknown(self, bulk_id: str, answer: str, reason: str = "") -> dict[str, Any]:
        """`charge` or `release` what is unknown of a send, where the rule of the business is to ask."""
        return cast(dict[str, Any], self.post(_send_path(bulk_id, "unknown"), {"answer": answer, "reason": reason}))

    def progress(self, bulk_id: str) -> shapes.Progress:
        """Live numbers of a send, from the report."""
        return cast(shapes.Progress, self.get(_send_path(bulk_id, "progress")))

    def watch(self, bulk_id: str) -> Iterator[shapes.Progress]:
        """Live numbers of a send: now, and again at each change, until it has ended and its receipts are in.

        Streams that end early are taken up again where they were; where there are too many, the numbers are asked for.
        """
        path, seen, retry_s = _send_path(bulk_id, "progress"), "", WATCH_RETRY_S
        while True:
            try:
                with self._streamed(path, {"Accept": "text/event-stream", "Last-Event-ID": seen}) as answer:
                    events = Events()
                    for line in answer.iter_lines():
                        if (event := events.read(line)) is None:
                            continue
                        seen, retry_s = event.id or seen, event.retry_s or retry_s
                        if event.name:
                            yield cast(shapes.Progress, json.loads(event.data))
                        if event.name == "end":
                            return
            except httpx.TransportError:
                pass  # what cut the stream off, or keeps a new one from beginning, is seen by the call below
            except ApiError as refused:
                if refused.status not in (429, 502, 503):
                    raise
            time.sleep(retry_s)
            yield self.progress(bulk_id)

    def report(self, **filters: str | int | None) -> Iterator[shapes.ReportRow]:
        """Rows of the SMS Detail Report."""
        return cast(Iterator[shapes.ReportRow], self.pages("/v1/reports/sms", **filters))


def _send_path(bulk_id: str, *below: str) -> str:
    """The path of a send; an id stays one segment of it whatever it holds."""
    return "/".join(("/v1/bulk-sms", segment(bulk_id), *below))
