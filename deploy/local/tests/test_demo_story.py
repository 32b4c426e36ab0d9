"""The demo's steps, with the product and the carrier played by a few lines."""

import io
from typing import Any, cast

import httpx
import pytest
from rich.console import Console

from muster.client import Muster
from muster.local.demo import story
from muster.local.demo.figures import MONEY, STATES, Business, of_send

RUN = {"carrier": {"control_url": "http://carrier"}}
FIRST, SECOND = "11111111-first", "22222222-second"
OTHERS, STOPPER = "+61412000017", "+61412000034"


class Product:
    """A salon's account: two customers, one of whom wrote STOP; remembers when the send was stopped."""

    def __init__(self, carrier: "CarrierPlayed") -> None:
        self.carrier = carrier
        self.taken_at_stop: dict[str, int] = {}

    def quote(self, _: str) -> dict[str, Any]:
        return {"id": "quote", "recipients": 1, "parts": 1, "credits": 1, "left_out": {"opted_out": 1}}

    def pages(self, _: str) -> list[dict[str, Any]]:
        return [{"number": STOPPER}]

    def report(self, **_: Any) -> list[dict[str, Any]]:
        return [{"number": OTHERS}, {"number": STOPPER}]

    def send(self, _: str) -> dict[str, Any]:
        return {"id": SECOND}

    def control(self, bulk_id: str, act: str) -> dict[str, Any]:
        assert (bulk_id, act) == (SECOND, "stop")
        self.taken_at_stop = dict(self.carrier.taken)
        return {"state": "closed", "counts": {"accepted": 1, "stopped": 0}}

    def bulk(self, _: str) -> dict[str, Any]:
        return {
            "state": "closed",
            "recipients": 1,
            "parts": 1,
            "credits_reserved": 1,
            "credits_used": 0,
            "credits_released": 1,
        }

    def progress(self, _: str) -> dict[str, int]:
        return dict.fromkeys(STATES, 0)


class CarrierPlayed(httpx.MockTransport):
    """Takes the answer to STOP before the first message of the send, one more each time it is asked."""

    def __init__(self) -> None:
        super().__init__(self._answer)
        self.taken = {OTHERS: 1, STOPPER: 1}
        self._coming = [STOPPER, STOPPER, OTHERS]

    def _answer(self, request: httpx.Request) -> httpx.Response:
        if request.method == "PUT":
            return httpx.Response(200, json={})
        counts = dict(self.taken)
        if self._coming:
            self.taken[self._coming.pop(0)] += 1
        return httpx.Response(200, json={"accepted_by_destination": counts})


def salon(product: Any) -> Business:
    return Business("Bright Hair", "id", cast(Muster, product), "reception@x.example", {}, {}, [FIRST])


def test_the_second_send_is_stopped_when_its_own_messages_are_on_the_wire_not_when_any_other_is() -> None:
    carrier = CarrierPlayed()
    product = Product(carrier)
    with httpx.Client(transport=carrier) as world:
        story._second_send(salon(product), RUN, world)
    assert product.taken_at_stop == {OTHERS: 2, STOPPER: 3}


def test_a_send_that_ended_before_it_was_asked_for_credits_moved_none() -> None:
    other = {"bulk_id": FIRST, **dict.fromkeys(MONEY, 7)}
    send = of_send(SECOND, cast(Muster, Product(CarrierPlayed())), [other])
    assert [send[f"credits_{member}"] for member in MONEY] == [0, 0, 0, 0]


class Teller:
    """A caller with a report of one message and a statement of one entry."""

    def report(self) -> list[dict[str, Any]]:
        row = {"number": "+447471889540", "status": "undelivered", "parts": 1, "credits": 10}
        return [row | {"text": "A long text. " * 9, "sent_at": "2026-11-26T19:10:03.141Z"}]

    def pages(self, _: str) -> list[dict[str, Any]]:
        after = {"available_after": 10_000, "reserved_after": 1_000, "consumed_after": 2_904}
        return [{"at": "2026-11-26T19:10:04.141Z", "kind": "pending", "credits": 1_904} | after]


def test_a_terminal_of_80_columns_shows_every_time_number_and_figure_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(story, "console", Console(width=80, file=io.StringIO()))
    business = Business("Salon", "t1", cast(Muster, Teller()), "r@salon.example", {}, {}, [])

    story._show_report(business)
    story._show_statement(business)

    shown = story.console.file.getvalue()
    for whole in ("19:10:03", "+447471889540", "undelivered", "19:10:04", "pending", "10,000", "2,904"):
        assert whole in shown
    assert all(len(line) <= 80 for line in shown.splitlines())
