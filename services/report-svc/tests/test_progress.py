"""What is known of a send while it is sent: its live numbers, its state, and who waits."""

from typing import Any
from uuid import uuid4

import httpx
from report_http import KEY, NUMBERS, OTHER, TENANT, by, get, hear
from report_world import ACCEPTED, REJECTED, STOPPED, SUBMITTING, SUPPRESSED, UNDELIVERED, UNKNOWN, Send

from muster.kit import clock
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
        send.dispatched([STOPPED, STOPPED], first=2),
    ):
        await hear(db, told)
        states.append((await get(http, f"/v1/bulk-sms/{send.bulk}/progress"))["state"])

    assert states == ["waiting", "sending", "paused", "paused", "sending", "paused", "stopping", "stopping", "closed"]
    given = checked_uuid(KEY, TENANT)
    assert (await get(http, f"/v1/bulk-sms/{given}/progress"))["state"] == "planning"
    refused = Send(TENANT)
    await hear(db, refused.requested(2), refused.dispatched([STOPPED, STOPPED], reason="credits"))
    assert (await get(http, f"/v1/bulk-sms/{refused.bulk}/progress"))["state"] == "refused"


async def test_a_send_is_shown_as_closed_when_every_message_is_counted_or_nothing_more_comes(
    http: httpx.AsyncClient, db: Database
) -> None:
    send = Send(TENANT)
    await hear(db, send.requested(3), send.dispatched([ACCEPTED]), send.accounted(1, closed=True))

    async def shown() -> tuple[str, bool]:
        found = await get(http, f"/v1/bulk-sms/{send.bulk}/progress")
        return found["state"], found["closed"]

    assert await shown() == ("sending", False)
    async with db.worker() as tx:
        await tx.execute("UPDATE bulk SET heard_at = kit_now() - interval '61 s'")
    assert await shown() == ("closed", True)
    await hear(db, send.dispatched([ACCEPTED], first=2))
    assert await shown() == ("sending", False), "more has come after all"
    await hear(db, send.dispatched([ACCEPTED], first=3))
    assert await shown() == ("closed", True)


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


def promise(send: Send, version: int, control_version: int = 0, **members: Any) -> Any:
    """What dispatch-svc says of a send now: 300 of 400 parts left, 50 a second."""
    now = clock.unix_ms()
    figures = {
        "at_unix_ms": now, "parts_left": 300, "parts_per_second": 50.0, "finish_unix_ms": now + 6_000,
        "promised_at_unix_ms": now, "promised_finish_unix_ms": now + 5_000, "credits_reserved": 800,
    }  # fmt: skip
    return send.paced(version, control_version, **{**figures, **members})


async def test_progress_shows_the_pace_and_the_promised_finish_of_the_highest_version(
    http: httpx.AsyncClient, db: Database
) -> None:
    send = Send(TENANT)
    await hear(db, send.requested(200), send.dispatched([ACCEPTED] * 50, parts=[2] * 50))
    before = await get(http, f"/v1/bulk-sms/{send.bulk}/progress")
    told = promise(send, 7)
    await hear(db, told, promise(send, 6, parts_left=1), told)

    found = await get(http, f"/v1/bulk-sms/{send.bulk}/progress")

    assert before["pace"] is None
    assert (found["pace"]["parts_left"], found["pace"]["parts_per_s"], found["pace"]["why"]) == (300, 50.0, None)
    assert clock.parse_rfc3339(found["pace"]["finish_at"]) == told.finish_unix_ms
    assert clock.parse_rfc3339(found["pace"]["promised_finish_at"]) == told.promised_finish_unix_ms
    assert found["rate_per_s"] == 25.0, "messages of two parts"
    assert found["credits"] | {"reserved": 800, "used": 100, "held": 700} == found["credits"]


async def test_a_pause_withdraws_the_promise_whichever_is_heard_first_and_silence_does_too(
    http: httpx.AsyncClient, db: Database
) -> None:
    send = Send(TENANT)
    await hear(db, send.requested(200), send.dispatched([ACCEPTED] * 50))

    async def pace(*told: Any) -> tuple[str | None, bool]:
        await hear(db, *told)
        found = (await get(http, f"/v1/bulk-sms/{send.bulk}/progress"))["pace"]
        return found["why"], found["finish_at"] is not None and found["promised_finish_at"] is not None

    assert await pace(promise(send, 1)) == (None, True)
    assert await pace(send.controlled(1, 2)) == ("paused", False)
    assert await pace(promise(send, 2)) == ("paused", False), "it was said before the pause was heard of"
    assert await pace(send.controlled(2, 3)) == ("silent", False)
    assert await pace(promise(send, 3, 2)) == (None, True)
    assert await pace(promise(send, 4, 2, at_unix_ms=clock.unix_ms() - 60_000)) == ("silent", False)
    assert await pace(send.controlled(3, 1)) == ("stopped", False)
    await hear(db, send.dispatched([STOPPED] * 150, first=51), send.accounted(1, closed=True))
    assert (await get(http, f"/v1/bulk-sms/{send.bulk}/progress"))["pace"]["parts_left"] == 0


async def test_a_send_that_has_left_shows_what_was_promised_and_when_it_had_left(
    http: httpx.AsyncClient, db: Database
) -> None:
    send = Send(TENANT)
    ended = promise(send, 2, at_unix_ms=5_000, finish_unix_ms=0, finished_unix_ms=4_000, parts_left=0)
    await hear(db, send.requested(1), send.dispatched([ACCEPTED]), ended, send.accounted(1, closed=True))

    found = (await get(http, f"/v1/bulk-sms/{send.bulk}/progress"))["pace"]

    assert (found["finish_at"], found["why"], found["parts_left"]) == (None, None, 0)
    assert clock.parse_rfc3339(found["finished_at"]) == 4_000
    assert clock.parse_rfc3339(found["promised_finish_at"]) == ended.promised_finish_unix_ms
