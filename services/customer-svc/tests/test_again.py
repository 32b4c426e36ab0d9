"""A closed send is sent again to those who certainly did not get it, to nobody else, and to nobody twice."""

import asyncio
from typing import Any
from uuid import uuid4

import pytest
from gathering import plain
from hypothesis import given
from hypothesis import strategies as st

from muster.customer.domain.again import PATIENCE_S, Missed, Never, Sent, named, why_not
from muster.customer.domain.sends import State
from muster.customer.handlers import facts as handlers
from muster.events.v1.bulk_pb2 import BulkSmsAccounted
from muster.events.v1.credits_pb2 import CreditsRefused
from muster.events.v1.sms_pb2 import SmsDispatched, SmsStatusChanged

ACCEPTED, UNKNOWN, REJECTED, STOPPED, SUPPRESSED = range(2, 7)
DELIVERED, UNDELIVERED, EXPIRED = range(1, 4)
NO, YES, NOT_KNOWN = range(1, 4)
OF_LEFT = {ACCEPTED: YES, UNKNOWN: NOT_KNOWN, REJECTED: NO, STOPPED: NO, SUPPRESSED: NO}
NAMES = {UNKNOWN: "unknown", REJECTED: "rejected", STOPPED: "stopped", SUPPRESSED: "suppressed", ACCEPTED: "accepted"}
CHUNK = 500


class Story:
    """A send of a salon, and what dispatch-svc says of it."""

    def __init__(self, salon: Any, bulk_id: str) -> None:
        self.salon, self.bulk_id = salon, bulk_id
        self.ids = {"tenant_id": str(salon.tenant_id), "bulk_id": bulk_id}

    async def left(
        self, lefts: list[int], *, chunk: int = 1, first: int = 1, accepted: list[int] | None = None
    ) -> None:
        word = SmsDispatched(
            **self.ids,
            chunk=chunk,
            seq=range(first, first + len(lefts)),
            left=lefts,
            accepted=accepted or [OF_LEFT[left] for left in lefts],
            version=[1] * len(lefts),
        )
        await self.salon.hear(handlers.on_sms_dispatched, word)

    async def receipts(self, states: list[int], first: int = 1) -> None:
        n = len(states)
        word = SmsStatusChanged(**self.ids, chunk=1, seq=range(first, first + n), receipt=states, version=[1] * n)
        await self.salon.hear(handlers.on_sms_status_changed, word)

    async def close(self, lefts: list[int]) -> None:
        counts = {name: lefts.count(left) for left, name in NAMES.items()}
        word = BulkSmsAccounted(**self.ids, version=1, closed=True, **counts)
        await self.salon.hear(handlers.on_bulk_sms_accounted, word)

    async def end(self, lefts: list[int]) -> None:
        """All of it, in chunks."""
        for first in range(0, len(lefts), CHUNK):
            await self.left(lefts[first : first + CHUNK], chunk=1 + first // CHUNK, first=1 + first)
        await self.close(lefts)

    async def again(self, status: int = 201, **body: Any) -> Any:
        answer = await self.salon.ask("POST", f"/v1/bulk-sms/{self.bulk_id}/again", body or None)
        assert answer.status_code == status, answer.text
        return answer.json()


async def sent(salon: Any, people: int, *, first: int = 0, extra: str = "") -> Story:
    """A send to so many customers, planned."""
    rows = "".join(f"Ana{i},Smith,04{12_000_000 + i:08d},yes\n" for i in range(first, first + people))
    await salon.load(rows + extra)
    bulk_id = await salon.send((await salon.quote("Hello {{first_name}}"))["id"])
    await salon.plan()
    return Story(salon, bulk_id)


async def texted(salon: Any, quote: dict[str, Any]) -> tuple[str, list[int]]:
    """The send that a quote became, and the numbers that it texts, less their common beginning."""
    before = len(await salon.said("BulkRecipientsAttached"))
    bulk_id = await salon.send(quote["id"])
    await salon.plan()
    chunks = (await salon.said("BulkRecipientsAttached"))[before:]
    return bulk_id, [number - 61_412_000_000 for fact in chunks for number in fact.message.number]


async def test_those_who_were_rejected_or_stopped_are_quoted_and_nobody_else(salon: Any) -> None:
    story = await sent(salon, 8)
    lefts = [ACCEPTED, REJECTED, UNKNOWN, SUPPRESSED, STOPPED, ACCEPTED, STOPPED, REJECTED]
    await story.end(lefts)
    await story.receipts([DELIVERED, DELIVERED], first=1)

    quote = await story.again()
    bulk_id, numbers = await texted(salon, quote)

    assert (quote["recipients"], quote["customers"], quote["again_of"]) == (4, 4, story.bulk_id)
    assert numbers == [1, 4, 6, 7]
    shown = await salon.bulk(bulk_id)
    assert (shown["again_of"], shown["recipients"], plain(shown["text"])) == (story.bulk_id, 4, "Hello {{first_name}}")
    assert (await salon.bulk(story.bulk_id))["again_of"] is None


async def test_those_of_whom_a_receipt_says_that_it_failed_are_in_it_if_they_are_asked_for(salon: Any) -> None:
    story = await sent(salon, 5)
    await story.end([ACCEPTED, ACCEPTED, ACCEPTED, UNKNOWN, REJECTED])
    await story.receipts([DELIVERED, UNDELIVERED, EXPIRED])

    assert (await story.again())["recipients"] == 1
    quote = await story.again(failed=True)
    await story.receipts([UNDELIVERED], first=4)
    _, numbers = await texted(salon, quote)

    assert (quote["recipients"], numbers) == (3, [1, 2, 4]), "who failed since the quote is not in it"


async def test_seqs_are_found_in_chunks_of_a_large_send(salon: Any) -> None:
    story = await sent(salon, 1_203)
    lefts = [ACCEPTED] * 1_203
    for seq in (1, 500, 501, 1_000, 1_001, 1_203):
        lefts[seq - 1] = REJECTED
    await story.end(lefts)

    _, numbers = await texted(salon, await story.again())

    assert numbers == [0, 499, 500, 999, 1_000, 1_202]


async def test_who_opted_out_or_withdrew_since_is_left_out_by_reason_and_a_new_number_is_not_theirs(salon: Any) -> None:
    story = await sent(salon, 5)
    await story.end([STOPPED] * 5)
    customers = (await salon.ask("GET", "/v1/customers?limit=10")).json()["items"]
    by_name = {one["first_name"]: one["id"] for one in customers}
    for name, change in (
        ("Ana1", {"consent": "withdrawn", "allow_bulk_sms": False}),
        ("Ana2", {"mobiles": ["0499 999 999"]}),
    ):
        answer = await salon.ask("PATCH", f"/v1/customers/{by_name[name]}", change)
        assert answer.status_code == 200, answer.text
    suppressed = await salon.ask("POST", "/v1/suppressions", {"number": "0412000003"})
    assert suppressed.status_code in (200, 201), suppressed.text

    quote = await story.again()
    _, numbers = await texted(salon, quote)

    assert (quote["customers"], quote["recipients"], numbers) == (4, 2, [0, 4])
    assert {reason: count for reason, count in quote["left_out"].items() if count} == {"no_consent": 1, "opted_out": 1}


async def test_a_message_that_went_out_in_part_is_not_certainly_unsent(salon: Any) -> None:
    story = await sent(salon, 3)
    await story.left([REJECTED, REJECTED, ACCEPTED], accepted=[NO, YES, YES])
    await story.close([REJECTED, REJECTED, ACCEPTED])

    assert (await story.again())["recipients"] == 1


@pytest.mark.parametrize("lefts", [[ACCEPTED, ACCEPTED], [UNKNOWN, SUPPRESSED]])
async def test_where_everybody_got_it_or_may_have_nothing_is_quoted(salon: Any, lefts: list[int]) -> None:
    story = await sent(salon, 2)
    await story.end(lefts)

    problem = await story.again(409)

    assert problem["code"] == "nobody_missed_it"
    assert (problem["unknown"], problem["suppressed"]) == (lefts.count(UNKNOWN), lefts.count(SUPPRESSED))


async def test_a_send_that_is_open_or_of_which_words_are_on_their_way_is_not_sent_again_yet(salon: Any) -> None:
    story = await sent(salon, 3)
    await story.left([STOPPED], first=1)
    assert (await story.again(409))["code"] == "not_closed"

    await story.close([STOPPED, STOPPED, ACCEPTED])
    coming = await salon.ask("POST", f"/v1/bulk-sms/{story.bulk_id}/again")
    assert (coming.status_code, coming.json()["code"], coming.headers["retry-after"]) == (503, "outcomes_coming", "1")

    await story.left([STOPPED], first=2)
    assert (await story.again())["recipients"] == 2


async def test_what_never_was_there_is_not_sent_again(salon: Any) -> None:
    for bulk_id in (str(uuid4()), "7"):
        answer = await salon.ask("POST", f"/v1/bulk-sms/{bulk_id}/again")
        assert answer.status_code in (404, 422)
    story = await sent(salon, 2)
    await story.end([STOPPED, STOPPED])
    assert (await salon.ask("POST", f"/v1/bulk-sms/{story.bulk_id}/again", by="other")).status_code == 404
    assert (await salon.ask("POST", f"/v1/bulk-sms/{story.bulk_id}/again", by="staff")).status_code == 403
    single = await salon.ask("POST", "/v1/messages", {"to": "0412000000", "text": "Hi"})
    message = Story(salon, single.json()["bulk_id"])
    await message.end([REJECTED])
    assert (await message.again(409))["code"] == "not_bulk"
    assert await salon.count("not_received") == 1, "single messages are never sent again"


async def test_nobody_gets_it_twice_by_two_sends_that_are_made_at_once(salon: Any) -> None:
    story = await sent(salon, 3)
    await story.end([STOPPED] * 3)
    one, other = await story.again(), await story.again()
    bulk_id, _ = await texted(salon, one)

    refused = await salon.ask("POST", "/v1/bulk-sms", {"quote_id": other["id"]}, Idempotency_Key=str(uuid4()))

    assert (refused.status_code, refused.json()["code"]) == (409, "again_under_way")
    assert refused.json()["bulk_id"] == bulk_id
    assert (await story.again(409))["bulk_id"] == bulk_id


async def test_confirmed_at_once_one_of_two_sends_is_made(salon: Any) -> None:
    story = await sent(salon, 3)
    await story.end([STOPPED] * 3)
    quotes = [await story.again() for _ in range(4)]

    answers = await asyncio.gather(
        *(salon.ask("POST", "/v1/bulk-sms", {"quote_id": one["id"]}, Idempotency_Key=one["id"]) for one in quotes)
    )

    assert sorted(answer.status_code for answer in answers) == [202, 409, 409, 409]


async def test_when_it_is_closed_each_of_both_is_sent_again_to_its_own(salon: Any) -> None:
    story = await sent(salon, 4)
    await story.end([STOPPED, STOPPED, ACCEPTED, ACCEPTED])
    child_id, numbers = await texted(salon, await story.again())
    child = Story(salon, child_id)
    await child.end([ACCEPTED, REJECTED])
    await story.receipts([UNDELIVERED], first=3)

    assert numbers == [0, 1]
    assert (await story.again(409))["code"] == "nobody_missed_it", "who was texted since is that send's matter"
    assert (await texted(salon, await story.again(failed=True)))[1] == [2]
    assert (await texted(salon, await child.again()))[1] == [1]


async def test_a_send_that_was_refused_for_want_of_credits_has_texted_nobody(salon: Any) -> None:
    story = await sent(salon, 2)
    await story.end([STOPPED, STOPPED])
    child_id, _ = await texted(salon, await story.again())
    ids = {"tenant_id": str(salon.tenant_id), "bulk_id": child_id}
    await salon.hear(handlers.handlers(b"")["CreditsRefused"], CreditsRefused(**ids, asked=2, shortfall=1))

    assert (await texted(salon, await story.again()))[1] == [0, 1]


async def test_the_same_request_again_is_the_same_quote(salon: Any) -> None:
    story = await sent(salon, 2)
    await story.end([STOPPED, STOPPED])
    path = f"/v1/bulk-sms/{story.bulk_id}/again"

    answers = [await salon.ask("POST", path, {"failed": False}, Idempotency_Key="k") for _ in range(2)]

    assert answers[0].json()["id"] == answers[1].json()["id"]
    assert (await salon.ask("POST", path, {"failed": True}, Idempotency_Key="k")).status_code == 409
    assert (await salon.ask("POST", path, {"faild": True})).json()["errors"][0]["field"] == "faild"


@given(
    st.builds(
        Sent,
        state=st.sampled_from(list(State)),
        is_bulk=st.booleans(),
        planned=st.booleans(),
        unsent=st.integers(0, 5),
        heard=st.integers(0, 5),
        closed_s=st.sampled_from((0.0, PATIENCE_S - 1, PATIENCE_S, float("inf"))),
    )
)
def test_only_a_closed_bulk_of_which_all_is_known_is_sent_again(send: Sent) -> None:
    why = why_not(send)

    if why is None:
        assert send.is_bulk
        assert send.planned
        assert send.state is State.CLOSED
        assert send.heard >= send.unsent or send.closed_s >= PATIENCE_S
    assert (why is Never.NOT_CLOSED) <= (send.state is not State.CLOSED)


@given(st.lists(st.tuples(st.integers(1, 9), st.sampled_from(list(Missed)), st.integers(1, 3)), unique=True))
def test_words_that_are_said_together_are_kept_together(said: list[tuple[int, Missed, int]]) -> None:
    kept = named(4, said)

    assert sorted((seq, one.kind, one.version) for one in kept for seq in one.seqs) == sorted(said)
    assert len({(one.kind, one.version) for one in kept}) == len(kept)
    assert {one.chunk for one in kept} <= {4}
