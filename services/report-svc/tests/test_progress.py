"""What is known of a send while it is sent: its live numbers, its state, and who waits."""

from typing import Any
from uuid import uuid4

import httpx
from report_http import KEY, NUMBERS, OTHER, TENANT, by, get, hear
from report_world import ACCEPTED, REJECTED, STOPPED, SUBMITTING, SUPPRESSED, UNDELIVERED, UNKNOWN, Send

from muster.kit.ids import checked_uuid
from muster.kit.pg import Database


async def test_messages_that_wait_are_listed_as_queued_page_by_page_until_something_is_said_of_them(
    http: httpx.AsyncClient, db: Database, sends: tuple[Send, Send]
) -> None:
    send, other = Send(TENANT), Send(TENANT)
    for one in (send, other):
        await hear(db, one.recipients(NUMBERS, ["Hello Ann", "Hello Bob", "Hi"]), one.requested(3))
    await hear(db, send.dispatched([ACCEPTED]))

    async def queued(**params: Any) -> list[tuple[str, int]]:
        found = (await get(http, "/v1/reports/sms", status="queued", **params))["items"]
        assert {(row["status"], row["sent_at"]) for row in found} <= {("queued", None)}
        return [(row["bulk_id"], row["seq"]) for row in found]

    waiting = [(str(other.bulk), seq) for seq in (3, 2, 1)] + [(str(send.bulk), seq) for seq in (3, 2)]
    assert await queued() == waiting
    page = await get(http, "/v1/reports/sms", status="queued", limit=2)
    assert await queued(limit=500, cursor=page["next_cursor"]) == waiting[2:]
    assert await queued(bulk_id=str(send.bulk)) == waiting[3:]
    assert await queued(number=NUMBERS[1]) == [waiting[1], waiting[4]]
    assert await queued(text="hello") == [waiting[1], waiting[2], waiting[4]]
    assert await queued(kind="reminder") == []
    assert await queued(**{"from": "2026-01-01T00:00:00Z"}) == []
    await hear(db, send.dispatched([STOPPED] * 2, first=2), other.withdrawn())
    assert await queued() == []


async def test_progress_counts_each_recipient_once_and_replies(
    http: httpx.AsyncClient, sends: tuple[Send, Send]
) -> None:
    found = await get(http, f"/v1/bulk-sms/{sends[0].bulk}/progress")

    kept = {"recipients": 3, "delivered": 1, "rejected": 1, "unknown": 1, "queued": 0, "replies": 1, "opt_outs": 1}
    assert found | kept | {"closed": True} == found


async def test_progress_gathers_what_people_ask_for_and_its_sums_agree(http: httpx.AsyncClient, db: Database) -> None:
    send = Send(TENANT)
    await hear(
        db,
        send.requested(7),
        send.dispatched([ACCEPTED, ACCEPTED, UNKNOWN, REJECTED, STOPPED, SUPPRESSED], parts=[3, 3, 3, 3, 3, 3]),
        send.receipts([UNDELIVERED]),
    )
    under_way = await get(http, f"/v1/bulk-sms/{send.bulk}/progress")
    await hear(db, send.accounted(1, closed=False, used=4, released=8, held=2))
    found = await get(http, f"/v1/bulk-sms/{send.bulk}/progress")

    kept = {"sent": 2, "failed": 2, "held": 1, "left": 1, "stopped": 1, "suppressed": 1, "parts": 6, "state": "sending"}
    assert found | kept == found
    ends = ("sent", "held", "left", "rejected", "stopped", "suppressed")
    assert sum(found[name] for name in ends) == found["recipients"] == 7
    assert under_way["credits"] == {
        "asked": 14, "reserved": None, "used": 4, "released": 0, "held": None, "refunded": 0,
    }  # fmt: skip
    assert found["credits"] == {"asked": 14, "reserved": 14, "used": 4, "released": 8, "held": 2, "refunded": 0}


async def test_progress_tells_the_state_whichever_fact_came_first(http: httpx.AsyncClient, db: Database) -> None:
    send = Send(TENANT)
    states = []
    for told in (
        send.requested(3),
        send.dispatched([ACCEPTED]),
        send.controlled(2, 2),
        send.controlled(1, 1),
        send.controlled(3, 3),
        send.controlled(4, 3, "parked"),
        send.controlled(5, 1),
        send.accounted(1, closed=True),
    ):
        await hear(db, told)
        states.append((await get(http, f"/v1/bulk-sms/{send.bulk}/progress"))["state"])

    assert states == ["waiting", "sending", "paused", "paused", "sending", "paused", "stopping", "closed"]
    given = checked_uuid(KEY, TENANT)
    assert (await get(http, f"/v1/bulk-sms/{given}/progress"))["state"] == "planning"
    refused = Send(TENANT)
    await hear(db, refused.requested(2), refused.dispatched([STOPPED, STOPPED], reason="credits"))
    assert (await get(http, f"/v1/bulk-sms/{refused.bulk}/progress"))["state"] == "refused"


async def test_progress_of_messages_whose_send_is_not_heard_of_yet_sums_up(
    http: httpx.AsyncClient, db: Database
) -> None:
    send = Send(TENANT)
    await hear(db, send.dispatched([ACCEPTED, SUBMITTING]))

    found = await get(http, f"/v1/bulk-sms/{send.bulk}/progress")

    assert (found["recipients"], found["accepted"], found["submitting"], found["queued"]) == (2, 1, 1, 0)


async def test_progress_of_an_id_that_was_given_is_nothing_yet_and_of_any_other_404(http: httpx.AsyncClient) -> None:
    given = checked_uuid(KEY, TENANT)

    found = await get(http, f"/v1/bulk-sms/{given}/progress")

    assert (found["id"], found["recipients"], found["closed"]) == (str(given), 0, False)
    for bulk, caller in ((given, "other"), (uuid4(), "admin"), (checked_uuid(KEY, OTHER), "admin")):
        assert (await http.get(f"/v1/bulk-sms/{bulk}/progress", headers=by(caller))).status_code == 404
